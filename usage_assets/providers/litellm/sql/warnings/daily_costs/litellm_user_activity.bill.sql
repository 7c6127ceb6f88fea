-- the estimate of a model is at most 10 % (and a dollar) above what providers bill of it that day (if both have the day;
-- a bill may be larger, because not all use goes through the proxy)
select
  connection,
  usage_date,
  concat('the estimate in dollars of ', model, ', billed by ', string_agg(billed_by, ', ' order by billed_by)) as total,
  sum(billed_usd) as expected,
  max(estimated_usd) as found
from costs.gateways_and_bills
group by connection, usage_date, model
having max(estimated_usd) > sum(billed_usd) * 1.1 and max(estimated_usd) - sum(billed_usd) > 1

-- costs.daily_costs holds the total spend of litellm.user_activity, or that of its models on a day without a total
-- sums: native_amount
-- by: currency
-- total: 'estimated'
-- unit: currency
select
  connection,
  usage_date,
  'USD' as currency,
  coalesce(sum(spend) filter (where cut = 'total'), sum(spend) filter (where cut = 'model')) as native_amount
from litellm.user_activity
where cut in ('total', 'model')
group by connection, usage_date

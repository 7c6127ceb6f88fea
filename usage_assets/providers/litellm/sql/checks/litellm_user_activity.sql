-- costs.daily_costs holds the spend of litellm.user_activity: of its total where some use has no model, else of its models
-- sums: native_amount
-- by: currency
-- total: currency
select
  connection,
  usage_date,
  'USD' as currency,
  if(
    sum(api_requests) filter (where cut = 'total') > coalesce(sum(api_requests) filter (where cut = 'model'), 0),
    sum(spend) filter (where cut = 'total'),
    sum(spend) filter (where cut = 'model')
  ) as native_amount
from litellm.user_activity
where cut in ('total', 'model')
group by connection, usage_date

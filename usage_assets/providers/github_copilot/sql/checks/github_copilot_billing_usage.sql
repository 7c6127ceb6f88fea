-- costs.daily_costs holds every net dollar that github_copilot.billing_usage states for seats
-- sums: native_amount
-- by: currency
-- total: currency
select
  connection,
  usage_date,
  'USD' as currency,
  net_amount as native_amount
from github_copilot.billing_usage
where lower(product) like '%copilot%'
  and lower(unit_type) like 'user%'

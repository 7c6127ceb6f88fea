-- costs.daily_costs holds every net dollar of github_copilot.premium_requests that the other metered report does not own
-- sums: native_amount
-- by: currency
-- total: 'billed'
-- unit: currency
select
  connection,
  usage_date,
  'USD' as currency,
  net_amount as native_amount
from github_copilot.metered
where source_table = 'github_copilot.premium_requests' and is_counted is not false

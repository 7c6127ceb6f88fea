-- costs.daily_costs holds every net dollar that github_copilot.billing_usage states for seats and for GitHub Models
-- sums: native_amount
-- by: currency
-- total: 'billed'
-- unit: currency
select
  connection,
  usage_date,
  'USD' as currency,
  net_amount as native_amount
from github_copilot.bill
where charge in ('seats', 'models', 'no unit')

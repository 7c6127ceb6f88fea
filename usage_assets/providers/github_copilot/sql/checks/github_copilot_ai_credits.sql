-- costs.daily_costs holds every net dollar of github_copilot.ai_credits
-- sums: native_amount
-- by: currency
-- total: 'billed'
-- unit: currency
select
  connection,
  usage_date,
  'USD' as currency,
  net_amount as native_amount
from github_copilot.ai_credits

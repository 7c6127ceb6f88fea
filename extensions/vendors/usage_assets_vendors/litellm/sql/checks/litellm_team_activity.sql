-- costs.daily_costs holds the flat cost of litellm.team_activity
-- sums: native_amount
-- by: currency
-- total: 'estimated'
-- unit: currency
select
  connection,
  usage_date,
  'USD' as currency,
  flat_cost as native_amount
from litellm.team_activity
where flat_cost <> 0

-- costs by model and usage type; amounts.sql adds them up to one row per connection, day and both. All rows of a day add up to its costs
select
  connection,
  usage_date,
  provider,
  cost_basis,
  native_amount,
  amount_usd,
  [costs.model, costs.usage_type] as identified_by,
  [coalesce(costs.model, 'no model'), coalesce(costs.usage_type, 'not itemized')] as called,
  coalesce(costs.model, 'no model') as model,
  coalesce(costs.usage_type, 'not itemized') as usage_type
from costs.daily_costs as costs

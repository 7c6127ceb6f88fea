-- costs by model and usage type; amounts.sql adds them up to one row per connection, day and both. All rows of a day add up to its costs.
-- A model is a family and a variant, in whatever spellings its provider sends it: one without a variant is called as its family
-- reads: models.names_in_costs
select
  connection,
  usage_date,
  provider,
  cost_basis,
  native_amount,
  amount_usd,
  [nullif(concat_ws('+', names.family, replace(names.variant, ' ', '+')), ''), costs.usage_type] as identified_by,
  [coalesce(nullif(concat_ws(' ', names.family, names.variant), ''), 'no model'), coalesce(costs.usage_type, 'not itemized')] as called,
  coalesce(names.family, 'no model') as model,
  names.variant,
  coalesce(costs.usage_type, 'not itemized') as usage_type
from costs.daily_costs as costs
left join models.names_in_costs as names using (provider, model)

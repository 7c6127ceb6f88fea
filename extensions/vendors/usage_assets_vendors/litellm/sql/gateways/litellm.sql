-- the provider stands before the model's name where the proxy was told so
-- reads: costs.daily_costs
select
  connection,
  usage_date,
  if(model like '%/%', split_part(model, '/', 1), null) as named_provider,
  provider,
  model,
  amount_usd
from costs.daily_costs
where source_table = 'litellm.user_activity' and model is not null

-- one row per connection, day, project, user, API key, line item and currency; billed
select
  connection,
  'openai' as provider,
  usage_date,
  'openai.costs' as source_table,
  'billed' as cost_basis,
  sum(amount_value) as native_amount,
  case when upper(amount_currency) = 'USD' then 'dollars' else 'major units' end as native_unit,
  upper(amount_currency) as currency,
  line_item_model(line_item) as model,
  line_item_usage_type(line_item) as usage_type,
  project_id,
  user_id,
  api_key_id,
  line_item,
  grouped_by
from openai.costs
group by connection, usage_date, upper(amount_currency), project_id, user_id, api_key_id, line_item, grouped_by

-- one row per connection, day, project, user, API key, line item and currency; billed
select
  connection,
  'openai' as provider,
  usage_date,
  'openai.costs' as source_table,
  'billed' as cost_basis,
  native_amount,
  case when currency = 'USD' then 'dollars' else 'major units' end as native_unit,
  currency,
  parts.model as model,
  if(parts.modality <> '', parts.modality || ' ', '') || parts.usage_type as usage_type,
  project_id,
  user_id,
  api_key_id,
  line_item,
  nullif(parts.service_tier, '') as service_tier,
  grouped_by
from (
  select
    connection,
    usage_date,
    sum(amount_value) as native_amount,
    upper(amount_currency) as currency,
    line_item_parts(line_item) as parts,
    project_id,
    user_id,
    api_key_id,
    line_item,
    grouped_by
  from openai.costs
  group by connection, usage_date, upper(amount_currency), project_id, user_id, api_key_id, line_item, grouped_by
)

-- one row per connection, day and named line, also one that costs nothing; billed
select
  connection,
  'openai_legacy' as provider,
  usage_date,
  'openai_legacy.billing_usage' as source_table,
  'billed' as cost_basis,
  cost_cents as native_amount,
  'cents' as native_unit,
  'USD' as currency,
  null as model,
  null as usage_type,
  null as project_id,
  null as workspace_id,
  null as user_id,
  null as api_key_id,
  null as api_key_name,
  name as line_item,
  null as cost_type,
  null as token_type,
  null as service_tier,
  null as context_window,
  null as inference_geo,
  '' as grouped_by
from openai_legacy.billing_usage
where name is not null

-- one row per connection, day, workspace, description (with what it consists of) and currency; billed
select
  connection,
  'anthropic' as provider,
  usage_date,
  'anthropic.cost_report' as source_table,
  'billed' as cost_basis,
  sum(amount_cents) as native_amount,
  case when upper(currency) = 'USD' then 'cents' else 'minor units' end as native_unit,
  upper(currency) as currency,
  model,
  coalesce(token_type, cost_type) as usage_type,
  workspace_id,
  description as line_item,
  cost_type,
  token_type,
  service_tier,
  context_window,
  inference_geo,
  grouped_by
from anthropic.cost_report
group by
  connection,
  usage_date,
  upper(currency),
  model,
  workspace_id,
  description,
  cost_type,
  token_type,
  service_tier,
  context_window,
  inference_geo,
  grouped_by

-- one row per connection, day, workspace, person or service account, API key, model, tier, kind of cost, class of tokens and
-- currency; billed. It names no line item: the report has no descriptions
select
  connection,
  'anthropic_analytics' as provider,
  usage_date,
  'anthropic_analytics.cost' as source_table,
  'billed' as cost_basis,
  sum(amount_cents) as native_amount,
  case when upper(currency) = 'USD' then 'cents' else 'minor units' end as native_unit,
  upper(currency) as currency,
  model,
  coalesce(token_type, cost_type) as usage_type,
  workspace_id,
  coalesce(actor_user_id, actor_service_account_id) as user_id,
  coalesce(api_key_id, actor_api_key_id) as api_key_id,
  cost_type,
  token_type,
  service_tier,
  'list' as costs_stated,
  sum(list_amount_cents) as list_amount,
  grouped_by
from anthropic_analytics.cost
group by
  connection,
  usage_date,
  upper(currency),
  model,
  workspace_id,
  coalesce(actor_user_id, actor_service_account_id),
  coalesce(api_key_id, actor_api_key_id),
  cost_type,
  token_type,
  service_tier,
  grouped_by

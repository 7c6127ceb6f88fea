-- one row per connection, day, workspace, description (with what it consists of), person or service account, API key and currency;
-- billed. The newer report states whose it is and what it is at list price, and has no descriptions. It also names the default
-- workspace by an id (the one that is not listed, where others are), and the model and tier of costs other than tokens: these are
-- null here, as in the older one, so that a day's rows stay the same when the report changes
select
  connection,
  'anthropic' as provider,
  usage_date,
  'anthropic.cost_report' as source_table,
  'billed' as cost_basis,
  sum(amount_cents) as native_amount,
  case when upper(currency) = 'USD' then 'cents' else 'minor units' end as native_unit,
  upper(currency) as currency,
  if(list_amount_cents is null or cost_type = 'tokens', model, null) as model,
  coalesce(token_type, cost_type) as usage_type,
  if(
    list_amount_cents is not null
    and connection in (select connection from anthropic.workspaces)
    and (connection, workspace_id) not in (select connection, id from anthropic.workspaces),
    null,
    workspace_id
  ) as workspace_id,
  coalesce(actor_user_id, actor_service_account_id) as user_id,
  coalesce(api_key_id, actor_api_key_id) as api_key_id,
  description as line_item,
  cost_type,
  token_type,
  if(list_amount_cents is null or cost_type = 'tokens', service_tier, null) as service_tier,
  context_window,
  inference_geo,
  if(list_amount_cents is null, null, 'list') as costs_stated,
  sum(list_amount_cents) as list_amount,
  grouped_by
from anthropic.cost_report
group by all

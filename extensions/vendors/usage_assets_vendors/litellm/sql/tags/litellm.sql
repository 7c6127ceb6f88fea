-- what each tag used of a model with a key, and, in rows without a tag, all that was used of the model with the key; only of days
-- whose tags are stored. Tags of one request overlap
-- reads: litellm.user_activity, litellm.tag_activity_by_model, ledger.stored_days
select
  connection,
  'litellm' as provider,
  usage_date,
  if(model like '%/%', split_part(model, '/', 1), null) as named_provider,
  model as gateway_model,
  model || ' ' || api_key as use,
  tag,
  spend as amount_usd,
  api_requests as requests
from (
  select connection, usage_date, model, api_key, tag, spend, api_requests
  from litellm.tag_activity_by_model
  union all by name
  select connection, usage_date, model, api_key, spend, api_requests
  from litellm.user_activity
  semi join (from ledger.stored_days where table_name = 'litellm.tag_activity_by_model')
    using (connection, usage_date)
  where cut = 'model'
)

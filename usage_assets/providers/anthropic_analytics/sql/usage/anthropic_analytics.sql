-- nothing on days that an anthropic connection bills, because its report has the same use. Priority Tier is paid for in
-- advance, and is in no cost
-- reads: anthropic_analytics.usage, ledger.partition_versions
select
  connection,
  usage_date,
  'anthropic_analytics' as provider,
  model,
  service_tier,
  if(service_tier = 'priority', false, null) as is_billed,
  workspace_id,
  coalesce(actor_user_id, actor_service_account_id) as user_id,
  coalesce(api_key_id, actor_api_key_id) as api_key_id,
  requests,
  uncached_input_tokens + cache_read_input_tokens + cache_creation_5m_input_tokens + cache_creation_1h_input_tokens
    as input_tokens,
  cache_read_input_tokens as cached_input_tokens,
  cache_creation_5m_input_tokens + cache_creation_1h_input_tokens as cache_write_tokens,
  cache_creation_1h_input_tokens as cache_write_1h_tokens,
  output_tokens
from anthropic_analytics.usage
anti join (
  select connection, usage_date
  from ledger.partition_versions
  where table_name = 'costs.daily_costs' and slice = 'anthropic_analytics.cost'
  group by connection, usage_date
  having (arg_max(inputs, version) ->> 'billing connection') <> connection
) using (connection, usage_date)

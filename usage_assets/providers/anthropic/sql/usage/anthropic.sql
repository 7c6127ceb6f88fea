-- Priority Tier is paid for in advance, and is not in the cost report
-- reads: anthropic.usage_messages
select
  connection,
  usage_date,
  'anthropic' as provider,
  model,
  service_tier,
  if(service_tier = 'priority', false, null) as is_billed,
  context_window,
  workspace_id,
  account_id as user_id,
  api_key_id,
  uncached_input_tokens + cache_read_input_tokens + cache_creation_5m_input_tokens + cache_creation_1h_input_tokens
    as input_tokens,
  cache_read_input_tokens as cached_input_tokens,
  cache_creation_5m_input_tokens + cache_creation_1h_input_tokens as cache_write_tokens,
  cache_creation_1h_input_tokens as cache_write_1h_tokens,
  output_tokens
from anthropic.usage_messages

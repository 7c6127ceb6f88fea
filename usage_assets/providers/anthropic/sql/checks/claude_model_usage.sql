-- each token class of port_entities.claude_model_usage adds up to anthropic.usage_messages
-- sums: uncached_input_tokens, output_tokens, cache_read_input_tokens, cache_creation_5m_tokens, cache_creation_1h_tokens,
--   web_search_requests
select
  *,
  cache_creation_5m_input_tokens as cache_creation_5m_tokens,
  cache_creation_1h_input_tokens as cache_creation_1h_tokens
from anthropic.usage_messages

-- every counter of port_entities.claude_ai_user_usage adds up to anthropic_analytics.user_usage_report
-- sums: uncached_input_tokens, cache_creation_1h_tokens, cache_creation_5m_tokens, cache_read_input_tokens, output_tokens,
--   total_tokens, web_search_requests, requests
-- nulls: unknown
select
  * rename (
    cache_creation_1h_input_tokens as cache_creation_1h_tokens,
    cache_creation_5m_input_tokens as cache_creation_5m_tokens
  )
from anthropic_analytics.user_usage_report

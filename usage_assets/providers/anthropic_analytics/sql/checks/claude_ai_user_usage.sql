-- every counter of port_entities.claude_ai_user_usage adds up to anthropic_analytics.user_usage_report
-- sums: uncached_input_tokens, cache_read_input_tokens, output_tokens, requests
from anthropic_analytics.user_usage_report

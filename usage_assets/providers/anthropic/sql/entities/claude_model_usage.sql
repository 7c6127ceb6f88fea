-- one row per connection, day and model with usage (usage without a model is `unknown`)
select
  connection,
  usage_date,
  port_identifier(connection, coalesce(model, 'unknown') || '-' || usage_date) as identifier,
  coalesce(model, 'unknown') || ' - ' || usage_date as title,
  usage_date || 'T00:00:00Z' as record_date,
  coalesce(model, 'unknown') as model,
  sum(uncached_input_tokens) as uncached_input_tokens,
  sum(output_tokens) as output_tokens,
  sum(cache_read_input_tokens) as cache_read_input_tokens,
  sum(cache_creation_5m_input_tokens) as cache_creation_5m_tokens,
  sum(cache_creation_1h_input_tokens) as cache_creation_1h_tokens,
  sum(web_search_requests) as web_search_requests
from anthropic.usage_messages
group by connection, usage_date, coalesce(model, 'unknown')

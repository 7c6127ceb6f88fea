-- one row per connection and day that was fetched, also an empty one
with days as (
  select connection, usage_date
  from ledger.stored_days
  where table_name = 'anthropic.usage_messages'
)
select
  days.connection,
  days.usage_date,
  port_identifier(days.connection, days.usage_date || '-usage') as identifier,
  'Claude Usage - ' || days.usage_date as title,
  days.usage_date || 'T00:00:00Z' as record_date,
  coalesce(sum(uncached_input_tokens), 0) as uncached_input_tokens,
  coalesce(sum(output_tokens), 0) as output_tokens,
  coalesce(sum(cache_read_input_tokens), 0) as cache_read_input_tokens,
  coalesce(sum(cache_creation_5m_input_tokens), 0) as cache_creation_5m_tokens,
  coalesce(sum(cache_creation_1h_input_tokens), 0) as cache_creation_1h_tokens,
  coalesce(sum(web_search_requests), 0) as web_search_requests
from days
left join anthropic.usage_messages as usage using (connection, usage_date)
group by days.connection, days.usage_date

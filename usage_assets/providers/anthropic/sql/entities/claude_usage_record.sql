-- one row per connection and day that was fetched, also an empty one (a counter that Anthropic left out of all rows of a
-- day is unknown: null)
select
  days.connection,
  days.usage_date,
  port_identifier(days.connection, days.usage_date || '-usage') as identifier,
  'Claude Usage - ' || days.usage_date as title,
  days.usage_date || 'T00:00:00Z' as record_date,
  if(count(usage.connection) = 0, 0, sum(uncached_input_tokens)) as uncached_input_tokens,
  if(count(usage.connection) = 0, 0, sum(output_tokens)) as output_tokens,
  if(count(usage.connection) = 0, 0, sum(cache_read_input_tokens)) as cache_read_input_tokens,
  if(count(usage.connection) = 0, 0, sum(cache_creation_5m_input_tokens)) as cache_creation_5m_tokens,
  if(count(usage.connection) = 0, 0, sum(cache_creation_1h_input_tokens)) as cache_creation_1h_tokens,
  if(count(usage.connection) = 0, 0, sum(web_search_requests)) as web_search_requests
from (from ledger.stored_days where table_name = 'anthropic.usage_messages') as days
left join anthropic.usage_messages as usage using (connection, usage_date)
group by days.connection, days.usage_date

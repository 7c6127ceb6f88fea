-- each token class of port_entities.claude_usage_record adds up to anthropic.usage_messages
select
  connection,
  usage_date,
  total,
  sum(expected) as expected,
  sum(found) as found
from (
  select
    connection,
    usage_date,
    'uncached_input_tokens' as total,
    uncached_input_tokens as expected,
    0 as found
  from anthropic.usage_messages
  union all
  select
    connection,
    usage_date,
    'uncached_input_tokens' as total,
    0 as expected,
    uncached_input_tokens as found
  from port_entities.claude_usage_record
  union all
  select
    connection,
    usage_date,
    'output_tokens' as total,
    output_tokens as expected,
    0 as found
  from anthropic.usage_messages
  union all
  select
    connection,
    usage_date,
    'output_tokens' as total,
    0 as expected,
    output_tokens as found
  from port_entities.claude_usage_record
  union all
  select
    connection,
    usage_date,
    'cache_read_input_tokens' as total,
    cache_read_input_tokens as expected,
    0 as found
  from anthropic.usage_messages
  union all
  select
    connection,
    usage_date,
    'cache_read_input_tokens' as total,
    0 as expected,
    cache_read_input_tokens as found
  from port_entities.claude_usage_record
  union all
  select
    connection,
    usage_date,
    'cache_creation_5m_tokens' as total,
    cache_creation_5m_input_tokens as expected,
    0 as found
  from anthropic.usage_messages
  union all
  select
    connection,
    usage_date,
    'cache_creation_5m_tokens' as total,
    0 as expected,
    cache_creation_5m_tokens as found
  from port_entities.claude_usage_record
  union all
  select
    connection,
    usage_date,
    'cache_creation_1h_tokens' as total,
    cache_creation_1h_input_tokens as expected,
    0 as found
  from anthropic.usage_messages
  union all
  select
    connection,
    usage_date,
    'cache_creation_1h_tokens' as total,
    0 as expected,
    cache_creation_1h_tokens as found
  from port_entities.claude_usage_record
  union all
  select
    connection,
    usage_date,
    'web_search_requests' as total,
    web_search_requests as expected,
    0 as found
  from anthropic.usage_messages
  union all
  select
    connection,
    usage_date,
    'web_search_requests' as total,
    0 as expected,
    web_search_requests as found
  from port_entities.claude_usage_record
)
group by connection, usage_date, total
having sum(expected) <> sum(found)

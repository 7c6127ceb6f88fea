-- each token class of port_entities.claude_usage_record adds up to anthropic.usage_messages
select
  connection,
  usage_date,
  total,
  coalesce(sum(expected), 0) as expected,
  coalesce(sum(found), 0) as found
from (
  unpivot (
    select
      connection,
      usage_date,
      uncached_input_tokens,
      output_tokens,
      cache_read_input_tokens,
      cache_creation_5m_input_tokens as cache_creation_5m_tokens,
      cache_creation_1h_input_tokens as cache_creation_1h_tokens,
      web_search_requests
    from anthropic.usage_messages
  )
  on columns(* exclude (connection, usage_date))
  into name total value expected
  union all by name
  unpivot (
    select
      connection,
      usage_date,
      uncached_input_tokens,
      output_tokens,
      cache_read_input_tokens,
      cache_creation_5m_tokens,
      cache_creation_1h_tokens,
      web_search_requests
    from port_entities.claude_usage_record
  )
  on columns(* exclude (connection, usage_date))
  into name total value found
)
group by connection, usage_date, total
having coalesce(sum(expected), 0) <> coalesce(sum(found), 0)

-- each day has the tokens and web searches that {other} of {connection} says
-- says: {{total}}: {own} counts {{found}}, and {other} of {connection} counts {{expected}} ({{difference}} apart)
-- do: Both reports cover the same usage. Fetch the day again on both connections; if it stays, ask the provider which report
--   is right
-- settled: {own}, {other}
select
  $connection as connection,
  usage_date,
  replace(measure, '_', ' ') as total,
  coalesce(sum(counted) filter (where not is_own), 0) as expected,
  coalesce(sum(counted) filter (where is_own), 0) as found
from (
  unpivot (
    select *, true as is_own
    from {own}
    where connection = $connection
    union all by name
    select *, false as is_own
    from {other}
    where connection = '{connection}'
  )
  on uncached_input_tokens, cache_read_input_tokens, cache_creation_5m_input_tokens,
    cache_creation_1h_input_tokens, output_tokens, web_search_requests
  into name measure value counted
)
group by usage_date, measure
having sum(if(is_own, counted, -counted)) <> 0

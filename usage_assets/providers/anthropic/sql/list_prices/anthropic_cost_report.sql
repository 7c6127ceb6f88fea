-- tokens that were used per day and model, each in one class only; none where one is unknown
select
  usage_date,
  model,
  sum(uncached_input_tokens)::bigint as input_tokens,
  sum(output_tokens)::bigint as output_tokens,
  sum(cache_read_input_tokens)::bigint as cache_read_tokens,
  sum(cache_creation_5m_input_tokens)::bigint as cache_write_tokens,
  sum(cache_creation_1h_input_tokens)::bigint as cache_write_1h_tokens
from anthropic.usage_messages
where model is not null and connection = $connection and usage_date between $first and $last
group by all
having count(*) = count(
  uncached_input_tokens + output_tokens + cache_read_input_tokens
  + cache_creation_5m_input_tokens + cache_creation_1h_input_tokens
)

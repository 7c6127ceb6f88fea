-- tokens that were used per day and model, each in one class only; none where one is unknown
select
  usage_date,
  model,
  sum(input_tokens - coalesce(input_cached_tokens, 0))::bigint as input_tokens,
  sum(output_tokens)::bigint as output_tokens,
  sum(coalesce(input_cached_tokens, 0))::bigint as cache_read_tokens,
  0 as cache_write_tokens,
  0 as cache_write_1h_tokens
from openai.usage_completions
where model is not null and connection = $connection and usage_date between $first and $last
group by all
having count(*) = count(input_tokens + output_tokens)

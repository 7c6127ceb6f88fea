-- one row per connection, day and model (usage without a model is `unknown`)
select
  connection,
  usage_date,
  port_identifier(connection, coalesce(model, 'unknown') || '-' || epoch(usage_date)::bigint) as identifier,
  coalesce(model, 'unknown') || ' usage' as title,
  coalesce(model, 'unknown') as model,
  usage_date::varchar as date,
  sum(num_model_requests) as requests,
  sum(input_tokens) + sum(output_tokens) as tokens
from openai.usage_completions
group by connection, usage_date, coalesce(model, 'unknown')

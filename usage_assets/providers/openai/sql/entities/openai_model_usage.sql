-- one row per connection, day and model (usage without a model is `unknown`)
select
  connection,
  usage_date,
  port_identifier(connection, model || '-' || epoch(usage_date)::bigint) as identifier,
  model || ' usage' as title,
  model,
  usage_date::varchar as date,
  sum(requests) as requests,
  sum(tokens) as tokens
from openai_model_requests()
group by connection, usage_date, model

-- one row per connection, day and model (usage without a model is `unknown`; images and audio have no tokens)
select
  connection,
  usage_date,
  port_identifier(connection, coalesce(model, 'unknown') || '-' || epoch(usage_date)::bigint) as identifier,
  coalesce(model, 'unknown') || ' usage' as title,
  coalesce(model, 'unknown') as model,
  usage_date::varchar as date,
  sum(requests) as requests,
  sum(coalesce(context_tokens, 0) + coalesce(generated_tokens, 0)) as tokens
from openai_legacy.usage
where requests is not null
group by connection, usage_date, coalesce(model, 'unknown')

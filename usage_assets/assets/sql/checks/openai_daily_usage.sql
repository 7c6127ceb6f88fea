-- requests and tokens of port_entities.openai_daily_usage add up to openai.usage_completions
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
    'total_requests' as total,
    num_model_requests as expected,
    0 as found
  from openai.usage_completions
  union all
  select
    connection,
    usage_date,
    'total_requests' as total,
    0 as expected,
    total_requests as found
  from port_entities.openai_daily_usage
  union all
  select
    connection,
    usage_date,
    'total_tokens' as total,
    input_tokens + output_tokens as expected,
    0 as found
  from openai.usage_completions
  union all
  select
    connection,
    usage_date,
    'total_tokens' as total,
    0 as expected,
    total_tokens as found
  from port_entities.openai_daily_usage
)
group by connection, usage_date, total
having sum(expected) <> sum(found)

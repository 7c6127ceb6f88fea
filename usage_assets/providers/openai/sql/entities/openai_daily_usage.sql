-- one row per connection and day that costs and completions were both fetched for, also an empty one
-- (a day with amounts in another currency has no total in dollars: null)
with
days as (
  select connection, usage_date
  from ledger.stored_days
  where table_name in ('openai.costs', 'openai.usage_completions')
  group by connection, usage_date
  having count(*) = 2
),
costs as (
  select
    connection,
    usage_date,
    count(*) as cost_rows,
    case when bool_and(lower(amount_currency) is not distinct from 'usd' or amount_value = 0) then sum(amount_value) end
      as total_cost
  from openai.costs
  group by connection, usage_date
),
usage as (
  select
    connection,
    usage_date,
    sum(requests) as total_requests,
    sum(tokens) as total_tokens
  from openai_model_requests()
  group by connection, usage_date
)
select
  connection,
  usage_date,
  port_identifier(connection, 'daily-' || usage_date) as identifier,
  'OpenAI Usage ' || usage_date as title,
  usage_date::varchar as date,
  if(usage.connection is null, 0, total_requests) as total_requests,
  if(usage.connection is null, 0, total_tokens) as total_tokens,
  case when cost_rows > 0 then total_cost else 0 end as total_cost
from days
left join costs using (connection, usage_date)
left join usage using (connection, usage_date)

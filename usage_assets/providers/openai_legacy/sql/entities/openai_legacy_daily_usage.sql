-- one row per connection and day that both old endpoints were fetched for, also an empty one
-- (the cost is that of the lines, in dollars; what we do not know of an answer has no requests and is left out)
with
days as (
  select connection, usage_date
  from ledger.stored_days
  where table_name in ('openai_legacy.billing_usage', 'openai_legacy.usage')
  group by connection, usage_date
  having count(*) = 2
),
costs as (
  select
    connection,
    usage_date,
    major_units(sum(cost_cents), any_value(minor_unit)) as total_cost
  from openai_legacy.billing_usage
  left join accounting.currencies on currency = 'USD'
  group by connection, usage_date
),
usage as (
  select
    connection,
    usage_date,
    sum(requests) as total_requests,
    sum(coalesce(context_tokens, 0) + coalesce(generated_tokens, 0)) as total_tokens
  from openai_legacy.usage
  group by connection, usage_date
)
select
  connection,
  usage_date,
  port_identifier(connection, 'daily-' || usage_date) as identifier,
  'OpenAI Usage ' || usage_date as title,
  usage_date::varchar as date,
  coalesce(total_requests, 0) as total_requests,
  coalesce(total_tokens, 0) as total_tokens,
  coalesce(total_cost, 0) as total_cost
from days
left join costs using (connection, usage_date)
left join usage using (connection, usage_date)

-- dollars of port_entities.openai_daily_usage are the cents of the lines in openai_legacy.billing_usage
select
  connection,
  usage_date,
  'total_cost' as total,
  (sum(expected) * 0.01)::decimal(38, 24) as expected,
  sum(found) as found
from (
  select
    connection,
    usage_date,
    cost_cents as expected,
    0 as found
  from openai_legacy.billing_usage
  where name is not null
  union all
  select
    connection,
    usage_date,
    0 as expected,
    coalesce(total_cost, 0) as found
  from port_entities.openai_daily_usage
)
group by connection, usage_date
having (sum(expected) * 0.01)::decimal(38, 24) <> sum(found)

-- dollars of port_entities.openai_daily_usage add up to openai.costs on days without another currency
select
  connection,
  usage_date,
  'total_cost' as total,
  sum(expected) as expected,
  sum(found) as found
from (
  select
    connection,
    usage_date,
    sum(amount_value) as expected,
    0 as found
  from openai.costs
  group by connection, usage_date
  having bool_and(lower(amount_currency) is not distinct from 'usd' or amount_value = 0)
  union all
  select
    connection,
    usage_date,
    0 as expected,
    coalesce(total_cost, 0) as found
  from port_entities.openai_daily_usage
)
group by connection, usage_date
having sum(expected) <> sum(found)

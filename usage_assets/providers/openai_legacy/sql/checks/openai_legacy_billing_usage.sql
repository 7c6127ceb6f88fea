-- costs.daily_costs holds every cent of the lines in openai_legacy.billing_usage
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
    'USD' as total,
    cost_cents as expected,
    0 as found
  from openai_legacy.billing_usage
  where name is not null
  union all
  select
    connection,
    usage_date,
    currency as total,
    0 as expected,
    native_amount as found
  from costs.daily_costs
  where source_table = 'openai_legacy.billing_usage'
)
group by connection, usage_date, total
having sum(expected) <> sum(found)

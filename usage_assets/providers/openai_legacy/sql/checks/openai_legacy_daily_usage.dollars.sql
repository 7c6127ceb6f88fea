-- dollars of port_entities.openai_daily_usage are the cents of the lines in openai_legacy.billing_usage
select
  connection,
  usage_date,
  'total_cost' as total,
  major_units(sum(cents), any_value(minor_unit)) as expected,
  sum(dollars) as found
from (
  select
    connection,
    usage_date,
    cost_cents as cents,
    0 as dollars
  from openai_legacy.billing_usage
  where name is not null
  union all
  select
    connection,
    usage_date,
    0 as cents,
    coalesce(total_cost, 0) as dollars
  from port_entities.openai_daily_usage
)
left join accounting.currencies on currency = 'USD'
group by connection, usage_date
having expected <> found

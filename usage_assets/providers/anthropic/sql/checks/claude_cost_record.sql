-- amounts of port_entities.claude_cost_record are the minor units of anthropic.cost_report, per currency
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
    currency as total,
    amount as expected,
    0 as found
  from (
    select
      connection,
      usage_date,
      upper(cost_report.currency) as currency,
      major_units(sum(amount_cents), any_value(minor_unit)) as amount
    from anthropic.cost_report
    left join accounting.currencies on currencies.currency = upper(cost_report.currency)
    group by connection, usage_date, upper(cost_report.currency)
  )
  union all
  select
    connection,
    usage_date,
    currency as total,
    0 as expected,
    amount as found
  from port_entities.claude_cost_record
)
group by connection, usage_date, total
having sum(expected) <> sum(found)

-- dollars of port_entities.claude_cost_record are the cents of anthropic.cost_report, per currency
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
      upper(currency) as currency,
      (sum(amount_cents) * 0.01)::decimal(38, 24) as amount
    from anthropic.cost_report
    group by connection, usage_date, upper(currency)
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

-- costs.daily_costs holds every cent of anthropic.cost_report, per currency
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
    upper(currency) as total,
    amount_cents as expected,
    0 as found
  from anthropic.cost_report
  union all
  select
    connection,
    usage_date,
    currency as total,
    0 as expected,
    native_amount as found
  from costs.daily_costs
  where source_table = 'anthropic.cost_report'
)
group by connection, usage_date, total
having sum(expected) <> sum(found)

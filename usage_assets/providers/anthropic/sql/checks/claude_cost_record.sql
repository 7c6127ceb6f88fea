-- amounts of port_entities.claude_cost_record are the minor units of anthropic.cost_report, per currency
-- sums: amount
-- by: currency
-- total: 'billed'
-- unit: currency
select
  connection,
  usage_date,
  upper(cost_report.currency) as currency,
  major_units(sum(amount_cents), any_value(minor_unit)) as amount
from anthropic.cost_report
left join accounting.currencies on currencies.currency = upper(cost_report.currency)
group by connection, usage_date, upper(cost_report.currency)

-- amounts of port_entities.claude_cost_record are the minor units of anthropic.cost_report, per currency
-- minor_units: amount
-- by: currency
-- total: 'billed'
select
  connection,
  usage_date,
  upper(currency) as currency,
  amount_cents as amount
from anthropic.cost_report

-- amounts of port_entities.claude_ai_user_cost are the minor units of anthropic_analytics.user_cost_report, per currency
-- minor_units: amount, list_amount
-- by: currency
-- nulls: unknown
select
  connection,
  usage_date,
  upper(currency) as currency,
  amount_cents as amount,
  list_amount_cents as list_amount
from anthropic_analytics.user_cost_report

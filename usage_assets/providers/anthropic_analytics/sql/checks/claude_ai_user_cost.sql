-- amounts of port_entities.claude_ai_user_cost are the minor units of anthropic_analytics.user_cost_report, per currency
-- sums: amount, list_amount
-- by: currency
-- total: replace(measure, '_', ' ')
-- unit: currency
select
  connection,
  usage_date,
  upper(user_cost_report.currency) as currency,
  major_units(sum(amount_cents), any_value(minor_unit)) as amount,
  major_units(sum(list_amount_cents), any_value(minor_unit)) as list_amount
from anthropic_analytics.user_cost_report
left join accounting.currencies on currencies.currency = upper(user_cost_report.currency)
group by connection, usage_date, actor_user_id, product, model, upper(user_cost_report.currency)

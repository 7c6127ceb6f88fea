-- costs.daily_costs holds every cent of anthropic_analytics.cost, billed and at list price, per currency
-- sums: native_amount, list_amount
-- by: currency
-- total: replace(measure, '_', ' ')
-- unit: concat(currency, ' minor units')
select
  connection,
  usage_date,
  upper(currency) as currency,
  amount_cents as native_amount,
  list_amount_cents as list_amount
from anthropic_analytics.cost

-- costs.daily_costs holds every cent of anthropic.cost_report, billed and at list price, per currency
-- sums: native_amount, list_amount
-- by: currency
-- total: if(measure = 'list_amount', 'list', 'billed')
-- unit: concat(currency, ' minor units')
select
  connection,
  usage_date,
  upper(currency) as currency,
  amount_cents as native_amount,
  list_amount_cents as list_amount
from anthropic.cost_report

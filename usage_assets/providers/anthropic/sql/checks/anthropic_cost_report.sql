-- costs.daily_costs holds every cent of anthropic.cost_report, per currency
-- sums: native_amount
-- by: currency
-- total: 'billed'
-- unit: concat(currency, ' minor units')
select
  connection,
  usage_date,
  upper(currency) as currency,
  amount_cents as native_amount
from anthropic.cost_report

-- costs.daily_costs holds every amount of openai.costs, per currency
-- sums: native_amount
-- by: currency
-- total: 'billed'
-- unit: currency
select
  connection,
  usage_date,
  upper(amount_currency) as currency,
  amount_value as native_amount
from openai.costs

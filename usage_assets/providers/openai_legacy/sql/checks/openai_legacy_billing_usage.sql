-- costs.daily_costs holds every cent of the lines in openai_legacy.billing_usage
-- sums: native_amount
-- by: currency
-- total: 'billed'
-- unit: concat(currency, ' cents')
select
  connection,
  usage_date,
  'USD' as currency,
  cost_cents as native_amount
from openai_legacy.billing_usage
where name is not null

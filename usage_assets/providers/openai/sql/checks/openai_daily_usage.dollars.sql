-- dollars of port_entities.openai_daily_usage add up to openai.costs on days without another currency
-- sums: total_cost
-- unit: 'USD'
select
  connection,
  usage_date,
  sum(amount_value) as total_cost
from openai.costs
group by connection, usage_date
having bool_and(lower(amount_currency) is not distinct from 'usd' or amount_value = 0)

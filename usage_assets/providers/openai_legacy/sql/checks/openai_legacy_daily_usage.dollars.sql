-- dollars of port_entities.openai_daily_usage are the cents of the lines in openai_legacy.billing_usage
-- minor_units: total_cost
-- by: 'USD' as currency
select
  connection,
  usage_date,
  cost_cents as total_cost
from openai_legacy.billing_usage
where name is not null

-- costs.daily_costs holds every dollar of acme.usage
-- sums: native_amount
-- by: currency
-- unit: currency
select
  connection,
  usage_date,
  'USD' as currency,
  cost as native_amount
from acme.usage

-- costs.daily_costs holds every billed amount of focus.charges that is not left out, per currency
-- sums: native_amount
-- by: currency
-- total: 'billed'
-- unit: currency
select
  connection,
  usage_date,
  billing_currency as currency,
  billed_cost as native_amount
from focus.charges
where left_out_rows is null

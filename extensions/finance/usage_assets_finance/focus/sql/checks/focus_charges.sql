-- costs.daily_costs holds every amount of focus.charges that is not left out, billed and as it is valued otherwise, per currency
-- and category
-- sums: native_amount, effective_amount, contracted_amount, list_amount
-- by: currency, charge_category
-- total: concat_ws(' ', replace(replace(measure, '_amount', ''), 'native', 'billed'), charge_category)
-- unit: currency
select
  connection,
  usage_date,
  billing_currency as currency,
  charge_category,
  billed_cost as native_amount,
  effective_cost as effective_amount,
  contracted_cost as contracted_amount,
  list_cost as list_amount
from focus.charges
where left_out_rows is null

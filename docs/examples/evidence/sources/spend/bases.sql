-- each cost basis by itself: estimated, notional and credits price use that is in a bill, a seat or a plan already
select
  date_trunc('month', usage_date)::date as month,
  cost_basis,
  native_unit as unit,
  currency,
  sum(native_amount)::decimal(18, 6) as amount
from costs.by_model
group by month, cost_basis, native_unit, currency
order by month, cost_basis, native_unit, currency

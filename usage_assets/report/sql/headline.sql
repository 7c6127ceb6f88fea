-- title: Cost by basis
-- note: Amounts of different bases, units or currencies are never added. Estimated costs are inside what is billed or in
--   credits. Notional costs are covered by a seat. Credits are prepaid.
-- explain: --table costs.by_day {days} --where cost_basis={cost_basis} --where {of_unit} --column {column}
select
  cost_basis,
  case
    when native_unit in ('dollars', 'cents') then 'USD'
    when native_unit = 'minor units' then 'minor units of ' || coalesce(currency, 'an unknown currency')
    else coalesce(currency, native_unit)
  end as unit,
  sum(amount) filter (where usage_date between $first and $last) as amount,
  sum(amount) filter (where usage_date between $before_first and $before_same) as same_days_before,
  sum(amount) filter (where usage_date between $before_first and $before_last) as all_before
from (
  select usage_date, cost_basis, native_unit, currency, if(currency = 'USD', amount_usd, native_amount) as amount
  from costs.daily_costs
  where usage_date between $before_first and $last
)
group by cost_basis, unit
order by cost_basis <> 'billed', cost_basis, unit <> 'USD', unit

-- title: Amounts without a dollar value
-- short: {connection}, {cost_basis}: {amount:unit} without a dollar value
-- note: They are in no chart and in no amount in USD. A rate in the connections file gives them a value.
-- explain: --table costs.daily_costs {days} --connection {connection} --where cost_basis={cost_basis} --where amount_usd=
--   --where native_unit={native_unit} --where currency={currency} --where usd_reason={why} --column native_amount
select
  connection,
  cost_basis,
  native_unit,  -- for explain
  currency,  -- for explain
  case
    when native_unit = 'minor units' then 'minor units of ' || coalesce(currency, 'an unknown currency')
    else coalesce(currency, native_unit)
  end as unit,
  sum(native_amount) as amount,
  usd_reason as why
from costs.daily_costs
where amount_usd is null and native_amount <> 0 and usage_date between $first and $last
group by all
order by connection, cost_basis, unit, why

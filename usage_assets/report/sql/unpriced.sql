-- title: Amounts without a dollar value
-- note: They are in no chart. A rate in the connections file gives them a value.
select
  connection,
  cost_basis,
  case
    when native_unit = 'minor units' then 'minor units of ' || coalesce(currency, 'an unknown currency')
    else coalesce(currency, native_unit)
  end as unit,
  sum(native_amount) as amount,
  usd_reason as why
from costs.daily_costs
where amount_usd is null and native_amount <> 0 and usage_date between $first and $last
group by all
order by all

-- title: Cost by basis
-- note: Amounts of different bases, units or currencies are never added. Same days before are those that are compared: of each, its
--   counterpart now is known, too. Not compared is what days cost whose counterpart is not known, or does not exist. Amounts in USD are what is stated in dollars, and in other
--   currencies with an exchange rate on their day; what has no rate stands beside it. Estimated costs are inside what is billed or in
--   credits. Notional costs are covered by a seat. Credits are prepaid.
-- explain: --table costs.by_day {days} --where cost_basis={cost_basis} {of_unit} --column {column}
with
billed as (
{billed}
),
amounts as (
  select usage_date, comparison, 'billed' as cost_basis, 'USD' as unit, []::text[] as of_unit, dollars as amount
  from billed
  union all by name
  select
    costs.usage_date,
    comparison,
    cost_basis,
    case
      when cost_basis <> 'credits' and amount_usd is not null then 'USD'
      when native_unit = 'minor units' then 'minor units of ' || coalesce(costs.currency, 'an unknown currency')
      else coalesce(costs.currency, native_unit)
    end as unit,
    case
      when unit = 'USD' then []
      when cost_basis = 'credits' then ['--where', 'native_unit=' || native_unit]
      else ['--where', 'native_unit=' || native_unit, '--where', 'currency=' || coalesce(costs.currency, ''), '--where', 'amount_usd=']
    end as of_unit,
    if(unit = 'USD', amount_usd, native_amount) as amount
  from costs.daily_costs as costs
  left join costs.compared_days($first, $last, $before_first, $before_same) as compared
    on compared.connection = costs.connection
    and compared.currency is not distinct from costs.currency
    and compared.usage_date = costs.usage_date
    and compared.is_valued = (amount_usd is not null)
  where costs.usage_date between $before_first and $last and (cost_basis <> 'billed' or amount_usd is null)
)
select
  cost_basis,
  unit,
  of_unit,  -- for explain
  sum(amount) filter (where usage_date between $first and $last) as amount,
  sum(amount) filter (where usage_date between $first and $last and comparison is not null) as not_compared,
  sum(amount) filter (where usage_date between $before_first and $before_same and comparison is null) as same_days_before,
  sum(amount) filter (where usage_date between $before_first and $before_last) as all_before
from amounts
group by cost_basis, unit, of_unit
order by cost_basis <> 'billed', cost_basis, unit <> 'USD', unit

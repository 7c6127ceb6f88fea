-- costs for people, summed: each view has every cost exactly once, per cost basis, unit and currency. Add amount_usd within one
-- cost_basis only: estimates are inside what is billed, notional costs are covered by a seat, credits are prepaid. It is null
-- where a part has no dollar value: a part must not look like all of it
-- reads: costs.{source}{read}
create or replace view costs.{name} as
select
  {by},
  cost_basis,
  native_unit,
  currency,
  sum(native_amount) as native_amount,
  if({unknown} = 0, sum(amount_usd), null) as amount_usd,
  {without}::bigint as rows_without_usd
from costs.{source}{names}
group by all;

comment on view costs.{name} is
  'One row per {grain}, cost basis, unit and currency. Add amount_usd within one cost_basis only; null: a part has no rate'

-- costs for people, summed: each view has every cost exactly once, per cost basis, unit and currency. Add amount_usd within one
-- cost_basis only: estimates are inside what is billed, notional costs are covered by a seat, credits are prepaid. It is null
-- where a part has no dollar value: a part must not look like all of it
-- reads: costs.{source}{read}
-- columns: costs.{source}{read}
-- column month: First day of the month, UTC
-- column native_amount: Sum of the amounts [native_unit; cost_basis; within currency]
-- column amount_usd: Sum in dollars; null where a part has no dollar value. Add within one cost_basis only [USD; cost_basis]
-- column rows_without_usd: Rows of the sum that have no dollar value, also those of an amount of 0 [rows]
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

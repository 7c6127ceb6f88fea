-- what is billed (cash), and the same with prepaid charges spread over their use (amortized), one row per connection, day, unit
-- and currency. Amortized is the effective cost, and the billed one where no effective cost is stated (only_billed_amount): only
-- here. Dollars are null where an amount has no rate
-- reads: costs.daily_costs_by_key
-- columns: costs.daily_costs_by_key
-- column billed_amount: What is billed: cash [native_unit; billed; within currency]
-- column amortized_amount: The effective cost: prepaid charges are spread over their use; the billed one where none is stated
--   [native_unit; effective; within currency]
-- column only_billed_amount: The part of amortized_amount for which no effective cost is stated
--   [native_unit; billed; within currency]
-- column billed_usd: Dollars of billed_amount; null where an amount has no rate [USD; billed]
-- column amortized_usd: Dollars of amortized_amount; null where an amount has no rate [USD; effective]
-- column only_billed_usd: Dollars of only_billed_amount; null where an amount has no rate [USD; billed]
create or replace view costs.amortized as
select
  connection,
  provider,
  usage_date,
  native_unit,
  currency,
  sum(native_amount) as billed_amount,
  sum(coalesce(effective_amount, native_amount)) as amortized_amount,
  coalesce(sum(native_amount) filter (where effective_amount is null), 0)::decimal(38, 24) as only_billed_amount,
  if(count(*) filter (where has_no_rate) = 0, sum(amount_usd), null) as billed_usd,
  if(
    count(*) filter (where has_no_rate) = 0,
    sum(if(effective_amount is null, amount_usd, effective_usd)),
    null
  ) as amortized_usd,
  if(
    count(*) filter (where has_no_rate) = 0,
    coalesce(sum(amount_usd) filter (where effective_amount is null), 0),
    null
  )::decimal(38, 24) as only_billed_usd
from (
  select
    *,
    rows_of_unknown_value > 0 or (effective_amount <> 0 and effective_usd is null) as has_no_rate
  from costs.daily_costs_by_key
  where cost_basis = 'billed'
)
group by connection, provider, usage_date, native_unit, currency;

comment on view costs.amortized is
  'One row per connection, day, unit and currency: what is billed, and with prepaid charges spread over their use';

-- costs for people, summed over all connections: one row per cost basis and currency, in whole units, whether a provider
-- states dollars or cents. The dollars of cents are those of amount_usd, which add up to the last digit. Others are converted
-- as the macro major_units does, which a view cannot use, once per sum. For amount_usd see summed.sql
-- reads: costs.{source}, accounting.currencies{read}
-- columns: costs.{source}{read}
-- column native_unit: dollars, major units of another currency, or credits: cents and other minor units are converted
-- column models: Names of the model as they are sent
-- column usage_types: Kinds of use of the sum as they are sent
-- column providers: Providers of the sum
-- column connections: Connections of the sum
-- column native_amount: Sum of the amounts in whole units of the currency [native_unit; cost_basis; within currency]
-- column amount_usd: Sum in dollars; null where a part has no dollar value. Add within one cost_basis only [USD; cost_basis]
-- column rows_without_usd: Rows of the sum that have no dollar value, also those of an amount of 0 [rows]
create or replace view costs.{name} as
with
as_stated as (
  select
    {by},
    cost_basis,
    native_unit,
    currency,{lists}
    sum(native_amount) as native_amount,
    sum(amount_usd) as amount_usd,
    {unknown} as rows_of_unknown_value,
    {without} as rows_without_usd
  from costs.{source}{names}
  group by all
),
in_whole_units as (
  select
    * replace (
      {whole_unit} as native_unit,
      case native_unit
        when 'cents' then amount_usd
        when 'minor units'
          then (trunc(native_amount)::decimal(24, 0) * scale)::decimal(38, 24)
            + ((native_amount - trunc(native_amount))::decimal(24, 24) * scale)::decimal(38, 24)
        else native_amount
      end as native_amount
    )
  from (
    select *, coalesce(minor_unit, 0.01)::decimal(5, 4) as scale
    from as_stated
    left join accounting.currencies using (currency)
  )
)
select
  {by},
  cost_basis,
  native_unit,
  currency,{merged_lists}
  sum(native_amount) as native_amount,
  if(sum(rows_of_unknown_value) = 0, sum(amount_usd), null) as amount_usd,
  sum(rows_without_usd)::bigint as rows_without_usd
from in_whole_units
group by all;

comment on view costs.{name} is
  'One row per {grain}, cost basis and currency, in its whole units. Add amount_usd within one cost_basis only; null: a part has no rate'

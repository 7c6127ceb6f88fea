-- costs.allocated_costs holds all that costs.daily_costs says is billed by its source, natively and in dollars
select
  connection,
  usage_date,
  concat_ws(' ', native_unit, currency, total) as total,
  coalesce(sum(expected), 0) as expected,
  coalesce(sum(found), 0) as found
from (
  unpivot (
    select
      connection,
      usage_date,
      native_unit,
      currency,
      native_amount,
      amount_usd
    from costs.daily_costs
    where cost_basis = 'billed' and source_table = $part
  )
  on native_amount, amount_usd
  into name total value expected
  union all by name
  unpivot (
    select
      connection,
      usage_date,
      native_unit,
      currency,
      native_amount,
      amount_usd
    from costs.allocated_costs
    where source_table = $part
  )
  on native_amount, amount_usd
  into name total value found
)
group by connection, usage_date, native_unit, currency, total
having coalesce(sum(expected), 0) <> coalesce(sum(found), 0)

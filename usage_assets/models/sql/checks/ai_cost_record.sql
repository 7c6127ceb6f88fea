-- every money of port_entities.ai_cost_record adds up to costs.daily_costs, natively and in dollars
select
  connection,
  usage_date,
  concat_ws(' ', cost_basis, native_unit, currency, total) as total,
  coalesce(sum(expected), 0) as expected,
  coalesce(sum(found), 0) as found
from (
  unpivot (
    select
      connection,
      usage_date,
      cost_basis,
      native_unit,
      currency,
      native_amount,
      amount_usd
    from costs.daily_costs
  )
  on native_amount, amount_usd
  into name total value expected
  union all by name
  unpivot (
    select
      connection,
      usage_date,
      cost_basis,
      native_unit,
      currency,
      native_amount,
      amount_usd
    from port_entities.ai_cost_record
  )
  on native_amount, amount_usd
  into name total value found
)
group by connection, usage_date, cost_basis, native_unit, currency, total
having coalesce(sum(expected), 0) <> coalesce(sum(found), 0)

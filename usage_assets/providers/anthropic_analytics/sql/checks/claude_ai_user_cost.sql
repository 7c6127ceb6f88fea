-- amounts of port_entities.claude_ai_user_cost are the minor units of anthropic_analytics.user_cost_report, per currency
-- (counted in minor units: another arithmetic than the entity's, whose amounts may be off by half of their last place each)
-- says: {total}: port_entities.claude_ai_user_cost holds {found}, and the rows that it is computed from hold {expected}
with
stated as (
  unpivot (
    select
      connection,
      usage_date,
      upper(currency) as currency,
      amount_cents as amount,
      list_amount_cents as list_amount
    from anthropic_analytics.user_cost_report
  )
  on amount, list_amount
  into name measure value minor_units
),
computed as (
  unpivot (
    select connection, usage_date, currency, amount, list_amount
    from port_entities.claude_ai_user_cost
  )
  on amount, list_amount
  into name measure value major_units
)
select
  connection,
  usage_date,
  replace(measure, '_', ' ') as total,
  concat(currency, ' minor units') as unit,
  any_value((1 / coalesce(minor_unit, 0.01))::integer) as minor_units_of_one,
  sum(minor_units) as expected,
  sum(major_units) * minor_units_of_one as found
from (
  from stated
  union all by name
  from computed
)
left join accounting.currencies using (currency)
group by connection, usage_date, measure, currency
having coalesce(
  abs(expected - found) > count(major_units) * minor_units_of_one * 0.000000000000000000000001, true
)

-- amounts of port_entities.claude_ai_skill_usage are the minor units of anthropic_analytics.skills, per currency
-- (counted in minor units: another arithmetic than the entity's, whose amounts may be off by half of their last place each)
-- says: {total}: port_entities.claude_ai_skill_usage holds {found}, and the rows that it is computed from hold {expected}
with
stated as (
  unpivot (
    select
      connection,
      usage_date,
      upper(coalesce(currency, 'USD')) as currency,
      estimated_overage_spend_cents as estimated_overage_spend,
      attributed_list_price_cents as attributed_list_price
    from anthropic_analytics.skills
  )
  on estimated_overage_spend, attributed_list_price
  into name measure value minor_units
),
computed as (
  unpivot (
    select connection, usage_date, currency, estimated_overage_spend, attributed_list_price
    from port_entities.claude_ai_skill_usage
  )
  on estimated_overage_spend, attributed_list_price
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

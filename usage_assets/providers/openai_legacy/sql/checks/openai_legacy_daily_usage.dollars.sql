-- dollars of port_entities.openai_daily_usage are the cents of the lines in openai_legacy.billing_usage
-- sums: total_cost
-- unit: 'USD'
select
  connection,
  usage_date,
  major_units(sum(cost_cents), any_value(minor_unit)) as total_cost
from openai_legacy.billing_usage
left join accounting.currencies on currency = 'USD'
where name is not null
group by connection, usage_date

-- no amount is below zero (a refund is looked at by a person), and every one has a dollar value (credits aside)
select
  connection,
  usage_date,
  'the smallest amount of ' || concat_ws(' ', source_table, native_unit, currency) as total,
  0 as expected,
  min(native_amount) as found
from costs.daily_costs
where native_amount < 0
group by connection, usage_date, source_table, native_unit, currency
union all by name
select
  connection,
  usage_date,
  'what has dollars of ' || concat_ws(' ', source_table, native_unit, currency, '(' || usd_reason || ')') as total,
  sum(native_amount) as expected,
  0 as found
from costs.daily_costs
where usd_reason is not null and cost_basis <> 'credits' and native_amount <> 0
group by connection, usage_date, source_table, native_unit, currency, usd_reason

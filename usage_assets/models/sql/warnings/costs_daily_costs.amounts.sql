-- amounts are not negative and have a dollar value, credits aside. Review refunds by hand
-- says_refund: amounts below zero in {source_table} add up to {amount}
-- do_refund: A refund or a correction: nothing to do if you expected it. Reports subtract it
-- says_unvalued: {amount} of {source_table} have no dollar value: {usd_reason}
-- do_unvalued: State the rate in the connections file ([[exchange_rate]] or [[credit_rate]]): dollar sums leave the amount out
select
  connection,
  usage_date,
  'refund' as says,
  source_table,
  concat_ws(' ', currency, native_unit) as unit,
  sum(native_amount) as amount,
  null as usd_reason
from costs.daily_costs
where native_amount < 0
group by connection, usage_date, source_table, native_unit, currency
union all by name
select
  connection,
  usage_date,
  'unvalued' as says,
  source_table,
  concat_ws(' ', currency, native_unit) as unit,
  sum(native_amount) as amount,
  usd_reason
from costs.daily_costs
where usd_reason is not null and cost_basis <> 'credits' and native_amount <> 0
group by connection, usage_date, source_table, native_unit, currency, usd_reason

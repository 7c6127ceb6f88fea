-- dollars are dollars
select
  connection,
  usage_date,
  'amount_usd' as total,
  sum(native_amount) as expected,
  coalesce(sum(amount_usd), 0) as found
from costs.daily_costs
where source_table = $part and native_unit = 'dollars' and currency = 'USD'
group by connection, usage_date
having expected <> found

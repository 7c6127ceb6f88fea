-- dollars are dollars
-- says: dollars add up to {expected}, and amount_usd to {found}
select
  connection,
  usage_date,
  'USD' as unit,
  sum(native_amount) as expected,
  coalesce(sum(amount_usd), 0) as found
from costs.daily_costs
where source_table = $part and native_unit = 'dollars' and currency = 'USD'
group by connection, usage_date
having expected <> found

-- events say who pays for them: those of an own key are in another provider's bill
select
  connection,
  usage_date,
  'cursor' as provider,
  table_name as source,
  unnest(if(table_name = 'cursor.usage_events', ['billed', 'notional'], [null])) as cost_basis,
  table_name = 'cursor.daily_usage' as has_people,
  table_name,
  slice
from stored
where table_name in ('cursor.daily_usage', 'cursor.usage_events')

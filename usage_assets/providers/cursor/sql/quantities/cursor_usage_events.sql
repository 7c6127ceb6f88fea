-- one row per connection, day, person and line item (model and kind) that is billed: the number of events. Tokens are no quantity
-- of the whole charge: events of plans that count requests state none
-- reads: cursor.usage_events
select
  'cursor.usage_events' as source_table,
  connection,
  usage_date,
  'USD' as currency,
  user_id,
  concat_ws(', ', model, kind) as line_item,
  model,
  sum(events)::decimal(38, 24) as quantity,
  'Requests' as unit
from cursor.usage_events
where charge = 'billed'
group by connection, usage_date, user_id, concat_ws(', ', model, kind), model

-- one row per connection, day, person or service account, and line item (model and kind) that is billed: the number of events. Tokens
-- are no quantity of the whole charge: events of plans that count requests state none
-- reads: cursor.usage_events
select
  'cursor.usage_events' as source_table,
  connection,
  usage_date,
  'USD' as currency,
  coalesce(service_account_id, user_id) as user_id,
  concat_ws(', ', model, kind) as line_item,
  model,
  sum(events)::decimal(38, 24) as quantity,
  'Requests' as unit
from cursor.usage_events
where charge = 'billed'
group by connection, usage_date, coalesce(service_account_id, user_id), concat_ws(', ', model, kind), model

-- one row per connection, day, person or service account, model, kind and cost basis: usage-based events are billed, those that a
-- plan covers are notional. The use of an own key is in another provider's bill, and failed requests cost nothing. What a plan covers
-- may have no price: it has no row
select
  connection,
  'cursor' as provider,
  usage_date,
  'cursor.usage_events' as source_table,
  if(charge = 'billed', 'billed', 'notional') as cost_basis,
  sum(charged_cents) as native_amount,
  'cents' as native_unit,
  'USD' as currency,
  model,
  kind as usage_type,
  coalesce(service_account_id, user_id) as user_id,
  concat_ws(', ', model, kind) as line_item,
  '' as grouped_by
from cursor.usage_events
where charge in ('billed', 'included') and charged_cents is not null
group by connection, usage_date, cost_basis, model, kind, coalesce(service_account_id, user_id)

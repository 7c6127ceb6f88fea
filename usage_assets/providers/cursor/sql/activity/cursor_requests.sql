-- events on each stored day, with who pays for them: those of an own key are in another provider's bill
-- reads: cursor.usage_events, ledger.stored_days
select
  connection,
  usage_date,
  'cursor' as provider,
  'cursor.usage_events' as source,
  unnest(['billed', 'notional']) as cost_basis,
  'thousand_requests' as metric,
  0.001 * unnest([
    coalesce(sum(events) filter (where charge = 'billed'), 0),
    coalesce(sum(events) filter (where charge = 'included'), 0)
  ])::bigint as quantity
from (from ledger.stored_days where table_name = 'cursor.usage_events') as days
left join cursor.usage_events using (connection, usage_date)
group by connection, usage_date

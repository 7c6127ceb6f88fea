-- events, with who pays for them
-- reads: cursor.usage_events
select
  connection,
  usage_date,
  source,
  cost_basis,
  'thousand_requests' as metric,
  0.001 * coalesce(sum(events) filter (where charge = if(cost_basis = 'billed', 'billed', 'included')), 0)::bigint as quantity
from (from complete where source = 'cursor.usage_events')
left join cursor.usage_events using (connection, usage_date)
group by connection, usage_date, source, cost_basis

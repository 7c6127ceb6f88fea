-- every event that its kind says is billed is called chargeable by Cursor, if it says so at all
-- says: events that Cursor calls not chargeable and that their kind bills: {events} ({kinds}), {amount} of the day's costs
-- do: Costs count them, because the kind decides. Compare the day with the on-demand usage in Cursor's dashboard. If it lacks
--   them, please report it
select
  connection,
  usage_date,
  'USD cents' as unit,
  sum(events)::text as events,
  string_agg(distinct kind, ', ' order by kind) as kinds,
  sum(charged_cents) as amount
from cursor.usage_events
where not is_chargeable and charge = 'billed'
group by connection, usage_date

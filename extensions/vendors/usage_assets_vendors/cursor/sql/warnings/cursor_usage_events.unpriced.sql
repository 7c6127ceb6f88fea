-- every event that a plan covers states a price (in 2025, Cursor stated none)
-- says: events that a plan covers and that state no price: {events}. Notional costs lack them
-- do: No bill is wrong: the plan pays for them. What they are worth is not known
-- shown: only
select
  connection,
  usage_date,
  sum(events_without_price)::text as events
from cursor.usage_events
where events_without_price > 0
group by connection, usage_date

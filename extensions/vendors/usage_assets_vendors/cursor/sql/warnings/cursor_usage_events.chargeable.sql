-- no event is called chargeable by Cursor that its kind says a plan covers, or that failed
-- (the kind decides: Cursor calls such events chargeable in recorded answers, and its own sum of what is billed lacks them)
-- says: events that Cursor calls chargeable and that their kind does not bill: {events} ({kinds}), at a price of {amount}
-- do: No figure is wrong: costs follow the kind. If an invoice of Cursor is larger than the costs of its month, compare these
--   events with it, and report it
-- shown: only
select
  connection,
  usage_date,
  'USD cents' as unit,
  sum(events)::text as events,
  string_agg(distinct kind, ', ' order by kind) as kinds,
  coalesce(sum(charged_cents), 0) as amount
from cursor.usage_events
where is_chargeable and charge in ('included', 'not_charged')
group by connection, usage_date

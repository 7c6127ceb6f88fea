-- nobody is billed more on the closed days of the running billing cycle than Cursor says that they spent in it so far
-- (whole days only, that had ended an hour before the spend was fetched: Cursor adds up by the hour. Spend goes on after them, so
-- it may be larger. Who is not in the list of spend, such as a service account, is left out. A person may differ by a cent,
-- because spend was stated in whole cents, and by 0.005 cents for each event, because some prices are rounded)
-- says: {people} billed {found} by their events of {first_day} to {last_day}, and Cursor says that they spent {expected} in
--   the whole cycle so far ({difference} apart)
-- do: Costs count the events. Compare the people whose charged_cents in cursor.usage_events (charge = 'billed') are more than their
--   spend_cents in cursor.spend with Cursor's dashboard, and report the kind of their events
-- reads: cursor.spend
with spend as (
  select
    connection,
    lower(id) as person,
    sum(coalesce(spend_cents, 0)) as spent,
    max(cycle_start) as began,
    max(valid_from) as fetched_at
  from cursor.spend
  where valid_to is null
  group by connection, person
),
cycles as (
  select connection, max(began) as began, max(fetched_at) as fetched_at
  from spend
  group by connection
),
days as (
  select connection, usage_date
  from ledger.stored_days
  join cycles using (connection)
  where table_name = 'cursor.usage_events'
    and usage_date::timestamp at time zone 'UTC' >= began
    and (usage_date + interval 25 hours) at time zone 'UTC' <= fetched_at
),
billed as (
  select
    connection,
    lower(user_id) as person,
    sum(charged_cents) as billed,
    sum(events) as events
  from cursor.usage_events
  semi join days using (connection, usage_date)
  where charge = 'billed'
  group by connection, person
),
compared as (
  select
    connection,
    count(*) as people,
    sum(billed) as found,
    sum(spent) as expected
  from billed
  join spend using (connection, person)
  where billed > spent + 1 + 0.005 * events
  group by connection
)
select
  connection,
  last_day as usage_date,
  'USD cents' as unit,
  if(people = 1, '1 person was', people || ' people were') as people,
  found,
  expected,
  first_day,
  last_day
from compared
join (
  select connection, min(usage_date) as first_day, max(usage_date) as last_day
  from days
  group by connection
) using (connection)

-- seats as providers list them, with their versions. listed_from and listed_until are the days of the looks that found and ended a
-- version: before the first look of a connection, nothing is known. An activity is that of the version's last look
-- column connection: Connection: one provider organization or ChatGPT workspace
-- column provider: Provider of the connection
-- column usage_date: UTC day
-- column id: Person, as costs name them; of a seat of a team, its kind and name
-- column plan: Plan of the seat; null: not stated
-- column assigned_on: UTC day on which it was assigned; null: not stated
-- column states_activity: Whether the provider states when a seat was last used
-- column last_activity_on: UTC day of the last activity, as the provider states it
-- column ends_on: UTC day on which the seat ends; null: it is not cancelled
-- column listed_from: UTC day of the look that found this version
-- column listed_until: UTC day of the look that found it changed or gone; null: current
-- column seats: Seats that are assigned [seats]
-- column is_active: Whether the person used the seat on the day
-- column is_part: Why the use says nothing of a seat without any; null: it does
-- column costs.seat_use.id: Person, as costs name them; null: nobody is reported on the day
-- column costs.seat_prices.plan: Plan; null: any
-- column valid_from: First day of the price
-- column valid_until: Last day of the price; null: until further notice
-- column price: Price of a seat and month; null: not known [currency; price]
-- column currency: Currency, ISO 4217
-- column included: Use that a seat includes a month; null: not entered [currency; planned]
-- column count: Seats that are paid for; null: not entered [seats]
-- column source: Table that states the price
create or replace view costs.listed_seats as
select
  connection,
  provider,
  id,
  plan,
  assigned_on,
  states_activity,
  last_activity_on,
  ends_on,
  (valid_from at time zone 'UTC')::date as listed_from,
  (valid_to at time zone 'UTC')::date as listed_until
from (
{seats}
);

comment on view costs.listed_seats is
  'One row per connection, seat and version of what its provider lists: plan, days of assignment, last activity and end';

-- how many seats a provider says are assigned, where it does not list them
create or replace view costs.seat_counts as
from (
{seat_counts}
);

comment on view costs.seat_counts is
  'One row per connection and day on which its provider counts the assigned seats';

-- who used what a seat gives, on each stored day that is over. is_part: why the use says nothing of a seat without any
-- reads: ledger.stored_days
create or replace view costs.seat_use as
with stored as (
  select connection, usage_date, table_name
  from ledger.stored_days
  where is_open is distinct from true
)
select distinct connection, provider, usage_date, id, is_active, is_part
from (
{seat_use}
);

comment on view costs.seat_use is
  'One row per connection, stored day and id that is reported (null: nobody): whether the seat was used. Only seats of people';

-- what a seat costs a month: as bills state it, each price until the next bill, and as [[seat]] states it (plan is null: any)
-- reads: accounting.seats
create or replace view costs.seat_prices as
select
  connection,
  plan,
  usage_date as valid_from,
  lead(usage_date) over (partition by connection, plan order by usage_date) - 1 as valid_until,
  price,
  currency,
  null::decimal(38, 24) as included,
  null::bigint as count,
  source
from (
{seat_prices}
)
union all by name
select connection, valid_from, valid_until, price, currency, included, count, 'accounting.seats' as source
from accounting.seats;

comment on view costs.seat_prices is
  'One row per connection, plan (null: any) and first day of a price of one seat and month. A bill''s price goes before that of [[seat]]';

-- seats at the end of a day, by state: one row per listed seat; of a connection whose seats are only counted, one row per state.
-- idle: no activity in the 30 days before, as its provider states it or as 30 stored days show it, all of which it was assigned for.
-- active: activity in these days. ending: it is cancelled. unknown: anything else, with the reason. Stored days are the 30 that end
-- with the last stored one. A list counts from its first look, and a change of it up to its last one
-- reads: costs.people, accounting.connections, accounting.exchange_rates
create or replace macro costs.seats(last_day) as table
with
used as materialized (
  select *, lower(id) as key, max(usage_date) over (partition by connection) as stored_until
  from costs.seat_use
  where usage_date <= last_day
),
stored as (
  select
    connection,
    provider,
    stored_until,
    is_part,
    count(distinct usage_date) as days,
    count(distinct key) filter (where is_active) as active
  from used
  where usage_date > stored_until - 30 and stored_until > last_day - 30
  group by all
),
seen as (
  select
    connection,
    key,
    min(usage_date) filter (where usage_date > stored_until - 30) as reported_from,
    max(usage_date) filter (where is_active) as last_seen
  from used
  where key is not null
  group by all
),
looks as (
  select
    connection,
    provider,
    min(listed_from) as first_look,
    max(greatest(listed_from, listed_until)) filter (where greatest(listed_from, listed_until) <= last_day + 1) as last_look
  from costs.listed_seats
  group by all
),
-- a seat that was gone for a day and more was assigned again
versions as (
  select
    *,
    max(if(is_again, listed_from, null)) over (
      partition by connection, id order by listed_from, listed_until nulls last rows unbounded preceding
    ) as listed_since
  from (
    select
      *,
      coalesce(lag(listed_until) over (partition by connection, id order by listed_from, listed_until nulls last) < listed_from, true)
        as is_again
    from costs.listed_seats
  )
),
-- as the look of the next morning found them
listed as (
  select
    versions.*,
    first_look,
    last_look,
    least(last_look, last_day) as known_until,
    coalesce(
      assigned_on,
      if(listed_since > first_look, listed_since, least(listed_since, reported_from))
    ) as assigned_since,
    greatest(last_activity_on, last_seen) as last_active_on,
    last_seen,
    days,
    stored_until,
    is_part
  from versions
  join looks using (connection, provider)
  left join seen on seen.connection = versions.connection and seen.key = lower(versions.id)
  left join stored on stored.connection = versions.connection
  where listed_from <= last_day + 1
    and (listed_until is null or listed_until > last_day)
    and coalesce(assigned_on, last_day) <= last_day
  qualify row_number() over (partition by versions.connection, versions.id order by listed_from desc, listed_until desc nulls first) = 1
),
single as (
  select
    connection,
    provider,
    id,
    plan,
    1 as seats,
    case
      when ends_on is not null then 'ending'
      when last_active_on >= last_day - 30 or last_seen > stored_until - 30 then 'active'
      when states_activity and coalesce(last_activity_on < known_until - 30, assigned_on <= known_until - 30) then 'idle'
      when days = 30 and is_part is null and assigned_since <= stored_until - 29 then 'idle'
      else 'unknown'
    end as state,
    assigned_on,
    last_active_on,
    ends_on,
    case
      when state = 'idle' and last_active_on is null then 'no activity is known'
      when state <> 'unknown' then null
      when assigned_on > last_day - 30 then 'assigned on ' || assigned_on
      when is_part is not null then is_part
      when coalesce(days, 0) < 30 and not states_activity then coalesce(days, 0) || ' of 30 days of use are stored'
      when assigned_since > stored_until - 29 then 'listed since ' || assigned_since
      else 'the list has not changed since ' || last_look
    end as reason
  from listed
),
entries as (
  select connection, count, valid_from
  from accounting.seats
  where last_day between valid_from and coalesce(valid_until, date '9999-12-31')
),
counted as (
  select
    seat_counts.connection,
    seat_counts.provider,
    arg_max(seats, usage_date) as seats,
    if(
      count(*) filter (where usage_date between stored_until - 29 and stored_until) = 30,
      min(seats) filter (where usage_date between stored_until - 29 and stored_until),
      null
    ) as held
  from costs.seat_counts
  left join stored on stored.connection = seat_counts.connection
  where usage_date between last_day - 59 and last_day
  group by all
),
-- of a connection whose seats are not listed: how many there are, and how many there were on all of the stored days
together as (
  select
    connection,
    coalesce(stored.provider, counted.provider, connections.provider) as provider,
    coalesce(counted.seats, count)::bigint as seats,
    coalesce(if(counted.seats is null and valid_from <= stored_until - 29, count, held), 0)::bigint as held,
    coalesce(active, 0) as active,
    coalesce(days, 0) as days,
    is_part,
    first_look
  from (
    select connection from stored where active > 0
    union
    select connection from counted
    union
    select connection from entries
    union
    select connection from looks
  )
  left join stored using (connection)
  left join counted using (connection)
  left join entries using (connection)
  left join looks using (connection)
  left join accounting.connections as connections using (connection)
  where connection not in (select connection from looks where first_look <= last_day + 1)
),
states as (
  select
    * exclude (seats),
    unnest(['active', 'idle', 'unknown']) as state,
    if(days = 30 and is_part is null, greatest(held - active, 0), 0) as idle,
    case state
      when 'active' then least(active, coalesce(seats, active))
      when 'idle' then idle
      else if(seats is null, null, greatest(seats - active, 0) - idle)
    end as seats,
    case
      when state <> 'unknown' then null
      when first_look is not null then 'seats were first listed on ' || first_look
      when seats is null then 'no list or number of seats is stored'
      when is_part is not null then is_part
      when days < 30 then days || ' of 30 days of use are stored'
      else 'assigned less than 30 days ago'
    end as reason
  from together
),
found as (
  from single
  union all by name
  select connection, provider, seats, state, reason
  from states
  where seats is distinct from 0
),
named as (
  select connection, lower(id) as key, min(person_id) as person_id, min(person_name) as person_name, min(kind) as kind
  from costs.people
  group by all
)
select
  found.connection,
  found.provider,
  found.plan,
  found.id,
  coalesce(person_id, found.provider || ':' || found.id) as person_id,
  coalesce(person_name, found.id) as person_name,
  found.seats,
  entries.count as seats_paid,
  state,
  assigned_on,
  last_active_on,
  ends_on,
  reason,
  price,
  prices.currency,
  included,
  if(prices.currency = 'USD', 1, usd)::decimal(11, 10) as usd_rate,
  (price::decimal(24, 10) * usd_rate)::decimal(38, 20) as price_usd,
  case
    when price is null then 'no price is known'
    when usd_rate is null then 'no exchange rate is configured for ' || prices.currency
  end as price_reason
from found
left join named on named.connection = found.connection and named.key = lower(found.id)
left join entries on entries.connection = found.connection
left join costs.seat_prices as prices
  on prices.connection = found.connection
  and coalesce(prices.plan = found.plan, prices.plan is null)
  and last_day between prices.valid_from and coalesce(prices.valid_until, date '9999-12-31')
  and price is not null
left join accounting.exchange_rates as rates
  on rates.currency = prices.currency
  and last_day between rates.valid_from and coalesce(rates.valid_until, date '9999-12-31')
where kind is distinct from 'service_account'
qualify row_number() over (
  partition by found.connection, found.id, state
  order by prices.source = 'accounting.seats', prices.plan is null
) = 1;

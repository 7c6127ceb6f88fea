-- days on which nothing is missing of what a source is made of. A report, or a source of costs, goes on until its last stored day, or
-- without an end while it is configured. ``source`` is what was made, by the providers' reports of it (``sql/complete_days/``), with the
-- costs that it is set against: null is any. Costs also have the days on which no connection lacks any: connection is null
-- A day that another connection bills lacks nothing.
-- A day that only charges of other days' bills are stored of is not known to be whole: the bill of the day itself may come
-- reads: ledger.stored_days, ledger.assets, ledger.bill_days, ledger.partition_versions, costs.daily_costs, accounting.connections
-- columns: ledger.stored_days
-- column connection: Connection; null: all, of costs.daily_costs
-- column provider: Provider of the report; null: costs
-- column usage_date: UTC day that is stored as a whole
-- column source: Report of what was made, or costs.daily_costs
-- column cost_source: Source of the costs that it is set against; null: any
-- column cost_basis: Basis of the costs that it is set against: billed, estimated, notional or credits; null: any
-- column has_people: Whether the report names people
create or replace view costs.complete_days as
with
stored as materialized (
  select connection, usage_date, table_name, slice
  from ledger.stored_days
),
partial as materialized (
  select connection, usage_date, true as is_partial
  from ledger.bill_days
  where stored is not null
  group by connection, usage_date
  having not bool_or(covers)
),
-- which connection bills instead of another one, as that one's days were computed with
superseded as (
  select distinct connection, slice, unnest(string_split(inputs ->> 'billing connection', ', ')) as superseded_by
  from ledger.partition_versions
  where table_name = 'costs.daily_costs' and (inputs ->> 'billing connection') <> connection
),
days as materialized (
  select connection, usage_date, table_name as source, table_name, slice, is_partial
  from stored
  left join partial using (connection, usage_date)
  where table_name = 'costs.daily_costs'
  union all by name
{complete_days}
),
reports as (
  select
    connection,
    provider,
    source,
    cost_source,
    cost_basis,
    has_people,
    table_name,
    slice,
    min(usage_date) as first_day,
    if(bool_or(asset is not null), date '9999-12-31', max(usage_date)) as last_day
  from days
  left join ledger.assets using (connection, table_name, slice)
  group by all
)
select connection, provider, usage_date, source, cost_source, cost_basis, coalesce(has_people, false) as has_people
from reports
join (select distinct source, usage_date from days)
  using (source)
left join (
  select distinct connection, source, table_name, slice, usage_date, true as is_stored
  from days
  where is_partial is null
  union
  select superseded.connection, 'costs.daily_costs' as source, table_name, superseded.slice, usage_date, true as is_stored
  from superseded
  join stored on stored.connection = superseded_by and table_name = 'costs.daily_costs'
)
  using (connection, source, table_name, slice, usage_date)
where usage_date between first_day and last_day
group by grouping sets (
  (connection, provider, usage_date, source, cost_source, cost_basis, has_people),
  (provider, usage_date, source, cost_source, cost_basis, has_people)
)
having bool_and(is_stored is not null) and (connection is not null or source = 'costs.daily_costs');

comment on view costs.complete_days is
  'One row per connection (null: all), source, cost basis and day on which no report of the source is missing';

-- how amounts of a period are compared with those of the period before: the first day with the first, the second with the second. An
-- amount is compared if both days are known. A day is known if it is whole (costs.complete_days) and every amount of the currency has a
-- value in USD, or none has (is_valued: which of the two). It is known to be $0 outside the days that the connection says are billed,
-- and after the last stored day of a connection that is not configured any more. One row per connection, currency, is_valued and day of
-- the period (is_now) or of the one before. ``comparison`` is null where the day is compared; otherwise it says why it is not: more_days,
-- fewer_days (the other period has no such day), not_known_before or not_known_now
create or replace macro costs.compared_days(period_first, period_last, before_first, before_last) as table
with
pairs as (
  select
    if(place > period_last::date - period_first::date, null, period_first::date + place) as day_now,
    if(place > before_last::date - before_first::date, null, before_first::date + place) as day_before
  from (
    select
      unnest(
        range(greatest(period_last::date - period_first::date, before_last::date - before_first::date) + 1)
      )::integer as place
  )
),
days as (
  select distinct unnest([day_now, day_before]) as usage_date
  from pairs
),
amounts as (
  select
    connection,
    currency,
    usage_date,
    amount_usd is not null as is_valued,
    bool_or(cost_basis = 'billed' and native_amount <> 0) as has_amount
  from costs.daily_costs
  where usage_date in (from days)
  group by all
),
bills as (
  select distinct connection, currency, is_valued
  from amounts
),
whole as (
  select connection, usage_date
  from costs.complete_days
  where source = 'costs.daily_costs' and connection is not null and usage_date in (from days)
),
billed as (
  select
    connection,
    max(usage_date) as last_stored,
    if(bool_or(assets.asset is not null), null, last_stored) as ended_on,
    any_value(billed_from) as billed_from,
    any_value(billed_until) as billed_until
  from ledger.stored_days
  left join ledger.assets as assets using (connection, table_name, slice)
  left join accounting.connections using (connection)
  where table_name = 'costs.daily_costs'
  group by connection
),
known as (
  select bills.*, days.usage_date
  from bills
  cross join days
  join billed using (connection)
  left join whole on whole.connection = bills.connection and whole.usage_date = days.usage_date
  left join amounts as otherwise
    on otherwise.connection = bills.connection
    and otherwise.currency is not distinct from bills.currency
    and otherwise.usage_date = days.usage_date
    and otherwise.is_valued <> bills.is_valued
    and otherwise.has_amount
  where otherwise.connection is null and whole.connection is not null
    or days.usage_date > ended_on
    or days.usage_date < billed_from
    or days.usage_date > billed_until
),
compared as (
  select
    bills.*,
    day_now,
    day_before,
    case
      when day_before is null then 'more_days'
      when day_now is null then 'fewer_days'
      when before.usage_date is null then 'not_known_before'
      when now.usage_date is null then 'not_known_now'
    end as comparison
  from bills
  cross join pairs
  left join known as now
    on now.connection = bills.connection
    and now.currency is not distinct from bills.currency
    and now.is_valued = bills.is_valued
    and now.usage_date = day_now
  left join known as before
    on before.connection = bills.connection
    and before.currency is not distinct from bills.currency
    and before.is_valued = bills.is_valued
    and before.usage_date = day_before
)
select connection, currency, is_valued, day_now as usage_date, true as is_now, comparison
from compared
where day_now is not null
union all
select connection, currency, is_valued, day_before, false, comparison
from compared
where day_before is not null;

-- days on which nothing is missing of what a source is made of. A report, or a source of costs, goes on until its last stored day, or
-- without an end while it is configured. ``source`` is what was made, by the providers' reports of it (``sql/complete_days/``), with the
-- costs that it is set against: null is any. Costs also have the days on which no connection lacks any: connection is null
-- A day that another connection bills lacks nothing.
-- A day that only charges of other days' bills are stored of is not known to be whole: the bill of the day itself may come
-- reads: ledger.stored_days, ledger.assets, ledger.bill_days, ledger.partition_versions
-- columns: ledger.stored_days
-- column connection: Connection; null: all, of costs.daily_costs
-- column provider: Provider of the report; null: costs
-- column usage_date: UTC day of which nothing is missing
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

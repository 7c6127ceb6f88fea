-- the days whose billed costs, or counters, are stored, per connection, and whether the provider was last asked before it had
-- settled them. $sources: the raw tables; $is_cost: whether the costs derived from them must be stored. A day before the
-- first or after the last stored day of a source is not missing
with
sources as (
  select
    connection,
    usage_date,
    if($is_cost, slice, table_name) as source
  from ledger.stored_days
  where if($is_cost, table_name = 'costs.daily_costs' and slice in $sources, table_name in $sources)
    and usage_date between $first and $last
),
reports as (
  select connection, source, min(usage_date) as first_day, max(usage_date) as last_day
  from sources
  group by all
),
days as (
  select distinct connection, usage_date
  from sources
),
whole as (
  select connection, usage_date
  from days
  join reports using (connection)
  left join sources using (connection, usage_date, source)
  where usage_date between first_day and last_day
  group by all
  having count(*) = count(sources.source)
),
growing as (
  select
    connection,
    usage_date,
    bool_or(last_fetched_at < (usage_date + 1 + coalesce(settling_days, 0)::integer)::timestamp at time zone 'UTC')
      as is_growing
  from ledger.day_states
  join ledger.stored_days using (connection, usage_date, table_name, slice)
  where state <> 'settled' and table_name in $sources
  group by all
)
select connection, usage_date, coalesce(is_growing, false) as is_growing
from whole
left join growing using (connection, usage_date)
order by all

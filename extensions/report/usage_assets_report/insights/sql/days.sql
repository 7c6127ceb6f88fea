-- the days whose billed costs, or counters, are stored, per connection, with the state of each source: settled, provisional or open,
-- its age in whole days when it was last fetched, and whether that was before the end of the settling time. $sources: the raw
-- tables; $totals: which of their totals are billed; $is_cost: whether the costs derived from them must be stored. A day before
-- the first or after the last stored day of a source is not missing
with
billed as (
  select unnest($sources::varchar[]) as table_name, unnest($totals::varchar[]) as totals
),
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
states as (
  select
    connection,
    usage_date,
    list({
      'source': table_name,
      'state': state,
      'age': floor((epoch(coalesce(last_fetched_at, written_at)) - epoch(usage_date + 1)) / 86400)::integer,
      'is_growing': state <> 'settled'
        and last_fetched_at < (usage_date + 1 + coalesce(settling_days, 0)::integer)::timestamp at time zone 'UTC',
      'is_empty': len(list_filter(
        json_keys(day_totals),
        lambda total: total glob totals and try_cast(day_totals ->> total as double) <> 0
      )) = 0
    } order by table_name) as states
  from ledger.day_states
  join ledger.stored_days using (connection, usage_date, table_name, slice)
  join billed using (table_name)
  group by all
)
select connection, usage_date, coalesce(states, []) as states
from whole
left join states using (connection, usage_date)
order by all

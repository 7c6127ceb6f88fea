-- the versions that a write makes: a row for each day of the slice, next to the newest one that the ledger has of it.
-- stored: what the table holds of each day now; totals_by_value: its totals for each value of a column; archived: when a
-- day's answer was first stored, where it comes from the archive; inputs: what a derived day was computed from.
-- overtaken_by: the run that stored other rows after these were asked for. A write whose time is still to come is no such run: the clock was
-- set back, or that of another host is ahead. Then the last write wins
with newest as (
  select usage_date, version, content_hash, changed_run_id, run_id, coalesce(answered_at, written_at) as as_of
  from ledger.partition_versions
  where table_name = $table_name
    and slice = $part
    and connection = $connection
    and usage_date between $first and $last
  qualify version = max(version) over (partition by usage_date)
),
by_value as (
  select
    usage_date,
    to_json(map(list(name order by name), list(total order by name))) as totals,
    to_json(map(list(name order by name), list(unit order by name))) as units
  from totals_by_value
  group by usage_date
),
days as (
  select
    day::date as usage_date,
    coalesce(stored.row_count, 0) as row_count,
    coalesce(stored.content_hash, sha256('')) as content_hash,
    json_merge_patch(coalesce(stored.day_totals, '{}'), coalesce(by_value.totals, '{}'))::varchar as day_totals,
    json_merge_patch($units, coalesce(by_value.units, '{}'))::varchar as total_units,
    stored.grouped_by,
    archived.stored_at as answered_at,
    inputs.inputs
  from generate_series($first::timestamp, $last::timestamp, interval 1 day) as series(day)
  left join stored on stored.usage_date = day
  left join by_value on by_value.usage_date = day
  left join archived on archived.usage_date = day
  left join inputs on inputs.usage_date = day
)
select
  $connection as connection,
  days.*,
  $table_name as table_name,
  $part as slice,
  coalesce(newest.version, 0) + 1 as version,
  days.content_hash is distinct from newest.content_hash as changed,
  if(changed, $run_id, newest.changed_run_id) as changed_run_id,
  days.usage_date >= coalesce(answered_at, $as_of)::date as is_open,
  $filters as filters,
  $settling_days as settling_days,
  $question as question,
  $has_sums as has_sums,
  $run_id as run_id,
  $now as written_at,
  if(
    changed and newest.as_of > coalesce(answered_at, $as_of) and (answered_at is not null or newest.as_of <= $now),
    newest.run_id,
    null
  ) as overtaken_by
from days
left join newest using (usage_date)
order by days.usage_date

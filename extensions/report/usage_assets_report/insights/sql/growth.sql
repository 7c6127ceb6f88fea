-- one row per total of what is billed (or of credits) and two fetches in a row of a day that was over: what was stored first and what
-- next. $sources: raw tables; $totals: which of their totals. What another question changed is no growth
-- reads: ledger.compared_versions
with
billed as (
  select unnest($sources::varchar[]) as table_name, unnest($totals::varchar[]) as totals
),
fetches as (
  select
    connection,
    table_name,
    usage_date,
    slice,
    is_open,
    written_at,
    run_id,
    asked_otherwise,
    total_units,
    totals,
    day_totals as totals_after,
    lag(day_totals) over days as totals_before,
    lag(is_open) over days as was_open,
    lag(written_at) over days as written_before
  from ledger.compared_versions
  join billed using (table_name)
  where answered_at is null and usage_date between $first and $last
  window days as (partition by connection, table_name, slice, usage_date order by version)
),
looks as (
  select *, unnest(list_distinct(json_keys(totals_before) || json_keys(totals_after))) as total
  from fetches
  where totals_before is not null and not was_open and asked_otherwise is not true
)
select
  connection,
  table_name as source,
  total_units ->> total is not distinct from 'credits' as is_credits,
  floor((epoch(written_before) - epoch(usage_date + 1)) / 86400)::integer as age,
  coalesce(try_cast(totals_before ->> total as double), 0) as before,
  coalesce(try_cast(totals_after ->> total as double), 0) as after,
  concat_ws('/', usage_date, slice, total) as fetched,
  concat_ws(' ', run_id, written_at::date) as run
from looks
where total glob totals or is_credits
order by usage_date, slice, total, written_at

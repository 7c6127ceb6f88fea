-- days of a connection whose costs may still become more or less: one that had not ended when it was fetched, one that is missing, and
-- one that is not settled if its provider has changed a day of the same report after a fetch at that age. Other queries here read it.
-- A report goes on until its last stored day, or without an end while it is configured
with
reports as (
  select
    connection,
    table_name,
    min(usage_date) as first_day,
    if(bool_or(asset is not null), $last, max(usage_date)) as last_day
  from ledger.day_states
  left join ledger.assets using (connection, table_name)
  where (connection, table_name) in (select (connection, slice) from ledger.stored_days where table_name = 'costs.daily_costs')
  group by all
),
fetches as (
  select
    connection,
    table_name,
    changed and asked_otherwise is not true as is_restated,
    floor((epoch(lag(written_at) over days) - epoch(usage_date + 1)) / 86400) as age_before
  from ledger.compared_versions
  where answered_at is null
  window days as (partition by connection, table_name, slice, usage_date order by version)
),
restated as (
  select connection, table_name, max(age_before) as age
  from fetches
  where is_restated
  group by all
)
select distinct connection, usage_date
from (
  select connection, table_name, unnest(generate_series(first_day, last_day, interval 1 day))::date as usage_date
  from reports
)
left join ledger.day_states using (connection, table_name, usage_date)
left join restated using (connection, table_name)
where usage_date >= $first
  and (
    state is null
    or state = 'open'
    or (state = 'provisional' and floor((epoch(last_fetched_at) - epoch(usage_date + 1)) / 86400) <= age)
  )

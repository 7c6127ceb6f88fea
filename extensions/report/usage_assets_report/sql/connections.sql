-- title: State of each connection
-- short: {connection}: [final until {final_until}|no final day], {due_days#day} due
-- note: Days up to "final until" are final by the provider's word: they were fetched after its settling time. Days up to "settled until"
--   were also fetched a day or more before, and were the same. A provider may still correct an invoiced month. A due day waits to be
--   fetched or computed. Of a connection that is no longer configured, nothing more is expected: forecasts end with its last day.
with
days as (
  select
    connection,
    usage_date,
    coalesce(bool_and(state = 'settled'), false) as is_settled,
    bool_and(final_at is not null) as is_final
  from ledger.stored_days
  left join ledger.day_states using (connection, usage_date, table_name, slice)
  where table_name not in (select table_name from ledger.assets where query is not null)
  group by all
),
ranges as (
  select
    connection,
    min(usage_date) as first_day,
    max(usage_date) as last_day,
    coalesce(min(usage_date) filter (where not is_final) - 1, max(usage_date)) as final_until,
    coalesce(min(usage_date) filter (where not is_settled) - 1, max(usage_date)) as settled_until
  from days
  group by all
),
due as (
  select connection, count(distinct usage_date) as due_days, string_agg(distinct because, '; ' order by because) as because
  from (
    select * replace (if(state = 'withdrawn', 'withdrawn: ', '') || because as because)
    from ledger.due_days
    where state not in ('late', 'unsettled', 'unpushed')
  )
  group by all
),
failed as (
  select connection, count(distinct usage_date) as days_with_failed_checks
  from ledger.failed_checks
  group by all
)
select
  connection,
  first_day,
  last_day,
  if(final_until >= first_day, final_until, null) as final_until,
  if(settled_until >= first_day, settled_until, null) as settled_until,
  coalesce(due_days, 0) as due_days,
  because as why_due,
  coalesce(days_with_failed_checks, 0) as days_with_failed_checks,
  if(
    exists (from ledger.assets) and connection not in (select connection from ledger.assets where table_name <> 'ledger.pushed_days'),
    'no longer configured',
    null
  ) as ended
from ranges
full join due using (connection) -- a connection that was never fetched has no days
left join failed using (connection)
order by connection

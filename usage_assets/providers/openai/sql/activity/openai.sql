-- requests on each day of which every report is stored that counts them; unknown where a row lacks them
-- reads: costs.usage, ledger.stored_days, ledger.assets
select
  connection,
  usage_date,
  'openai' as provider,
  'openai.usage_*' as source,
  'thousand_requests' as metric,
  case
    when bool_and(requests is not null or coalesce(input_tokens, images, characters, seconds) is null)
      then 0.001 * coalesce(sum(requests), 0)::bigint
  end as quantity
from (
  -- a report goes on until its last stored day, or without an end while it is configured
  with reports as (
    select
      connection,
      table_name,
      min(usage_date) as first_day,
      if(bool_or(asset is not null), date '9999-12-31', max(usage_date)) as last_day
    from ledger.stored_days
    left join ledger.assets using (connection, table_name)
    where table_name like 'openai.usage_%'
      and table_name not in ('openai.usage_vector_stores', 'openai.usage_code_interpreter_sessions')
    group by connection, table_name
  )
  select days.connection, days.usage_date
  from (select distinct connection, usage_date from ledger.stored_days where table_name like 'openai.usage_%') as days
  join reports
    on reports.connection = days.connection
    and days.usage_date between first_day and last_day
  left join ledger.stored_days as stored
    on stored.connection = days.connection
    and stored.usage_date = days.usage_date
    and stored.table_name = reports.table_name
  group by days.connection, days.usage_date
  having bool_and(stored.table_name is not null)
)
left join (from costs.usage where provider = 'openai') using (connection, usage_date)
group by connection, usage_date

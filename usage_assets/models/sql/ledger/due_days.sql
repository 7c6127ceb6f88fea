-- the days that configured assets should have fetched, computed or pushed, and have not, or not from what is there now
-- reads: ledger.assets, ledger.statements, ledger.awaited_days, ledger.stored_days, ledger.day_states, ledger.namings, accounting.credit_rates,
--   accounting.exchange_rates, ledger.owner_periods, ledger.stated_models, ledger.superseded_days, ledger.bill_states, ledger.pushed_days
create or replace view ledger.due_days as
with
clock as (
  select
    coalesce(getvariable('usage_now')::timestamptz, now()) as present,
    (present at time zone 'UTC')::date as today
),
assets as (
  select
    assets.* replace (
      greatest(first_day, (date_trunc('month', today) - to_months(kept_months::integer))::date) as first_day
    ),
    today,
    today - if(includes_today, 0, 1) as last_day
  from ledger.assets, clock
),
expected as (
  select
    *,
    unnest(
      generate_series(
        greatest(first_day, today - lookback_days::integer)::timestamp, (today - 1)::timestamp, interval 1 day
      )
    )::date as usage_date
  from assets
  where query is null
),
bills as (
  select
    connection,
    table_name,
    usage_date,
    if(bool_or(state = 'withdrawn'), 'withdrawn', 'changed') as state,
    bool_or(waits) as waits,
    max(since) as since,
    string_agg(distinct because, '; ' order by because) filter (where state = 'withdrawn') as because_withdrawn,
    string_agg(distinct because, '; ' order by because) as because
  from ledger.bill_states
  where state <> 'archived'
  group by connection, table_name, usage_date
),
raw as (
  select
    expected.*,
    stored.version,
    stored.question as question_stored,
    states.state,
    -- days that came from the archive alone: as old as their answer
    coalesce(states.last_fetched_at, stored.answered_at, stored.written_at) as asked_at,
    (expected.usage_date + 1)::timestamp at time zone 'UTC' + to_minutes(due_after_minutes) as due_since,
    late.asked_at as late_since,
    late.reason as late_reason,
    late.again_at,
    bills.state as state_of_bill,
    bills.waits as bill_waits,
    bills.since as bill_since,
    coalesce(bills.because_withdrawn, bills.because) as bill_because
  from expected
  left join ledger.stored_days as stored using (connection, table_name, slice, usage_date)
  left join ledger.day_states as states using (connection, table_name, slice, usage_date)
  left join ledger.awaited_days as late using (connection, table_name, slice, usage_date)
  left join bills using (connection, table_name, usage_date)
),
fetched as (
  select
    raw.connection,
    raw.usage_date,
    raw.table_name,
    raw.slice,
    raw.asset,
    unnest(
      case
        -- for so long, reports and bills may be late. A source that ends must not be silent
        when again_at > present
          and (bill_waits or present < (raw.usage_date + 4)::timestamp at time zone 'UTC')
        then {
          'state': 'late',
          'since': late_since,
          'because': strftime(again_at at time zone 'UTC', 'not served yet, tried again from %Y-%m-%d %H:%M UTC on: ')
            || late_reason
        }
        when version is null then {
          'state': 'missing',
          'since': due_since,
          'because': if(late_since is null, 'never fetched', 'not available at the last request: ' || late_reason)
        }
        when raw.question_stored <> raw.question
          then {'state': 'stale', 'since': statements.read_at, 'because': 'the connection asks for something else now'}
        when state_of_bill is not null then {'state': state_of_bill, 'since': bill_since, 'because': bill_because}
        when state = 'open' then {
          'state': 'open',
          'since': (raw.usage_date + 1)::timestamp at time zone 'UTC',
          'because': 'fetched before the day was over'
        }
        else {'state': 'unsettled', 'since': asked_at, 'because': 'the provider may still change it'}
      end
    )
  from raw, clock, ledger.statements
  where statements.name = concat_ws(':', 'assets', raw.shard)
    and (version is not null or due_since <= present)
    and (
      coalesce(state, '') <> 'settled'
      or coalesce(raw.question_stored <> raw.question, false)
      or state_of_bill is not null
    )
),
reads as (
  select
    connection,
    table_name,
    slice,
    unnest(from_json(reads, '[["VARCHAR"]]')) as read,
    -- those that must hold a day before it is computed: the others have a third element
    len(list_filter(from_json(reads, '[["VARCHAR"]]'), lambda source: len(source) = 2)) as sources
  from assets
  where query is not null
),
sources as (
  select
    reads.connection,
    stored.usage_date,
    reads.table_name,
    reads.slice,
    concat_ws('/', read[1], nullif(read[2], '')) as input,
    stored.content_version::varchar as value,
    stored.content_since as since,
    len(read) = 2 as is_needed,
    reads.sources
  from reads
  join ledger.stored_days as stored
    on stored.connection = reads.connection
    and stored.table_name = read[1]
    and stored.slice = read[2]
),
computable as (
  select connection, usage_date, table_name, slice, max(since) as since
  from sources
  group by connection, usage_date, table_name, slice
  having count(*) filter (where is_needed) = any_value(sources)
),
done as (
  select connection, usage_date, table_name, slice, inputs
  from ledger.stored_days
  union all
  select connection, usage_date, 'ledger.pushed_days' as table_name, account || ' ' || blueprint as slice, inputs
  from ledger.pushed_days
),
computed as (
  select done.*, assets.asset, assets.query, assets.names, assets.shard
  from done
  join assets using (connection, table_name, slice)
  where assets.query is not null and usage_date between first_day and last_day
),
recorded as (
  select
    connection,
    usage_date,
    table_name,
    slice,
    entry.key as input,
    entry.value as value
  from (
    select *, unnest(map_entries(from_json(inputs, '"MAP(VARCHAR, VARCHAR)"'))) as entry
    from computed
  )
),
named as (
  select connection, usage_date, table_name, slice, unnest(from_json(names, '["VARCHAR"]')) as lookup
  from computed
),
rates as (
  select 'rate of ' || workspace_id as input, valid_from, valid_until, usd_per_credit::varchar || ' ' || source as value
  from accounting.credit_rates
  union all
  select 'rate of ' || currency as input, valid_from, valid_until, usd::varchar || ' ' || source as value
  from accounting.exchange_rates
),
present as (
  select connection, usage_date, table_name, slice, input, value, since
  from sources
  union all
  select connection, usage_date, table_name, slice, 'query' as input, query as value, null as since
  from computed
  union all
  select
    named.connection,
    usage_date,
    table_name,
    slice,
    'names in ' || lookup as input,
    max(named_at)::varchar as value,
    max(named_at) as since
  from named
  join ledger.namings using (connection, lookup)
  where usage_date >= first_day
  group by named.connection, usage_date, table_name, slice, lookup
  union all
  select connection, usage_date, table_name, slice, recorded.input, rates.value, null as since
  from recorded
  left join rates
    on rates.input = recorded.input
    and usage_date between rates.valid_from and coalesce(rates.valid_until, date '9999-12-31')
  where recorded.input like 'rate of %'
  union all
  select connection, usage_date, table_name, slice, input, coalesce(digest, 'nobody') as value, null as since
  from (
    select connection, usage_date, table_name, slice, input
    from recorded
    where input = 'owners'
  ) as owned
  asof left join ledger.owner_periods on owned.usage_date >= owner_periods.valid_from
  union all
  select connection, usage_date, table_name, slice, input, digest as value, null as since
  from recorded, ledger.stated_models
  where input = 'models'
  union all
  select connection, usage_date, table_name, slice, input, coalesce(superseded_by, connection) as value, null as since
  from recorded
  left join ledger.superseded_days using (connection, usage_date)
  where input = 'billing connection'
),
changed as (
  select
    connection,
    usage_date,
    table_name,
    slice,
    max(since) as since,
    bool_or(input in ('owners', 'models') or input like 'rate of %') as is_about_money,
    string_agg(
      case
        when input <> 'query' then input || ' changed'
        when table_name = 'ledger.pushed_days' then 'what its entities relate to has changed'
        else 'the query has changed'
      end,
      '; '
      order by input
    ) as because
  from recorded
  full join present using (connection, usage_date, table_name, slice, input)
  where recorded.value is distinct from present.value
  group by all
),
derived as (
  select
    assets.connection,
    computable.usage_date,
    assets.table_name,
    assets.slice,
    assets.asset,
    if(assets.table_name = 'ledger.pushed_days', 'unpushed', 'missing') as state,
    computable.since,
    if(assets.table_name = 'ledger.pushed_days', 'Port does not have it', 'never computed') as because
  from computable
  join assets using (connection, table_name, slice)
  anti join computed using (connection, usage_date, table_name, slice)
  where computable.usage_date between assets.first_day and assets.last_day
  union all
  select
    computed.connection,
    computed.usage_date,
    computed.table_name,
    computed.slice,
    computed.asset,
    if(computed.table_name = 'ledger.pushed_days', 'unpushed', 'stale') as state,
    coalesce(changed.since, money.read_at, statements.read_at) as since,
    if(computed.inputs is null, 'an earlier release computed it', changed.because) as because
  from computed
  join changed using (connection, usage_date, table_name, slice)
  join ledger.statements on statements.name = concat_ws(':', 'assets', computed.shard)
  left join ledger.statements as money on money.name = 'accounting' and changed.is_about_money
)
select connection, usage_date, table_name, slice, asset, state, since, because
from fetched
union all
select connection, usage_date, table_name, slice, asset, state, since, because
from derived

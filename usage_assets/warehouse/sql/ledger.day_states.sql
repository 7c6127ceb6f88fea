-- whether the provider may still change what is stored of it. A version that the clock dates after a later one was written
-- before that one: the clock was ahead
-- reads: ledger.compared_versions, ledger.partition_versions, ledger.stored_days
create or replace view ledger.day_states as
with raw_tables as (
    select connection, table_name, arg_max(settling_days, written_at) as settling_days
    from ledger.partition_versions
    where settling_days is not null
    group by all
),
dated as (
    select
        * replace (
            min(written_at) over (
                partition by connection, table_name, slice, usage_date
                order by version
                rows between current row and unbounded following
            ) as written_at
        )
    from ledger.compared_versions
),
fetches as (
    select
        dated.* exclude (settling_days),
        written_at >= (usage_date + to_days(raw_tables.settling_days::integer + 1)) at time zone 'UTC' as is_final,
        max(version) filter (where changed) over (days order by version) as content_version,
        max(version) filter (where changed and not asked_otherwise) over days as present_since
    from dated
    join raw_tables using (connection, table_name)
    where answered_at is null
    window days as (partition by connection, table_name, slice, usage_date)
),
present as (
    select
        *,
        min(written_at) over (
            partition by connection, table_name, slice, usage_date, content_version
        ) as first_fetched_at
    from fetches
    where version >= coalesce(present_since, 1)
),
settled as (
    select
        connection,
        usage_date,
        table_name,
        slice,
        arg_max(is_open, version) as is_open,
        arg_max(first_fetched_at, version) as first_fetched_at,
        max(written_at) as last_fetched_at,
        min(written_at) filter (is_final) as final_at,
        min(written_at) filter (is_final and written_at >= first_fetched_at + interval 24 hours) as settled_at
    from present
    group by all
)
select
    connection,
    usage_date,
    table_name,
    slice,
    case
        when coalesce(settled.is_open, stored_days.is_open) then 'open'
        when settled_at is null then 'provisional'
        else 'settled'
    end as state,
    first_fetched_at,
    last_fetched_at,
    final_at,
    settled_at
from ledger.stored_days
semi join raw_tables using (connection, table_name)
left join settled using (connection, usage_date, table_name, slice)

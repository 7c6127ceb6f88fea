-- what rose or fell in stored days
-- reads: ledger.compared_versions, ledger.partition_versions
create or replace view ledger.restatements as
with restated as (
    select
        *,
        case
            when answered_at is not null then 'archive'
            when table_name not in (
                select table_name from ledger.partition_versions where settling_days is not null
            ) then if(total_units is null, null, 'derived')
            when asked_otherwise then 'question'
            when was_open then 'running'
            else 'provider'
        end as cause,
        map_concat(
            map {'row_count': row_count_before::varchar},
            from_json(day_totals_before, '"MAP(VARCHAR, VARCHAR)"')
        ) as totals_before,
        map_concat(
            map {'row_count': row_count::varchar},
            from_json(day_totals, '"MAP(VARCHAR, VARCHAR)"')
        ) as totals_after,
        map_concat(
            map {'row_count': 'rows'},
            from_json(coalesce(total_units_before, '{}'), '"MAP(VARCHAR, VARCHAR)"'),
            from_json(coalesce(total_units, '{}'), '"MAP(VARCHAR, VARCHAR)"')
        ) as units
    from ledger.compared_versions
    where changed and row_count_before is not null
),
totals as (
    select
        connection,
        usage_date,
        table_name,
        slice,
        version,
        total,
        units[total] as unit,
        totals_before[total] as text_before,
        totals_after[total] as text_after,
        try_cast(text_before as decimal(38, 24)) as before,
        try_cast(text_after as decimal(38, 24)) as after
    from restated, unnest(list_distinct(map_keys(totals_before) || map_keys(totals_after))) as names(total)
    -- text that is no number here is too long for one, and compared as it is
    where coalesce(before::varchar, text_before) is distinct from coalesce(after::varchar, text_after)
)
select
    connection,
    usage_date,
    table_name,
    slice,
    version,
    cause,
    case
        when totals.total is null then 'rows'
        when text_before is null then 'appeared'
        when text_after is null then 'vanished'
        when coalesce(after > before, text_after::double > text_before::double) then 'rose'
        else 'fell'
    end as change,
    totals.total,
    totals.unit,
    totals.before,
    totals.after,
    if(
        totals.total is null,
        null,
        try(if(text_after is null, 0, after) - if(text_before is null, 0, before))
    ) as difference,
    written_at as found_at,
    run_id
from restated
left join totals using (connection, usage_date, table_name, slice, version)

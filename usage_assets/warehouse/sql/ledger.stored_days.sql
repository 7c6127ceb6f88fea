-- what each table holds now: the newest version of each day, and the version that wrote its content first. Equal rows that were
-- asked for with other filters are another content: what is derived from them may differ. (The join takes half as long as
-- windows over all columns)
-- reads: ledger.partition_versions
-- columns: ledger.partition_versions
-- column content_version: Version that wrote the present content first
-- column content_since: When it was written
create or replace view ledger.stored_days as
with contents as (
    select
        connection,
        table_name,
        slice,
        usage_date,
        max(version) as version,
        max(version) filter (where is_new) as content_version,
        max(written_at) filter (where is_new) as content_since
    from (
        select
            connection,
            table_name,
            slice,
            usage_date,
            version,
            written_at,
            changed or filters is distinct from lag(filters) over (
                partition by connection, table_name, slice, usage_date order by version
            ) as is_new
        from ledger.partition_versions
    )
    group by connection, table_name, slice, usage_date
)
select partition_versions.*, content_version, content_since
from ledger.partition_versions
join contents using (connection, table_name, slice, usage_date, version)

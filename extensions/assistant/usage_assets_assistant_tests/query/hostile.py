"""Statements that must not work, made up of parts: the same ones for the same seed."""

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from random import Random

from usage_assets_tests.models.days import one_a_line

SECRET = "the-secret-of-this-machine"
VARIABLE = "USAGE_TEST_SECRET"
"""The variable of the environment that holds it, and so does the file."""
FILE = "secret.csv"
TABLES = one_a_line("""
    read_text('{file}')
    read_blob('{file}')
    read_csv('{file}')
    read_csv_auto('{file}', header = false)
    read_json_auto('{file}')
    read_ndjson_objects('{file}')
    read_parquet('{file}')
    parquet_scan('{file}')
    parquet_metadata('{file}')
    read_duckdb('{file}')
    sniff_csv('{file}')
    '{file}'
    "{file}"
    "{folder}/secret".csv
    glob('{folder}/*')
    query('from read_text(''{file}'')')
    query_table('{file}')
    query_table(['{file}'])
    json_execute_serialized_sql(json_serialize_sql('from read_text(''{file}'')'))
    histogram('{file}', column0)
    histogram_values('{file}', column0)
    costs.what_if(date '2026-11-01', date '2026-11-02', prices := '{file}')
    costs.what_if(date '2026-11-01', date '2026-11-02', '{file}', '{file}')
    'http://127.0.0.1:{port}/a.csv'
    read_text('http://127.0.0.1:{port}/a')
    's3://127.0.0.1:{port}/a.parquet'
    postgres_scan('host=127.0.0.1 port={port}', 'public', 'a')
    postgres_query('lake', 'select 1')
    postgres_execute('lake', 'drop schema public cascade')
    ducklake_list_files('lake', 'daily_costs', schema => 'costs')
    ducklake_snapshots('lake')
    ducklake_expire_snapshots('lake', older_than => now())
    __ducklake_metadata_lake.ducklake_snapshot
    sqlite_scan('{file}', 'a')
    duckdb_secrets()
    duckdb_settings()
    duckdb_databases()
    duckdb_variables()
    pragma_database_list
    duckdb_logs()
    which_secret('s3://a', 's3')
    pragma_storage_info('costs.daily_costs')
""")
VALUES = one_a_line("""
    getenv('{variable}')
    current_setting('secret_directory')
    system.main.current_setting('temp_directory')
    getvariable('usage_now')
    json_serialize_plan('from read_text(''{file}'')')
    write_log('a')
    nextval('a')
    sleep_ms(600000)
    pg_sleep(600)
""")
WHOLE = one_a_line("""
    copy (select 1) to '{folder}/new.csv'
    copy costs.daily_costs to '{folder}/new.parquet' (format parquet)
    copy costs.daily_costs from '{file}'
    attach '{folder}/new.duckdb' as other
    attach '{file}' as other (read_only)
    attach 'host=127.0.0.1 port={port}' as other (type postgres)
    detach lake
    install httpfs
    install httpfs from 'http://127.0.0.1:{port}'
    load httpfs
    load '{file}'
    force install json
    update extensions
    set lock_configuration = false
    set enable_external_access = true
    reset enable_external_access
    set home_directory = '{folder}'
    set temp_directory = '{folder}/new'
    set log_query_path = '{folder}/new.log'
    set profiling_output = '{folder}/new.json'
    pragma enable_profiling = 'json'
    pragma database_list
    pragma add_parquet_key('a', '0123456789112345')
    call enable_logging(storage = 'file', storage_path = '{folder}/new')
    call force_checkpoint()
    call lake.merge_adjacent_files()
    checkpoint
    vacuum
    analyze
    export database '{folder}/new'
    import database '{folder}'
    create table costs.new as select 1
    create or replace view costs.by_day as select 1
    create temp table new as from read_text('{file}')
    create temp macro new() as table from read_text('{file}')
    create secret new (type s3, key_id 'a', secret 'b')
    create persistent secret new (type s3, key_id 'a', secret 'b')
    insert into costs.daily_costs from costs.daily_costs
    update costs.daily_costs set amount_usd = 0
    delete from costs.daily_costs
    truncate costs.daily_costs
    drop table costs.daily_costs
    drop schema costs cascade
    alter table costs.daily_costs drop column amount_usd
    comment on table costs.daily_costs is 'new'
    merge into costs.daily_costs using (select 1 as a) on true when matched then delete
    use memory
    begin
    prepare new as from read_text('{file}')
    execute new
    deallocate new
    explain from read_text('{file}')
    explain analyze delete from costs.daily_costs
""")
ENDLESS = one_a_line("""
    with recursive n as (select 1 as a union all select a + 1 from n) select count(*) from n
    select count(*) from range(1000000000000) where hash(range) = 1
    select max(a.range + b.range) from range(10000000) as a, range(10000000) as b
    select sum(a.amount_usd) from costs.daily_costs as a, range(100000000) as b, range(1000) as c
""")
AROUND_TABLES = one_a_line("""
    from {table}
    select * from {table}
    with a as (from {table}) select * from a
    with a as not materialized (from {table}) select count(*) from a
    with recursive a as (select 1 as n union all select n + 1 from a, {table} where n < 3) from a
    select (select count(*) from {table})
    select 1 where exists (from {table})
    select * from (select 1) as a, lateral (from {table}) as b
    select 1 union all select count(*) from {table}
    (from {table}) intersect (from {table})
    select provider from costs.by_day order by (select count(*) from {table})
    select provider from costs.by_day where provider in (select count(*)::varchar from {table})
    select provider from costs.by_day limit (select count(*) from {table})
    select sum(amount_usd) over (order by (select count(*) from {table})) from costs.by_day
    select a.* from costs.by_day as a left join {table} as b on true
    select a.* from costs.by_day as a positional join {table} as b
    select list(b) from (from {table}) as b
    select [a for a in (select list(b) from {table} as b)]
    from (from (from (from {table})))
    from {table} using sample 10 rows
    pivot {table} on content
    from (pivot (from {table}) on content in ('a') using count(*))
    unpivot (from {table}) on columns(*) into name a value b
    describe {table}
    summarize from {table}
    show {table}
    with "{file}" as (select 1) from (with a as (select 1) from a), {table}
    with a as (select 1) select * from a, query('from {quoted}')
    select columns(*)::varchar from {table}
    values ((select count(*) from {table}))
    create temp table new as from {table}; from new
    create temp view new as from {table}; from new
    insert into costs.daily_costs from {table}
    copy (from {table}) to '{folder}/new.csv'
    explain analyze from {table}
    table {table}
""")
AROUND_VALUES = one_a_line("""
    select {value}
    select provider from costs.by_day where {value} is not null
    select provider from costs.by_day order by {value}
    select provider from costs.by_day group by provider, {value}
    select list_transform([1], a -> {value}::varchar)
    select sum(length({value}::varchar)) over () from costs.by_day
    select count(*) filter (where {value} is not null) from costs.by_day
    select case when true then {value} end
    from costs.by_day select * replace ({value} as provider)
    from range(length({value}::varchar))
    select * from costs.seats(last_day({value}::date))
    with a as (select {value} as b) select try_cast(b as integer) from a
""")
BEFORE = ("", "", "", "select 1; ", "/* select */ ", "-- a\n", ";;", "select $$;$$ as a from costs.by_day; ")
AFTER = ("", "", "", ";", "; select 1", " -- a", "/* b */")


def statements(count: int, seed: int, folder: Path, port: int) -> Iterator[str]:
    """Yield statements. Each part is in as many of them as any other, in different places."""
    random, given = Random(seed), {"folder": folder, "file": folder / FILE, "port": port, "variable": VARIABLE}
    tables, values, wholes, endless = map(cycle, (TABLES, VALUES, WHOLE, ENDLESS))
    for number in range(count):
        if number % 8 < 4:
            table = next(tables).format(**given)
            text = random.choice(AROUND_TABLES).format(table=table, quoted=table.replace("'", "''"), **given)
        elif number % 8 < 6:
            text = random.choice(AROUND_VALUES).format(value=next(values).format(**given))
        else:
            text = next(endless if number % 80 == 6 else wholes).format(**given)
        if random.random() < 0.1:
            text = text.replace(" ", "\n\t")
        yield random.choice(BEFORE) + text + random.choice(AFTER)

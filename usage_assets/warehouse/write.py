"""Replaces a slice of a table: stages, writes, verifies and records it, in the transaction of the caller."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import duckdb

from usage_assets.core import money
from usage_assets.core.days import DAY
from usage_assets.core.errors import first_line
from usage_assets.core.schema import packed_schema
from usage_assets.warehouse.bills import BillLedger
from usage_assets.warehouse.checks import check_failures
from usage_assets.warehouse.found import is_found, note_found
from usage_assets.warehouse.inputs import stored_sources
from usage_assets.warehouse.migrate import create_or_alter, make_ready
from usage_assets.warehouse.slices import IN_SLICE, ROWS_AT_ONCE, Slice, in_slice, parts_of
from usage_assets.warehouse.tables import SQL_TYPES, Table
from usage_assets.warehouse.values import Batch, Query, Version, WarehouseError, listed
from usage_assets.warehouse.versions import record_versions
from usage_assets.warehouse.views import make_views

SPARINGLY = "set memory_limit = '256MB'"
"""For inserting more than ROWS_AT_ONCE fetched rows, which are in memory already: without this, a million rows take
0.2 GB more and no less time. With 96 MB, DuckDB refuses small tables: it cannot pin a block. To set a limit returns all
free memory to the system, and what comes next asks for it again: of few rows, that was 5 % of the CPU time."""

ROWS_COMPUTED_AT_ONCE = 200_000
"""Source rows that a query reads at once. Allocating 600,000 rows of costs at once took 1.3 GB."""

_INTEGER = "U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)"
EXACT: Mapping[type, str] = {
    **{python: re.escape(sql_type) for python, sql_type in SQL_TYPES.items()},
    str: "VARCHAR|JSON|INTEGER",  # DuckDB describes a bare null as INTEGER
    int: _INTEGER,
    Decimal: rf"{_INTEGER}|DECIMAL\(\d+,({'|'.join(map(str, range(money.SCALE + 1)))})\)",
}
"""The SQL types that a query may compute for a column of this Python type. DuckDB converts all others silently: it
rounds (``DECIMAL / 100`` is a DOUBLE, the text ``2.7`` becomes 3), and a time on the last day is after that day."""


def replace_slice(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    content: Batch | Query,
    target: Slice,
    run_id: str,
    note: Callable[[str], object] = str,
) -> list[Version]:
    """Replace the slice with the content and return the version of each day.

    ``note`` is called with the name of each step that begins; the default, ``str``, does nothing. Raises
    WarehouseError: the caller must then roll back.
    """
    began = datetime.now(UTC) if isinstance(content, Query) else content.began
    note("computing its rows" if isinstance(content, Query) else f"storing rows {content.rows.num_rows:,}")
    create_or_alter(connection, table)
    if isinstance(content, Query):
        sql, parts = _staged_query(connection, table, content, target), computed_at_once(connection, content, target)
    else:
        if content.bills:
            BillLedger(connection, target.connection, table.name).refuse_parts(target, content.bills, content.earliest)
        sql, parts = _staged_answer(connection, table, content, target), []
    connection.execute(f"delete from {table.name} where {in_slice(table, target)}", target.bounds)
    is_large = isinstance(content, Batch) and content.rows.num_rows > ROWS_AT_ONCE
    if is_large:
        connection.execute(SPARINGLY)
    query = content if isinstance(content, Query) else None
    place = query.place if query else None
    insert = f"insert into {table.name} by name {sql}"
    try:
        inserted = [connection.execute(insert, bounds).fetchall() for bounds in [part.bounds for part in parts] or [{}]]
    except duckdb.Error as error:
        if place is None:
            raise
        raise WarehouseError(f"{place}: {first_line(error)}") from error
    if is_large:
        connection.execute("reset memory_limit")
    if query and query.sums:
        _write_sums(connection, *query.sums, target, parts)
    note("verifying grain and totals")
    rows = sum(count for [(count,)] in inserted)
    stored = parts_of(connection, table, target) if rows > ROWS_AT_ONCE else [target] if rows else []
    if wrong := check_failures(connection, table, query, target, stored):
        day, what = wrong[0].day, wrong[0].text
        raise WarehouseError(
            f"{place or table.name}: {day}: {what} ({len(wrong)} contradictions); nothing was changed",
            days=sorted({each.day for each in wrong}),
        )
    note("recording the version of each day")
    versions = record_versions(connection, table, content, target, run_id, began, stored)
    if isinstance(content, Batch) and content.bills:
        BillLedger(connection, target.connection, table.name).store(target, content.bills)
    return versions


def _write_sums(
    connection: duckdb.DuckDBPyConnection, sums: Table, sql: str, target: Slice, parts: Sequence[Slice]
) -> None:
    create_or_alter(connection, sums)
    connection.execute(f"delete from {sums.name} where {in_slice(sums, target)}", target.bounds)
    for part in parts:
        where = in_slice(sums, target)
        connection.execute(f"insert into {sums.name} by name select * from ({sql}) where {where}", part.bounds)


def _staged_answer(connection: duckdb.DuckDBPyConnection, table: Table, content: Batch, target: Slice) -> str:
    if content.rows.schema not in (table.arrow_schema, packed_schema(table.row)):
        different = {field.name for field in set(content.rows.schema) ^ set(table.arrow_schema)}
        raise WarehouseError(
            f"{table.name}: the written columns differ from the declared ones: {listed(sorted(different)) or 'order'}"
        )
    connection.register("staged", content.rows)
    outside = connection.execute(
        f"select distinct concat_ws(' ', connection, usage_date) as slice from staged "
        f"where ({in_slice(table, target)}) is not true order by slice",
        target.bounds,
    ).fetchall()
    if outside:
        raise WarehouseError(
            f"{table.name}: rows outside {target}, which is all that the run may write: "
            f"{listed(name for (name,) in outside)}"
        )
    return "select * from staged"  # without the slice's bounds: Arrow would apply them to a copy of all rows


def _require_stored(connection: duckdb.DuckDBPyConnection, table: Table, content: Query, target: Slice) -> None:
    stored = stored_sources(connection, content, target)
    for source, part in content.needed:
        if missing := [day for day in target.days if (source, part, day) not in stored]:
            late = connection.execute(
                "select usage_date from ledger.awaited_days "
                "where connection = $connection and table_name = $source and slice = $part",
                {"connection": target.connection, "source": source, "part": part},
            ).fetchall()
            waiting = [day for day in missing if (day,) in late]
            if waiting:
                raise WarehouseError(
                    f"{table.name}: {listed(map(str, waiting))} will be computed when {source} of connection "
                    f"{target.connection} is there",
                    days=waiting,
                    waits=True,
                )
            raise WarehouseError(
                f"{table.name}: {source}{f' ({part})' if part else ''} of connection {target.connection} was never "
                f"fetched for {listed(map(str, missing))}; materialize it first",
                days=missing,
            )


def _staged_query(connection: duckdb.DuckDBPyConnection, table: Table, content: Query, target: Slice) -> str:
    _require_stored(connection, table, content, target)
    make_ready(connection, content)
    make_views(connection, content.uses)
    staged = f"select * from ({content.sql}) where {in_slice(table, target)}"
    if is_found(connection, (table, content.sql)):
        return staged
    types = {name: sql_type for name, sql_type, *_ in connection.execute(f"describe {content.sql}").fetchall()}
    if different := types.keys() ^ {column.name for column in table.columns}:
        raise WarehouseError(
            f"{table.name}: the query's columns differ from the declaration: {listed(sorted(different))}"
        )
    for column in table.columns:
        if not re.fullmatch(EXACT[column.type], types[column.name]):
            raise WarehouseError(
                f"{table.name}: the query computes {column.name} as {types[column.name]}, which would be converted to "
                f"{SQL_TYPES[column.type]}: cast it in the query"
            )
    note_found(connection, (table, content.sql))
    return staged


def computed_at_once(connection: duckdb.DuckDBPyConnection, content: Query, target: Slice) -> list[Slice]:
    """Split a slice into parts whose sources have about ROWS_COMPUTED_AT_ONCE rows each; a part has at least one day.

    The result is the same, because a query computes each day from that day alone.
    """
    read = ["/".join(filter(None, source)) for source in (*content.sources, *zip(content.optional_refs))]
    rows = connection.execute(
        f"""
        select usage_date, sum(row_count)::bigint
        from (
          select usage_date, row_count
          from ledger.partition_versions
          where {IN_SLICE} and list_contains($read::text[], concat_ws('/', table_name, nullif(slice, '')))
          qualify version = max(version) over (partition by table_name, slice, usage_date)
        )
        group by usage_date
        order by usage_date
        """,
        {**target.bounds, "read": read},
    ).fetchall()
    parts, first, together = [], target.first, 0
    for day, more in rows:
        if first < day and together + more > ROWS_COMPUTED_AT_ONCE:
            parts.append(replace(target, first=first, last=day - DAY))
            first, together = day, 0
        together += more
    return [*parts, replace(target, first=first)]

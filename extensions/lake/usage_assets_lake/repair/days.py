"""Compares the rows of stored days with what the ledger says of them, and forgets days that differ."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb

from usage_assets.core.days import Window, end_of_month
from usage_assets.models.costs import SUMS
from usage_assets.models.declared import declarations
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.migrate import create_or_alter, is_there
from usage_assets.warehouse.tables import Table

SAID = """
select connection, usage_date, content_hash, row_count
from ledger.stored_days
where table_name = $table and slice = $part and usage_date between $first and $last
"""
MONTHS = """
select slice, date_trunc('month', usage_date)::date
from ledger.stored_days
where table_name = $table and usage_date between $first and $last
"""
HELD_MONTHS = """
union
select {part}, date_trunc('month', usage_date)::date
from {table}
where usage_date between $first and $last
"""
FORGET = """
delete from {table}
where connection = $connection and list_contains($days::date[], usage_date){of_part}
"""


@dataclass(frozen=True, order=True)
class StoredDay:
    """A day of a table, as the ledger has it."""

    table: str
    connection: str
    usage_date: date
    part: str = ""
    is_known: bool = True
    """Whether the ledger has it. If it does not, nothing brings its rows back: no run of ours has written them."""


def different_days(database: duckdb.DuckDBPyConnection, name: str, first: date, last: date) -> Iterator[StoredDay]:
    """Yield the days of a table whose rows have another hash than the ledger says, or that it does not know, a month at
    a time. All that are stored, where it or its sums by key are missing."""
    table = Table(declarations()[name])
    tables = [name, *(sums for sums, rows in SUMS.items() if rows == name)]
    if lost := [each for each in tables if not is_there(database, Table(declarations()[each]))]:
        yield from days_of(database, name, Window(first, last), with_sums=name not in lost)
        return
    create_or_alter(database, table)  # an earlier release may have stored it
    for part, month in _months(database, table, first, last):
        days = {"first": max(first, month), "last": min(last, end_of_month(month))}
        where = f" and {table.row.slice_by} = '{part}'" if table.row.slice_by else ""
        rows = f"select connection, usage_date, {table.content_hash} from {name}"
        rows += f" where usage_date between $first and $last{where} group by all"
        held = {(one, day): found for one, day, found in database.execute(rows, days).fetchall()}
        rows_of_days = database.execute(SAID, {**days, "table": name, "part": part}).fetchall()
        said = {(one, day): content_hash if count else None for one, day, content_hash, count in rows_of_days}
        for one, day in sorted(held.keys() | said.keys()):
            if held.get((one, day)) != said.get((one, day)):
                yield StoredDay(name, one, day, part, is_known=(one, day) in said)


def _months(database: duckdb.DuckDBPyConnection, table: Table, first: date, last: date) -> Sequence[tuple[str, date]]:
    """Return each part of a table with its months, as the ledger has them and as its rows do."""
    part = f"coalesce({table.row.slice_by or 'null'}, '')"
    of_rows = HELD_MONTHS.format(part=part, table=table.name) if is_there(database, table) else ""
    asked = {"table": table.name, "first": first, "last": last}
    return sorted({*database.execute(MONTHS + of_rows, asked).fetchall()})


def all_different_days(warehouse: Warehouse) -> Iterator[StoredDay]:
    """Yield the days of all tables whose rows are not what the ledger says. Raises WarehouseError.

    Reads a month of a table at a time, so that others can write in between.
    """
    with warehouse.held():
        with warehouse.transaction(keep=False) as database:
            months = {
                (name, month)
                for name in tables_with_days(database)
                for _, month in _months(database, Table(declarations()[name]), date.min, date.max)
            }
        for name, month in sorted(months):
            with warehouse.transaction(keep=False) as database:
                days = [*different_days(database, name, month, end_of_month(month))]
            yield from days


def days_of(
    database: duckdb.DuckDBPyConnection, table: str, window: Window, *, with_sums: bool = False
) -> Iterator[StoredDay]:
    """Yield every stored day of a table in a range; ``with_sums``: those with which sums by key were written."""
    rows = database.execute(
        "select connection, usage_date, slice from ledger.stored_days "
        "where table_name = $table and usage_date between $first and $last and (has_sums or not $with_sums)",
        {"table": table, "first": window.first, "last": window.last, "with_sums": with_sums},
    ).fetchall()
    yield from (StoredDay(table, *row) for row in rows)


def tables_with_days(database: duckdb.DuckDBPyConnection) -> Sequence[str]:
    """Return the declared tables whose days the ledger has."""
    known = database.execute("select distinct table_name from ledger.stored_days order by all").fetchall()
    return [name for (name,) in known if name in declarations()]


def forget(database: duckdb.DuckDBPyConnection, days: Iterable[StoredDay]) -> None:
    """Delete the rows and the versions of these days: then they were never stored, and are due."""
    of_slices: dict[tuple[str, str, str], list[date]] = defaultdict(list)
    for day in days:
        of_slices[day.table, day.part, day.connection].append(day.usage_date)
    for (name, part, connection), numbers in of_slices.items():
        of_part = f" and {by} = '{part}'" if (by := declarations()[name].slice_by) else ""
        asked = {"connection": connection, "days": numbers}
        if is_there(database, Table(declarations()[name])):
            database.execute(FORGET.format(table=name, of_part=of_part), asked)
        versions = " and table_name = $table and slice = $part"
        database.execute(
            FORGET.format(table="ledger.partition_versions", of_part=versions), {**asked, "table": name, "part": part}
        )


def by_connection(days: Iterable[StoredDay]) -> Mapping[str, Window]:
    """Return the range of days of each connection."""
    found: dict[str, Window] = {}
    for day in days:
        known = found.get(day.connection, Window(day.usage_date, day.usage_date))
        found[day.connection] = Window(min(known.first, day.usage_date), max(known.last, day.usage_date))
    return dict(sorted(found.items()))

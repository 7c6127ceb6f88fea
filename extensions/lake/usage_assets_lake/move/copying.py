"""Copies a warehouse into another one, a file into a lake or a lake into a file, and compares every day before commit.

The source does not change. The target must have no tables yet. If anything differs, it has none afterwards.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from usage_assets.core.errors import first_line
from usage_assets.models.declared import declarations
from usage_assets.warehouse.database import STORAGE, Warehouse, rolled_back
from usage_assets.warehouse.migrate import create_or_alter
from usage_assets.warehouse.readable import SESSION, quoted
from usage_assets.warehouse.rewrite import compare
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import WarehouseError
from usage_assets_lake import is_lake
from usage_assets_lake.repair.files import EVERY, damages

SOURCE, TARGET = "moved_from", "moved_to"
TABLES = """
select schema_name || '.' || table_name
from duckdb_tables()
where database_name = $database and not temporary and not internal
order by schema_name = 'ledger', schema_name, table_name
"""
"""The ledger last: a table whose days it has is not made."""

VIEWS = """
select schema_name || '.' || view_name from duckdb_views() where database_name = $database and not internal order by all
"""


@dataclass(frozen=True)
class Moved:
    """What was copied."""

    tables: int
    rows: int
    days: int
    """Days of all tables, each compared by the hash of its content."""
    views: tuple[str, ...]
    """Views of the source. Those of this product are made again with the next run."""


def move(source: Warehouse, target: Warehouse, note: Callable[[str], object] = str) -> Moved:
    """Copy every table in one transaction.

    Raises WarehouseError, with the target as it was, if it holds tables, or if a day differs.
    """
    if not source.exists:
        raise WarehouseError(f"{source.database}: nothing is stored yet")
    if damaged := damages(source, EVERY):
        raise WarehouseError(
            f"{source.database}: {len(damaged)} files are damaged: usage-assets repair shows what to do"
        )
    with target.locked() as alone, _both(source, target) as database, alone():
        if found := _tables(database, TARGET):
            raise WarehouseError(f"{target.database}: holds {len(found)} tables already; move into an empty one")
        stored, rows_of = _tables(database, SOURCE), declarations()
        rows = days = 0
        database.execute(f"use {TARGET}")
        database.begin()
        for name in stored:
            note(name)
            if name in rows_of:
                create_or_alter(database, Table(rows_of[name]))
            else:  # a person's own
                database.execute(f"create schema if not exists {name.partition('.')[0]}")
                database.execute(f"create table {name} as from {SOURCE}.{name} limit 0")
            database.execute(f"insert into {name} by name select * from {SOURCE}.{name}")
            compare(database, name, SOURCE, TARGET, target.database)
            columns = {column for column, *_ in database.execute(f"describe {name}").fetchall()}
            of_days = "count(distinct (connection, usage_date))" if columns >= {"connection", "usage_date"} else "0"
            [(more_rows, more_days)] = database.execute(f"select count(*), {of_days} from {name}").fetchall()
            rows, days = rows + more_rows, days + more_days
        database.commit()
        views = database.execute(VIEWS, {"database": SOURCE}).fetchall()
    return Moved(len(stored), rows, days, tuple(name for (name,) in views))


@contextmanager
def _both(source: Warehouse, target: Warehouse) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:", config={**STORAGE}) as database, rolled_back(database):
        try:
            database.execute(SESSION)
            attach(database, source, SOURCE, read_only=True)
            attach(database, target, TARGET)
            yield database
        except duckdb.Error as error:
            raise WarehouseError(f"{target.database}: {first_line(error)}; nothing was copied") from None


def attach(database: duckdb.DuckDBPyConnection, warehouse: Warehouse, name: str, *, read_only: bool = False) -> None:
    """Attach a warehouse to another DuckDB, under a name. Raises duckdb.Error."""
    if is_lake(warehouse):
        warehouse.attach(database, name, read_only=read_only)
        return
    Path(warehouse.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    database.execute(f"attach {quoted(warehouse.database)} as {name}{' (read_only)' if read_only else ''}")


def _tables(database: duckdb.DuckDBPyConnection, where: str) -> list[str]:
    return [name for (name,) in database.execute(TABLES, {"database": where}).fetchall()]

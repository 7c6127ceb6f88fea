"""Rewrites the database file: in the format of this release, and without deleted and replaced values.

DuckDB only marks their space as free: after two checkpoints (1.5.5), the file still contained a text that had been
updated. And a file keeps the blocks that it was made with.
"""

import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import duckdb

from usage_assets.warehouse.database import STORAGE, Warehouse, write_ahead_log
from usage_assets.warehouse.readable import quoted
from usage_assets.warehouse.tables import hash_of_rows
from usage_assets.warehouse.values import WarehouseError

FRESH = "rewritten"
LARGE = 256 << 20
"""A larger file is rewritten with large blocks: in small ones, DuckDB 1.5 compresses no numbers. 20 million rows of
tokens took 2.8 times as much space and twice the CPU time to read. Around that size, either will do."""
LARGE_BLOCKS = 262_144
TABLES = """
select format('"{}"."{}"', schema_name, table_name)
from duckdb_tables()
where database_name = current_database() and not temporary and not internal
order by all
"""


def rewrite(warehouse: Warehouse, note: Callable[[str], object] = str) -> None:
    """Replace the file by a copy that has the same rows, while nobody else has it open.

    A lake keeps its newest state only. A file needs room for its content once more. Raises WarehouseError, with the
    file as it was.
    """
    if warehouse.is_shared:
        warehouse.maintain(timedelta(0), wipe=True)
        return
    path = Path(warehouse.database).resolve()  # what a link leads to
    fresh = path.with_name(f"{path.name}.new")
    try:
        with warehouse.get_connection() as database:
            _remove(fresh)  # left by a process that was killed
            _copy(database, fresh, warehouse.database, note)
            shutil.copymode(path, fresh)
            note("replacing the file")
            _sync(fresh)
            fresh.replace(path)  # whoever waits for the file opens it by its name
            _sync(path.parent)
    except OSError as error:
        _remove(fresh)
        raise WarehouseError(f"{path}: {error.strerror}: it is as it was, not rewritten") from error
    except WarehouseError as error:
        _remove(fresh)
        raise WarehouseError(f"{error}; it is as it was, not rewritten") from error


def _copy(database: duckdb.DuckDBPyConnection, fresh: Path, file: str, note: Callable[[str], object]) -> None:
    [(name,)] = database.execute("select current_database()").fetchall()
    note("copying the file")
    database.execute("checkpoint")
    blocks = LARGE_BLOCKS if Path(file).stat().st_size > LARGE else STORAGE["default_block_size"]
    database.execute(f"attach {quoted(str(fresh))} as {FRESH} (block_size {blocks})")
    database.execute(f'copy from database "{name}" to {FRESH}')
    for (table,) in database.execute(TABLES).fetchall():
        note(table)
        compare(database, table, f'"{name}"', FRESH, file)
    database.execute(f"detach {FRESH}")


def compare(database: duckdb.DuckDBPyConnection, name: str, source: str, target: str, file: str) -> None:
    """Compare a table on both sides, each day by the hash of its rows. Raises WarehouseError."""
    columns = [f'"{column}"' for column, *_ in database.execute(f"describe {target}.{name}").fetchall()]
    by = [column for column in ('"connection"', '"usage_date"') if column in columns]
    content = ", ".join(
        [*by, "count(*)", hash_of_rows([*columns, "''"])]
    )  # the sort key of one number alone is no text
    here, there = (f"select {content} from {side}.{name} {'group by all' if by else ''}" for side in (target, source))
    if different := database.execute(f"(({here}) except ({there})) union all (({there}) except ({here}))").fetchone():
        place = " of ".join(map(str, reversed(different[: len(by)])))
        raise WarehouseError(f"{file}: {name} {place} differs from its source; nothing was copied")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(file: Path) -> None:
    for each in (file, write_ahead_log(file)):
        each.unlink(missing_ok=True)

"""What the doctor finds: the format of a file, a lake's server and files, and with --deep each stored day."""

import shlex
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from usage_assets.cli.findings import Finding, Level
from usage_assets.config.settings import Settings
from usage_assets.core.days import counted
from usage_assets.warehouse.database import STORAGE, Warehouse
from usage_assets.warehouse.opened import warehouse_at
from usage_assets.warehouse.rewrite import LARGE
from usage_assets.warehouse.values import WarehouseError
from usage_assets_lake import is_lake
from usage_assets_lake.files import note
from usage_assets_lake.repair.days import all_different_days, by_connection
from usage_assets_lake.repair.files import EVERY, Damage, damages
from usage_assets_lake.repair.repairing import days_in

if TYPE_CHECKING:
    from usage_assets_lake.warehouse import Lake

FORMAT = """
select block_size, tags['storage_version'] as version
from duckdb_databases() join pragma_database_size() using (database_name)
where database_name = current_database()
"""


def is_in_format(warehouse: Warehouse) -> bool:
    """Whether the file has the version of new files, and blocks that fit its size. A lake has no such file."""
    if warehouse.is_shared:
        return True
    [found] = warehouse.read(FORMAT).to_pylist()
    size = Path(warehouse.database).stat().st_size
    fits = size <= 2 * LARGE if found["block_size"] == STORAGE["default_block_size"] else size >= LARGE // 2
    return bool(fits) and found["version"] == f"{STORAGE['storage_compatibility_version']}+"


def findings(settings: Settings, warehouse: Warehouse) -> Iterator[Finding]:  # noqa: ARG001 - it is a hook
    """A file of an earlier release that takes more space or time than a new one."""
    if not is_in_format(warehouse):
        command = f"usage-assets move --to {shlex.quote(warehouse.database)}"
        text = f"{warehouse.database} has blocks or a format that take more space or time: {command} rewrites it"
        yield Finding(Level.OK, "warehouse", text)


def services(settings: Settings) -> Iterator[Finding]:
    """A pooler before a lake's catalog, and each file that is lost, or is not what the catalog says."""
    warehouse = warehouse_at(settings.warehouse)
    with suppress(WarehouseError):  # the doctor says so of the warehouse
        if is_lake(warehouse):
            yield from _pooler(warehouse)
        yield from of_files(warehouse)


def _pooler(lake: "Lake") -> Iterator[Finding]:
    """A pooler between us and the catalog."""
    from usage_assets_lake.pooling import REFUSED, WARNED, pooling_of  # noqa: PLC0415 - it loads psycopg

    with lake.session() as session:
        pooling = pooling_of(session, lake.session)
    if pooling == "transaction":
        yield Finding(Level.FAIL, "warehouse", f"the catalog {REFUSED}")
    if pooling == "session":
        yield Finding(Level.WARN, "warehouse", f"the catalog {WARNED}")


def of_files(warehouse: Warehouse, shares: Collection[int] = ()) -> Iterator[Finding]:
    """Each damaged file of a warehouse that is a lake; ``shares``: as of ``damages``. Raises WarehouseError."""
    for damage in damages(warehouse, shares):
        yield Finding(Level.FAIL, damage.file.table, f"{in_words(damage)}: usage-assets repair shows what to do")


def deep(settings: Settings, warehouse: Warehouse) -> Iterator[Finding]:  # noqa: ARG001 - it is a hook
    """What differs from what was written, in all files and days."""
    yield from compared(warehouse, EVERY)


def compared(warehouse: Warehouse, shares: Collection[int]) -> Sequence[Finding]:
    """Return the damaged files; where none is, the tables with days whose rows are not what the ledger says.

    ``shares``: as of ``damages``. Where all is right, files without a digest get one. Raises WarehouseError.
    """
    found = [*of_files(warehouse, shares)]
    try:
        found = found or [*of_days(warehouse)]
    except WarehouseError:  # a file of another share, perhaps
        if not (found := [*of_files(warehouse, EVERY)]):
            raise
    if not found and is_lake(warehouse) and warehouse.exists:
        with warehouse.session() as session, warehouse.get_connection() as database:
            note(session, database)
    return found


def of_days(warehouse: Warehouse) -> Iterator[Finding]:
    """Each table with days whose rows are not what the ledger says. No file may be damaged. Raises WarehouseError."""
    if not warehouse.exists:
        return
    days = [*all_different_days(warehouse)]
    for table, count in sorted(Counter(day.table for day in days).items()):
        ranges = by_connection(day for day in days if day.table == table)
        where = "; ".join(f"{connection} {window}" for connection, window in ranges.items())
        verb = "does" if count == 1 else "do"
        text = f"{counted(count)} {verb} not hold the rows that were written ({where}): usage-assets repair --deep"
        yield Finding(Level.FAIL, table, text)


def in_words(damage: Damage) -> str:
    """Say which file is damaged, how, and which days it holds."""
    window = days_in(damage)
    kind = "deletions of " if damage.file.is_of_deletions else ""
    return f"{damage.file.path} {damage.what}{f' ({kind}{window})' if window else ''}"

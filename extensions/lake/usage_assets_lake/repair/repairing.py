"""Lets go of damaged files of a lake, and forgets the days that are not whole without them.

No function of DuckLake drops a file that is lost. Each delete and each merge reads it, so every write of its table
fails. Here, a transaction of the catalog ends it, as a delete of all its rows would: a new snapshot no longer has it.
Nothing is deleted from the catalog. A past state that needs the file stays unreadable.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from usage_assets.core.days import Window, end_of_month, start_of_month
from usage_assets.core.schema import Row
from usage_assets.models.costs import CONTROLS, SUMS
from usage_assets.models.declared import declarations
from usage_assets.models.due import ASSETS
from usage_assets.warehouse.database import Warehouse
from usage_assets_lake.repair.days import (
    StoredDay,
    all_different_days,
    days_of,
    different_days,
    forget,
    tables_with_days,
)
from usage_assets_lake.repair.files import Damage

if TYPE_CHECKING:
    from usage_assets_lake.warehouse import Lake

NEW_SNAPSHOT = """
insert into ducklake_snapshot (snapshot_id, snapshot_time, schema_version, next_catalog_id, next_file_id)
select snapshot_id + 1, now(), schema_version, next_catalog_id, next_file_id
from ducklake_snapshot
order by snapshot_id desc
limit 1
returning snapshot_id
"""
CHANGES = """
insert into ducklake_snapshot_changes (snapshot_id, changes_made, author, commit_message)
select %(snapshot)s, string_agg(distinct 'deleted_from_table:' || table_id, ','), 'usage-assets', 'repair'
from ducklake_data_file
where data_file_id = any(%(files)s)
"""
END = "update {table} set end_snapshot = %(snapshot)s where data_file_id = any(%(files)s) and end_snapshot is null"


def days_in(damage: Damage) -> Window | None:
    """Return the days whose rows may be in a file; None where its rows have none."""
    if damage.file.first is None or damage.file.last is None:
        return None
    return Window(damage.file.first, damage.file.last)


def is_lost(table: str) -> bool:
    """Whether nothing brings the rows of a table back."""
    row = declarations().get(table)
    return row is None or not issubclass(row, Row) or table.startswith("ledger.")


def repair(lake: "Lake", found: Sequence[Damage]) -> Sequence[StoredDay]:
    """End the damaged files and forget the days that lack rows without them. Return these days.

    Has the lake alone. Raises WarehouseError, with nothing changed, for a catalog of an unknown version.
    """
    with lake.locked() as alone:
        with alone():
            _end(lake, sorted({damage.file.data_file_id for damage in found}))
        with lake.get_connection() as database:
            database.begin()
            days: set[StoredDay] = set()
            known = tables_with_days(database)
            for table, window in {(damage.file.table, days_in(damage)) for damage in found}:
                if window and table in SUMS:
                    days.update(days_of(database, SUMS[table], window))
                elif window and table in known:
                    days.update(different_days(database, table, window.first, window.last))
                elif table.startswith("accounting.") or table == ASSETS.name:  # else they count as stated, unseen
                    database.execute("delete from ledger.statements")
            days |= _with_their_rows(days)
            forget(database, days)
            with alone():
                database.commit()
    return sorted(days)


def forget_different(warehouse: Warehouse) -> Sequence[StoredDay]:
    """Forget each stored day whose rows are not what the ledger says. Return these days. Raises WarehouseError."""
    found = {(day.table, start_of_month(day.usage_date)) for day in all_different_days(warehouse)}
    with warehouse.transaction() as database:  # they may have been written again since
        days = {day for name, first in found for day in different_days(database, name, first, end_of_month(first))}
        days |= _with_their_rows(days)
        forget(database, days)
    return sorted(days)


def _with_their_rows(days: set[StoredDay]) -> set[StoredDay]:
    """Return the days of the rows that damaged control totals are of: both are written together."""
    return {StoredDay(CONTROLS[day.table], day.connection, day.usage_date) for day in days if day.table in CONTROLS}


def _end(lake: "Lake", files: Sequence[int]) -> None:
    with lake.session() as session, session.transaction():
        lake.require_known_catalog(session)
        [(snapshot,)] = session.execute(NEW_SNAPSHOT).fetchall()
        asked = {"snapshot": snapshot, "files": list(files)}
        session.execute(CHANGES, asked)
        for table in ("ducklake_data_file", "ducklake_delete_file"):
            session.execute(END.format(table=table), asked)

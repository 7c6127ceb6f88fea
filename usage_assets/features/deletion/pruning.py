"""What the daily job and `usage-assets prune` delete: Dagster's old history, and days past USAGE_RETENTION_MONTHS.

Of such days, of all connections, the entities in Port go first, then archived answers, and the rows last, so that the
next run can find and finish an interrupted one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from usage_assets.config.settings import Settings
from usage_assets.core.blueprints import CONNECTION
from usage_assets.core.days import first_kept
from usage_assets.features.deletion.history import History, Prunable
from usage_assets.features.deletion.rows import Rows, delete_in_port
from usage_assets.features.port.catalog.client import PortClient
from usage_assets.features.port.catalog.sync import Acknowledged, Failure
from usage_assets.fetching.archive.files import File, remove
from usage_assets.fetching.archive.store import answers_before
from usage_assets.warehouse.database import Warehouse

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class OldDays:
    """What there is of the days before the first that is kept."""

    first: date
    """The first day that is kept."""
    rows: Mapping[str, int]
    """Table -> rows."""
    in_port: Mapping[str, Sequence[Acknowledged]]
    """Connection -> entities of the configured Port account. Those of other accounts stay."""
    archived: Sequence[File]
    """Archived answers of nothing but such days."""

    @property
    def table(self) -> Sequence[tuple[str, int, int]]:
        """What, how many of it, and bytes: DuckDB does not say how many those of its rows are."""
        return [
            ("rows", sum(self.rows.values()), 0),
            ("in Port", sum(map(len, self.in_port.values())), 0),
            ("archived", len(self.archived), sum(file.size for file in self.archived)),
        ]

    def remove(self, warehouse: Warehouse, port: PortClient | None) -> Sequence[Failure]:
        """Delete everything. Returns the entities that Port refused to delete; then the rest was left alone.

        Raises PortError where Port cannot be reached, and WarehouseError.
        """
        if port:
            for connection, lines in self.in_port.items():
                if failures := delete_in_port(warehouse, port, connection, lines):
                    return failures
        remove(self.archived)
        if self.rows:
            Rows.before(self.first).delete(warehouse)
        return ()


@dataclass(frozen=True)
class Old:
    """What is older than the settings say."""

    history: Prunable | None
    """None: it stays."""
    days: OldDays
    keep: timedelta
    """How far back a lake can be read as it was."""

    @property
    def lines(self) -> Sequence[str]:
        """The table of what is removed: a header, a line per kind, and the total."""
        table = [*(self.history.table if self.history else ()), *self.days.table]
        table.append(("in total", sum(count for _, count, _ in table), sum(size for *_, size in table)))
        head = f"{'':<14}{'count':>12}{'MB':>10}"
        return [head, *(f"{name:<14}{count:>12,}{size / MEGABYTE:>10,.1f}" for name, count, size in table)]

    def remove(self, instance: dg.DagsterInstance, warehouse: Warehouse, port: PortClient | None) -> Sequence[Failure]:
        """Remove it, the history first. Returns the entities that Port refused to delete.

        Raises PortError and WarehouseError.
        """
        if self.history:
            History.of(instance).prune(self.history)
        failures = self.days.remove(warehouse, port)
        if warehouse.exists:
            warehouse.maintain(self.keep)
        return failures


def find_old(instance: dg.DagsterInstance | None, settings: Settings, warehouse: Warehouse, account: str) -> Old:
    """Find what is older than the settings say. Raises SettingsError and WarehouseError.

    ``instance``: whose history is pruned, if any.
    """
    before = datetime.now(UTC) - timedelta(days=settings.usage_history_days)
    first = first_kept(settings.usage_retention_months)
    history = History.of(instance).prunable(before, first) if instance else None
    return Old(history, _old_days(settings, warehouse, account, first), timedelta(days=settings.usage_lake_days))


def _old_days(settings: Settings, warehouse: Warehouse, account: str, first: date) -> OldDays:
    """Find what is not kept. Opens no database where everything is. Raises WarehouseError."""
    if settings.usage_retention_months is None or not warehouse.exists:
        return OldDays(first, {}, {}, ())
    with warehouse.one_moment() as now:
        stored = Rows.before(first)
        in_port, rows = stored.in_port(now), stored.count(now)
    lines = {
        connection: dated
        for connection, found in in_port.get(account, {}).items()
        if (dated := [line for line in found if line.blueprint != CONNECTION])
    }
    archived = answers_before(settings.archive_path, first) if settings.archive_path else ()
    return OldDays(first, rows, lines, archived)

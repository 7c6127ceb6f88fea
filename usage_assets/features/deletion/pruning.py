"""What the daily job and `usage-assets prune` delete: Dagster's old history, and days past their retention."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from usage_assets.config.settings import Settings
from usage_assets.core.days import first_kept
from usage_assets.features.deletion.history import History, Prunable
from usage_assets.features.deletion.old_days import OldDays, old_days
from usage_assets.features.port.catalog.client import PortClient
from usage_assets.features.port.catalog.sync import Failure
from usage_assets.warehouse.database import Warehouse

MEGABYTE = 1 << 20


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
    return Old(history, old_days(settings, warehouse, account), timedelta(days=settings.usage_lake_days))

"""What is removed by age once a day: the job and its schedule, and what they share with `usage-assets prune`."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from usage_assets.automation.history import History, Prunable
from usage_assets.automation.old_days import OldDays, old_days
from usage_assets.config.settings import Settings, SettingsError
from usage_assets.core.days import first_kept
from usage_assets.models.entities import pushed_assets
from usage_assets.port.client import PortClient, PortError
from usage_assets.port.sync import Failure
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.values import WarehouseError

PRUNE_JOB = "prune"
PRUNE_CRON = "20 4 * * *"
"""When no other schedule is due."""
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Old:
    """What is older than the settings say."""

    history: Prunable
    days: OldDays

    @property
    def lines(self) -> Sequence[str]:
        """The table of what goes: a line for each kind and one for all."""
        table = [*self.history.table, *self.days.table]
        table.append(("in total", sum(count for _, count, _ in table), sum(size for *_, size in table)))
        head = f"{'':<14}{'count':>12}{'MB':>10}"
        return [head, *(f"{name:<14}{count:>12,}{size / MEGABYTE:>10,.1f}" for name, count, size in table)]

    def remove(self, instance: dg.DagsterInstance, warehouse: Warehouse, port: PortClient | None) -> Sequence[Failure]:
        """Remove it, the history first. Returns the entities that Port refused to delete.

        Raises PortError and WarehouseError.
        """
        History.of(instance).prune(self.history)
        return self.days.remove(warehouse, port)


def find_old(instance: dg.DagsterInstance, settings: Settings, warehouse: Warehouse, account: str) -> Old:
    """Find what is older than the settings say. Raises SettingsError and WarehouseError."""
    before = datetime.now(UTC) - timedelta(days=settings.usage_history_days)
    pushed = [key for connection in settings.connections() for key in pushed_assets(connection)]
    first = first_kept(settings.usage_retention_months)
    return Old(History.of(instance).prunable(before, pushed, first), old_days(settings, warehouse, account))


def build_pruning(
    settings: Settings, client: Callable[[], AbstractContextManager[PortClient]]
) -> dg.ScheduleDefinition:
    """Build the schedule, with its job, that removes what is old. It runs by default where a connection has its key."""
    has_key = any(connection.key for connection in settings.connections())

    @dg.op(name="remove_what_is_old")
    def remove(context: dg.OpExecutionContext, warehouse: Warehouse) -> None:
        try:
            with client() if settings.port_account else nullcontext() as port:
                old = find_old(context.instance, settings, warehouse, port.account if port else "")
                context.log.info("removes\n%s", "\n".join(old.lines))
                failures = old.remove(context.instance, warehouse, port)
        except (SettingsError, PortError, WarehouseError) as error:
            raise dg.Failure(str(error), allow_retries=False) from None
        if failures:
            named = f"{failures[0].blueprint} {failures[0].identifier}: {failures[0].reason}"
            raise dg.Failure(f"Port keeps {len(failures)} entities, so all rows are kept: {named}", allow_retries=False)

    @dg.job(name=PRUNE_JOB, description="Removes old history of Dagster, and days that are not kept any more")
    def prune() -> None:
        remove()

    return dg.ScheduleDefinition(
        name="daily_prune_schedule",
        job=prune,
        cron_schedule=PRUNE_CRON,
        execution_timezone="UTC",
        description=f"Removes what is older than {settings.usage_history_days} days from Dagster's history, and days "
        "that USAGE_RETENTION_MONTHS does not keep",
        default_status=dg.DefaultScheduleStatus.RUNNING if has_key else dg.DefaultScheduleStatus.STOPPED,
    )

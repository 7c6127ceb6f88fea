"""What is removed by age once a day: the job, its schedule, and what both they and `usage-assets prune` ask for."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from usage_assets.automation.history import History, Prunable
from usage_assets.config.settings import Settings, SettingsError
from usage_assets.models.entities import pushed_assets

PRUNE_JOB = "prune"
PRUNE_CRON = "20 4 * * *"
"""When no other schedule is due."""
MEGABYTE = 1 << 20


def prunable(instance: dg.DagsterInstance, settings: Settings) -> Prunable:
    """Find what is older than the settings say. Raises SettingsError."""
    before = datetime.now(UTC) - timedelta(days=settings.usage_history_days)
    pushed = [key for connection in settings.connections() for key in pushed_assets(connection)]
    return History.of(instance).prunable(before, pushed)


def in_columns(found: Prunable) -> list[str]:
    """The table of what goes: a line for each kind and one for all."""
    table = [
        *found.table,
        ("in total", sum(count for _, count, _ in found.table), sum(size for *_, size in found.table)),
    ]
    return [
        f"{'':<14}{'count':>12}{'MB':>10}",
        *(f"{name:<14}{n:>12,}{size / MEGABYTE:>10,.1f}" for name, n, size in table),
    ]


def build_pruning(settings: Settings) -> dg.ScheduleDefinition:
    """Build the schedule, with its job, that removes what is old. It runs by default where a connection has its key."""
    has_key = any(connection.key for connection in settings.connections())

    @dg.op(name="remove_what_is_old")
    def remove(context: dg.OpExecutionContext) -> None:
        try:
            found = prunable(context.instance, settings)
        except SettingsError as error:
            raise dg.Failure(str(error), allow_retries=False) from None
        context.log.info("removed of Dagster's history:\n%s", "\n".join(in_columns(found)))
        History.of(context.instance).prune(found)

    @dg.job(name=PRUNE_JOB, description="Removes old runs, events, ticks and logs from Dagster's history")
    def prune() -> None:
        remove()

    return dg.ScheduleDefinition(
        name="daily_prune_schedule",
        job=prune,
        cron_schedule=PRUNE_CRON,
        execution_timezone="UTC",
        description=f"Removes what is older than {settings.usage_history_days} days from Dagster's history",
        default_status=dg.DefaultScheduleStatus.RUNNING if has_key else dg.DefaultScheduleStatus.STOPPED,
    )

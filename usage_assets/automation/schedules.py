"""Schedules: recent days again and again, because providers restate them; what ids stand for; what people did in Port.

One run per connection.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta

import dagster as dg

from usage_assets.assets.connected import earliest_day
from usage_assets.automation.jobs import (
    LOOKUPS_JOB,
    PORT_CONNECTION_JOB,
    PORT_RECONCILE_JOB,
    USAGE_JOB,
    port_connection_key,
    port_reconcile_key,
    range_tags,
)
from usage_assets.partitions import WEEKLY_LOOKBACK_DAYS
from usage_assets.providers import PROVIDERS
from usage_assets.settings import Connection, Settings, SettingsError

WEEKLY_CRON = "0 12 * * 0"
"""Not at the daily schedule's usual time: the runs of both would ask for the same days at once."""
LOOKUPS_CRON = "45 5 * * *"
"""Shortly before the daily schedule's usual time, so that new ids have their names by then."""
CONNECTION_CRON = "40 * * * *"
"""Some time after the hour at which most schedules start."""
RECONCILE_CRON = "0 18 * * 0"
"""Hours after the others of a Sunday: what they change has been pushed by then."""


def build_schedules(
    settings: Settings,
    connections: Sequence[Connection],
    usage_keys: Mapping[str, Sequence[dg.AssetKey]],
    lookup_keys: Mapping[str, Sequence[dg.AssetKey]],
    pushing: Collection[str],
) -> list[dg.ScheduleDefinition]:
    """Build the schedules of lookups, recent days and a month, which run by default where a connection has its key, and
    those of connections' states and reconciliations, which do where Port is configured.

    Raises SettingsError for a USAGE_SCHEDULE that is no cron expression.
    """
    has_key = any(connection.key for connection in connections)
    status = dg.DefaultScheduleStatus.RUNNING if has_key else dg.DefaultScheduleStatus.STOPPED

    def build(name: str, cron: str, days: int, description: str) -> dg.ScheduleDefinition:
        @dg.schedule(
            name=name,
            job_name=USAGE_JOB,
            cron_schedule=cron,
            execution_timezone="UTC",
            description=description,
            default_status=status,
        )
        def schedule(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
            tick = context.scheduled_execution_time
            today = tick.date()
            last = today if settings.usage_include_today else today - timedelta(days=1)
            for connection in connections:
                keys = usage_keys.get(connection.name)
                first = max(today - timedelta(days=days), earliest_day(connection, PROVIDERS[connection.provider]))
                if keys and first <= last:
                    yield dg.RunRequest(
                        run_key=f"{name}:{connection.name}:{tick.isoformat()}",
                        asset_selection=list(keys),
                        tags={**range_tags(first, last), "usage_assets/connection": connection.name},
                    )

        return schedule

    try:
        return [
            *_unpartitioned_schedules(
                "daily_lookups_schedule",
                LOOKUPS_JOB,
                LOOKUPS_CRON,
                {connection.name: keys for connection in connections if (keys := lookup_keys.get(connection.name))},
                status,
                "Lists what the ids of every connection stand for (names, owners, archived ones)",
            ),
            build(
                "daily_usage_schedule",
                settings.usage_schedule,
                settings.usage_lookback_days,
                f"Fetches the last {settings.usage_lookback_days} closed days of every connection again (late data)",
            ),
            build(
                "weekly_restatement_schedule",
                WEEKLY_CRON,
                WEEKLY_LOOKBACK_DAYS,
                f"Fetches the last {WEEKLY_LOOKBACK_DAYS} closed days of every connection again (corrections)",
            ),
            *_unpartitioned_schedules(
                "hourly_connection_schedule",
                PORT_CONNECTION_JOB,
                CONNECTION_CRON,
                {name: [port_connection_key(name)] for name in pushing},
                dg.DefaultScheduleStatus.RUNNING if settings.port_account else dg.DefaultScheduleStatus.STOPPED,
                "Tells Port how every connection's data is: whether runs failed, which days are whole and settled",
            ),
            *_unpartitioned_schedules(
                "weekly_reconcile_schedule",
                PORT_RECONCILE_JOB,
                RECONCILE_CRON,
                {name: [port_reconcile_key(name)] for name in pushing},
                dg.DefaultScheduleStatus.RUNNING if settings.port_account else dg.DefaultScheduleStatus.STOPPED,
                "Reads every connection's entities back from Port and repairs what people deleted or edited",
            ),
        ]
    except dg.DagsterInvalidDefinitionError:
        raise SettingsError(
            f"USAGE_SCHEDULE: {settings.usage_schedule!r} is not a cron expression of five fields (UTC), "
            "such as '0 6 * * *' (set in the environment or .env)"
        ) from None


def _unpartitioned_schedules(
    name: str,
    job: str,
    cron: str,
    asked: Mapping[str, Sequence[dg.AssetKey]],
    status: dg.DefaultScheduleStatus,
    description: str,
) -> Iterator[dg.ScheduleDefinition]:
    """Yield a schedule of what has no days; none where no connection has any, because then there is no such job."""

    @dg.schedule(
        name=name,
        job_name=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        description=description,
        default_status=status,
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        for connection, keys in asked.items():
            yield dg.RunRequest(
                run_key=f"{name}:{connection}:{context.scheduled_execution_time.isoformat()}",
                asset_selection=list(keys),
                tags={"usage_assets/connection": connection},
            )

    if asked:
        yield schedule

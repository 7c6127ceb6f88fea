"""Schedules: recent days again and again, because providers restate them, and what ids stand for.

One run per connection.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

import dagster as dg

from usage_assets.assets.connected import earliest_day
from usage_assets.automation.jobs import LOOKUPS_JOB, USAGE_JOB, range_tags
from usage_assets.providers import PROVIDERS
from usage_assets.settings import Connection, Settings, SettingsError

WEEKLY_LOOKBACK_DAYS = 31
"""Providers correct days until the invoice is made: a month is read again every week."""
WEEKLY_CRON = "0 12 * * 0"
"""Not at the daily schedule's usual time: the runs of both would ask for the same days at once."""
LOOKUPS_CRON = "45 5 * * *"
"""Shortly before the daily schedule's usual time, so that new ids have their names by then."""


def build_schedules(
    settings: Settings,
    connections: Sequence[Connection],
    usage_keys: Mapping[str, Sequence[dg.AssetKey]],
    lookup_keys: Mapping[str, Sequence[dg.AssetKey]],
) -> list[dg.ScheduleDefinition]:
    """Build the schedules of lookups, recent days and a month; they run by default where a connection has its key.

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
            *_lookups_schedules(connections, lookup_keys, status),
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
        ]
    except dg.DagsterInvalidDefinitionError:
        raise SettingsError(
            f"USAGE_SCHEDULE: {settings.usage_schedule!r} is not a cron expression of five fields (UTC), "
            "such as '0 6 * * *' (set in the environment or .env)"
        ) from None


def _lookups_schedules(
    connections: Sequence[Connection],
    lookup_keys: Mapping[str, Sequence[dg.AssetKey]],
    status: dg.DefaultScheduleStatus,
) -> Iterator[dg.ScheduleDefinition]:
    """Yield the schedule of lookups; none where no connection has any, because then there is no such job."""
    asked = {connection.name: keys for connection in connections if (keys := lookup_keys.get(connection.name))}

    @dg.schedule(
        name="daily_lookups_schedule",
        job_name=LOOKUPS_JOB,
        cron_schedule=LOOKUPS_CRON,
        execution_timezone="UTC",
        description="Lists what the ids of every connection stand for (names, owners, archived ones)",
        default_status=status,
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        for name, keys in asked.items():
            yield dg.RunRequest(
                run_key=f"daily_lookups_schedule:{name}:{context.scheduled_execution_time.isoformat()}",
                asset_selection=list(keys),
                tags={"usage_assets/connection": name},
            )

    if asked:
        yield schedule

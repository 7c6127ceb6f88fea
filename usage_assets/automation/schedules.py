"""Schedules: fetch recent days again, because providers restate them; fetch lookups.

Each requests one run per connection, and one more for each range of older days that are not settled.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg

from usage_assets.assets.location import Location
from usage_assets.assets.names import Names
from usage_assets.automation.due_sensor import PRIORITY
from usage_assets.automation.jobs import (
    ACCOUNTING_JOB,
    COMPLETENESS_JOB,
    CONNECTION_TAG,
    LOOKUPS_JOB,
    USAGE_JOB,
    range_tags,
)
from usage_assets.config.days import WEEKLY_LOOKBACK_DAYS, daily_cron, minutes_to_first_fetch
from usage_assets.config.settings import Connection, Settings
from usage_assets.core.days import DAY, MOST_DAYS, Window, keeping_whole, windows
from usage_assets.fetching.connected import earliest_day, settling_days
from usage_assets.models.due import due_days, whole_sets
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.opened import warehouse_at
from usage_assets.warehouse.values import Seed, WarehouseError

WEEKLY_CRON = "0 12 * * 0"
"""Not at the daily schedule's usual time: the runs of both would fetch the same days at once."""
LOOKUPS_CRON = "45 5 * * *"
"""Shortly before the daily schedule's usual time, so that new ids have their names by then."""
INVOICES_CRON = "0 9 3 * *"
"""When the last days of the month before are stored."""
LONGEST_GAP = 31
"""Settled days that are read again rather than begin another run after them: at most one request more of each endpoint
whose windows are a month (Claude Code: one a day), and another run takes that, too, and a process."""
TICK_PATIENCE = 10
"""Seconds that a tick waits for the database file. Dagster gives up a tick after 60."""


def build_schedules(
    location: Location, completeness: dg.AssetChecksDefinition | None = None
) -> list[dg.ScheduleDefinition]:
    """Build the schedules of lookups, recent days and a month, which run by default where a connection has its key.

    Raises SettingsError for a USAGE_SCHEDULE that is no cron expression.
    """
    settings, connections = location.settings, location.connections
    names, recent = location.names, "closed days of every connection again"
    has_key = any(each.graph.connection.has_access for each in connections)
    schedules = [
        *unpartitioned_schedules(
            names,
            "daily_lookups_schedule",
            LOOKUPS_JOB,
            LOOKUPS_CRON,
            {each.name: each.lookups for each in connections if each.lookups},
            "Lists what every connection's ids mean: names, owners, whether archived",
            is_running=has_key,
        ),
        _usage_schedule(
            "daily_usage_schedule",
            daily_cron(settings),
            settings.usage_lookback_days,
            f"Fetches the last {settings.usage_lookback_days} {recent}, and all days "
            "that are stored and not settled (late data)",
            location,
            location.seeds,
            is_running=has_key,
        ),
        _usage_schedule(
            "weekly_restatement_schedule",
            WEEKLY_CRON,
            WEEKLY_LOOKBACK_DAYS,
            f"Fetches the last {WEEKLY_LOOKBACK_DAYS} {recent} (corrections)",
            location,
            is_running=has_key,
        ),
    ]
    if settings.states_connections and location.is_main:
        described = "Compares the invoices that the connections file states with what is stored of their months"
        stated = our_schedule(names, "monthly_invoices_schedule", INVOICES_CRON, described)
        schedules.append(dg.ScheduleDefinition(job_name=names.own(ACCOUNTING_JOB), **stated))
    if completeness:
        hour, minute = divmod(minutes_to_first_fetch(settings), 60)
        described = "Warns of each connection whose newest closed day is not stored when it should be"
        stated = our_schedule(names, "daily_completeness_schedule", f"{minute} {hour % 24} * * *", described)
        checks = dg.AssetSelection.checks(completeness)
        job = dg.define_asset_job(
            names.job(COMPLETENESS_JOB), checks, description=described, executor_def=dg.in_process_executor
        )
        schedules.append(dg.ScheduleDefinition(job=job, **stated))
    return schedules


def our_schedule(names: Names, name: str, cron: str, description: str, *, is_running: bool = True) -> dict[str, Any]:
    """Return the arguments that all our schedules share, for Dagster."""
    return {
        "name": names.own(name),
        "cron_schedule": cron,
        "execution_timezone": "UTC",
        "description": description,
        "default_status": dg.DefaultScheduleStatus.RUNNING if is_running else dg.DefaultScheduleStatus.STOPPED,
    }


def _usage_schedule(
    name: str,
    cron: str,
    days: int,
    description: str,
    location: Location,
    seeds: Sequence[Seed] = (),
    *,
    is_running: bool,
) -> dg.ScheduleDefinition:
    """Build a schedule that fetches the last ``days`` again; with ``seeds``, all days that are not settled, too."""
    settings, names = location.settings, location.names
    fetched = [(each.graph.connection, each.usage) for each in location.connections if each.graph.assets]
    reads_files = any(PROVIDERS[connection.provider].reads_files for connection, _ in fetched)

    @dg.schedule(job_name=names.own(USAGE_JOB), **our_schedule(names, name, cron, description, is_running=is_running))
    def schedule(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        tick = context.scheduled_execution_time
        today = tick.date()
        recent = Window(today - days * DAY, today if settings.usage_include_today else today - DAY)
        unsettled = _unsettled(settings, seeds, context) if seeds else {}
        sets = _sets(settings, context) if reads_files else {}
        for connection, keys in fetched:
            older, whole = unsettled.get(connection.name, ()), sets.get(connection.name, ())
            for n, window in enumerate(_ranges(connection, today, recent, older, whole)):
                yield dg.RunRequest(
                    run_key=f"{name}:{connection.name}:{window.first}:{tick.isoformat()}",
                    asset_selection=list(keys),
                    tags={
                        **range_tags(window.first, window.last),
                        **(PRIORITY if n else {}),
                        CONNECTION_TAG: connection.name,
                    },
                )

    return schedule


def _unsettled(
    settings: Settings, seeds: Sequence[Seed], context: dg.ScheduleEvaluationContext
) -> Mapping[str, Collection[date]]:
    """Return the stored days that are not settled, by connection; none where the database cannot be read now, which the
    log says."""
    warehouse = warehouse_at(settings.warehouse, TICK_PATIENCE)
    days: dict[str, set[date]] = defaultdict(set)
    try:
        if warehouse.exists:
            for due in due_days(warehouse, seeds, keep=True):
                if due.state in ("open", "unsettled"):
                    days[due.connection].add(due.day)
            return days
        reason = f"{warehouse.database}: nothing is stored yet"
    except WarehouseError as error:
        reason = str(error)
    context.log.warning(f"{reason}; only the last {settings.usage_lookback_days} days are read again this time")
    return {}


def _sets(settings: Settings, context: dg.ScheduleEvaluationContext) -> Mapping[str, Sequence[Window]]:
    """Return the days that are stored together, by connection; none where the database cannot be read now."""
    try:
        return whole_sets(warehouse_at(settings.warehouse, TICK_PATIENCE))
    except WarehouseError as error:
        context.log.warning(f"{error}; bills are read in part this time, and refused where they have changed")
        return {}


def _ranges(
    connection: Connection, today: date, recent: Window, unsettled: Collection[date], sets: Collection[Window] = ()
) -> Iterator[Window]:
    """Yield the ranges to request, each a run: the recent days first, then older ones that are not settled. None cuts
    one of the sets, whose days are stored together.

    The first takes in the days that this run can settle. Others have runs of their own, however near they are: a day
    that its provider refuses for good would otherwise fail each run of the newest days.
    """
    provider = PROVIDERS[connection.provider]
    earliest = earliest_day(connection, provider)
    older = sorted(day for day in unsettled if earliest <= day < recent.first)
    settling = today - (settling_days(connection, provider) + 1) * DAY
    first = next((day for day in older if day >= settling), max(recent.first, earliest))
    if first <= recent.last:
        first = max(earliest, keeping_whole(Window(first, recent.last), sets).first)
        yield Window(first, recent.last)
    for window in reversed(windows((day for day in older if day < first), MOST_DAYS, LONGEST_GAP)):
        whole = keeping_whole(window, sets)
        yield Window(max(earliest, whole.first), min(whole.last, recent.last))


def unpartitioned_schedules(
    names: Names,
    name: str,
    job: str,
    cron: str,
    keys_of: Mapping[str, Sequence[dg.AssetKey]],
    description: str,
    *,
    is_running: bool,
) -> Iterator[dg.ScheduleDefinition]:
    """Yield a schedule of what has no days; none where no connection has any, because then there is no such job."""

    @dg.schedule(job_name=names.own(job), **our_schedule(names, name, cron, description, is_running=is_running))
    def schedule(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        for connection, keys in keys_of.items():
            yield dg.RunRequest(
                run_key=f"{name}:{connection}:{context.scheduled_execution_time.isoformat()}",
                asset_selection=list(keys),
                tags={CONNECTION_TAG: connection},
            )

    if keys_of:
        yield schedule

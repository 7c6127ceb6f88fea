"""Which days there are and when they are fetched, as configured. All days are UTC days."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise

from croniter import CroniterError, croniter

from usage_assets.config.settings import Settings, SettingsError
from usage_assets.core.days import DAY, utc_today

WEEKLY_LOOKBACK_DAYS = 31
"""Providers correct days until the invoice is made: a month is read again every week, settled days too."""
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
CRON_FIELDS = 5
"""Dagster knows no seconds."""
TIME_TO_FETCH = timedelta(hours=1)
"""What the schedule's runs may take before the due sensor asks for what they have not stored."""


def last_day(settings: Settings) -> date:
    """Return the newest day that has a partition."""
    return utc_today() - timedelta(days=0 if settings.usage_include_today else 1)


def parse_range(start: str, end: str) -> tuple[date, date]:
    """Return the first and last day of a range a person typed, of any days. Raises SettingsError in words."""
    first, last = _day("start", start), _day("end", end)
    if last < first:
        raise SettingsError(f"end {last} is before start {first}")
    return first, last


def parse_days(start: str, end: str, settings: Settings) -> tuple[date, date]:
    """Return the first and last day of a range of days with partitions. Raises SettingsError in words."""
    first, last = parse_range(start, end)
    if last > last_day(settings):
        hint = "" if settings.usage_include_today else " (USAGE_INCLUDE_TODAY=true adds today)"
        raise SettingsError(f"end {last} has no partition yet: the newest day is {last_day(settings)}{hint}")
    if first < settings.usage_start_date:
        raise SettingsError(f"start {first} is before USAGE_START_DATE {settings.usage_start_date}")
    if first < settings.first_day:
        raise SettingsError(
            f"start {first} is before {settings.first_day}, the first day that USAGE_RETENTION_MONTHS keeps"
        )
    return first, last


def daily_cron(settings: Settings) -> str:
    """Return USAGE_SCHEDULE. Raises SettingsError where it is no cron expression."""
    with suppress(CroniterError):
        fields, _ = croniter.expand(settings.usage_schedule)
        if len(fields) == CRON_FIELDS and next(_ticks_of(settings.usage_schedule, MONDAY)):
            return settings.usage_schedule
    raise SettingsError(
        f"USAGE_SCHEDULE: {settings.usage_schedule!r} is not a cron expression of five fields (UTC), "
        "such as '0 6 * * *' (set in the environment or .env)"
    )


def minutes_to_first_fetch(settings: Settings) -> int:
    """Return how long after a day's end the daily schedule has fetched it at the latest, in minutes.

    Raises SettingsError for a USAGE_SCHEDULE that is no cron expression.
    """
    waits = [next(_ticks(settings, MONDAY + n * DAY)) - (MONDAY + n * DAY) for n in range(7)]
    return int((max(waits) + TIME_TO_FETCH) / timedelta(minutes=1))


def newest_due_day(settings: Settings) -> date:
    """Return the newest day that the daily schedule has fetched by now, if nothing is wrong."""
    return (datetime.now(UTC) - timedelta(minutes=minutes_to_first_fetch(settings))).date() - DAY


def longest_pause(settings: Settings) -> timedelta:
    """Return after how long a day that is not settled was read again by the daily schedule, if nothing is wrong."""
    ticks = _ticks(settings, MONDAY)
    return max(after - before for before, after in pairwise(islice(ticks, 10))) + 2 * TIME_TO_FETCH


def _ticks(settings: Settings, since: datetime) -> Iterator[datetime]:
    return _ticks_of(daily_cron(settings), since)


def _ticks_of(cron: str, since: datetime) -> Iterator[datetime]:
    """Yield the times of a cron expression from a time on. Dagster's schedules have a copy of the same library.

    That copy is not imported, because Dagster itself takes a second, and a command does without.
    """
    yield from croniter(cron, since - timedelta(seconds=1), ret_type=datetime)


def _day(name: str, text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise SettingsError(f"{name} {text!r} is not a day: write YYYY-MM-DD") from None

"""The one calendar: the daily partitions, the backfill policy, what "today" is, and when the daily schedule reads days.
All days are UTC days."""

import dagster as dg

from usage_assets.config.settings import Settings
from usage_assets.core.days import MOST_DAYS


def daily_partitions(settings: Settings) -> dg.DailyPartitionsDefinition:
    """Build the ONE partitions definition: Dagster lets assets share a run only where they share it."""
    return dg.DailyPartitionsDefinition(
        settings.first_day.isoformat(), timezone="UTC", end_offset=1 if settings.usage_include_today else 0
    )


def backfill_policy() -> dg.BackfillPolicy:
    """Build the ONE backfill policy: ranges of days, so that a year is a few runs and a few requests."""
    return dg.BackfillPolicy.multi_run(MOST_DAYS)

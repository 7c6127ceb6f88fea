"""The calendar at fixed times: which days exist, and what is said of those that do not."""

import shlex
import time
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import time_machine

from usage_assets.assets.partitions import daily_partitions
from usage_assets.config.days import last_day, parse_days
from usage_assets.config.settings import Settings, SettingsError
from usage_assets.warehouse.database import Warehouse
from usage_assets_tests.models.days import cases, lines

CLOSED, WITH_TODAY = (
    Settings.load(_env_file=None, usage_start_date="2025-01-01", usage_include_today=included)
    for included in (False, True)
)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_the_last_day_is_the_last_closed_one_and_dagster_agrees() -> None:
    for now, closed, what in lines("""
        2026-11-20T12:00:00+00:00         2026-11-19  noon
        2026-11-20T00:00:00+00:00         2026-11-19  midnight
        2026-11-19T23:59:59.999999+00:00  2026-11-18  last moment of a day
        2026-12-01T06:00:00+00:00         2026-11-30  first of a month
        2027-01-01T06:00:00+00:00         2026-12-31  first of a year
        2028-03-01T06:00:00+00:00         2028-02-29  leap day
        2026-11-20T01:00:00+14:00         2026-11-18  east of Greenwich
        2026-11-19T22:00:00-10:00         2026-11-19  west of Greenwich
    """):
        with time_machine.travel(datetime.fromisoformat(now), tick=False):
            assert str(last_day(CLOSED)) == closed, what
            assert daily_partitions(CLOSED).get_last_partition_key() == closed, what
            today = str(last_day(WITH_TODAY))
            assert today == str(datetime.now(UTC).date())
            assert daily_partitions(WITH_TODAY).get_last_partition_key() == today


def test_a_range_that_cannot_be_is_refused_in_one_line() -> None:
    for days, said in cases("""
        2026-02-30 2026-11-01 -> start '2026-02-30' is not a day: write YYYY-MM-DD
        2026-11-01 yesterday -> end 'yesterday' is not a day: write YYYY-MM-DD
        01.11.2026 2026-11-02 -> start '01.11.2026' is not a day: write YYYY-MM-DD
        2026-11-01T00:00:00 2026-11-02 -> start '2026-11-01T00:00:00' is not a day: write YYYY-MM-DD
        '' 2026-11-02 -> start '' is not a day: write YYYY-MM-DD
        2026-11-02 2026-11-01 -> end 2026-11-01 is before start 2026-11-02
        2024-12-31 2026-11-01 -> start 2024-12-31 is before USAGE_START_DATE 2025-01-01
        2026-11-01 2026-11-20
            -> end 2026-11-20 has no partition yet: the newest day is 2026-11-19 (USAGE_INCLUDE_TODAY=true adds today)
    """):
        start, end = shlex.split(days)
        with time_machine.travel(NOON, tick=False), pytest.raises(SettingsError) as refused:
            parse_days(start, end, CLOSED)
        assert str(refused.value) == said


def test_today_can_be_asked_for_where_it_is_included_and_tomorrow_cannot() -> None:
    with time_machine.travel(NOON, tick=False):
        assert parse_days("2026-11-20", "2026-11-20", WITH_TODAY) == (date(2026, 11, 20), date(2026, 11, 20))
        with pytest.raises(SettingsError) as refused:
            parse_days("2026-11-20", "2026-11-21", WITH_TODAY)
    assert str(refused.value) == "end 2026-11-21 has no partition yet: the newest day is 2026-11-20"


def test_days_do_not_depend_on_the_summer_time_of_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        for now, closed, what in lines("""
            2026-03-28T23:30:00+00:00  2026-03-27  the 29th has begun here
            2026-03-29T01:30:00+00:00  2026-03-28  a day of 23 hours
            2026-10-25T00:30:00+00:00  2026-10-24  the hour that comes twice
            2026-10-25T23:30:00+00:00  2026-10-24  a day of 25 hours
        """):
            with time_machine.travel(datetime.fromisoformat(now), tick=False):
                assert str(last_day(CLOSED)) == daily_partitions(CLOSED).get_last_partition_key() == closed, what
                warehouse = Warehouse(database=str(tmp_path / "usage.duckdb"))
                yesterday = "select getvariable('usage_now')::date - 1 as day, current_setting('TimeZone') as zone"
                assert warehouse.read(yesterday).to_pylist() == [{"day": date.fromisoformat(closed), "zone": "UTC"}]
    finally:
        monkeypatch.undo()
        time.tzset()

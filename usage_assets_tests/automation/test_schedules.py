"""The schedules at fixed times: which days they ask for again, and of whom."""

import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import time_machine

from usage_assets.automation import schedules
from usage_assets.automation.jobs import LOOKUPS_JOB, USAGE_JOB
from usage_assets.build import build_definitions
from usage_assets.config.settings import Settings, SettingsError
from usage_assets.core.schema import Row, to_arrow
from usage_assets.features.port.graph import PORT_RECONCILE_JOB
from usage_assets.providers.anthropic.reports import ClaudeCode
from usage_assets.providers.chatgpt.analytics import CodexUsage
from usage_assets.providers.openai.costs import Costs, CostsControl
from usage_assets.providers.openai.usage import UsageDecisions
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch
from usage_assets_tests.graphs import KEYS, PORT
from usage_assets_tests.snapshot import settings_of
from usage_assets_tests.warehouse.processes import held_by_another

DAILY, WEEKLY, LOOKUPS = "daily_usage_schedule", "weekly_restatement_schedule", "daily_lookups_schedule"
RECONCILE = "weekly_reconcile_schedule"
Range = tuple[str, str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all tests, one after the other: settings that lead to it are equal."""
    return tmp_path_factory.mktemp("schedules")


@pytest.fixture(autouse=True)
def no_database(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Nothing is stored but what a test stores: the database file's default place is below the current folder."""
    shutil.rmtree(folder)
    folder.mkdir()
    monkeypatch.chdir(folder)


BUILT: dict[str, dg.Definitions] = {}
"""Settings -> their graph."""
INSTANCE: ContextVar[dg.DagsterInstance] = ContextVar("INSTANCE")
"""The one of all ticks."""


@pytest.fixture(scope="module", autouse=True)
def instance() -> Iterator[None]:
    """An empty instance for all ticks, which write nothing into it and read nothing of it."""
    with dg.DagsterInstance.ephemeral() as opened:
        token = INSTANCE.set(opened)
        yield
        INSTANCE.reset(token)


def graph_of(settings: Settings) -> dg.Definitions:
    """The graph of settings. Equal ones share one: it keeps no state."""
    name = f"{settings!r} {settings.connections()} {settings.warehouse.file}"
    return BUILT.get(name) or BUILT.setdefault(name, build_definitions(settings))


def tick(settings: Settings, name: str, at: str) -> list[dg.RunRequest]:
    """Evaluate a schedule as the daemon does at a moment; return its requests."""
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    schedule = graph_of(settings).resolve_schedule_def(name)
    with (
        time_machine.travel(moment, tick=False),
        dg.build_schedule_context(instance=INSTANCE.get(), scheduled_execution_time=moment) as context,
    ):
        return list(schedule.evaluate_tick(context).run_requests or [])


def ranges(settings: Settings, name: str, at: str) -> dict[str, Range]:
    """First and last day of each request by its connection."""
    found = runs(settings, at, name)
    assert set(map(len, found.values())) <= {1}
    return {connection: asked for connection, [asked] in found.items()}


def runs(settings: Settings, at: str, name: str = DAILY) -> dict[str, list[Range]]:
    """Every range of a schedule by connection, in the order of the requests."""
    found: dict[str, list[Range]] = defaultdict(list)
    for request in tick(settings, name, at):
        first, last = (request.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end"))
        found[request.tags["usage_assets/connection"]].append((first, last))
    return found


def fetched(settings: Settings, row: type[Row], first: str, last: str, at: str, **facts: Any) -> None:
    """Store a connection's days as if they had been fetched at a moment and found empty."""
    connection = facts.pop("connection", row.table.partition(".")[0])
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    content = Batch(**{"rows": to_arrow(row, []), "began": moment, "settling_days": 7, **facts})
    with time_machine.travel(moment, tick=False):
        warehouse = Warehouse(database=str(settings.warehouse.file))
        warehouse.replace(
            Table(row), content, Slice(connection, date.fromisoformat(first), date.fromisoformat(last)), "run"
        )


@pytest.fixture
def settings() -> Settings:
    """All three connections."""
    return settings_of(**KEYS)


def test_the_daily_schedule_asks_for_the_last_closed_days_and_the_weekly_one_for_a_month(settings: Settings) -> None:
    """Over the year's end, after a leap day, and with today or as many days as somebody wants."""
    all_ask, day = ("openai", "anthropic", "chatgpt"), "2026-11-20T06:00"
    with_today, half_a_year = (
        settings_of(**KEYS, **more) for more in ({"usage_include_today": True}, {"usage_lookback_days": 186})
    )
    for asked, name, at, *days in (
        (settings, DAILY, "2027-01-03T06:00", "2026-12-27", "2027-01-02"),
        (settings, DAILY, "2028-03-01T06:00", "2028-02-23", "2028-02-29"),
        (settings, WEEKLY, "2026-11-22T12:00", "2026-10-22", "2026-11-21"),
        (with_today, DAILY, day, "2026-11-13", "2026-11-20"),
        (with_today, WEEKLY, "2026-11-22T12:00", "2026-10-22", "2026-11-22"),
    ):
        assert ranges(asked, name, at) == dict.fromkeys(all_ask, tuple(days)), (name, at)
    forgotten = {"chatgpt": ("2026-08-22", "2026-11-19")}
    assert ranges(half_a_year, DAILY, day) == dict.fromkeys(all_ask, ("2026-05-18", "2026-11-19")) | forgotten


WHEN = {
    DAILY: ("0 6 * * *", USAGE_JOB),
    WEEKLY: ("0 12 * * 0", USAGE_JOB),
    LOOKUPS: ("45 5 * * *", LOOKUPS_JOB),
    RECONCILE: ("0 18 * * 0", PORT_RECONCILE_JOB),
}


def test_each_schedule_runs_at_a_time_of_its_own_in_utc() -> None:
    found = {each.name: each for each in graph_of(settings_of(**KEYS, **PORT)).get_repository_def().schedule_defs}
    assert {name: (found[name].cron_schedule, found[name].job_name) for name in WHEN} == WHEN
    assert {found[name].execution_timezone for name in WHEN} == {"UTC"}
    assert {found[name].default_status for name in WHEN} == {dg.DefaultScheduleStatus.RUNNING}
    assert len({each.cron_schedule for each in found.values()}) == len(found)


def test_the_time_of_the_daily_schedule_can_be_chosen_and_each_of_its_ticks_is_a_run() -> None:
    settings = settings_of(openai_admin_key="k", usage_schedule="*/30 * * * *")
    crons = [graph_of(settings).resolve_schedule_def(name).cron_schedule for name in (DAILY, WEEKLY)]
    assert crons == ["*/30 * * * *", "0 12 * * 0"]
    keys = {request.run_key for at in ("06:00", "06:30") for request in tick(settings, DAILY, f"2026-11-20T{at}")}
    assert len(keys) == 2


def test_a_schedule_that_is_no_cron_expression_is_refused_in_one_line() -> None:
    for text in ("at six", "0 25 * * *", "0 6 * * * *"):
        with pytest.raises(SettingsError) as refused:
            build_definitions(settings_of(usage_schedule=text))
        assert str(refused.value).startswith(f"USAGE_SCHEDULE: {text!r} is not a cron expression of five fields (UTC)")


# Days that are not settled


OPENAI: dict[str, Any] = {"openai_admin_key": "k"}


def test_older_days_that_are_not_settled_are_asked_for_by_runs_of_their_own() -> None:
    """However near they are: if their provider refuses them for good, the newest days are still stored."""
    settings = settings_of(**OPENAI)
    fetched(settings, Costs, "2026-11-01", "2026-11-19", "2026-11-20T06:00")
    recent, older = tick(settings, DAILY, "2026-11-20T07:00")
    assert runs(settings, "2026-11-20T07:00") == {
        "openai": [("2026-11-12", "2026-11-19"), ("2026-11-01", "2026-11-11")]
    }
    assert [request.tags.get("dagster/priority") for request in (recent, older)] == [None, "-10"]
    assert recent.asset_selection == older.asset_selection
    assert recent.run_key != older.run_key
    assert len(tick(settings, WEEKLY, "2026-11-22T12:00")) == 1, "a month, whatever is settled"


IN_BETWEEN: dict[str, tuple[list[Range], list[Range]]] = {
    "a month": ([("2026-08-01", "2026-08-01"), ("2026-09-02", "2026-09-02")], [("2026-08-01", "2026-09-02")]),
    "more than a month": (
        [("2026-08-01", "2026-08-01"), ("2026-09-03", "2026-09-03")],
        [("2026-09-03", "2026-09-03"), ("2026-08-01", "2026-08-01")],
    ),
    "half a year": ([("2026-01-01", "2026-07-09")], [("2026-07-06", "2026-07-09"), ("2026-01-01", "2026-07-05")]),
}
"""Days that are stored and not settled, and those that are asked for."""


def test_settled_days_in_between_are_read_again_where_that_saves_a_run() -> None:
    settings = settings_of(**OPENAI)
    for name, (stored, expected) in IN_BETWEEN.items():
        settings.warehouse.file.unlink(missing_ok=True)
        for first, last in stored:
            fetched(settings, Costs, first, last, "2026-11-19T06:00")
        assert runs(settings, "2026-11-20T06:00")["openai"][1:] == expected, name


def test_unsettled_days_of_all_endpoints_of_a_connection_are_asked_for_together_while_they_are_fetched() -> None:
    """Not those of an endpoint that is off or a connection that was removed, nor days that a provider has forgotten."""
    settings = settings_of(**KEYS)
    at = "2026-11-19T06:00"
    fetched(settings, Costs, "2026-11-01", "2026-11-01", at)
    fetched(settings, CostsControl, "2026-11-03", "2026-11-03", at)
    fetched(settings, ClaudeCode, "2026-11-05", "2026-11-05", at, settling_days=3)
    fetched(settings, UsageDecisions, "2026-10-01", "2026-10-01", at)
    fetched(settings, Costs, "2026-10-01", "2026-10-01", at, connection="removed")
    fetched(settings, CodexUsage, "2026-08-20", "2026-08-23", "2026-08-24T06:00")
    assert {name: ranges[1:] for name, ranges in runs(settings, "2026-11-20T06:00").items()} == {
        "openai": [("2026-11-01", "2026-11-03")],
        "anthropic": [("2026-11-05", "2026-11-05")],
        "chatgpt": [("2026-08-22", "2026-08-23")],
    }


def test_with_a_database_that_is_in_use_the_last_days_are_asked_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fetched(settings, Costs, "2026-11-01", "2026-11-01", "2026-11-20T06:00")
    monkeypatch.setattr(schedules, "TICK_PATIENCE", 0.1)
    with held_by_another(str(settings.warehouse.file)) as holder:
        assert runs(settings, "2026-11-20T07:00")["openai"] == [("2026-11-13", "2026-11-19")]
    said = capfd.readouterr().err
    assert f"in use by another process (PID {holder.pid}, " in said
    assert "; only the last 7 days are read again this time" in said


def test_a_request_selects_the_usage_assets_of_one_connection_and_no_push(settings: Settings) -> None:
    specs = graph_of(settings).resolve_all_asset_specs()
    graph = {spec.key for spec in specs if spec.partitions_def}
    for request in tick(settings, DAILY, "2026-11-20T06:00"):
        connection = request.tags["usage_assets/connection"]
        own = {key for key in graph if key.path[0] == connection and key.path[-1] != "port_sync"}
        assert set(request.asset_selection or ()) == own
        assert len(request.asset_selection or ()) == len(own) > 0


def test_there_is_no_schedule_of_lookups_where_no_connection_has_any() -> None:
    definitions = graph_of(settings_of(chatgpt_analytics_key="k"))
    assert LOOKUPS not in {schedule.name for schedule in definitions.get_repository_def().schedule_defs}


MOMENTS = [
    (DAILY, "2026-11-20T06:00"),
    (DAILY, "2026-11-21T06:00"),
    (WEEKLY, "2026-11-22T12:00"),
    (LOOKUPS, "2026-11-20T05:45"),
    (LOOKUPS, "2026-11-21T05:45"),
    (RECONCILE, "2026-11-22T18:00"),
    (RECONCILE, "2026-11-29T18:00"),
]


def test_run_keys_differ_by_schedule_connection_and_day_and_repeat_with_the_tick() -> None:
    settings = settings_of(**KEYS, **PORT)
    keys = [request.run_key for name, at in MOMENTS for request in tick(settings, name, at)]
    assert len(set(keys)) == len(keys) == 3 * 3 + 2 * 2 + 2 * 3
    assert keys == [request.run_key for name, at in MOMENTS for request in tick(settings, name, at)]
    requests = tick(settings, RECONCILE, "2026-11-22T18:00")
    assert {request.tags["usage_assets/connection"]: request.asset_selection for request in requests} == {
        name: [dg.AssetKey([name, "port_reconcile"])] for name in ("openai", "anthropic", "chatgpt")
    }, "everything is read back from Port by one run per connection"

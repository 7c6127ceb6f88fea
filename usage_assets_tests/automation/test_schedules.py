"""The schedules at fixed times: which days they ask for again, of whom, and that such a run does the whole job."""

from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest
import time_machine

from usage_assets.automation.jobs import LOOKUPS_JOB, PORT_RECONCILE_JOB, USAGE_JOB, port_reconcile_key
from usage_assets.definitions import build_definitions
from usage_assets.settings import Settings, SettingsError
from usage_assets_tests.conftest import Sandbox
from usage_assets_tests.test_definitions import KEYS, PORT, settings_of

DAILY, WEEKLY, LOOKUPS = "daily_usage_schedule", "weekly_restatement_schedule", "daily_lookups_schedule"
RECONCILE = "weekly_reconcile_schedule"
Range = tuple[str, str]


def tick(settings: Settings, name: str, at: str) -> list[dg.RunRequest]:
    """Evaluate a schedule as the daemon does at a moment; return its requests."""
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    schedule = build_definitions(settings).resolve_schedule_def(name)
    with (
        time_machine.travel(moment, tick=False),
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_schedule_context(instance=instance, scheduled_execution_time=moment) as context,
    ):
        return list(schedule.evaluate_tick(context).run_requests or [])


def ranges(settings: Settings, name: str, at: str) -> dict[str, Range]:
    """First and last day of each request by its connection."""
    return {
        request.tags["usage_assets/connection"]: (
            request.tags["dagster/asset_partition_range_start"],
            request.tags["dagster/asset_partition_range_end"],
        )
        for request in tick(settings, name, at)
    }


def count(days: Range) -> int:
    """Number of days of an inclusive range."""
    first, last = map(date.fromisoformat, days)
    return (last - first).days + 1


@pytest.fixture
def settings() -> Settings:
    """All three connections."""
    return settings_of(**KEYS)


@pytest.mark.parametrize(
    ("at", "first", "last"),
    [
        pytest.param("2026-11-20T06:00", "2026-11-13", "2026-11-19", id="middle of a month"),
        pytest.param("2026-12-01T06:00", "2026-11-24", "2026-11-30", id="first of a month"),
        pytest.param("2027-01-03T06:00", "2026-12-27", "2027-01-02", id="over the year's end"),
        pytest.param("2028-03-01T06:00", "2028-02-23", "2028-02-29", id="after a leap day"),
        pytest.param("2027-03-01T06:00", "2027-02-22", "2027-02-28", id="after a February"),
    ],
)
def test_the_daily_schedule_asks_for_the_last_seven_closed_days(
    settings: Settings, at: str, first: str, last: str
) -> None:
    assert ranges(settings, DAILY, at) == dict.fromkeys(("openai", "anthropic", "chatgpt"), (first, last))


def test_the_weekly_schedule_asks_for_a_month(settings: Settings) -> None:
    days = ("2026-10-22", "2026-11-21")
    assert count(days) == 31
    assert ranges(settings, WEEKLY, "2026-11-22T12:00") == dict.fromkeys(("openai", "anthropic", "chatgpt"), days)


def test_today_comes_on_top_where_it_is_included() -> None:
    settings = settings_of(**KEYS, usage_include_today=True)
    assert set(ranges(settings, DAILY, "2026-11-20T06:00").values()) == {("2026-11-13", "2026-11-20")}
    assert set(ranges(settings, WEEKLY, "2026-11-22T12:00").values()) == {("2026-10-22", "2026-11-22")}


def test_the_number_of_days_can_be_chosen() -> None:
    settings = settings_of(openai_admin_key="k", usage_lookback_days=30)
    assert ranges(settings, DAILY, "2026-11-20T06:00") == {"openai": ("2026-10-21", "2026-11-19")}


def test_schedules_run_at_six_utc_every_day_and_at_noon_on_sundays(settings: Settings) -> None:
    definitions = build_definitions(settings)
    daily, weekly = (definitions.resolve_schedule_def(name) for name in (DAILY, WEEKLY))
    assert (daily.cron_schedule, weekly.cron_schedule) == ("0 6 * * *", "0 12 * * 0")
    assert {daily.execution_timezone, weekly.execution_timezone} == {"UTC"}
    assert {daily.default_status, weekly.default_status} == {dg.DefaultScheduleStatus.RUNNING}
    assert {daily.job_name, weekly.job_name} == {USAGE_JOB}


@pytest.mark.parametrize("cron", ["30 22 * * *", "@daily", "*/30 * * * *", "0 6 * * 1-5"])
def test_the_time_of_the_daily_schedule_can_be_chosen(cron: str) -> None:
    definitions = build_definitions(settings_of(usage_schedule=cron))
    crons = [definitions.resolve_schedule_def(name).cron_schedule for name in (DAILY, WEEKLY)]
    assert crons == [cron, "0 12 * * 0"]


def test_every_tick_of_a_day_is_a_run_of_its_own() -> None:
    settings = settings_of(openai_admin_key="k", usage_schedule="*/30 * * * *")
    keys = {request.run_key for at in ("06:00", "06:30") for request in tick(settings, DAILY, f"2026-11-20T{at}")}
    assert len(keys) == 2


@pytest.mark.parametrize("text", ["at six", "0 6 * *", "0 25 * * *", "0 6 * * * *"])
def test_a_schedule_that_is_no_cron_expression_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        build_definitions(settings_of(usage_schedule=text))
    assert str(refused.value).startswith(f"USAGE_SCHEDULE: {text!r} is not a cron expression of five fields (UTC)")


def test_a_connection_is_asked_for_no_day_before_its_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EMEA_KEY", "k")
    file = tmp_path / "connections.toml"
    file.write_text(
        '[[connection]]\nname = "emea"\nprovider = "openai"\nkey = "env:EMEA_KEY"\nstart_date = 2026-11-17\n'
        '[[connection]]\nname = "later"\nprovider = "openai"\nkey = "env:EMEA_KEY"\nstart_date = 2026-11-20\n'
    )
    settings = settings_of(openai_admin_key="k", usage_connections=file)
    assert ranges(settings, DAILY, "2026-11-20T06:00") == {
        "openai": ("2026-11-13", "2026-11-19"),
        "emea": ("2026-11-17", "2026-11-19"),
    }


def test_codex_is_asked_for_no_day_that_it_has_forgotten() -> None:
    settings = settings_of(**KEYS, usage_lookback_days=186)
    found = ranges(settings, DAILY, "2026-11-20T06:00")
    assert found["openai"] == found["anthropic"] == ("2026-05-18", "2026-11-19")
    assert found["chatgpt"] == ("2026-08-22", "2026-11-19")


def test_a_request_selects_the_usage_assets_of_one_connection_and_no_push(settings: Settings) -> None:
    specs = build_definitions(settings).resolve_all_asset_specs()
    graph = {spec.key for spec in specs if spec.partitions_def}
    for request in tick(settings, DAILY, "2026-11-20T06:00"):
        connection = request.tags["usage_assets/connection"]
        own = {key for key in graph if key.path[0] == connection and key.path[-1] != "port_sync"}
        assert set(request.asset_selection or ()) == own
        assert len(request.asset_selection or ()) == len(own) > 0


def test_lookups_are_listed_every_day_shortly_before_by_one_run_per_connection(settings: Settings) -> None:
    schedule = build_definitions(settings).resolve_schedule_def(LOOKUPS)
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("45 5 * * *", "UTC")
    assert (schedule.job_name, schedule.default_status) == (LOOKUPS_JOB, dg.DefaultScheduleStatus.RUNNING)
    requests = tick(settings, LOOKUPS, "2026-11-20T05:45")
    selected = {
        request.tags["usage_assets/connection"]: {key.path[-1] for key in request.asset_selection or ()}
        for request in requests
    }
    assert selected == {
        "openai": {"projects", "users", "project_api_keys", "service_accounts"},
        "anthropic": {"workspaces", "users", "api_keys", "organization"},
    }
    assert all("dagster/asset_partition_range_start" not in request.tags for request in requests)
    keys = {request.run_key for at in ("20", "21") for request in tick(settings, LOOKUPS, f"2026-11-{at}T05:45")}
    assert len(keys) == 4


def test_there_is_no_schedule_of_lookups_where_no_connection_has_any() -> None:
    definitions = build_definitions(settings_of(chatgpt_analytics_key="k"))
    names = {schedule.name for schedule in definitions.get_repository_def().schedule_defs}
    assert names == {DAILY, WEEKLY}


def test_everything_is_read_back_from_port_on_sundays_by_one_run_per_connection() -> None:
    settings = settings_of(**KEYS, **PORT)
    schedules = {schedule.name: schedule for schedule in build_definitions(settings).get_repository_def().schedule_defs}
    schedule = schedules[RECONCILE]
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 18 * * 0", "UTC")
    assert (schedule.job_name, schedule.default_status) == (PORT_RECONCILE_JOB, dg.DefaultScheduleStatus.RUNNING)
    assert len({each.cron_schedule for each in schedules.values()}) == len(schedules), "each at a time of its own"
    requests = tick(settings, RECONCILE, "2026-11-22T18:00")
    assert {request.tags["usage_assets/connection"]: request.asset_selection for request in requests} == {
        name: [port_reconcile_key(name)] for name in ("openai", "anthropic", "chatgpt")
    }
    keys = {request.run_key for at in ("22", "29") for request in tick(settings, RECONCILE, f"2026-11-{at}T18:00")}
    assert len(keys) == 6


def test_nothing_is_read_back_where_port_is_not_configured() -> None:
    assert RECONCILE not in {
        schedule.name for schedule in build_definitions(settings_of(**KEYS)).get_repository_def().schedule_defs
    }
    newcomer = build_definitions(settings_of()).resolve_schedule_def(RECONCILE)
    assert newcomer.default_status is dg.DefaultScheduleStatus.STOPPED


def test_a_connection_whose_endpoints_are_all_off_is_not_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty selection would be the whole job: every other connection again."""
    monkeypatch.setenv("TEAM_KEY", "k")
    file = tmp_path / "connections.toml"
    file.write_text(
        '[[connection]]\nname = "team"\nprovider = "chatgpt"\nkey = "env:TEAM_KEY"\nworkspace_id = "w"\n'
        "endpoints = {codex_usage = false}\n"
    )
    settings = settings_of(openai_admin_key="k", usage_connections=file)
    assert ranges(settings, DAILY, "2026-11-20T06:00").keys() == {"openai"}


def test_run_keys_differ_by_schedule_connection_and_day_and_repeat_with_the_tick(settings: Settings) -> None:
    moments = [(DAILY, "2026-11-20T06:00"), (DAILY, "2026-11-21T06:00"), (WEEKLY, "2026-11-22T12:00")]
    keys = [request.run_key for name, at in moments for request in tick(settings, name, at)]
    assert len(set(keys)) == len(keys) == 9
    assert keys == [request.run_key for name, at in moments for request in tick(settings, name, at)]


def test_a_scheduled_run_fetches_derives_and_checks_every_day(sandbox: Sandbox, tmp_path: Path) -> None:
    settings = settings_of(
        openai_admin_key="sk-admin-sandbox",
        openai_base_url=f"{sandbox.base_url}/openai/v1",
        usage_warehouse=tmp_path / "usage.duckdb",
    )
    definitions = build_definitions(settings)
    (request,) = tick(settings, DAILY, "2026-11-20T06:00")
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def(USAGE_JOB).execute_in_process(
            instance=instance, asset_selection=request.asset_selection, tags=dict(request.tags)
        )
    selected = set(request.asset_selection or ())
    written = [(event.asset_key, event.partition) for event in result.all_events if event.is_step_materialization]
    assert len(written) == len(set(written)) == 7 * len(selected)
    evaluations = result.get_asset_check_evaluations()
    assert all(evaluation.passed for evaluation in evaluations)
    checked = {(evaluation.asset_key, evaluation.partition) for evaluation in evaluations if evaluation.partition}
    assert checked == set(written)
    expected = {
        key for key in definitions.get_repository_def().asset_graph.asset_check_keys if key.asset_key in selected
    }
    assert {evaluation.asset_check_key for evaluation in evaluations} == expected

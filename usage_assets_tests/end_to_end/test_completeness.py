"""A day that should be stored and is not: which connection warns, and which has a reason not to."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import time_machine

from usage_assets.automation.jobs import COMPLETENESS_JOB
from usage_assets.build import build_definitions
from usage_assets_tests.end_to_end.conftest import Project, hold_project, with_endpoints
from usage_assets_tests.end_to_end.test_anthropic_analytics import connections
from usage_assets_tests.fixtures import NOW, Sandbox, last_days
from usage_assets_tests.graphs import KEYS
from usage_assets_tests.snapshot import settings_of

YESTERDAY = last_days(1)[0]


@pytest.fixture
def project(sandbox: Sandbox, tmp_path: Path) -> Iterator[Project]:
    """A project whose connection ``openai`` has costs only. Its daily schedule was due at 06:00."""
    with hold_project(sandbox, tmp_path, with_endpoints(tmp_path, "costs")) as opened:
        yield opened


def warnings(project: Project) -> dict[str, str | None]:
    """The checks that warn, each with its line; every check has one result."""
    result = project.definitions.resolve_job_def(COMPLETENESS_JOB).execute_in_process(instance=project.instance)
    found = result.get_asset_check_evaluations()
    assert {each.check_name for each in found} == {spec.name for spec in _specs(project.definitions)}
    assert {each.severity for each in found} == {dg.AssetCheckSeverity.WARN}
    return {each.check_name: each.description for each in found if not each.passed}


def _specs(definitions: dg.Definitions) -> list[dg.AssetCheckSpec]:
    checks = definitions.get_repository_def().asset_checks_defs_by_key.items()
    return [each.get_spec_for_check_key(key) for key, each in checks if key.asset_key == dg.AssetKey("costs")]


def test_a_connection_warns_from_its_first_day_on_until_yesterday_is_stored(project: Project) -> None:
    assert warnings(project) == {}, "it was just added"
    assert {spec.name for spec in _specs(project.definitions)} == {
        "yesterday_openai",
        "yesterday_anthropic",
        "yesterday_chatgpt",
    }
    # One check can be run by itself.
    key = dg.AssetCheckKey(dg.AssetKey("costs"), "yesterday_openai")
    job = project.definitions.resolve_job_def(COMPLETENESS_JOB)
    result = job.get_subset(asset_check_selection={key}).execute_in_process(instance=project.instance)
    assert [each.check_name for each in result.get_asset_check_evaluations()] == ["yesterday_openai"]
    assert project.fetch("openai", last_days(2)[:1]).success
    # Nothing is late before the daily schedule has had its hour.
    with time_machine.travel(NOW - timedelta(hours=1, minutes=1), tick=False):
        assert warnings(project) == {}
    with time_machine.travel(NOW - timedelta(hours=1), tick=False):
        assert warnings(project).keys() == {"yesterday_openai"}
    # It warns until yesterday is stored.
    said = f"openai: {YESTERDAY} is not stored: costs. "
    todo = "Run usage-assets backfill --due --connection openai, or wait for due_days_sensor."
    assert warnings(project) == {"yesterday_openai": said + todo}
    of_one_that_waits = {"body": {"error": {"message": "the provider's figures reach until yesterday"}}}
    for status, body in ((400, of_one_that_waits), (403, {})):
        route = "GET /openai/v1/organization/costs"
        project.sandbox.refuse(route, status, **body)
        assert not project.fetch("openai", [YESTERDAY]).success
        line = warnings(project)["yesterday_openai"]
        assert line
        assert line.startswith(f"{said}{todo} The last run failed: openai costs {YESTERDAY}: {status}")
        project.sandbox.mend()
    assert project.fetch("openai", [YESTERDAY], "costs").success
    computed = f"openai: {YESTERDAY} is not stored: costs/daily_costs. {todo}"
    assert warnings(project) == {"yesterday_openai": computed}, "what is computed of it is missing"
    assert project.fetch("openai", [YESTERDAY]).success
    assert warnings(project) == {}


def test_a_day_that_its_provider_does_not_serve_yet_does_not_warn(sandbox: Sandbox, tmp_path: Path) -> None:
    *before, yesterday = days = last_days(3)
    with hold_project(sandbox, tmp_path, connections(tmp_path)) as both:
        assert both.fetch("newer", before, "cost").success
        assert warnings(both).keys() == {"yesterday_newer"}
        sandbox.control("POST", "clock", {"now": f"{yesterday}T00:30:00Z"})
        assert both.fetch("newer", days, "cost").success
        assert warnings(both) == {}


def test_the_checks_run_an_hour_after_the_daily_schedule() -> None:
    for daily, an_hour_later in (("0 6 * * *", "0 7 * * *"), ("30 23 * * *", "30 0 * * *"), ("@daily", "0 1 * * *")):
        definitions = build_definitions(settings_of(**KEYS, usage_schedule=daily))
        schedule = definitions.resolve_schedule_def("daily_completeness_schedule")
        assert (schedule.cron_schedule, schedule.execution_timezone) == (an_hour_later, "UTC")
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
        moment = datetime(2026, 11, 20, 12, tzinfo=UTC)
        with (
            dg.DagsterInstance.ephemeral() as instance,
            dg.build_schedule_context(instance=instance, scheduled_execution_time=moment) as context,
        ):
            assert len(schedule.evaluate_tick(context).run_requests or []) == 1

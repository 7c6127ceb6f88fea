"""What a provider restates, and when it stops: from its answer to the ledger, the events, the schedules and Port."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest
import time_machine

from usage_assets.automation.jobs import RANGE_END, RANGE_START
from usage_assets_tests.end_to_end.conftest import Project, hold_project, with_endpoints
from usage_assets_tests.end_to_end.test_port_connection import state as told
from usage_assets_tests.fixtures import NOW, Sandbox, last_days

DAILY, WEEKLY = "daily_usage_schedule", "weekly_restatement_schedule"


@pytest.fixture
def project(sandbox: Sandbox, tmp_path: Path) -> Iterator[Project]:
    """A project whose connection ``openai`` has costs only, since 8 November."""
    variables = with_endpoints(tmp_path, "costs") | {"USAGE_START_DATE": "2026-11-08"}
    with hold_project(sandbox, tmp_path, variables) as opened:
        yield opened


@contextmanager
def at(project: Project, moment: datetime) -> Iterator[datetime]:
    """The clocks of both sides stand at a moment."""
    project.sandbox.control("POST", "clock", {"now": moment.isoformat()})
    with time_machine.travel(moment, tick=False):
        yield moment


def tick(project: Project, schedule: str, moment: datetime) -> list[tuple[str, str]]:
    """Evaluate a schedule, fetch the costs that it asks for of OpenAI, and return the ranges."""
    definition = project.definitions.resolve_schedule_def(schedule)
    with dg.build_schedule_context(instance=project.instance, scheduled_execution_time=moment) as context:
        requests = definition.evaluate_tick(context).run_requests or []
    wanted = [request.tags for request in requests if request.tags["usage_assets/connection"] == "openai"]
    ranges = [(tags[RANGE_START], tags[RANGE_END]) for tags in wanted]
    for first, last in ranges:
        assert project.fetch("openai", [date.fromisoformat(first), date.fromisoformat(last)], "costs").success
    return [(first.removeprefix("2026-"), last.removeprefix("2026-")) for first, last in ranges]


def state_of(project: Project, day: date) -> str:
    """The state on the newest event of a day, which is also the ledger's."""
    events = dg.AssetRecordsFilter(asset_key=dg.AssetKey(["openai", "costs"]), asset_partitions=[str(day)])
    [record] = project.instance.fetch_materializations(events, limit=1).records
    assert record.asset_materialization
    [row] = project.warehouse.read(
        "select state from ledger.day_states where table_name = 'openai.costs' and usage_date = $day", {"day": day}
    ).to_pylist()
    state: str = row["state"]
    assert record.asset_materialization.metadata["state"].value == state
    return state


def test_days_are_read_again_until_they_settle_and_when_they_change_afterwards(project: Project) -> None:
    days, ninth = last_days(12), date(2026, 11, 9)
    with at(project, NOW):
        assert project.fetch("openai", days, "costs").success
        assert told(project, "openai")["settled_until"] is None
    with at(project, datetime.fromisoformat("2026-11-21T06:00Z")) as moment:
        assert tick(project, DAILY, moment) == [("11-13", "11-20"), ("11-08", "11-12")]
        assert state_of(project, ninth) == "provisional", "less than a day later"
    with at(project, datetime.fromisoformat("2026-11-22T08:00Z")) as moment:
        assert tick(project, DAILY, moment) == [("11-14", "11-21"), ("11-08", "11-13")]
        assert (state_of(project, ninth), state_of(project, date(2026, 11, 15))) == ("settled", "provisional")
        assert told(project, "openai")["settled_until"] == "2026-11-14T00:00:00Z"
        project.sandbox.restate("openai", ninth, endpoint="costs")
        assert tick(project, WEEKLY, moment) == [("11-08", "11-21")]
        assert state_of(project, ninth) == "provisional"
        assert told(project, "openai")["settled_until"] == "2026-11-08T00:00:00Z"
    with at(project, datetime.fromisoformat("2026-11-23T08:00Z")) as moment:
        assert tick(project, DAILY, moment) == [("11-15", "11-22"), ("11-09", "11-09")]
        assert state_of(project, ninth) == "settled"
        assert told(project, "openai")["settled_until"] == "2026-11-15T00:00:00Z"
    [line] = project.warehouse.read(
        "select * from ledger.restatements where table_name = 'openai.costs' and total = 'amount_usd'"
    ).to_pylist()
    assert (line["usage_date"], line["found_at"]) == (ninth, moment - timedelta(days=1))
    assert line["difference"] > Decimal(0)

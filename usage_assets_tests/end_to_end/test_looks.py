"""A run of a schedule writes the days that differ, and notes that it has looked at the others."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest
import time_machine

from usage_assets.assets import raw
from usage_assets.automation.jobs import USAGE_JOB
from usage_assets.build import build_definitions
from usage_assets_tests.end_to_end.conftest import Project, hold_project, settings_in, with_endpoints
from usage_assets_tests.fixtures import NOW, Sandbox, execute, last_days

DAYS = last_days(4)
SCHEDULED = {"dagster/schedule_name": "daily_usage_schedule"}
COSTS, DERIVED = "openai/costs", "openai/costs/allocated_costs"
FEW = (COSTS, "openai/costs/daily_costs", DERIVED)
"""Entities are derived as allocated costs are: most tests do without them."""


@pytest.fixture
def project(sandbox: Sandbox, tmp_path: Path) -> Iterator[Project]:
    """A project whose connection ``openai`` has costs only; three days are stored."""
    with hold_project(sandbox, tmp_path, with_endpoints(tmp_path, "costs")) as opened:
        assert opened.fetch("openai", DAYS[:3], *(asset.partition("/")[2] for asset in FEW)).success
        yield opened


def look(
    project: Project,
    days: Sequence[date] = DAYS[:3],
    tags: Mapping[str, str] = SCHEDULED,
    assets: Sequence[str] = FEW,
) -> dg.ExecuteInProcessResult:
    """Run assets as the daily schedule does."""
    result = project.run(USAGE_JOB, [*map(dg.AssetKey.from_user_string, assets)], [*days], **tags)
    assert result.success
    return result


def written(result: dg.ExecuteInProcessResult, asset: str = COSTS) -> list[date]:
    """The days of an asset that have an event of the run."""
    key = dg.AssetKey.from_user_string(asset)
    events = [event for event in result.get_asset_materialization_events() if event.asset_key == key]
    return [date.fromisoformat(str(event.partition)) for event in events]


def versions(project: Project, table: str = "openai.costs") -> dict[date, int]:
    """How often each day of a table was written or looked at."""
    return {
        row["usage_date"]: row["version"] for row in project.rows("ledger.stored_days") if row["table_name"] == table
    }


def test_a_look_writes_nothing_that_is_stored_and_computes_and_announces_a_new_day_alone(project: Project) -> None:
    before = project.content()
    result = look(project)
    assert not result.get_asset_materialization_events()
    [seen] = [event.asset_observation_data.asset_observation for event in result.get_asset_observation_events()]
    assert seen.asset_key == dg.AssetKey(["openai", "costs"])
    assert seen.metadata["days"].value == f"{DAYS[0]} to {DAYS[2]}"
    skipped = {event.step_key for event in result.all_events if event.is_step_skipped}
    assert "openai__costs__daily_costs" in skipped
    assert project.content() == before
    assert versions(project) == dict.fromkeys(DAYS[:3], 2)
    assert {row["run_id"] for row in project.rows("ledger.stored_days") if row["table_name"] == "openai.costs"} == {
        result.run_id
    }

    result = look(project, DAYS)
    assert written(result) == written(result, DERIVED) == DAYS[3:]
    assert versions(project) == versions(project, "openai.costs_control") == {**dict.fromkeys(DAYS[:3], 3), DAYS[3]: 1}
    assert versions(project, "costs.allocated_costs") == dict.fromkeys(DAYS, 1)
    assert project.totals_of("openai usd")["openai usd"] == project.truth(DAYS)["openai usd"]
    for table, rows in before.items():
        assert [row for row in project.rows(table) if row["usage_date"] != DAYS[3]] == rows


def test_days_that_differ_are_stored_computed_and_announced_alone_and_two_looks_settle_a_day(project: Project) -> None:
    project.sandbox.restate("openai", DAYS[1], endpoint="costs")
    result = look(project)
    assert written(result) == written(result, DERIVED) == [DAYS[1]]
    [event] = result.asset_materializations_for_node("openai__costs")
    assert event.metadata["state"].value == "provisional"
    assert project.totals_of("openai usd")["openai usd"] == project.truth(DAYS[:3])["openai usd"]

    project.sandbox.restate("openai", DAYS[0], change="clear", endpoint="costs")
    assert written(look(project)) == [DAYS[0]]
    assert {row["usage_date"] for row in project.rows("openai.costs")} == {*DAYS[1:3]}

    later = NOW + timedelta(days=40)
    project.sandbox.control("POST", "clock", {"now": later.isoformat()})
    with time_machine.travel(later, tick=False):
        assert written(look(project)) == []
        states = {row["state"] for row in project.rows("ledger.day_states") if row["table_name"] == "openai.costs"}
    assert states == {"settled"}


STARTED = (
    {"dagster/backfill": "abc"},
    {"usage_assets/connection": "openai"},
    {"dagster/sensor_name": "due_days_sensor"},
)
"""Tags of runs that a person or the due sensor starts."""


def test_days_are_written_that_a_person_starts_that_were_lost_or_that_would_be_written_otherwise(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n, tags in enumerate(STARTED):
        assert written(look(project, tags=tags)) == DAYS[:3], tags
        assert versions(project, "costs.daily_costs") == dict.fromkeys(DAYS[:3], n + 2), tags

    shutil.rmtree(tmp_path / "raw")
    assert written(look(project)) == DAYS[:3], "no answer is archived"
    assert [*(tmp_path / "raw").rglob("*.zst")]

    execute(project.warehouse, "alter table openai.costs drop column other_fields")
    assert written(look(project)) == DAYS[:3], "the table is not as declared"
    assert {row["other_fields"] for row in project.rows("openai.costs")} == {None}

    variables = with_endpoints(tmp_path, "costs")
    connections = Path(variables["USAGE_CONNECTIONS"])
    for variable, entry in (
        ({"USAGE_PEOPLE": "names"}, ""),
        ({}, "settling_days = 9\n"),
        ({}, 'filters = { line_items = ["a"] }\n'),
    ):
        variables |= variable
        connections.write_text(connections.read_text() + entry)
        changed = of(project, tmp_path, variables)
        assert written(look(changed)) == DAYS[:3], (variable, entry)

    monkeypatch.setattr(raw, "code_version", lambda *_: "of another release")
    changed = of(project, tmp_path, variables)
    result = look(changed)
    assert written(result) == DAYS[:3], "other code has written them"
    assert written(result, DERIVED) == [], "nothing that they are computed from has changed"
    assert written(look(changed)) == [], "all of it is as this look would write it"


def of(project: Project, folder: Path, variables: dict[str, str]) -> Project:
    """The project as it is when its settings have changed."""
    return replace(project, definitions=build_definitions(settings_in(project.sandbox, folder, variables)))

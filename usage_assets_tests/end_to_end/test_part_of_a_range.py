"""A run over a range of days of which some are refused, or not served yet: the others are stored, and only those."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from usage_assets.models.connection_graph import seeds_of
from usage_assets.models.due import Due, due_days
from usage_assets_tests.conftest import Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import Project, hold_project, settings_in, with_endpoints
from usage_assets_tests.focus_files import connection, on, write

DAYS = last_days(4)
ALONE = dict.fromkeys(("OPENAI_ADMIN_KEY", "ANTHROPIC_ADMIN_KEY", "CHATGPT_ANALYTICS_KEY"), "")
ROUTE = "GET /openai/v1/organization/usage/completions"


def events_of(result: dg.ExecuteInProcessResult) -> dict[str, list[str]]:
    """Asset -> the days that Dagster shows as materialized by a run."""
    found: dict[str, list[str]] = {}
    for event in result.get_asset_materialization_events():
        found.setdefault("/".join(event.materialization.asset_key.path), []).append(str(event.partition))
    return found


def due_of(project: Project, variables: dict[str, str]) -> list[Due]:
    """What is due of this test's days."""
    folder = Path(project.warehouse.database).parent
    seeds = seeds_of(settings_in(project.sandbox, folder, variables))
    return [row for row in due_days(project.warehouse, seeds) if row.day in DAYS]


def test_days_that_are_not_served_yet_are_no_failure_and_what_reads_them_waits(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    bills = tmp_path / "bills"
    variables = ALONE | connection(tmp_path, bills)
    write(bills / "a.csv", [on(str(day)) for day in DAYS[:-1]])
    with hold_project(sandbox, tmp_path, variables) as opened:
        project = replace(opened, checks=True)
        result = project.fetch("bill", DAYS)
        assert result.success
        found = events_of(result)
        assert found.keys() >= {"bill/charges", "bill/charges/daily_costs"}
        assert {tuple(days) for days in found.values()} == {tuple(map(str, DAYS[:-1]))}
        assert all(check.passed for check in result.get_asset_check_evaluations() if check.check_name == "content")
        said = " ".join(entry.user_message for entry in project.instance.all_logs(result.run_id))
        assert f"not served yet, tried again from 2026-11-20 12:00 UTC on: {DAYS[-1]} (bill charges" in said
        assert f"costs.daily_costs: {DAYS[-1]} will be computed when focus.charges of connection bill is" in said
        late = [(row.asset, row.day) for row in due_of(project, variables) if row.state == "late"]
        assert late == [("bill/charges", DAYS[-1])]
        assert {row.state for row in due_of(project, variables)} == {"late", "unsettled"}

        nothing = project.fetch("bill", DAYS[-1:])
        assert nothing.success
        assert not nothing.get_asset_materialization_events()

        write(bills / "b.csv", [on(str(DAYS[-1]))])
        assert {*map(tuple, events_of(project.fetch("bill", DAYS[-1:])).values())} == {(str(DAYS[-1]),)}
        assert {row.state for row in due_of(project, variables)} == {"unsettled"}


@pytest.fixture
def project(sandbox: Sandbox, tmp_path: Path) -> Iterator[Project]:
    with hold_project(sandbox, tmp_path, with_endpoints(tmp_path, "usage_completions")) as opened:
        yield opened


def test_a_refused_day_keeps_its_rows_and_holds_back_no_other(project: Project) -> None:
    operation = {"do": "set", "path": "data[1].results[0].input_tokens", "to": "many"}
    said = f"openai usage_completions {DAYS[0]} to {DAYS[-1]}: $.data[1].results[0].input_tokens ({DAYS[1]}): "
    assert project.fetch("openai", DAYS).success
    sandbox = project.sandbox
    before, hashes = project.rows("openai.usage_completions"), project.hashes()
    sandbox.control("POST", "restate", {"provider": "openai", "days": [*map(str, DAYS[:3])], "change": "scale"})
    sandbox.faults({"route": ROUTE, "fault": "edit", "operations": [operation], "calls": [1]})

    result = project.fetch("openai", DAYS)

    assert not result.success
    [failed] = result.get_step_failure_events()
    reason = failed.step_failure_data.user_failure_data
    assert reason is not None
    assert str(reason.description).startswith(f"refused: {DAYS[1]}; 3 other days are stored. {said}")
    assert reason.metadata["failed_days"].value == [str(DAYS[1])]
    good = [str(day) for day in DAYS if day != DAYS[1]]
    assert events_of(result) == {"openai/usage_completions": good}
    changed = {key: value for key, value in project.hashes().items() if hashes[key] != value}
    assert {key[3] for key in changed if key[0] == "openai.usage_completions"} == {DAYS[0], DAYS[2]}

    def of_bad(rows: list[dict[str, Any]]) -> list[str]:
        return sorted(str(row) for row in rows if row["usage_date"] == DAYS[1])

    assert of_bad(project.rows("openai.usage_completions")) == of_bad(before)

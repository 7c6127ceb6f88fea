"""A run over a range of days of which some are refused, or not served yet: the others are stored, and only those."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from usage_assets_tests.end_to_end.conftest import Project, hold_project, with_endpoints
from usage_assets_tests.fixtures import Sandbox, last_days

DAYS = last_days(4)
ROUTE = "GET /openai/v1/organization/usage/completions"


def events_of(result: dg.ExecuteInProcessResult) -> dict[str, list[str]]:
    """Asset -> the days that Dagster shows as materialized by a run."""
    found: dict[str, list[str]] = {}
    for event in result.get_asset_materialization_events():
        found.setdefault("/".join(event.materialization.asset_key.path), []).append(str(event.partition))
    return found


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
    sandbox.restate("openai", *DAYS[:3])
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

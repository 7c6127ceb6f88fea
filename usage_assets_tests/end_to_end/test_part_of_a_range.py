"""A run over a range of days of which some are refused, or not served yet: the others are stored, and only those."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from usage_assets_tests.conftest import Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import Project, hold_project
from usage_assets_tests.end_to_end.test_anthropic_analytics import connections

DAYS = last_days(4)


@pytest.fixture
def project(sandbox: Sandbox, tmp_path: Path) -> Iterator[Project]:
    with hold_project(sandbox, tmp_path, connections(tmp_path)) as opened:
        yield opened


def events_of(result: dg.ExecuteInProcessResult) -> dict[str, list[str]]:
    """Asset -> the days that Dagster shows as materialized by a run."""
    found: dict[str, list[str]] = {}
    for event in result.get_asset_materialization_events():
        found.setdefault("/".join(event.materialization.asset_key.path[1:]), []).append(str(event.partition))
    return found


def stored_days(project: Project, table: str) -> set[date]:
    query = "select usage_date from ledger.stored_days where table_name = $table"
    return set(project.warehouse.read(query, {"table": table})["usage_date"].to_pylist())


def test_days_that_are_not_served_yet_are_no_failure(project: Project) -> None:
    project.sandbox.control("POST", "clock", {"now": f"{DAYS[-1]}T00:30:00Z"})
    result = project.fetch("newer", DAYS)
    assert result.success
    assert {*map(tuple, events_of(result).values())} == {tuple(map(str, DAYS[:-1]))}

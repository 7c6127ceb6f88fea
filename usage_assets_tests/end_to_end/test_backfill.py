"""The main job: what is stored equals what the providers billed, and Port equals what is stored."""

import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionResolvedStatus as Status

from usage_assets.warehouse.database import Warehouse
from usage_assets_tests.conftest import Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import (
    CONNECTIONS,
    ONE_PLAN_PER_ASSET,
    PUSHED,
    TOTALS,
    Project,
    hold_project,
    with_everything,
)

RELATIONS = """
select table_schema || '.' || table_name, table_type
from information_schema.tables
where table_catalog = current_database() and table_schema not in ('information_schema', 'pg_catalog')
order by all
"""
READ_AS_IT_IS_MADE = """
import sys, duckdb
with duckdb.connect(sys.argv[1], read_only=True) as database:
    database.execute("set streaming_buffer_size = '1KB'")
    for name in sys.argv[2:]:
        print(name, flush=True)
        database.execute(f"from {name}").fetchall()
"""


def test_days_are_exact_and_when_two_are_restated_these_are_stored_and_sent_alone(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every endpoint and asset. The audit has more days, changes and runs."""
    monkeypatch.setenv(*ONE_PLAN_PER_ASSET)
    days, everything = last_days(3), with_everything(tmp_path)
    with hold_project(sandbox, tmp_path, everything, has_views=False) as project:
        for connection in ("openai", "anthropic"):
            assert project.look_up(connection).success
        replace(project, checks=True).fetch_all(days)
        every_check_passes_or_warns_and_none_is_skipped(project)
        project.push(days)
        assert project.totals_of(*TOTALS) == project.truth(days)
        assert project.in_port() == project.entities()
        assert len(project.entities()) > 100
        every_table_and_view_ends_for_who_reads_it_as_it_is_made(project)
        what_is_restated_is_stored_and_sent_alone(project, days)
        an_empty_day_has_zero_records_and_no_other_rows(project, days[-1])


def every_check_passes_or_warns_and_none_is_skipped(project: Project) -> None:
    """As the UI shows the checks of a healthy asset."""
    keys = project.definitions.get_repository_def().asset_graph.asset_check_keys
    shown = [(key, None) for key in keys if key.asset_key in project.keys_of("usage")]
    assert shown
    for key, state in project.instance.event_log_storage.get_asset_check_state(shown).items():
        [status] = [status for status, subset in state.subsets.items() if subset.value is True]
        assert status in (Status.SUCCEEDED, Status.FAILED), key


def every_table_and_view_ends_for_who_reads_it_as_it_is_made(project: Project) -> None:
    """DuckDB waited forever for a union that is larger than its buffer: https://github.com/duckdb/duckdb/issues/22215."""
    if type(project.warehouse) is not Warehouse:
        return  # the views of a lake are the same
    with project.warehouse.reading() as copy:
        relations = [name for name, _ in copy.execute(RELATIONS).fetchall()]
    command = [sys.executable, "-c", READ_AS_IT_IS_MADE, str(project.warehouse.published), *relations]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired as hanging:
        raise AssertionError(f"waits forever: {(hanging.stdout or b'').decode().split()[-1]}") from None
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == relations


def what_is_restated_is_stored_and_sent_alone(project: Project, days: list[date]) -> None:
    """Two days are: one is changed, and one is empty."""
    entities, hashes, asked = project.entities(), project.hashes(), len(project.port_requests())
    restated = days[1:]
    for provider in CONNECTIONS:
        for change, day in zip(("scale", "clear"), restated, strict=True):
            body = {"provider": provider, "days": [str(day)], "change": change}
            assert project.sandbox.control("POST", "restate", body)
    project.fetch_all(days)
    project.push(days)
    calls = [request["path"] for request in project.port_requests()[asked:] if request["method"] == "POST"]
    assert all("/auth/" in call or "/bulk" in call for call in calls)
    assert project.totals_of(*TOTALS) == project.truth(days)
    assert {key[3] for key, value in project.hashes().items() if hashes[key] != value} == set(restated)
    restated_entities = project.entities()
    assert project.in_port() == restated_entities
    assert entities.keys() - restated_entities.keys(), "a cleared day should have lost entities"
    differing = [key for key, entity in restated_entities.items() if entities.get(key) != entity]
    assert _sent(project) == len(differing)


def an_empty_day_has_zero_records_and_no_other_rows(project: Project, day: date) -> None:
    found = {table: [row for row in project.rows(table) if row["usage_date"] == day] for table in project.tables()}
    rows = {table: of_day for table, of_day in found.items() if of_day}
    assert rows.keys() == {
        "port_entities.openai_daily_usage",
        "port_entities.claude_usage_record",
        "port_entities.claude_cost_record",
        "openai_legacy.billing_usage",
    }
    assert [row["total_usage_cents"] for row in rows["openai_legacy.billing_usage"]] == [0], "the stated total"
    assert rows["port_entities.claude_cost_record"][0]["amount"] == 0
    assert rows["port_entities.openai_daily_usage"][0]["total_cost"] == 0


def _sent(project: Project) -> int:
    """Entities that the last push of each connection sent."""
    sent = 0
    for connection in PUSHED:
        event = project.instance.get_latest_materialization_event(dg.AssetKey([connection, "port_sync"]))
        assert event is not None
        assert event.asset_materialization is not None
        value = event.asset_materialization.metadata["entities_sent"].value
        assert isinstance(value, int)
        sent += value
    return sent


@pytest.mark.parametrize("place", ["lake"], indirect=True)
def test_a_day_of_a_lake_that_is_now_empty_is_cleared(small_project: Project) -> None:
    project, days, assets = small_project, last_days(2), ("costs", "usage_completions", "entities/openai_daily_usage")
    for change in ("clear", None):
        assert project.fetch("openai", days, *assets).success
        assert project.push_of("openai", days).success
        if change:
            project.sandbox.control("POST", "restate", {"provider": "openai", "days": [str(days[0])], "change": change})
    assert {row["usage_date"] for row in project.rows("openai.costs")} == {days[1]}
    assert project.in_port() == project.entities()

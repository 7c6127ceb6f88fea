"""The main job: what is stored equals what the providers billed, as every check says."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionResolvedStatus as Status

from usage_assets.warehouse.database import Warehouse
from usage_assets_tests.end_to_end.conftest import (
    ONE_PLAN_PER_ASSET,
    TOTALS,
    Project,
    hold_project,
    with_everything,
)
from usage_assets_tests.fixtures import Sandbox, last_days

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


def test_days_are_exact_and_every_check_has_a_result(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every endpoint and asset. The audit has more days, changes and runs."""
    monkeypatch.setenv(*ONE_PLAN_PER_ASSET)
    days, everything = last_days(1), with_everything(tmp_path)
    with hold_project(sandbox, tmp_path, everything, has_views=False) as project:
        replace(project, checks=True).fetch_all(days)
        # Every check passes or warns and none is skipped. As the UI shows the checks of a healthy asset.
        keys = project.definitions.get_repository_def().asset_graph.asset_check_keys
        shown = [(key, None) for key in keys if key.asset_key in project.keys_of("usage")]
        assert shown
        for key, state in project.instance.event_log_storage.get_asset_check_state(shown).items():
            [status] = [status for status, subset in state.subsets.items() if subset.value is True]
            assert status in (Status.SUCCEEDED, Status.FAILED), key
        assert project.totals_of(*TOTALS) == project.truth(days)
        every_table_and_view_ends_for_who_reads_it_as_it_is_made(project)


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

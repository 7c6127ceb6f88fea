"""Each release's data is kept when this one opens it in place: rows, amounts, hashes, versions. Then backfills go on.

0.1.0 is commit 5911df6 and 0.2.0 is f551ab0: three days of OpenAI, Anthropic and ChatGPT with lookups, pushed to Port
(fixtures/README.md). 0.1.0 had no lake. That of 0.2.0 is written by its own code, from git's history.
"""

import io
import lzma
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

from usage_assets.core.schema import columns, declarations, declared
from usage_assets.features.repair.days import all_different_days
from usage_assets.models.connection_graph import seeds_of
from usage_assets.models.due import due_days
from usage_assets_sandbox.tests.calling import FIXTURES
from usage_assets_tests.conftest import NOW, Sandbox, last_days
from usage_assets_tests.end_to_end import earlier_release
from usage_assets_tests.end_to_end.conftest import Project, open_project, placed, sandbox_environment, settings_in

ROOT = Path(__file__).parents[2]
DAYS = last_days(3)
BEFORE = last_days(4)[:1]
RELEASES = {"0.1.0": "5911df6", "0.2.0": "f551ab0"}
LAKES = {"0.2.0": "f551ab0"}
HOUR = timedelta(hours=1)
SUMS = ("openai usd", "openai input_tokens", "anthropic cents", "anthropic output_tokens", "chatgpt credits")
Rows = list[dict[str, Any]]


@pytest.fixture(params=[*RELEASES, *(f"{release} lake" for release in LAKES)])
def upgraded(
    request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Project]:
    """The present product an hour later, on what a release has stored."""
    release, _, place = str(request.param).partition(" ")
    if place == "lake":
        code = code_of(LAKES[release], tmp_path / "code")
        request.param = place
        with placed(request, tmp_path):
            environment = {**os.environ, **sandbox_environment(sandbox.base_url, tmp_path / "usage.duckdb")}
            command = [sys.executable, earlier_release.__file__, NOW.isoformat(), str(len(DAYS))]
            subprocess.run(
                command, env={**environment, "PYTHONPATH": str(code), "USAGE_PLUGINS": "off"}, cwd=tmp_path, check=True
            )
            with time_machine.travel(NOW + HOUR), open_project(sandbox, tmp_path) as project:
                yield project
        return
    packed = FIXTURES / "warehouse" / f"usage-{RELEASES[release]}.duckdb.xz"
    (tmp_path / "usage.duckdb").write_bytes(lzma.decompress(packed.read_bytes()))
    with time_machine.travel(NOW + HOUR), open_project(sandbox, tmp_path) as project:
        yield project


def code_of(commit: str, folder: Path) -> Path:
    """A release's own code. Skips the test where history is missing."""
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", "--format=tar", commit, "usage_assets"], capture_output=True, check=False
    )
    if archive.returncode:
        pytest.skip(f"git does not have commit {commit}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


def rows_of(project: Project, tables: list[str]) -> dict[str, Rows]:
    """Every row of each table."""
    return {table: project.rows(table) for table in tables}


def tables_in(project: Project) -> list[str]:
    """The tables that providers' answers are stored in, and lookups."""
    stored = project.warehouse.read(
        "select schema_name || '.' || table_name as name from duckdb_tables() "
        "where database_name = current_database() order by name"
    )["name"].to_pylist()
    derived = ("ledger.", "accounting.", "port_entities.", "costs.", "insights.", "main.", "models.")
    return [name for name in stored if not name.startswith(derived) and name in declarations()]


def present(table: str, rows: Rows) -> Rows:
    """The rows with the present names of columns, and those that were added."""
    row = declared(table)
    added = {column.name: None for column in columns(row) if column.is_added}
    return [added | {row.renamed.get(name, name): value for name, value in each.items()} for each in rows]


def test_every_row_is_kept_in_place_and_backfills_go_on(upgraded: Project, sandbox: Sandbox, tmp_path: Path) -> None:
    names = tables_in(upgraded)
    before, versions = rows_of(upgraded, names), upgraded.rows("ledger.partition_versions")
    assert sum(map(len, before.values())) > 500
    assert [*all_different_days(upgraded.warehouse)] == [], "each day has the hash that the release has recorded"
    settings = settings_in(sandbox, tmp_path, {})
    due = due_days(upgraded.warehouse, seeds_of(settings), keep=True)
    of_days = [each for each in due if each.day in DAYS]
    raw = {each.state for each in of_days if each.asset.count("/") == 1}
    assert raw <= {"unsettled"}, [each for each in of_days if each.state != "unsettled"][:5]

    upgraded.fetch_all([*BEFORE, *DAYS])
    assert upgraded.push_of("openai", [*BEFORE, *DAYS]).success

    after = rows_of(upgraded, names)
    for table in names:
        stored = [row for row in after[table] if row.get("usage_date") not in BEFORE]
        assert stored == present(table, before[table]), table
    truth = upgraded.truth([*BEFORE, *DAYS])
    assert upgraded.totals_of(*SUMS) == {name: truth[name] for name in SUMS}
    of_release = [row for row in upgraded.rows("ledger.partition_versions") if row["written_at"] < NOW + HOUR]
    assert [{name: row[name] for name in versions[0]} for row in of_release] == versions
    recorded = {(row["table_name"], row["usage_date"]): row["content_hash"] for row in versions}
    now = {(table, day): content_hash for (table, _, _, day), content_hash in upgraded.hashes().items()}
    assert {key: now[key] for key in recorded if key[0] in names} == {
        key: content_hash for key, content_hash in recorded.items() if key[0] in names
    }
    due = due_days(upgraded.warehouse, seeds_of(settings))
    assert {each.state for each in due if each.day in DAYS and not each.asset.endswith("port_sync")} == {"unsettled"}

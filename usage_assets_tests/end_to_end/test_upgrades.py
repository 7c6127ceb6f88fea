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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

from usage_assets.automation.jobs import USAGE_JOB
from usage_assets.core.days import DAY
from usage_assets.core.schema import columns, declarations, declared
from usage_assets.models.connection_graph import seeds_of
from usage_assets.models.due import due_days
from usage_assets_lake.repair.days import all_different_days
from usage_assets_sandbox.tests.calling import FIXTURES
from usage_assets_tests.end_to_end import earlier_release
from usage_assets_tests.end_to_end.conftest import (
    Project,
    open_project,
    placed,
    sandbox_environment,
    settings_in,
    with_endpoints,
)
from usage_assets_tests.fixtures import IS_NIGHT, NOW, ROOT, Sandbox, last_days

RELEASES = {"0.1.0": "5911df6", "0.2.0": "f551ab0"}
HOUR = timedelta(hours=1)
SUMS = ("openai usd", "openai input_tokens", "anthropic cents", "anthropic output_tokens", "chatgpt credits")
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Upgraded:
    """The present product on what a release has stored."""

    project: Project
    variables: Mapping[str, str]
    """Its configuration, besides the sandbox's accounts."""
    days: list[date]
    """What the release has stored."""
    sums: Sequence[str]
    """What it is compared with the sandbox's books in."""


@pytest.fixture(params=RELEASES if IS_NIGHT else ["0.1.0"])
def file(request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path) -> Iterator[Upgraded]:
    """An hour later, on the file of a release."""
    packed = FIXTURES / "warehouse" / f"usage-{RELEASES[request.param]}.duckdb.xz"
    (tmp_path / "usage.duckdb").write_bytes(lzma.decompress(packed.read_bytes()))
    with time_machine.travel(NOW + HOUR), open_project(sandbox, tmp_path) as project:
        yield Upgraded(project, {}, last_days(3), SUMS)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """Not the place of conftest.py: a file, if no test says otherwise."""
    with placed(request, tmp_path):
        yield


@pytest.fixture
def lake(place: None, sandbox: Sandbox, tmp_path: Path) -> Iterator[Upgraded]:
    """An hour later, on the lake of a release: OpenAI's costs of a day, which take a minute."""
    code, variables = code_of(RELEASES["0.2.0"], tmp_path / "code"), with_endpoints(tmp_path, "costs")
    variables |= {"ANTHROPIC_ADMIN_KEY": "", "CHATGPT_ANALYTICS_KEY": ""}
    environment = {**os.environ, **sandbox_environment(sandbox.base_url, tmp_path / "usage.duckdb"), **variables}
    environment |= {"PYTHONPATH": str(code), "USAGE_PLUGINS": "off"}
    command = [sys.executable, earlier_release.__file__, NOW.isoformat(), "1", USAGE_JOB]
    subprocess.run(command, env=environment, cwd=tmp_path, check=True)
    with time_machine.travel(NOW + HOUR), open_project(sandbox, tmp_path, variables) as project:
        yield Upgraded(project, variables, last_days(1), SUMS[:1])


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
    """Every row of each table, from a warehouse that is opened once for all."""
    with project.warehouse.one_moment() as warehouse:
        opened = replace(project, warehouse=warehouse)
        return {table: opened.rows(table) for table in tables}


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


def test_every_row_of_a_file_is_kept_in_place_and_backfills_go_on(
    file: Upgraded, sandbox: Sandbox, tmp_path: Path
) -> None:
    is_kept(file, sandbox, tmp_path)


@pytest.mark.parametrize("place", ["lake"], indirect=True)
def test_every_row_of_a_lake_is_kept_in_place_and_backfills_go_on(
    lake: Upgraded, sandbox: Sandbox, tmp_path: Path
) -> None:
    is_kept(lake, sandbox, tmp_path)


def is_kept(upgraded: Upgraded, sandbox: Sandbox, folder: Path) -> None:
    """Assert that everything is kept when the days are fetched again, with the day before them."""
    project, names = upgraded.project, tables_in(upgraded.project)
    before, versions = rows_of(project, names), project.rows("ledger.partition_versions")
    assert sum(map(len, before.values())) > 10
    assert [*all_different_days(project.warehouse)] == [], "each day has the hash that the release has recorded"
    seeds = seeds_of(settings_in(sandbox, folder, upgraded.variables))
    due = [each for each in due_days(project.warehouse, seeds, keep=True) if each.day in upgraded.days]
    assert {each.state for each in due if each.asset.count("/") == 1} <= {"unsettled"}, "no raw day is missing"

    days = [upgraded.days[0] - DAY, *upgraded.days]
    again = days if IS_NIGHT else days[:2]
    project.fetch_all(again)
    if days[2:]:  # of a file
        assert project.push_of("openai", again).success

    after = rows_of(project, names)
    for table in names:
        stored = [row for row in after[table] if row.get("usage_date") != days[0]]
        assert stored == present(table, before[table]), table
    truth = project.truth(days)
    assert project.totals_of(*upgraded.sums) == {name: truth[name] for name in upgraded.sums}
    of_release = [row for row in project.rows("ledger.partition_versions") if row["written_at"] < NOW + HOUR]
    assert [{name: row[name] for name in versions[0]} for row in of_release] == versions
    recorded = {(row["table_name"], row["usage_date"]): row["content_hash"] for row in versions}
    now = {(table, day): content_hash for (table, _, _, day), content_hash in project.hashes().items()}
    raw = {key for key in recorded if key[0] in names}
    assert raw
    assert {key: now[key] for key in raw} == {key: recorded[key] for key in raw}
    due = [each for each in due_days(project.warehouse, seeds) if each.day in again]
    assert {each.state for each in due} == {"unsettled"}

"""A database of an earlier release opens without loss: every row, amount and hash stays, and nothing is fetched for it.

The file was written by commit 5157f84 (fixtures/README.md says how): three days of every provider, two of them in Port,
one day restated, one workspace renamed.
"""

import lzma
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import time_machine

from usage_assets.core.forgotten import Person
from usage_assets.features.deletion.people import replace_in_rows
from usage_assets.models.connection_graph import seeds_of
from usage_assets.models.due import due_days
from usage_assets_lake.repair.days import all_different_days
from usage_assets_sandbox.tests.calling import FIXTURES
from usage_assets_tests.end_to_end.conftest import Project, on_file, open_project, settings_in
from usage_assets_tests.end_to_end.test_upgrades import HOUR, present, rows_of, tables_in
from usage_assets_tests.fixtures import NOW, Sandbox, last_days

pytestmark = on_file

DAYS = last_days(3)
CONNECTIONS = """
[[connection]]
name = "openai"
provider = "openai"
key = "file:{folder}/openai.key"
endpoints = {{ usage_decisions = true }}

[[connection]]
name = "openai_legacy"
provider = "openai_legacy"
key = "file:{folder}/session.key"

[[connection]]
name = "newer"
provider = "anthropic_analytics"
key = "file:{folder}/analytics.key"
endpoints = {{ cost_report = true, usage_report = true, user_cost_report = true, user_usage_report = true }}

[[credit_rate]]
workspace = "ws-sandbox"
usd_per_credit = 0.04
valid_from = 2026-01-01
source = "contract"

[[owner]]
workspace = "ws-sandbox"
team = "web"
valid_from = 2026-01-01
"""
"""What the release was configured with."""
KEYS = {"openai": "sk-admin-sandbox", "session": "sess-sandbox", "analytics": "sk-ant-analytics-sandbox"}


@pytest.fixture
def project(sandbox: Sandbox, tmp_path: Path) -> Iterator[Project]:
    """The present product on the earlier release's file, an hour later."""
    for name, key in KEYS.items():
        (tmp_path / f"{name}.key").write_text(key)
    (tmp_path / "connections.toml").write_text(CONNECTIONS.format(folder=tmp_path))
    packed = FIXTURES / "warehouse" / "usage-5157f84.duckdb.xz"
    (tmp_path / "usage.duckdb").write_bytes(lzma.decompress(packed.read_bytes()))
    with time_machine.travel(NOW + HOUR), open_project(sandbox, tmp_path, variables_in(tmp_path)) as opened:
        yield opened


def variables_in(folder: Path) -> dict[str, str]:
    """The configuration of then."""
    return {"OPENAI_ADMIN_KEY": "", "USAGE_CONNECTIONS": str(folder / "connections.toml")}


def test_every_row_is_kept_in_place_no_day_is_due_and_backfills_go_on(project: Project, tmp_path: Path) -> None:
    names = tables_in(project)
    before = rows_of(project, names)
    assert sum(map(len, before.values())) > 100
    assert [*all_different_days(project.warehouse)] == [], "each day has the hash that the release has recorded"
    due = due_days(project.warehouse, seeds_of(settings_in(project.sandbox, tmp_path, variables_in(tmp_path))))
    states = {each.state for each in due if each.day in DAYS and each.asset.count("/") == 1}
    assert states == {"unsettled"}, "no raw day is missing or stale"
    for connection in ("openai_legacy", "newer"):
        assert project.fetch(connection, DAYS[:1]).success
    after = rows_of(project, names)
    assert {table: present(table, after[table]) for table in names} == {
        table: present(table, before[table]) for table in names
    }


def test_a_person_is_forgotten_before_anything_is_stored_again_and_every_view_answers(project: Project) -> None:
    """The days keep their versions: a hash of the present columns is what the next fetch is compared with."""
    with duckdb.connect(project.warehouse.database, read_only=True) as database:
        query = "select schema_name || '.' || view_name from duckdb_views() where not internal"
        views = [name for (name,) in database.execute(query).fetchall()]
    assert len(views) > 10
    [person, *_] = {row["user_id"] for row in project.rows("costs.daily_costs") if row["user_id"]}
    replace_in_rows(project.warehouse, Person({person: "somebody"}))
    with project.warehouse.get_connection() as database:
        assert person not in str(project.content())
        for name in views:
            database.execute(f"from {name}").fetchall()

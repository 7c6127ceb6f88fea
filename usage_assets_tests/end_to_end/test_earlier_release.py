"""A database of an earlier release opens without loss: every row, amount and hash stays, and nothing is fetched for it.

The file was written by commit 5157f84 (fixtures/README.md says how): three days of every provider, two of them in Port,
one day restated, one workspace renamed.
"""

import json
import lzma
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import time_machine

from usage_assets.config.settings import Settings
from usage_assets.core.forgotten import Person
from usage_assets.core.schema import columns, declared
from usage_assets.features.deletion.people import replace_in_rows
from usage_assets.features.port.ledger import PortLedger
from usage_assets.models.connection_graph import seeds_of
from usage_assets.models.costs import DailyCost
from usage_assets.models.due import Due, due_days
from usage_assets.models.entities import ENTITIES, entities_of
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.migrate import create_or_alter
from usage_assets.warehouse.slices import Slice, in_slice
from usage_assets.warehouse.tables import Table
from usage_assets_sandbox.tests.calling import FIXTURES
from usage_assets_tests.conftest import IS_NIGHT, NOW, Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import PUSHED, Project, on_file, open_project, sandbox_environment
from usage_assets_tests.end_to_end.test_lookups import change

pytestmark = on_file

DAYS = last_days(3)
AGAIN = DAYS if IS_NIGHT else DAYS[1:2]
"""The days that are fetched again."""
HOUR = timedelta(hours=1)
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
NEW = {"ai_team_cost", "ai_model_cost", "claude_ai_user_usage", "claude_ai_user_cost"}
"""What the release did not have."""
UNBILLED = "newer"
"""The connection that the release computed no costs of."""
RETITLED = {"port_entities.ai_cost_record", "port_entities.ai_user_cost"}
"""Entities whose names and titles are others now: their days change, and they are pushed once more."""
NAMES = {"title", "scope_name", "model"}
Rows = list[dict[str, Any]]


@pytest.fixture
def variables(tmp_path: Path) -> Mapping[str, str]:
    """The configuration of then, for the sandbox of now."""
    for name, key in KEYS.items():
        (tmp_path / f"{name}.key").write_text(key)
    (tmp_path / "connections.toml").write_text(CONNECTIONS.format(folder=tmp_path))
    return {"OPENAI_ADMIN_KEY": "", "USAGE_CONNECTIONS": str(tmp_path / "connections.toml")}


@pytest.fixture
def old(sandbox: Sandbox, tmp_path: Path, variables: Mapping[str, str]) -> Iterator[Project]:
    """The present product on the earlier release's file, an hour later. The sandbox answers as it did then."""
    packed = FIXTURES / "warehouse" / "usage-5157f84.duckdb.xz"
    (tmp_path / "usage.duckdb").write_bytes(lzma.decompress(packed.read_bytes()))
    with open_project(sandbox, tmp_path, variables) as project:
        change(project, "anthropic", "workspaces", "Checkout", "rename", name="Kasse")
        restated = {"provider": "openai", "endpoint": "costs", "days": [str(DAYS[1])], "change": "scale"}
        sandbox.control("POST", "restate", restated)
        with time_machine.travel(NOW + HOUR):
            yield project


def due(project: Project, variables: Mapping[str, str]) -> list[Due]:
    """What is due, with the configuration of then."""
    environment = sandbox_environment(project.sandbox.base_url, Path(project.warehouse.database)) | dict(variables)
    settings = Settings.load(_env_file=None, **{name.lower(): value for name, value in environment.items()})
    return [each for each in due_days(project.warehouse, seeds_of(settings)) if each.day in DAYS]


def is_raw(each: Due) -> bool:
    """Whether a provider is asked for it."""
    return each.asset.count("/") == 1


def is_unbilled(row: Mapping[str, Any]) -> bool:
    """Whether a version is of costs that the release did not compute, or of what is computed from them."""
    computed = {"costs.daily_costs"} | {model.row.table for model in ENTITIES if DailyCost.table in model.reads}
    return row["connection"] == UNBILLED and row["table_name"] in computed


def as_stored(project: Project) -> dict[str, Rows]:
    """Every row of every table of the file, read without the product."""
    with duckdb.connect(project.warehouse.database, read_only=True) as database:
        database.execute("set TimeZone = 'UTC'")
        tables = database.execute("select schema_name || '.' || table_name from duckdb_tables()").fetchall()
        return {
            table: database.execute(f"select * from {table} order by all").to_arrow_table().to_pylist()
            for (table,) in tables
        }


def renamed(table: str, rows: Rows) -> Rows:
    """The rows with the present columns of their table."""
    added = {column.name: None for column in columns(declared(table)) if column.is_added}
    return [{declared(table).renamed.get(name, name): value for name, value in row.items()} | added for row in rows]


def of_days(tables: Mapping[str, Rows]) -> dict[str, Rows]:
    """The tables that hold a provider's days and what is computed from them."""
    return {
        table: unnamed(rows) if table in RETITLED else rows
        for table, rows in tables.items()
        if not table.startswith(("ledger.", "accounting."))
    }


def unnamed(rows: Rows) -> Rows:
    """The rows without names that may change."""
    kept = [{name: value for name, value in row.items() if name not in NAMES} for row in rows]
    return sorted(kept, key=lambda row: (row["connection"], row["usage_date"], row["identifier"]))


def assert_port_is_sent_names_only(project: Project) -> None:
    """What Port has acknowledged to the earlier release is what it should hold."""
    [account] = {row["account"] for row in project.rows("ledger.port_entities")}
    for connection in PUSHED:
        entities = entities_of([endpoint.row.table for endpoint in PROVIDERS[connection].endpoints])
        changes = PortLedger(project.warehouse, account, Slice(connection, DAYS[0], DAYS[-1]), entities).changes()
        sent = {entity.blueprint for entity in changes.upserts} | {each.blueprint for each in changes.deletes}
        assert sent <= {table.partition(".")[2] for table in RETITLED} | NEW
        assert changes.unchanged > 10, connection


def test_opening_it_and_asking_what_is_due_changes_no_row_and_no_hash_and_every_view_answers(
    old: Project, variables: Mapping[str, str]
) -> None:
    before, views = as_stored(old), views_of(old)
    assert {table for table, rows in before.items() if not rows} == {
        "accounting.exchange_rates",
        "accounting.invoices",
        "accounting.purchases",
    }
    states: dict[bool, set[str]] = {True: set(), False: set()}
    for each in due(old, variables):
        if each.asset.rpartition("/")[2] in NEW or (each.connection == UNBILLED and not is_raw(each)):
            assert each.state == "missing"
            continue
        states[is_raw(each)].add(each.state)
    assert states[True] == {"unsettled"}, "no raw day is missing or stale"
    assert states[False] == {"stale"}, "computed once by this release's queries"
    assert before == {table: rows for table, rows in as_stored(old).items() if table in before}
    every_stored_day_has_the_hash_and_the_totals_that_the_earlier_release_recorded(old)
    every_view_answers(old, views)
    assert old.fetch("openai", DAYS[:1], "costs", "costs/daily_costs").success
    every_view_answers(old, views)


def every_stored_day_has_the_hash_and_the_totals_that_the_earlier_release_recorded(old: Project) -> None:
    recorded = old.rows("ledger.stored_days")
    assert len(recorded) > 150
    with old.warehouse.transaction(keep=False) as database:
        for version in recorded:
            table = Table(declared(version["table_name"]))
            part = Slice(version["connection"], version["usage_date"], version["usage_date"], version["slice"])
            totals = {name: total.sql for name, total in table.totals.items() if not total.by}
            create_or_alter(database, table)
            columns = ", ".join(
                ["count(*)", f"coalesce({table.content_hash}, sha256(''))"]
                + [f"({sql})::varchar" for sql in totals.values()]
            )
            rows = database.execute(f"select {columns} from {table.name} where {in_slice(table, part)}", part.bounds)
            [(row_count, content_hash, *sums)] = rows.fetchall()
            assert (row_count, content_hash) == (version["row_count"], version["content_hash"]), part
            stated = json.loads(version["day_totals"])
            assert sums == [stated.get(name) for name in totals], part


def test_the_same_days_fetched_again_are_unchanged_and_then_nothing_is_stale(
    old: Project, variables: Mapping[str, str]
) -> None:
    before, hashes, views = as_stored(old), old.hashes(), views_of(old)
    for connection in ("openai", "anthropic"):
        assert old.look_up(connection).success
        every_view_answers(old, views)
    old.fetch_all(AGAIN)
    after = as_stored(old)
    assert {table: of_days(after)[table] for table in of_days(before)} == {
        table: renamed(table, rows) for table, rows in of_days(before).items()
    }
    assert {key: old.hashes()[key] for key in hashes if key[0] not in RETITLED} == {
        key: hash_ for key, hash_ in hashes.items() if key[0] not in RETITLED
    }
    written = old.warehouse.read("from ledger.partition_versions where written_at > $now", {"now": NOW + HOUR})
    rows = [row for row in written.to_pylist() if not is_unbilled(row)]
    new = {f"port_entities.{name}" for name in NEW}
    assert {row["table_name"] for row in rows if row["changed"]} == RETITLED | new
    assert len([row for row in rows if row["table_name"] not in new]) == len([key for key in hashes if key[3] in AGAIN])
    assert not any(row["row_count"] for row in written.to_pylist() if is_unbilled(row)), "the other connection bills"
    assert {each.state for each in due(old, variables) if each.day in AGAIN} == {"unsettled"}
    assert_port_is_sent_names_only(old)
    stored, kept = after["ledger.partition_versions"], before["ledger.partition_versions"]
    assert [row for row in stored if row["written_at"] < NOW + HOUR] == [{**row, "has_sums": None} for row in kept]


def test_a_person_is_forgotten_before_anything_is_stored_again(old: Project) -> None:
    """The days keep their versions: a hash of the present columns is what the next fetch is compared with."""
    [person, *_] = {row["user_id"] for row in old.rows("costs.daily_costs") if row["user_id"]}
    replace_in_rows(old.warehouse, Person({person: "somebody"}))
    assert person not in str(of_days(as_stored(old)))


def views_of(project: Project) -> list[str]:
    """The views of the file, read without the product."""
    with duckdb.connect(project.warehouse.database, read_only=True) as database:
        query = "select schema_name || '.' || view_name from duckdb_views() where not internal"
        views = [name for (name,) in database.execute(query).fetchall()]
    assert len(views) > 10
    return views


def every_view_answers(project: Project, views: list[str]) -> None:
    with project.warehouse.get_connection() as database:
        for name in views:
            database.execute(f"from {name}").fetchall()

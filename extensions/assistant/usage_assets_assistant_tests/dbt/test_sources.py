"""`usage-assets dbt sources`: what dbt is told of the warehouse is what the warehouse says of itself."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest
import yaml  # type: ignore[import-untyped]  # Dagster's, without types

from usage_assets.assets.io_manager import CONNECTION, TABLE
from usage_assets.assets.names import Names
from usage_assets.build import build_definitions
from usage_assets.models.connection_graph import seeds_of
from usage_assets.models.due import due_days
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.lookups import Projects
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.published import publish
from usage_assets_assistant.dbt.sources import schemas_of, text_of
from usage_assets_report_tests.conftest import make_all_views
from usage_assets_tests.fixtures import NewWarehouse
from usage_assets_tests.models.days import Days, raw
from usage_assets_tests.snapshot import settings_of
from usage_assets_tests.terminal import Terminal

KEYS = {"name", "database", "schema", "tables"}
NOW = datetime(2026, 11, 13, 7, tzinfo=UTC)
OF_TABLE = {"name", "description", "columns", "config", "data_tests"}
CONNECTIONS = """
[[connection]]
name = "openai"
provider = "openai"
key = "env:HOME"

[[connection]]
name = "research"
provider = "openai"
key = "env:HOME"
base_url = "https://research.example.com"

[[connection]]
name = "claude"
provider = "anthropic"
key = "env:HOME"
"""
"""Two that write the same tables, and one that has its tables to itself."""


@pytest.fixture(scope="module")
def days(warehouse_with_views: NewWarehouse) -> Days:
    """A day of costs, and all views: to be read."""
    days = Days(warehouse_with_views())
    with days.warehouse.get_connection():
        days.fetched(Costs, raw(Costs, api_key_id="key"))
        make_all_views(days.warehouse)
    return days


Found = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Schema -> table -> what the written file says of it."""


@pytest.fixture(scope="module")
def found(days: Days) -> Found:
    """What is written of the days."""
    return sources(days)


@dataclass(frozen=True)
class Located:
    """What a code location has stated of itself in a warehouse, and what Dagster has of it."""

    days: Days
    graph: dg.Definitions
    found: Found
    prefixed: Found
    """The same, with the prefix that the project has."""


@pytest.fixture(scope="module")
def located(days: Days, tmp_path_factory: pytest.TempPathFactory) -> Located:
    """The same days, and three connections in a project that has other things: its sensor has looked."""
    folder = tmp_path_factory.mktemp("located")
    changed = Days(Warehouse(database=str(shutil.copy2(days.warehouse.database, folder))))
    file = folder / "connections.toml"
    file.write_text(CONNECTIONS)
    settings = settings_of(usage_connections=file)
    with changed.warehouse.get_connection():
        due_days(changed.warehouse, seeds_of(settings), keep=True)
        for connection in ("openai", "research"):
            listed = Projects(connection=connection, id="p1", valid_from=NOW, name="p")
            changed.listed(Projects, [listed], NOW, connection)
    graph = build_definitions(settings, names=Names(("finops", "ai"), "ai_"))
    return Located(changed, graph, sources(changed), sources(changed, "finops", "ai"))


def sources(days: Days, *prefix: str) -> Found:
    """Schema -> table -> what the written file says of it."""
    with days.warehouse.get_connection() as database:
        written = yaml.load(text_of(schemas_of(database), "usage", prefix), yaml.CSafeLoader)
    assert written["version"] == 2
    found: Sequence[Any] = written["sources"]
    assert all(source.keys() == KEYS and source["database"] == "usage" for source in found)
    return {source["schema"]: {table["name"]: table for table in source["tables"]} for source in found}


def test_every_table_view_and_column_is_there_with_its_meaning(days: Days, found: Found) -> None:
    columns = {
        (schema, name, column["name"]): column
        for schema, tables in found.items()
        for name, table in tables.items()
        for column in table["columns"]
    }
    stored = days.read(
        "select schema_name, table_name, column_name, data_type, comment from duckdb_columns() where not internal"
    )
    assert len(columns) == len(stored) > 1000
    for row in stored:
        column = columns[row["schema_name"], row["table_name"], row["column_name"]]
        assert (column["data_type"], column["description"]) == (row["data_type"], row["comment"])
    tables = [table for of_schema in found.values() for table in of_schema.values()]
    assert all(table.keys() <= OF_TABLE for table in tables)
    assert not [table for table in tables if table["description"].endswith("]") and "[[" not in table["description"]]


def test_a_grain_is_unique_and_the_test_of_it_holds(days: Days, found: Found) -> None:
    """The test ``unique`` groups by what it is given; a null in a row of columns is a value of its own."""
    tested = {
        f"{schema}.{name}": table["data_tests"][0]["unique"]["arguments"]["column_name"]
        for schema, tables in found.items()
        for name, table in tables.items()
        if "data_tests" in table
    }
    assert tested["openai.costs"].startswith("row(connection, usage_date, ")
    assert tested["accounting.exchange_rates"] == "row(currency, valid_from)"
    assert "costs.by_month" not in tested, "nothing declares its grain"
    with days.warehouse.get_connection() as database:
        for table, grain in tested.items():
            database.execute(f"select {grain} as n, count(*) from {table} where {grain} is not null group by all")


def test_freshness_is_when_the_ledger_says_that_days_were_written(days: Days, found: Found) -> None:
    config = found["openai"]["costs"]["config"]
    assert config["freshness"] == {"warn_after": {"count": 36, "period": "hour"}}
    query = config["loaded_at_query"].replace("usage.ledger", "ledger")
    [row] = days.read(query)
    [written] = days.read("select max(written_at) as at from ledger.partition_versions")
    assert [*row.values()] == [written["at"]]
    assert "config" not in found["ledger"]["due_days"]
    assert "freshness" not in found["accounting"]["exchange_rates"]["config"]


def writers(found: Found) -> Mapping[str, set[str]]:
    """Table or view -> the keys of the assets that write it, or what it reads."""
    return {
        f"{schema}.{name}": set(table["config"]["meta"]["usage_assets"]["assets"])
        for schema, tables in found.items()
        for name, table in tables.items()
        if "meta" in table.get("config", {})
    }


def test_the_assets_of_a_table_are_those_that_write_it_in_dagster(located: Located) -> None:
    found = writers(located.prefixed)
    specs = {spec.key.to_user_string(): spec for spec in located.graph.resolve_all_asset_specs()}
    assert set().union(*found.values()) < specs.keys()
    stored = set(
        located.days.warehouse.read("select schema_name || '.' || table_name from duckdb_tables()")[0].to_pylist()
    )
    by_table: dict[str, set[str]] = {}
    for key, spec in specs.items():
        table = str(spec.metadata.get(TABLE))
        has_listed = spec.partitions_def or table == Projects.table
        if table in stored and has_listed and CONNECTION in spec.metadata:
            by_table.setdefault(table, set()).add(key)
    assert len(by_table) > 10
    assert {table: found[table] for table in by_table} == by_table
    assert found["openai.costs"] == {"finops/ai/openai/costs", "finops/ai/research/costs"}


def test_without_what_a_code_location_states_no_asset_of_a_connection_is_known(days: Days, found: Found) -> None:
    assert {*map(tuple, writers(found).values())} == {("accounting",)}
    with days.warehouse.get_connection() as database:
        text = text_of(schemas_of(database, states_accounting=False), "usage")
    assert "meta" not in text


def test_it_is_written_from_the_published_copy(terminal: Terminal) -> None:
    with terminal.warehouse.transaction() as database:
        database.execute("create schema tests; create table tests.one as select 1 as n")
    publish(terminal.warehouse)
    said = terminal.run("dbt sources --schema tests --database spend")
    assert said.err.startswith("sources.yml has no asset keys of connections yet: ")
    columns = [{"name": "n", "data_type": "INTEGER", "description": ""}]
    one = {"name": "one", "description": "", "columns": columns}
    expected = {"name": "tests", "database": "spend", "schema": "tests", "tables": [one]}
    assert yaml.safe_load(said.out)["sources"] == [expected]
    file = terminal.folder / "sources.yml"
    assert terminal.run(f"dbt sources --schema tests --out {file}").lines == [f"{file}: 1 table, 1 column"]
    assert "name: usage" not in file.read_text()
    refused = terminal.run("dbt sources --schema nothing")
    assert (refused.code, "no such schema; known: ledger, tests" in refused.err) == (2, True)

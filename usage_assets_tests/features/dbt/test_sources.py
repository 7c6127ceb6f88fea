"""`usage-assets dbt sources`: what dbt is told of the warehouse is what the warehouse says of itself."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # Dagster's, without types

from usage_assets.features.dbt.sources import schemas_of, text_of
from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse.published import publish
from usage_assets_tests.conftest import NewWarehouse, Sandbox
from usage_assets_tests.features.report.conftest import make_all_views
from usage_assets_tests.models.days import Days, raw
from usage_assets_tests.terminal import Terminal

KEYS = {"name", "database", "schema", "tables"}
OF_TABLE = {"name", "description", "columns", "config", "data_tests"}


@pytest.fixture
def days(warehouse_with_views: NewWarehouse, tmp_path: Path) -> Iterator[Days]:
    """A day of costs, and all views."""
    days = Days(warehouse_with_views(tmp_path))
    with days.warehouse.get_connection():
        days.fetched(Costs, raw(Costs, api_key_id="key"))
        make_all_views(days.warehouse)
        yield days


def sources(days: Days) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """Schema -> table -> what the written file says of it."""
    with days.warehouse.get_connection() as database:
        written = yaml.safe_load(text_of(schemas_of(database), "usage"))
    assert written["version"] == 2
    found: Sequence[Any] = written["sources"]
    assert all(source.keys() == KEYS and source["database"] == "usage" for source in found)
    return {source["schema"]: {table["name"]: table for table in source["tables"]} for source in found}


def test_every_table_view_and_column_is_there_with_its_meaning(days: Days) -> None:
    found = sources(days)
    columns = {
        (schema, name, column["name"]): column
        for schema, tables in found.items()
        for name, table in tables.items()
        for column in table["columns"]
    }
    stored = days.warehouse.read(
        "select schema_name, table_name, column_name, data_type, comment from duckdb_columns() where not internal"
    ).to_pylist()
    assert len(columns) == len(stored) > 1000
    for row in stored:
        column = columns[row["schema_name"], row["table_name"], row["column_name"]]
        assert (column["data_type"], column["description"]) == (row["data_type"], row["comment"])
    tables = [table for of_schema in found.values() for table in of_schema.values()]
    assert all(table.keys() <= OF_TABLE for table in tables)
    assert not [table for table in tables if table["description"].endswith("]") and "[[" not in table["description"]]


def test_a_grain_is_unique_and_the_test_of_it_holds(days: Days) -> None:
    """The test ``unique`` groups by what it is given; a null in a row of columns is a value of its own."""
    tested = {
        f"{schema}.{name}": table["data_tests"][0]["unique"]["arguments"]["column_name"]
        for schema, tables in sources(days).items()
        for name, table in tables.items()
        if "data_tests" in table
    }
    assert tested["openai.costs"].startswith("row(connection, usage_date, ")
    assert tested["accounting.exchange_rates"] == "row(currency, valid_from)"
    assert "costs.by_month" not in tested, "nothing declares its grain"
    for table, grain in tested.items():
        days.warehouse.read(f"select {grain} as n, count(*) from {table} where {grain} is not null group by all")


def test_freshness_is_when_the_ledger_says_that_days_were_written(days: Days) -> None:
    found = sources(days)
    config = found["openai"]["costs"]["config"]
    assert config["freshness"] == {"warn_after": {"count": 36, "period": "hour"}}
    query = config["loaded_at_query"].replace("usage.ledger", "ledger")
    [row] = days.warehouse.read(query).to_pylist()
    [written] = days.warehouse.read("select max(written_at) as at from ledger.partition_versions").to_pylist()
    assert [*row.values()] == [written["at"]]
    assert "config" not in found["ledger"]["due_days"]
    assert "config" not in found["accounting"]["exchange_rates"]


def test_it_is_written_from_the_published_copy(
    sandbox_process: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal.open(sandbox_process, tmp_path, monkeypatch, capfd)
    with terminal.warehouse.transaction() as database:
        database.execute("create schema tests; create table tests.one as select 1 as n")
    publish(terminal.warehouse)
    said = terminal.type("dbt", "sources", "--schema", "tests", "--database", "spend")
    assert yaml.safe_load(said.out)["sources"] == [
        {
            "name": "tests",
            "database": "spend",
            "schema": "tests",
            "tables": [
                {
                    "name": "one",
                    "description": "",
                    "columns": [{"name": "n", "data_type": "INTEGER", "description": ""}],
                }
            ],
        }
    ]
    file = tmp_path / "sources.yml"
    assert terminal.type("dbt", "sources", "--schema", "tests", "--out", str(file)).lines == [
        f"{file}: 1 table, 1 column"
    ]
    assert "name: usage" not in file.read_text()
    refused = terminal.type("dbt", "sources", "--schema", "nothing")
    assert (refused.code, "no such schema; known: ledger, tests" in refused.err) == (2, True)

"""Views are made in the order of what they read, after the money is stored: a broken one stops nothing and is named."""

import logging
import re
from collections.abc import Iterator

import dagster as dg
import duckdb
import pytest

from usage_assets.core.schema import declarations
from usage_assets.models.costs import VIEWS
from usage_assets.models.due import VIEWS as DUE_DAYS
from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse import ledger
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.migrate import create_or_alter
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import View
from usage_assets.warehouse.views import in_order, make_views
from usage_assets_tests.fixtures import execute
from usage_assets_tests.models.days import DAY, Days, raw
from usage_assets_tests.models.test_checks import costs_graph, evaluations

BROKEN = View("-- reads: costs.nothing\ncreate or replace view costs.broken as from costs.nothing")
TABLE = re.compile(r'"type":"BASE_TABLE".*?"schema_name":"(\w*)","table_name":"(\w+)"')
REASON = "costs.broken cannot be made: Catalog Error: Table with name nothing does not exist!"


@pytest.fixture
def days(new_days: Days) -> Days:
    """In a new file: no view is there."""
    return new_days


def test_a_run_warns_of_a_broken_view_and_its_check_names_it(days: Days) -> None:
    """A check of something else makes no view."""
    days.fetched(Costs, raw(Costs))
    with dg.DagsterInstance.ephemeral() as instance:
        graph = costs_graph(days)
        fine = graph.run("everything", DAY, DAY, instance)
        assert [passed for _, passed, _ in evaluations(fine, "views")] == [True]
        execute(days.warehouse, "drop view costs.by_day")
        assert graph.run("content", DAY, DAY, instance).success
        assert not made(days, "by_day")
        assert graph.run("views", DAY, DAY, instance).success
        assert made(days, "by_day")
        result = costs_graph(days, BROKEN).run("everything", DAY, DAY, instance)
        logged = [entry.user_message for entry in instance.all_logs(result.run_id) if entry.level == logging.WARNING]
    assert result.success
    [found] = [each for each in result.get_asset_check_evaluations() if each.check_name == "views"]
    assert (found.passed, found.severity, found.description) == (False, dg.AssetCheckSeverity.WARN, REASON)
    assert logged == [REASON]


def made(days: Days, view: str) -> bool:
    return bool(days.warehouse.read("from duckdb_views() where view_name = $view", {"view": view}).num_rows)


ALL_VIEWS = (*ledger.VIEWS, *VIEWS, *DUE_DAYS)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse with every table and view."""
    made = {name for view in ALL_VIEWS for name in view.names}
    with Warehouse(database=str(tmp_path_factory.mktemp("views") / "usage.duckdb")).transaction() as database:
        for row in declarations().values():
            if row.table not in made:
                create_or_alter(database, Table(row))
        make_views(database, ALL_VIEWS)
        yield database


@pytest.mark.parametrize("view", in_order(ALL_VIEWS), ids=lambda view: view.names[0])
def test_a_view_declares_what_it_reads(database: duckdb.DuckDBPyConnection, view: View) -> None:
    query = "select json_serialize_sql(regexp_replace(sql, '(?s)^.*? AS ', '')) from duckdb_views() where "
    read: set[str] = set()
    for name in view.names:
        [(parsed,)] = database.execute(f"{query} schema_name || '.' || view_name = $name", {"name": name}).fetchall()
        read |= {".".join(table) for table in TABLE.findall(parsed) if table[0]}
    for name in re.findall(r"create or replace macro (\S+)\(", view.sql):
        query = "select macro_definition from duckdb_functions() where schema_name || '.' || function_name = $name"
        [(definition,)] = database.execute(query, {"name": name}).fetchall()
        found = re.findall(r'(?<!DISTINCT )(?:FROM|JOIN) \(*(\w+\."?\w+)', definition)
        read |= {table.replace('"', "") for table in found}
    assert {*view.reads} == read - {*view.names}


COMMENTS = """
select schema_name || '.' || table_name || '.' || column_name as name, comment
from duckdb_columns()
where not internal
order by all
"""


def test_every_column_of_every_table_and_view_says_what_it_means(database: duckdb.DuckDBPyConnection) -> None:
    found = dict(database.execute(COMMENTS).fetchall())
    assert len(found) > 2000
    assert [name for name, comment in found.items() if not comment] == []
    columns = {name.rpartition(".")[2] for name in found}
    described = {name.rpartition(".")[2] for view in ALL_VIEWS for name in view.described}
    assert described <= columns, "a line describes a column that no view has"

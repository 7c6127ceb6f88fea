"""An assistant that is asked about a lake, which cannot be locked."""

from contextlib import suppress
from pathlib import Path

import duckdb
import psycopg
import pytest

from usage_assets.core.warehouse_address import LAKE, WarehouseAddress
from usage_assets.features.lake.warehouse import Lake
from usage_assets.features.mcp.asking import describe, query
from usage_assets.features.mcp.sight import Sight
from usage_assets.features.mcp.spend import spend
from usage_assets.features.mcp.store import Store
from usage_assets.features.mcp.tracing import due
from usage_assets.warehouse.values import WarehouseError
from usage_assets_tests.features.mcp.conftest import add_people
from usage_assets_tests.features.mcp.test_figures import ALL, MONTH, structured
from usage_assets_tests.features.mcp.test_sight import ATTEMPTS, IDS, PEOPLE, said
from usage_assets_tests.features.query import hostile
from usage_assets_tests.features.report.conftest import fill, make_all_views
from usage_assets_tests.models.days import Days

pytestmark = pytest.mark.slow
MANY = 500
CONNECTIONS = "select distinct connection from costs.daily_costs"


def test_after_a_connection_is_lost_the_next_question_has_a_new_one(lake: Lake) -> None:
    """No run has written since: the state is the same, and what was open may be of no use."""
    fill(Days(lake))
    make_all_views(lake)
    store = Store(WarehouseAddress(lake.database, lake.data), Sight())
    with store.opened() as first:
        expected = structured(due(first, None, ALL, None))
    with psycopg.connect(lake.database.removeprefix(LAKE), autocommit=True) as session:
        others = "from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()"
        session.execute(f"select pg_terminate_backend(pid) {others}")
    with suppress(WarehouseError, duckdb.Error), store.opened() as opened:
        assert structured(query(opened, CONNECTIONS, ALL, None))["rows"]
    away = Path(lake.data).rename(f"{lake.data}.away")
    with pytest.raises(WarehouseError, match="No such file"), store.opened() as opened:
        query(opened, CONNECTIONS, ALL, None)
    away.rename(lake.data)
    with store.opened() as again:
        assert again is not first
        assert structured(due(again, None, ALL, None)) == expected
        assert structured(query(again, CONNECTIONS, ALL, None))["rows"]
    store.close()


def test_a_lake_answers_and_lets_nothing_out(lake: Lake, tmp_path: Path) -> None:
    days = fill(Days(lake))
    add_people(days)
    make_all_views(lake)
    store = Store(WarehouseAddress(lake.database, lake.data), Sight())
    (tmp_path / hostile.FILE).write_text(f"content\n{hostile.SECRET}\n")
    before = lake.fingerprint
    with store.opened() as opened:
        assert structured(spend(opened, *MONTH, "team", {}, ALL, None))["rows"]
        assert structured(describe(opened, None, ALL, None))["rows"]
        assert structured(due(opened, None, ALL, None))["freshness"]
        sql = "select team, sum(amount_usd) as usd from costs.by_team where cost_basis = 'billed' group by all"
        assert structured(query(opened, sql, ALL, None))["rows"]
        for attempt in (*hostile.statements(MANY, 36, tmp_path, 9), *ATTEMPTS):
            try:
                found = said(query(opened, attempt, ALL, None))
            except WarehouseError as error:
                found = str(error)
            assert hostile.SECRET not in found, attempt
            assert not [each for each in PEOPLE if each in found], attempt
            assert not IDS.search(found), attempt
    with store.opened() as again:
        assert again is opened
    store.close()
    assert lake.fingerprint == before

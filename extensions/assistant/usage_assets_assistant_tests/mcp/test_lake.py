"""An assistant that is asked about a lake, which cannot be locked."""

from contextlib import suppress
from pathlib import Path

import duckdb
import psycopg
import pytest

from usage_assets.config.accounting import Owner
from usage_assets.core.warehouse_address import LAKE, WarehouseAddress
from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse.values import WarehouseError
from usage_assets_assistant.mcp import caged
from usage_assets_assistant.mcp.asking import describe, query
from usage_assets_assistant.mcp.sight import Sight
from usage_assets_assistant.mcp.store import Store
from usage_assets_assistant.mcp.tracing import due
from usage_assets_assistant_tests.mcp.conftest import ID, add_people
from usage_assets_assistant_tests.mcp.test_figures import ALL, rows_of_sql, spending, structured
from usage_assets_assistant_tests.mcp.test_sight import IN_ANY_PLACE, find_nothing
from usage_assets_lake.warehouse import Lake
from usage_assets_report_tests.conftest import LAST, make_all_views
from usage_assets_tests.models.days import Days, raw
from usage_assets_tests.models.stated import stating

CONNECTIONS = "select distinct connection from costs.daily_costs"


def test_a_lake_answers_and_lets_nothing_out(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    days = stating(Days(lake), owners=[Owner(project="p1", team="web")])
    days.fetched(Costs, raw(Costs, usage_date=LAST, project_id="p1", user_id=ID), first=LAST)
    for file in ("openai_costs", "openai_allocated_costs"):
        days.derive(file, first=LAST)
    add_people(days)
    make_all_views(lake)
    store = Store(WarehouseAddress(lake.database, lake.data), Sight())
    with store.opened() as opened:
        expected = structured(due(opened, None, ALL, None))
    # Get a new connection after one is lost. No run has written since: the state is the same, and what was open
    # may be of no use.
    with psycopg.connect(lake.database.removeprefix(LAKE), autocommit=True) as session:
        others = "from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()"
        session.execute(f"select pg_terminate_backend(pid) {others}")
    with suppress(WarehouseError, duckdb.Error), store.opened() as opened:
        assert rows_of_sql(opened, CONNECTIONS)
    away = Path(lake.data).rename(f"{lake.data}.away")
    with pytest.raises(WarehouseError, match="No such file"), store.opened() as opened:
        query(opened, CONNECTIONS, ALL, None)
    away.rename(lake.data)
    with store.opened() as again:
        assert again is not opened
        assert rows_of_sql(again, CONNECTIONS)
    before = lake.fingerprint
    with store.opened() as opened:
        assert structured(due(opened, None, ALL, None)) == expected
        assert expected["freshness"]
        assert spending(opened, "team")["rows"]
        assert structured(describe(opened, None, ALL, None))["rows"]
        sql = "select team, sum(amount_usd) as usd from costs.by_team where cost_basis = 'billed' group by all"
        assert rows_of_sql(opened, sql)
        find_nothing(opened, IN_ANY_PLACE, tmp_path, monkeypatch)
    with store.opened() as again:
        assert again is opened
    assert structured(caged.query(store, sql, ALL, None))["rows"], "also in the process of its own"
    store.close()
    assert lake.fingerprint == before

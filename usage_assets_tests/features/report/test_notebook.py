"""The notebook in docs/examples runs, and what it shows adds up to the bill."""

import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path
from runpy import run_path

import pytest

from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.published import publish
from usage_assets_tests.models.days import Days

NOTEBOOK = Path(__file__).parents[3] / "docs/examples/spend.py"


def test_teams_and_models_add_up_to_what_is_billed(
    company: Days, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(company.warehouse)
    warehouse = Warehouse(database=str(tmp_path / "usage.duckdb"))
    shutil.copyfile(company.warehouse.published, warehouse.database)
    with warehouse.transaction() as database:
        database.execute("update ledger.partition_versions set settling_days = 30 where table_name = 'openai.costs'")
    publish(warehouse)
    monkeypatch.setenv("USAGE_WAREHOUSE", warehouse.database)
    _, shown = run_path(str(NOTEBOOK))["app"].run()
    [billed] = warehouse.read(
        "select sum(amount_usd) as usd from costs.by_month where cost_basis = 'billed' and month = '2026-11-01'"
    ).to_pylist()
    assert shown["month"] == date(2026, 11, 1)
    assert shown["total"]["usd"] == billed["usd"] > 0
    assert shown["teams"]["usd"].sum() == sum(shown["models"]["usd"], Decimal(0)) == billed["usd"]
    assert {"web", "unowned"} <= {*shown["teams"]["team"]}
    assert shown["days"] == {"stored": 12, "provisional": 12}
    assert "billed" not in shown["others"]["cost_basis"].to_list()
    assert len(shown["others"]) > 0

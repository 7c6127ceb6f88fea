"""The notebook in docs/examples runs, and what it and the dashboard show adds up to the bill."""

import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path
from runpy import run_path

import pytest

import usage_assets
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.published import publish
from usage_assets_tests.fixtures import execute
from usage_assets_tests.models.days import Days
from usage_assets_tests.terminal import ROOT

EXAMPLES = ROOT / "docs/examples"
NOTEBOOK = EXAMPLES / "spend.py"
SOURCES = [path for path in sorted(EXAMPLES.glob("evidence/sources/*/*.sql")) if path.stem != "initialize"]


def test_teams_and_models_add_up_to_what_is_billed(
    company: Days, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(company.warehouse)
    warehouse = Warehouse(database=str(tmp_path / "usage.duckdb"))
    shutil.copyfile(company.warehouse.published, warehouse.database)
    execute(warehouse, "update ledger.partition_versions set settling_days = 30 where table_name = 'openai.costs'")
    publish(warehouse)
    monkeypatch.setenv("USAGE_WAREHOUSE", warehouse.database)
    _, shown = run_path(str(NOTEBOOK))["app"].run()
    [billed] = warehouse.read(
        "select sum(amount_usd) as usd, count(*) - count(amount_usd) as without_usd from costs.daily_costs "
        "where cost_basis = 'billed' and usage_date >= '2026-11-01'"
    ).to_pylist()
    assert shown["month"] == date(2026, 11, 1)
    assert shown["total"]["usd"] == billed["usd"] > 0
    assert shown["teams"]["usd"].sum() == sum(shown["models"]["usd"], Decimal(0)) == billed["usd"]
    assert shown["left_out"]["n"] == billed["without_usd"] > 0
    assert {"web", "unowned"} <= {*shown["teams"]["team"]}
    assert shown["days"] == {"stored": 12, "provisional": 12}
    assert "billed" not in shown["others"]["cost_basis"].to_list()
    assert len(shown["others"]) > 0


def test_a_dashboard_reads_what_may_be_added_and_shows_what_is_billed_to_the_cent(company: Days) -> None:
    publish(company.warehouse)
    with usage_assets.open(company.warehouse.database) as spend:
        shown = {source.stem: spend.sql(source.read_text()) for source in SOURCES}
        [billed] = spend.sql("select sum(amount_usd) as usd from costs.daily_costs where cost_basis = 'billed'").rows()
        for name, answer in shown.items():
            types = {*map(str, answer.arrow().schema.types)}
            assert types, name
            assert types.isdisjoint({"float", "double"}), name
        for name in ("months", "days", "teams", "models"):
            total = sum((row["usd"] for row in shown[name].rows()), Decimal(0))
            assert round(total, 2) == round(billed["usd"], 2), name

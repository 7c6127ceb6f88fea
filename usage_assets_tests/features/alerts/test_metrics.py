"""What Prometheus reads, beside amounts that are stated here; and rules for it, as its own tool reads them."""

import re
import shutil
import subprocess
from datetime import UTC, date, datetime

import pytest
import time_machine
import yaml  # type: ignore[import-untyped]  # Dagster's, without types
from prometheus_client.parser import text_string_to_metric_families

from usage_assets.config.accounting import Accounting, Owner
from usage_assets.features.alerts.command import SQL
from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse.ledger import FailedCheck
from usage_assets.warehouse.migrate import create_or_alter
from usage_assets.warehouse.published import publish
from usage_assets.warehouse.tables import Table
from usage_assets_tests.fixtures import ROOT, NewWarehouse
from usage_assets_tests.models.days import Days, raw
from usage_assets_tests.terminal import Terminal

RULES = ROOT / "deploy" / "prometheus-rules.yaml"
OWNERS = Accounting(owners=[Owner(project="p1", team="web", valid_from=date(2026, 1, 1))])


@pytest.fixture
def printed(terminal: Terminal, warehouse_with_views: NewWarehouse) -> str:
    """The metrics of a month: $3 of a team, $0.5 of nobody and a euro without a rate; $9 of the month before."""
    days = Days(warehouse_with_views(terminal.folder), OWNERS)
    before, after = date(2026, 10, 31), date(2026, 11, 2)
    days.spent(Costs, raw(Costs, usage_date=before, amount_value=9), first=before)
    rows = (
        raw(Costs, usage_date=after, amount_value=3, project_id="p1"),
        raw(Costs, usage_date=after, amount_value="0.5"),
        raw(Costs, usage_date=after, amount_currency="eur"),
    )
    days.spent(Costs, *rows, first=after)
    with days.warehouse.transaction() as database:
        create_or_alter(database, Table(FailedCheck))
        found = "('openai', date '2026-11-02', 'costs', 'grain', 'ERROR', 'two rows', 'run', now())"
        database.execute(f"insert into ledger.failed_checks values {found}")
    publish(days.warehouse)
    with time_machine.travel(datetime(2026, 11, 20, 8, tzinfo=UTC), tick=False):
        said = terminal.type("metrics")
    assert (said.code, said.err) == (None, "")
    return said.out


def test_amounts_and_days_are_those_that_are_stored(printed: str) -> None:
    samples = {
        (sample.name.removeprefix("usage_assets_"), *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(printed)
        for sample in family.samples
    }
    assert samples.pop(("last_write_timestamp_seconds", "openai")) > datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert samples == {
        ("billed_usd_month_to_date", "openai", "openai", "web"): 3.0,
        ("billed_usd_month_to_date", "openai", "openai", "unowned"): 0.5,
        ("billed_rows_without_usd_month_to_date", "openai", "openai"): 1.0,
        ("newest_cost_day_timestamp_seconds", "openai"): datetime(2026, 11, 2, tzinfo=UTC).timestamp(),
        ("failed_check_partitions", "ERROR", "grain", "openai"): 1.0,
    }


def test_the_rules_name_metrics_that_there_are() -> None:
    rules = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
    named = {name for rule in rules for name in re.findall(r"usage_assets_(\w+)", rule["expr"])}
    assert named
    assert named <= {file.stem for file in SQL.glob("*.sql")}


@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool: apt-get install prometheus")
def test_prometheus_accepts_both(printed: str) -> None:
    for command in (["metrics"], ["rules", str(RULES)]):
        done = subprocess.run(["promtool", "check", *command], input=printed, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")

"""`python -m usage_assets.focus` creates the file that `make focus` validates: a year of the sandbox's company, with a
credit rate, a purchase of credits, and an invoiced month with a day that was restated later. It writes only to .focus.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import click
import httpx

from usage_assets.cli import main as cli
from usage_assets.config.settings import Connection, Settings
from usage_assets.core.days import Window, utc_today
from usage_assets.demo.__main__ import address_of, empty, isolated, start_sandbox
from usage_assets.fetching.connected import earliest_day, provider_client, settling_days
from usage_assets.fetching.control_totals import fetch_with_totals
from usage_assets.local.processes import StartError, only_one, terminate_like_ctrl_c
from usage_assets.models.costs import COSTS, DailyCost
from usage_assets.models.model import money_seed
from usage_assets.providers import PROVIDERS
from usage_assets.sandbox import credentials
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.opened import warehouse_at
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch

FILE = "year.csv"
BILLED = ("openai.costs", "anthropic.cost_report", "chatgpt.codex_usage")
"""What FOCUS has rows of: estimates are no costs."""
CONNECTIONS = """
[[credit_rate]]
workspace = "{workspace}"
usd_per_credit = 0.0425
valid_from = {invoiced}
source = "contract"

[[purchase]]
connection = "chatgpt"
kind = "credits"
quantity = 100000
amount = 4250
id = "order 9"
valid_from = {invoiced}

[[owner]]
workspace = "{workspace}"
team = "apps"
cost_centre = "4711"

[[invoice]]
connection = "openai"
month = "{invoiced:%Y-%m}"
total = {total}
id = "INV-1"
issued = {issued}
"""
"""What only the payer knows. Credits of the month before the invoiced one have no rate."""


def main() -> None:
    terminate_like_ctrl_c()
    home = Path.cwd() / ".focus"
    last = utc_today() - timedelta(days=1)
    first = last - timedelta(days=364)
    try:
        with only_one(home, "make focus") as lock:
            empty(home)
            with start_sandbox(home, lock) as sandbox, chdir(home):
                url = address_of(sandbox)
                variables = isolated(os.environ) | variables_for(url, first, last, home)
                os.environ.clear()  # it sees neither keys nor data of the user
                os.environ.update(variables)
                make_year(url, Settings.load(), first, last)
                cli.main(["export", "focus", "--start", str(first), "--end", str(last), "--out", FILE])
    except StartError as error:
        click.echo(f"focus: {error}", err=True)
        sys.exit(2)


def invoiced_month(last: date) -> date:
    """The first day of the month that is invoiced, the last but one before the month of the last day."""
    return _month_before(_month_before(last))


def _month_before(day: date) -> date:
    return (day.replace(day=1) - timedelta(days=1)).replace(day=1)


def variables_for(sandbox: str, first: date, last: date, home: Path) -> dict[str, str]:
    """The environment of a user whose accounts are the sandbox's. Writes the connections file that it names."""
    month = invoiced_month(last)
    issued = (month + timedelta(days=31)).replace(day=1)
    days = {"start": str(month), "end": str(issued - timedelta(days=1))}
    truth = httpx.get(f"{sandbox}/control/truth", params=days).raise_for_status().json()
    total = Decimal(truth["totals"]["openai"]["usd"]).quantize(Decimal("0.01"))
    workspace, file = credentials.CHATGPT_WORKSPACE_ID, home / "connections.toml"
    file.write_text(CONNECTIONS.format(workspace=workspace, invoiced=month, issued=issued, total=total))
    return credentials.variables(sandbox) | {
        "USAGE_WAREHOUSE": str(home / "usage.duckdb"),
        "USAGE_CONNECTIONS": str(file),
        "USAGE_START_DATE": str(first),
    }


def make_year(sandbox: str, settings: Settings, first: date, last: date) -> None:
    """Store what the days have cost, and again a day that was restated after its month had been invoiced."""
    warehouse = warehouse_at(settings.warehouse)
    openai, *others = settings.connections()
    for connection in (openai, *others):
        start = max(first, earliest_day(connection, PROVIDERS[connection.provider]))
        _store(connection, settings, warehouse, Window(start, last).days)
    restated = invoiced_month(last) + timedelta(days=9)
    change = {"provider": "openai", "endpoint": "costs", "days": [str(restated)], "change": "scale"}
    httpx.post(f"{sandbox}/control/restate", json=change).raise_for_status()
    _store(openai, settings, warehouse, [restated])


def _store(connection: Connection, settings: Settings, warehouse: Warehouse, days: Sequence[date]) -> None:
    """Fetch and derive a connection's costs, as its assets do."""
    provider, target = PROVIDERS[connection.provider], Slice(connection.name, days[0], days[-1])
    seeds = money_seed(settings.accounting(), datetime.now(UTC))
    with provider_client(connection, settings) as client:
        for model in (cost for cost in COSTS if cost.part in BILLED and cost.part.startswith(f"{provider.name}.")):
            [endpoint] = (endpoint for endpoint in provider.endpoints if endpoint.row.table == model.part)
            began = datetime.now(UTC)
            fetched, totals = fetch_with_totals(client, endpoint, days)
            answer = Batch(
                rows=fetched.rows,
                began=began,
                control=(Table(endpoint.control.row), totals) if endpoint.control else None,
                settling_days=settling_days(connection, provider),
            )
            warehouse.replace(Table(endpoint.row), answer, target, "focus")
            query = replace(model.query, seed=seeds)
            warehouse.replace(Table(DailyCost), query, replace(target, part=model.part), "focus")


if __name__ == "__main__":
    main()

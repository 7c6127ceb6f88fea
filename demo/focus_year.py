"""`python -m demo.focus_year` creates the files that `make focus` validates, one per version: a year of the
sandbox's company, with a credit rate, a purchase of credits, and an invoiced month with a day that was restated later.
It writes only to .focus.
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

from demo.__main__ import (
    BILLS,
    WHO_BILL_TOO,
    address_of,
    deliver_bills,
    empty,
    isolated,
    keys_of_others,
    start_sandbox,
)
from usage_assets.cli.processes import StartError, only_one, terminate_like_ctrl_c
from usage_assets.config.settings import Connection, Settings
from usage_assets.core.days import Window, utc_today
from usage_assets.fetching.connected import earliest_day, provider_client, settling_days
from usage_assets.fetching.control_totals import fetch_with_totals
from usage_assets.models.connection_graph import seeds_of
from usage_assets.models.costs import ALLOCATIONS, COSTS, DailyCost
from usage_assets.models.model import money_seed
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.opened import warehouse_at
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch
from usage_assets_finance.export.columns import VERSIONS
from usage_assets_finance.export.export import export
from usage_assets_sandbox import credentials

FILE = "year-{}.csv"
"""One per version."""
BILLED = frozenset(source.table for each in PROVIDERS.values() for source in each.costs if source.billed_totals)
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
cost_center = "4711"

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
                settings = Settings.load()
                make_year(url, settings, first, last)
                for version in VERSIONS:
                    file = Path(FILE.format(version))
                    told = export(
                        warehouse_at(settings.warehouse), seeds_of(settings), first, last, file, version=version
                    )
                    click.echo(f"{file}: rows {told.rows:,}")
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
    workspace, file, bills = credentials.CHATGPT_WORKSPACE_ID, home / "connections.toml", home / "bills"
    said = CONNECTIONS.format(workspace=workspace, invoiced=month, issued=issued, total=total)
    file.write_text(WHO_BILL_TOO + BILLS.format(folder=bills) + said)
    deliver_bills(sandbox, bills, first)
    return (
        credentials.variables(sandbox)
        | keys_of_others(sandbox)
        | {
            "USAGE_WAREHOUSE": str(home / "usage.duckdb"),
            "USAGE_CONNECTIONS": str(file),
            "USAGE_START_DATE": str(first),
        }
    )


def make_year(sandbox: str, settings: Settings, first: date, last: date) -> None:
    """Store what the days have cost, and again a day that was restated after its month had been invoiced."""
    warehouse = warehouse_at(settings.warehouse)
    for connection in settings.connections():
        start = max(first, earliest_day(connection, PROVIDERS[connection.provider]))
        _store(connection, settings, warehouse, Window(start, last).days)
    [openai] = (each for each in settings.connections() if each.name == "openai")
    restated = invoiced_month(last) + timedelta(days=9)
    change = {"provider": "openai", "endpoint": "costs", "days": [str(restated)], "change": "scale"}
    httpx.post(f"{sandbox}/control/restate", json=change).raise_for_status()
    _store(openai, settings, warehouse, [restated])


def _store(connection: Connection, settings: Settings, warehouse: Warehouse, days: Sequence[date]) -> None:
    """Fetch a connection's bills and the usage that allocates them, and derive its costs, as its assets do."""
    provider, target = PROVIDERS[connection.provider], Slice(connection.name, days[0], days[-1])
    seeds = money_seed(settings.accounting(), datetime.now(UTC))
    bills = [cost for cost in COSTS if cost.part in BILLED and cost.part.startswith(f"{provider.name}.")]
    allocations = [each for each in ALLOCATIONS if each.part in {bill.part for bill in bills}]
    needed = {table for model in (*bills, *allocations) for table in (model.part, *model.optional_refs)}
    with provider_client(connection, settings) as client:
        for endpoint in (each for each in provider.endpoints if each.row.table in needed):
            began = datetime.now(UTC)
            fetched = fetch_with_totals(client, endpoint, days)
            answer = Batch(
                rows=fetched.rows,
                began=began,
                control=(Table(endpoint.control.row), fetched.totals) if endpoint.control else None,
                settling_days=settling_days(connection, provider),
            )
            warehouse.replace(Table(endpoint.row), answer, target, "focus")
    for model in (*bills, *allocations):
        query = replace(model.query, seed=seeds, parts={DailyCost.table: (model.part,)})
        warehouse.replace(Table(model.row), query, replace(target, part=model.part), "focus")


if __name__ == "__main__":
    main()

"""`usage-assets what-if`. The report's query compares; list prices are those that genai-prices has now."""

import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import click
import duckdb
from pydantic import ValidationError

from usage_assets.cli.access import complain, hide_pandas, warehouse_now
from usage_assets.cli.files import no_formula
from usage_assets.config.accounting import ListPriceRow, WhatIfRow
from usage_assets.config.settings import Settings, SettingsError
from usage_assets.core.days import counted
from usage_assets.core.money import plain
from usage_assets.core.schema import TableRow, to_arrow
from usage_assets.models.costs import unreadable
from usage_assets.models.prices import has_prices
from usage_assets.models.stated import difference
from usage_assets.warehouse.arrow import fetch_arrow
from usage_assets_report.command import period_of
from usage_assets_report.entries import WhatIf
from usage_assets_report.insights.list_prices import price_rows
from usage_assets_report.page import amount
from usage_assets_report.period import Period

FIGURES: Mapping[str, str] = {
    "usd_list": "at its list price",
    "usd_list_instead": "at the other list price",
    "usd_change": "change at list prices",
    "usd_bill_less_list": "bill less its list price: discounts, long requests and tools",
    "usd_difference_to_bill": "the other list price less the bill",
}
COMPARED = """
select * exclude (of_costs)
from costs.what_if($first, $last, prices := 'temp.main.list_prices', entries := 'temp.main.what_ifs')
"""


NAMES = "select model from models.names where provider = $1 and family = $2"


@click.command()
@click.option("--month", metavar="YYYY-MM", help="Month. Default: the current one, up to yesterday.")
@click.option("--start", metavar="YYYY-MM-DD", help="First day (UTC), instead of --month.")
@click.option("--end", metavar="YYYY-MM-DD", help="Last day, included.")
@click.option("--provider", help="Provider of the model. Without it, the largest models and [[what_if]] are compared.")
@click.option("--model", help="The model whose tokens are compared, or a family: each of its names.")
@click.option("--to-provider", help="Provider of the other model. Default: the same.")
@click.option("--to", help="The other model. Default: the same.")
@click.option("--tier", help="standard, batch, flex, priority or fast. Default: the tier of each token.")
@click.option("--cached-share", help="Share of the input that would be read from the cache, such as 0.5, or 0.")
@click.option("--csv", "as_csv", is_flag=True, help="Print every digit as CSV.")
def what_if(month: str | None, start: str | None, end: str | None, *, as_csv: bool, **stated: str | None) -> None:
    hide_pandas()
    settings = Settings.load()
    period = period_of(month, start, end, settings)
    wanted = {name: value for name, value in stated.items() if value is not None}
    with warehouse_now(settings).reading() as database:
        rows = compared_as_wanted(database, period, wanted, entries_of(wanted, database))
        differs = difference(database, settings)
    if differs:
        complain(differs)
    if as_csv:
        lines = csv.writer(sys.stdout, lineterminator="\n")
        lines.writerow(rows[0] if rows else ())
        lines.writerows(
            [
                plain(value) if isinstance(value, Decimal) else no_formula(value) if isinstance(value, str) else value
                for value in row.values()
            ]
            for row in rows
        )
        return
    click.echo(f"{period.first} to {period.last}, UTC. Public list prices: an estimate, and no offer.")
    for row in rows:
        for line in _shown(row):
            click.echo(line)


def entries_of(wanted: Mapping[str, str], database: duckdb.DuckDBPyConnection) -> Sequence[WhatIfRow]:
    """Return what was typed, by option; where nothing was, all stored [[what_if]]. Raises SettingsError."""
    if not has_prices():
        raise SettingsError("list prices are missing: pip install 'usage-assets[prices]'")
    if wanted:
        return [_entry(wanted)]
    try:
        stored = fetch_arrow(database.execute(f"from {WhatIfRow.table}")).to_pylist()
    except duckdb.CatalogException as error:
        raise unreadable(database, error) from None
    return [WhatIfRow(**row) for row in stored]


def compared_as_wanted(
    database: duckdb.DuckDBPyConnection, period: Period, wanted: Mapping[str, str], entries: Sequence[WhatIfRow]
) -> Sequence[Mapping[str, Any]]:
    """Return the rows of the model that was typed; where nothing was, all. Raises SettingsError, WarehouseError."""
    rows = compared(database, period, entries)
    if not wanted:
        return rows
    provider, model = wanted["provider"], wanted["model"]
    names = {model, *(name for (name,) in database.execute(NAMES, [provider, model]).fetchall())}
    found = [row for row in rows if row["provider"] == provider and row["model"] in names]
    if not found:
        words = {f"{provider} {name}" for name in names}
        reasons = (row["instead"] for row in rows if not words.isdisjoint(row["model"].split(", ")))
        raise SettingsError(f"{provider} {model}: {next(reasons)}")
    return found


def compared(
    database: duckdb.DuckDBPyConnection, period: Period, entries: Sequence[WhatIfRow]
) -> Sequence[Mapping[str, Any]]:
    """Return the report's rows for these entries, at the list prices of now. Raises WarehouseError."""
    try:
        prices = price_rows(database, entries, period.first, period.last)
        stated: Mapping[type[TableRow], Sequence[TableRow]] = {ListPriceRow: prices, WhatIfRow: entries}
        for row, rows in stated.items():
            database.register("stated", to_arrow(row, rows))
            database.execute(f"create or replace temp table {row.table.partition('.')[2]} as from stated")
        days = {"first": period.first, "last": period.last}
        found: Sequence[Mapping[str, Any]] = fetch_arrow(database.execute(COMPARED, days)).to_pylist()
        return found
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise unreadable(database, error) from None


def _entry(wanted: Mapping[str, str]) -> WhatIfRow:
    """Return what was typed. Raises SettingsError."""
    for name in ("provider", "model"):
        if name not in wanted:
            raise SettingsError(f"--{name} is missing: name the provider and the model whose tokens are compared")
    try:
        share = {"cached_share": Decimal(wanted["cached_share"])} if "cached_share" in wanted else {}
        return WhatIf.model_validate({**wanted, **share}).row
    except ArithmeticError:
        raise SettingsError(f"--cached-share {wanted['cached_share']}: write a share such as 0.5") from None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        option = "".join(f"--{str(name).replace('_', '-')}: " for name in first["loc"])
        raise SettingsError(option + first["msg"].removeprefix("Value error, ")) from None


def _shown(row: Mapping[str, Any]) -> Iterator[str]:
    days = f" in {counted(row['days'])}" if row["days"] else ""
    yield ""
    if row["days"] is None:  # its models have their providers with them
        yield f"not compared ({row['instead']}): {row['model']}"
    else:
        yield f"{row['provider']} {row['model']} -> {row['instead']}"
    if row["usd"] is not None:
        share = row["share_of_bill"]  # null where refunds are as much as all that was billed
        of_bill = "" if share is None else f": {share:.1%} of the whole bill"
        yield f"{amount(row['usd'], 'USD'):>16}  billed{days}{of_bill}"
    if row.get("usd_left_out"):  # not of an earlier release
        yield f"{amount(row['usd_left_out'], 'USD'):>16}  billed on other days, not compared: {row['left_out_because']}"
    for name, words in FIGURES.items():
        if row[name] is not None:
            yield f"{amount(row[name], 'USD'):>16}  {words}"

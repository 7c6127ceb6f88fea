"""The page of all tables, from their declarations."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from usage_assets.config.accounting import Accounting, ListPriceRow, MetricRow
from usage_assets.core.features import features
from usage_assets.core.schema import MONEY, TableRow, columns, sent_names
from usage_assets.fetching.page_parser import beside_money
from usage_assets.models.costs import AllocatedCost, AllocatedCostSums, DailyCost, DailyCostSums
from usage_assets.models.due import DueDay, ExpectedAsset
from usage_assets.models.entities import ENTITIES
from usage_assets.models.insights import AnomalyRow, BudgetStatusRow, ForecastRow, ForecastTotalRow
from usage_assets.providers import LOOKUPS, PROVIDERS
from usage_assets.providers.endpoint import Endpoint
from usage_assets.providers.records import OURS
from usage_assets.warehouse.ledger import (
    AcceptedBillDay,
    BillAmount,
    BillDay,
    BillSet,
    BillState,
    DayState,
    FailedCheck,
    IssuedStatement,
    LateDay,
    Naming,
    PartitionVersion,
    PortEntity,
    PortPush,
    PushedDay,
    Restatement,
    Statement,
)
from usage_assets.warehouse.tables import SQL_TYPES, Table
from website.headings import labelled

FOCUS_HEAD = """## FOCUS columns

The columns of a [FOCUS](../extensions/finance/README.md#focus) file, by the versions that have them.
`costs.focus` has all of them.

| column | versions | where it comes from |
|---|---|---|
"""
HEAD = """# Tables

Every table has one row for each value of its grain, all
days are UTC days, and money is `DECIMAL(38,24)`: exact. Times of fetching are in `ledger.partition_versions`, not in
the rows, so that fetching the same data again changes nothing.
"""


def page() -> str:
    """Return the page."""
    endpoints = [endpoint for provider in PROVIDERS.values() for endpoint in provider.endpoints]
    of_tables = {endpoint.row.table: endpoint for endpoint in endpoints}
    raw = [row for endpoint in endpoints for row in (endpoint.row, endpoint.control and endpoint.control.row) if row]
    parts: Mapping[str, Sequence[type[TableRow]]] = {
        "Raw: what the providers say": raw,
        "Lookups: what the ids stand for": [lookup.row for lookup in LOOKUPS],
        "Costs": [DailyCost, AllocatedCost, DailyCostSums, AllocatedCostSums],
        "Forecasts, anomalies and budgets: estimates": [ForecastRow, ForecastTotalRow, AnomalyRow, BudgetStatusRow],
        "Accounting: the connections file, your metrics, list prices": [
            *Accounting().tables(),
            MetricRow,
            ListPriceRow,
        ],
        "Port entities": list(dict.fromkeys(derived.row for derived in ENTITIES)),
        "Ledgers": [
            *(PartitionVersion, Restatement, DayState, LateDay, DueDay, ExpectedAsset, FailedCheck, Naming, Statement),
            *(BillSet, BillDay, BillAmount, BillState, AcceptedBillDay),
            *(PortEntity, PortPush, PushedDay, IssuedStatement),
        ],
    }
    lines = [HEAD]
    for title, rows in parts.items():
        lines.append(f"## {title}\n")
        for row in rows:
            lines += _section(Table(row), of_tables.get(row.table))
    of_focus = FOCUS_HEAD + "".join(_focus_rows()) if "finance" in features() else ""
    return "\n".join([*lines, of_focus])


def _section(table: Table, endpoint: Endpoint | None) -> Iterator[str]:
    yield labelled(table.name, "###")
    yield table.description
    yield f"\nGrain: {_code(table.grain)}.\n"
    if endpoint and endpoint.part_of:
        yield f"In no cost: its money is that of {_code([endpoint.part_of])}.\n"
    if endpoint and not endpoint.files and (stops := _stopping(endpoint.row)):
        yield f"A value that does not fit stops the day only in {_code(stops)}.\n"
    yield "| column | type | unit | meaning |"
    yield "|---|---|---|---|"
    for column in table.columns:
        name = f"`{column.name}`" + ("" if column.nullable else " *")
        yield f"| {name} | {SQL_TYPES[column.type]} | {column.unit or ''} | {column.description} |"
    yield "\n\\* never null\n"


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _stopping(row: type[TableRow]) -> Sequence[str]:
    """Return the fields of a table with money that stop a day, as they are sent: all but those beside the money."""
    free = {*OURS, *(column.name for column in beside_money(row))}
    is_money = any(column.unit in MONEY for column in columns(row))
    return [sent_names(row)[column.name] for column in columns(row) if is_money and column.name not in free]


def _focus_rows() -> Iterator[str]:
    from usage_assets_finance.export.columns import COLUMNS, VERSIONS  # noqa: PLC0415 - the core's tests have no package

    for column in COLUMNS:
        versions = "all" if len(column.versions) == len(VERSIONS) else ", ".join(column.versions)
        yield f"| `{column.name}` | {versions} | {column.source} |\n"

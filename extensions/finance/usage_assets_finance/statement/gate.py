"""What forbids issuing a month: checks that are errors, and usage that is proven to be billed by two connections."""

from collections.abc import Iterator
from typing import NamedTuple

import duckdb

from usage_assets.config.settings import Settings
from usage_assets.core.days import Window, spans
from usage_assets.core.schema import Row
from usage_assets.models.comparisons import comparisons_of, prepare
from usage_assets.models.connection_graph import ConnectionGraph, fetched_costs, graph_of
from usage_assets.models.invoices import against_invoices
from usage_assets.models.same_use import billed_by_both, same_use
from usage_assets.providers.endpoint import Control
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Query, Seed
from usage_assets_finance.billed_twice import billed_twice


class Contradiction(NamedTuple):
    """Why a month should not be final."""

    name: str
    """What ``--accept`` takes: that of a check, or ``same_usage``, ``billed_twice`` or ``invoice``."""
    text: str


def contradictions(warehouse: Warehouse, settings: Settings, money: Seed, month: Window) -> Iterator[Contradiction]:
    """Yield what is wrong with the bills of a month. Raises SettingsError, WarehouseError.

    These are the checks of Dagster that are errors, over raw tables, costs and invoices. Those of entities in Port and
    of the report's forecasts are about no bill.
    """
    connections = settings.connections()
    with warehouse.one_moment() as now:
        same, by_both = [*same_use(now, connections, month)], [*billed_by_both(now, month)]
        twice = [*billed_twice(now, month)]
    for pair in same:
        one, other = pair.connections
        yield Contradiction(
            "same_usage",
            f"{one} and {other} store the same usage on {pair.days} days (the same id in {pair.table}: {pair.id}), and "
            "each bills it: remove one of them, or give them projects or filters that do not overlap",
        )
    yield from (Contradiction("billed_twice", pair.text) for pair in by_both)
    for bill in twice:
        if bill.is_same_account:
            yield Contradiction("billed_twice", f"{bill.connection} and {bill.billed_by}: {bill.text}")
    with warehouse.get_connection() as database:
        for connection in connections:
            yield from _of_connection(warehouse, database, graph_of(connection, money), month)
    invoices = [invoice for invoice in settings.accounting().invoices if invoice.first == month.first]
    for agrees, words in against_invoices(warehouse, invoices, fetched_costs(connections)):
        if not agrees:
            yield Contradiction("invoice", f"invoice {words}")


def suspicions(warehouse: Warehouse, month: Window) -> Iterator[str]:
    """Yield what may be billed twice in a month, as far as names tell."""
    with warehouse.one_moment() as now:
        twice = [*billed_twice(now, month)]
    for bill in twice:
        if not bill.is_same_account:
            yield f"{bill.connection} and {bill.billed_by}: {bill.text}"


def _of_connection(
    warehouse: Warehouse, database: duckdb.DuckDBPyConnection, graph: ConnectionGraph, month: Window
) -> Iterator[Contradiction]:
    billed = [(model, query) for model, query in graph.models if model.row.table.startswith("costs.")]
    looks: list[tuple[str, type[Row], Query | None, Control | None, str, str]] = [
        *((f"{each.name}", each.row, None, each.control, "", "") for each in graph.endpoints),
        *((model.name, model.row, query, None, f"{model.folder}/{model.file}", model.part) for model, query in billed),
    ]
    for asset, row, query, control, file, part in looks:
        table, target = Table(row), Slice(graph.connection.name, month.first, month.last, part)
        errors = [each for each in comparisons_of(table, query, control, file) if each.severity == "ERROR"]
        prepare(warehouse, database, errors, [table, *([Table(control.row)] if control else [])], query)
        for found in (each.look(database, target) for each in errors):
            if found.wrong:
                day = min(found.wrong)
                yield Contradiction(
                    found.check.name,
                    f"{graph.connection.name}/{asset}: the check {found.check.name} fails on {spans(found.wrong)}: "
                    f"{found.wrong[day][0]}. {found.advice(graph.connection.name, day)}",
                )

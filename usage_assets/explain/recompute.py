"""Computes figures again from the archived bytes alone, in a warehouse of its own.

It parses, stores and computes as runs do. Rates, owners and names are in no answer: they come from the published
tables.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from usage_assets.core.days import windows
from usage_assets.core.schema import declared
from usage_assets.explain.chain import Explainer, part_of
from usage_assets.explain.figures import (
    FOCUS,
    Figure,
    condition_of,
    exists,
    fetch,
    row_model,
    sum_of,
)
from usage_assets.explain.lineage import MissingLinkError
from usage_assets.fetching.connected import filters_of
from usage_assets.fetching.control_totals import fetch_with_totals
from usage_assets.fetching.transport import ProviderError
from usage_assets.models.costs import AllocatedCost, DailyCost
from usage_assets.models.model import LOOKUP_TABLES
from usage_assets.providers.endpoint import Endpoint
from usage_assets.providers.records import as_json
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.migrate import create_or_alter
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch, WarehouseError

RUN = "explain"


@dataclass(frozen=True)
class Needed:
    """What has to be computed again: tables, and the parts of them."""

    connection: str
    tables: frozenset[tuple[str, str]]


@contextmanager
def recomputed(explainer: Explainer, figures: Sequence[Figure]) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a warehouse that holds what the figures are made of, from the archived answers. Raises MissingLinkError."""
    with TemporaryDirectory() as folder:
        warehouse = Warehouse(database=str(Path(folder) / "recomputed.duckdb"))
        with warehouse.get_connection() as database:  # stays open: to open a file takes longer than to write a few rows
            days: defaultdict[Needed, set[date]] = defaultdict(set)
            for figure in figures:
                for row in figure.rows:
                    needed, of_row = _needed(explainer, figure.relation, row)
                    days[needed] |= of_row
            _copy_names(explainer, database)
            try:
                for needed, of_needed in days.items():
                    for window in windows(of_needed, len(of_needed)):
                        _store(explainer, warehouse, needed, window.days)
            except ProviderError as error:
                raise MissingLinkError(f"the archived answer is missing: {error}") from None
            except WarehouseError as error:
                raise MissingLinkError(f"the archived answers cannot be stored: {error}") from None
            yield database


def value_of(database: duckdb.DuckDBPyConnection, figure: Figure) -> Decimal | int | None:
    """Return a figure as a database has it: None if it lacks one of its rows."""
    if not exists(database, figure.relation):
        return None
    rows: list[Mapping[str, Any]] = []
    for start in range(0, len(figure.rows), 20):  # for more rows, the condition is that of their days
        some = figure.rows[start : start + 20]
        rows += fetch(database, f"select * from {figure.relation} where {condition_of(figure.relation, some)}")
    return sum_of(row[figure.column] for row in rows) if len(rows) == len(figure.rows) else None


def _needed(explainer: Explainer, relation: str, row: Mapping[str, Any]) -> tuple[Needed, set[date]]:
    """Return the stored tables and the days that a row is computed from. Endpoints that are switched off have none."""
    connection = str(row["x_Connection"] if relation == FOCUS else row["connection"])
    days = _days(explainer, relation, row, connection)
    stored = explainer.stored(connection, days)
    computed = {(model.row.table, model.part): query for model, query in explainer.graph(connection).models}
    if (model := row_model(relation)) is None:
        wanted = {key for key in computed if key[0] in (DailyCost.table, AllocatedCost.table)} & stored
    else:
        wanted = {(relation, part_of(model, row))}
    found: set[tuple[str, str]] = set()
    while wanted:
        key = wanted.pop()
        found.add(key)
        if query := computed.get(key):
            optional = {(name, "") for name in query.optional_refs} & stored
            wanted |= ({*query.sources} | optional) - found
    return Needed(connection, frozenset(found)), days


def _days(explainer: Explainer, relation: str, row: Mapping[str, Any], connection: str) -> set[date]:
    if relation == FOCUS:
        return {row["ChargePeriodStart"].astimezone(UTC).date()}
    if "usage_date" in row:
        return {row["usage_date"]}
    sql = (
        "select distinct usage_date from costs.daily_costs "
        "where connection = $connection and date_trunc('month', usage_date) = $month"
    )
    found = explainer.database.execute(sql, {"connection": connection, "month": row["month"]}).fetchall()
    return {day for (day,) in found}


def _store(explainer: Explainer, warehouse: Warehouse, needed: Needed, days: Sequence[date]) -> None:
    graph = explainer.graph(needed.connection)
    endpoints = [each for each in graph.endpoints if {(table, "") for table in each.tables} & needed.tables]
    for endpoint in endpoints:
        content = _batch(explainer, needed.connection, endpoint, days)
        warehouse.replace(Table(endpoint.row), content, Slice(needed.connection, days[0], days[-1]), RUN)
    for model, query in graph.models:
        if (model.row.table, model.part) in needed.tables:
            warehouse.replace(Table(model.row), query, Slice(needed.connection, days[0], days[-1], model.part), RUN)


def _batch(explainer: Explainer, connection: str, endpoint: Endpoint, days: Sequence[date]) -> Batch:
    replay = explainer.replay(connection)
    fetched, totals = fetch_with_totals(replay, endpoint, days)
    filters = filters_of(endpoint, explainer.graph(connection).connection)
    return Batch(
        rows=fetched.rows,
        began=datetime.now(UTC),
        filters=as_json({name: list(values) for name, values in filters.items()}) if filters else None,
        control=(Table(endpoint.control.row), totals) if endpoint.control else None,
        stored_at=fetched.stored_at,
    )


def _copy_names(explainer: Explainer, database: duckdb.DuckDBPyConnection) -> None:
    for table in map(Table, map(declared, LOOKUP_TABLES)):
        create_or_alter(database, table)
        database.register("names", explainer.published(table.name))
        database.execute(f"insert into {table.name} by name from names")

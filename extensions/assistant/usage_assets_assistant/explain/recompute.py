"""Computes figures again from the archived bytes alone, in a warehouse of its own.

It parses, stores and computes as runs do. Rates, owners and names are in no answer: they come from the published
tables.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa

from usage_assets.core.days import windows
from usage_assets.core.schema import declared
from usage_assets.fetching.connected import filters_of
from usage_assets.fetching.control_totals import fetch_with_totals
from usage_assets.fetching.transport import ProviderError
from usage_assets.models.costs import LISTED, AllocatedCost, DailyCost, used_views
from usage_assets.models.model import LOOKUP_TABLES
from usage_assets.providers.endpoint import Endpoint
from usage_assets.providers.records import as_json
from usage_assets.warehouse.arrow import fetch_arrow
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.migrate import create_or_alter
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch, WarehouseError
from usage_assets.warehouse.views import make_views
from usage_assets_assistant.explain.chain import QUERIES, Explainer, part_of
from usage_assets_assistant.explain.figures import (
    BY_TAG,
    FOCUS,
    GATEWAY_TAGS,
    RESTATEMENTS,
    USAGE,
    USAGE_BY_MODEL,
    Figure,
    condition_of,
    exists,
    fetch,
    row_model,
    rows_of,
    sum_of,
)
from usage_assets_assistant.explain.lineage import MissingLinkError

RUN = "explain"
PEOPLE = "costs.people"
OF_ONE_POOL = """
select distinct unnest([connection, gateway]) as connection
from accounting.tag_allocations
where gateway in (select gateway from accounting.tag_allocations where connection = $connection)
order by connection
"""
"""The gateways of a connection's bills, and all connections whose bills are split by them."""


@dataclass(frozen=True)
class Needed:
    """A table, or a part of one, that has to be computed again."""

    connection: str
    table: str
    part: str


@contextmanager
def recomputed(explainer: Explainer, figures: Sequence[Figure]) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a warehouse that holds what the figures are made of, from the archived answers. Raises MissingLinkError."""
    with TemporaryDirectory() as folder:
        warehouse = Warehouse(database=str(Path(folder) / "recomputed.duckdb"))
        with warehouse.get_connection() as database:  # stays open: to open a file takes longer than to write a few rows
            days: defaultdict[Needed, set[date]] = defaultdict(set)
            for figure in figures:
                for row in figure.rows:
                    tables, of_row = _needed(explainer, figure.relation, row)
                    for needed in tables:
                        days[needed] |= of_row
            _copy_names(explainer, database)
            try:
                for connection in dict.fromkeys(needed.connection for needed in days):
                    _store(explainer, warehouse, connection, days)
            except ProviderError as error:
                raise MissingLinkError(f"the archived answer is missing: {error}") from None
            except WarehouseError as error:
                raise MissingLinkError(f"the archived answers cannot be stored: {error}") from None
            if days:
                make_views(database, used_views({figure.relation for figure in figures}))
                if exists(database, PEOPLE):  # who is who comes from the ids of all days, and is no figure
                    _keep(database, PEOPLE, fetch_arrow(explainer.database.execute(f"from {PEOPLE}")))
                several = Counter(figure.relation for figure in figures for _ in figure.rows)
                for relation in (each for each, number in several.items() if number > 1 and each != RESTATEMENTS):
                    if row_model(relation) is None:  # to plan a view takes longer than to compute these few days of it
                        _keep(database, relation, fetch_arrow(database.execute(f"from {relation}")))
            yield database


def value_of(database: duckdb.DuckDBPyConnection, figure: Figure) -> Decimal | int | None:
    """Return a figure as a database has it: None if it lacks one of its rows."""
    if figure.relation == RESTATEMENTS:  # following it has parsed both answers, and compared their totals
        return figure.value
    if not exists(database, figure.relation):
        return None
    rows: list[Mapping[str, Any]] = []
    for start in range(0, len(figure.rows), 20):  # for more rows, the condition is that of their days
        some = figure.rows[start : start + 20]
        rows += fetch(database, f"select * from {rows_of(figure.relation)} where {condition_of(figure.relation, some)}")
    return sum_of(row[figure.column] for row in rows) if len(rows) == len(figure.rows) else None


def _needed(explainer: Explainer, relation: str, row: Mapping[str, Any]) -> tuple[Set[Needed], set[date]]:
    """Return the stored tables and the days that a row is computed from. Endpoints that are switched off have none."""
    if relation == RESTATEMENTS:
        return set(), set()
    connections = row.get(LISTED["connection"]) or [
        str(row["x_Connection"] if relation == FOCUS else row["connection"])
    ]
    days = _days(explainer, relation, row, connections[0])
    asked = {"connection": connections[0]}
    pool = explainer.database.execute(OF_ONE_POOL, asked).fetchall() if relation == BY_TAG else ()
    together = dict.fromkeys((*connections, *(other for (other,) in pool)))
    return {needed for each in together for needed in _needed_of(explainer, relation, row, each, days)}, days


def _needed_of(
    explainer: Explainer, relation: str, row: Mapping[str, Any], connection: str, days: set[date]
) -> Iterator[Needed]:
    """Yield the stored tables of a connection that a row is computed from."""
    stored = explainer.stored(connection, frozenset(days))
    computed = {(model.row.table, model.part): query for model, query in explainer.graph(connection).models}
    if relation in (USAGE, USAGE_BY_MODEL):
        wanted = {key for key in stored if key[0] in QUERIES[USAGE].optional_refs}
    elif (model := row_model(relation)) is None:
        wanted = {key for key in computed if key[0] in (DailyCost.table, AllocatedCost.table)} & stored
        wanted |= {key for key in stored if relation == BY_TAG and key[0] in QUERIES[GATEWAY_TAGS].optional_refs}
    else:
        wanted = {(relation, part_of(model, row))}
    found: set[tuple[str, str]] = set()
    while wanted:
        key = wanted.pop()
        found.add(key)
        if query := computed.get(key):
            optional = {(name, "") for name in query.optional_refs} & stored
            wanted |= ({*query.needed} | optional) - found
    yield from (Needed(connection, *key) for key in found)


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


def _store(
    explainer: Explainer, warehouse: Warehouse, connection: str, days: Mapping[Needed, Collection[date]]
) -> None:
    """Store the tables of a connection, each once per window of days: sources before what is computed from them."""
    graph = explainer.graph(connection)
    for endpoint in graph.endpoints:
        wanted = {day for table in endpoint.tables for day in days.get(Needed(connection, table, ""), ())}
        for window in windows(wanted, len(wanted)):
            content = _batch(explainer, connection, endpoint, window.days)
            warehouse.replace(Table(endpoint.row), content, Slice(connection, window.first, window.last), RUN)
    for model, query in graph.models:
        own = days.get(Needed(connection, model.row.table, model.part), ())
        for window in windows(own, len(own)):
            target = Slice(connection, window.first, window.last, model.part)
            warehouse.replace(Table(model.row), replace(query, views=()), target, RUN)


def _batch(explainer: Explainer, connection: str, endpoint: Endpoint, days: Sequence[date]) -> Batch:
    replay = explainer.replay(connection)
    fetched = fetch_with_totals(replay, endpoint, days)
    filters = filters_of(endpoint, explainer.graph(connection).connection)
    return Batch(
        rows=fetched.rows,
        began=datetime.now(UTC),
        filters=as_json({name: list(values) for name, values in filters.items()}) if filters else None,
        control=(Table(endpoint.control.row), fetched.totals) if endpoint.control else None,
        stored_at=fetched.stored_at,
    )


def _copy_names(explainer: Explainer, database: duckdb.DuckDBPyConnection) -> None:
    for table in map(Table, map(declared, LOOKUP_TABLES)):
        if (names := explainer.published(table.name)).num_rows:
            create_or_alter(database, table)
            database.register("names", names)
            database.execute(f"insert into {table.name} by name from names")


def _keep(database: duckdb.DuckDBPyConnection, view: str, rows: pa.Table) -> None:
    """Put rows in the place of a view."""
    database.register("kept", rows)
    database.execute(f"drop view {view}; create table {view} as from kept")

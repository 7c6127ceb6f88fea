"""The users' own blueprints as models: what their SQL reads, and whether it computes what their JSON declares.

DuckDB says both of empty tables in memory. The files themselves are read in config/blueprints.py.
"""

import re
from collections.abc import Sequence
from functools import cache
from operator import attrgetter

import duckdb

from usage_assets.config.accounting import RELEASED, ModelNameRow, OwnerRow
from usage_assets.config.blueprints import BlueprintError, OwnBlueprint
from usage_assets.config.settings import Settings
from usage_assets.core.errors import first_line
from usage_assets.core.schema import declarations
from usage_assets.models.costs import GROUPS, AllocatedCost, DailyCost, used_views
from usage_assets.models.model import LOOKUP_TABLES, MACROS, STATED, Model
from usage_assets.warehouse.tables import SQL_TYPES, Table
from usage_assets.warehouse.values import View
from usage_assets.warehouse.views import make_views
from usage_assets.warehouse.write import EXACT

OF_DAYS = frozenset((*GROUPS, DailyCost.table, AllocatedCost.table))
"""Tables whose changes make days due."""
READABLE = frozenset(
    (*OF_DAYS, *LOOKUP_TABLES, OwnerRow.table, ModelNameRow.table, *map(attrgetter("table"), RELEASED))
)


def of_settings(settings: Settings) -> Sequence[Model]:
    """Return the users' blueprints as models. Raises BlueprintError for the first mistake."""
    return _models(tuple(settings.own_blueprints()))


@cache
def _models(pairs: tuple[OwnBlueprint, ...]) -> Sequence[Model]:
    return [_model(pair) for pair in pairs]


def _model(pair: OwnBlueprint) -> Model:
    with duckdb.connect(config={"threads": 1}) as database:
        try:
            query = _one_query(database, pair)
            names = database.get_table_names(query, qualified=True)
            views = used_views(names)
            tables = _tables(pair, names, views)
            for table in {*tables, pair.row.table}:
                for statement in Table(declarations()[table]).ddl():
                    database.execute(statement)
            for macro in MACROS:
                database.execute(macro)
            make_views(database, views)
            columns = {name: kind for name, kind, *_ in database.execute(f"describe {query}").fetchall()}
        except duckdb.Error as error:
            raise BlueprintError(f"{pair.path}: {first_line(error)}") from None
    _compare(pair, columns)
    looked_up = [table for table in LOOKUP_TABLES if table in query]  # also as an argument of a macro
    return Model(
        name=pair.name,
        file=pair.name,
        folder="entities",
        under="entities",
        group="entities",
        row=pair.row,
        reads=(),
        optional_refs=tuple(sorted({*tables, *looked_up} & {*OF_DAYS, *LOOKUP_TABLES})),
        uses=views,
        own_sql=query if "identifier" in columns else _with_identifier(pair, query),
        place=pair.path,
        checked_by="one_identifier" if "identifier" in columns else None,
        relations=dict(pair.relations),
    )


def _one_query(database: duckdb.DuckDBPyConnection, pair: OwnBlueprint) -> str:
    statements = database.extract_statements(pair.sql)
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise BlueprintError(f"{pair.path}: must be one select statement")
    sql = statements[0].query.encode()
    ends = [
        at
        for at, kind in duckdb.tokenize(sql.decode())
        if kind == duckdb.token_type.operator and sql[at : at + 1] == b";"
    ]
    return f"{sql[: min(ends, default=len(sql))].decode()}\n"  # a comment may end it


def _tables(pair: OwnBlueprint, names: set[str], views: Sequence[View]) -> set[str]:
    """Return the declared tables that a query reads, itself or in views."""
    made = {name for view in (*views, *(view for _, view in STATED.values())) for name in view.names}
    for name in sorted(names - made):
        if name not in READABLE:
            known = "a table or view of the warehouse" if name not in declarations() else "a table that days depend on"
            raise BlueprintError(
                f"{pair.path}: reads {name}, which is not {known}: "
                "read a provider's tables, costs.* or accounting.owners"
            )
    read = {*names, *(name for view in views for name in view.reads)} - made
    if hidden := sorted(name for name in read - READABLE if name.startswith("accounting.")):
        raise BlueprintError(f"{pair.path}: reads {hidden[0]} in a view: no day is due when that changes")
    if read.isdisjoint(OF_DAYS):
        raise BlueprintError(f"{pair.path}: reads no table of days: a provider's, or costs.*")
    return read & declarations().keys()


def _compare(pair: OwnBlueprint, columns: dict[str, str]) -> None:
    """Compare what the query returns with what the blueprint declares."""
    declared = {column.name: column for column in Table(pair.row).columns}
    for name in declared:
        if name not in columns and name != "identifier":
            raise BlueprintError(f"{pair.path}: column {name} is missing")
    for name, kind in columns.items():
        if name not in declared:
            raise BlueprintError(f"{pair.path}: column {name} is no property and no relation of {pair.name}.json")
        python = declared[name].type
        if not re.fullmatch(EXACT[python], kind):
            raise BlueprintError(
                f"{pair.path}: column {name} is {kind}, which would be converted to {SQL_TYPES[python]}: cast it"
            )


def _with_identifier(pair: OwnBlueprint, query: str) -> str:
    parts = ", ".join(f"{name}::varchar" for name in ("connection", *pair.grain, "usage_date"))
    return f"select path_identifier([{parts}]) as identifier, * from (\n{query})\n"

"""Finds the figure to explain: a column of rows of a table or view, or of an entity in Port. chain.py follows it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import msgspec

from usage_assets.core import money
from usage_assets.core.forgotten import Forgotten
from usage_assets.core.schema import Row, SeedRow, columns, declarations
from usage_assets.models.costs import LISTED, SUMMED, AllocatedCost, DailyCost, source_columns, unit_of
from usage_assets.models.costs import SOURCES as COST_SOURCES
from usage_assets.models.entities import ENTITIES
from usage_assets.models.insights import AnomalyRow, BudgetStatusRow, ForecastRow, ForecastTotalRow
from usage_assets.warehouse.arrow import fetch_arrow
from usage_assets.warehouse.readable import quoted
from usage_assets.warehouse.values import WarehouseError, listed
from usage_assets_assistant.explain.lineage import MissingLinkError
from usage_assets_assistant.query.money import shared_by
from usage_assets_report.shared import NAMES_OF_INSIGHTS

SQL = Path(__file__).parent / "sql"
AMOUNTS = ("native_amount", "amount_usd")
"""The amounts of costs, in tables and in views of them."""
FOCUS = "costs.focus"
FOCUS_DAY = "x_FirstDay"
OF_FOCUS: Mapping[str, str] = {
    "x_Connection": "connection",
    "x_FirstDay": "usage_date",
    "ChargePeriodStart": "usage_date::timestamp at time zone 'UTC'",
    "ChargeDescription": "coalesce(line_item, $ChargeDescription)",
    "BillingCurrency": "coalesce(currency, 'USD')",
    "SubAccountId": "coalesce(project_id, workspace_id)",
    "x_Allocation": "allocation",
    "x_AllocationBasis": "basis",
    "x_ApiKeyId": "api_key_id",
    "x_ContextWindow": "context_window",
    "x_CostBasis": "cost_basis",
    "x_InferenceGeo": "inference_geo",
    "x_Model": "model",
    "x_NativeAmount": "native_amount",
    "x_NativeUnit": "native_unit",
    "x_ServiceTier": "service_tier",
    "x_SourceTable": "source_table",
    "x_UsageType": "usage_type",
    "x_UserId": "user_id",
}
"""What identifies a row of FOCUS -> the same of costs.allocated_costs_named, which it is made from."""
PASSED = frozenset(source.table for source in COST_SOURCES if source.is_focus)
"""Raw tables whose rows are rows of FOCUS. Their columns are called alike."""
FOCUS_AMOUNTS = ("BilledCost", "EffectiveCost", "x_NativeAmount", "ContractedCost", "ListCost")
SOURCES = {f"costs.{name}": f"costs.{source.replace('_by_key', '')}" for name, source, *_ in SUMMED}
"""Views that sum -> what their sums by key are made from."""
NAMED = {
    "costs.daily_costs_named": tuple(DailyCost.grain),
    **dict.fromkeys(
        ("costs.allocated_costs_named", "costs.allocated_costs_of_people"),
        tuple(dict.fromkeys((*AllocatedCost.grain, *DailyCost.grain))),
    ),
}
"""Views with names -> the columns that identify a row, besides connection and day."""
USAGE = "costs.usage"
USAGE_BY_MODEL = "costs.usage_by_model"
COUNTERS: Mapping[str, str] = {
    "requests": "requests",
    "input_tokens": "tokens",
    "cached_input_tokens": "tokens",
    "cache_write_tokens": "tokens",
    "cache_write_1h_tokens": "tokens",
    "output_tokens": "tokens",
    "images": "images",
    "characters": "characters",
    "seconds": "seconds",
    "usage_bytes": "bytes",
    "sessions": "sessions",
}
"""What costs.usage counts -> its unit."""
OF_USAGE = ("connection", "usage_date", "provider", "model", "project_id", "workspace_id", "user_id", "api_key_id")
"""What identifies a row of costs.usage once rows of equal ids are added."""
USAGE_SQL = f"""select
  {", ".join(OF_USAGE)},
  {", ".join(f"sum({name})::bigint as {name}" for name in COUNTERS)}
from {USAGE}
group by all"""
GATEWAY_TAGS = "costs.gateway_tags"
FROM_RAW: Mapping[str, tuple[Sequence[str], Mapping[str, str]]] = {
    USAGE: (OF_USAGE, COUNTERS),
    GATEWAY_TAGS: (
        ("connection", "usage_date", "named_provider", "gateway_model", "use", "tag"),
        {"amount_usd": "USD", "requests": "requests"},
    ),
}
"""Views that are computed from raw tables -> what identifies a row, and what it counts, with its unit."""
BY_TAG = "costs.by_tag"
BILLS_OF_TAG, USES_OF_TAG = ((SQL / f"{name}_of_tag.sql").read_text() for name in ("bills", "uses"))
RESTATEMENTS = "ledger.restatements"
OF_RESTATEMENT = ("connection", "usage_date", "table_name", "slice", "version", "total")
OF_MODEL = (
    "(select names.{column} from models.names_in_costs as names "
    "where names.provider = daily_costs.provider and names.model = daily_costs.model)"
)
"""What models.names says of a row of costs.daily_costs."""
OF_USAGE_TYPE = (
    "(select families.usage_family from models.usage_families as families "
    "where families.provider = daily_costs.provider "
    "and families.usage_type is not distinct from daily_costs.usage_type)"
)
"""Of which family its kind of use is."""
COMPUTED: Mapping[str, type[SeedRow]] = {
    row.table: row for row in (ForecastRow, ForecastTotalRow, AnomalyRow, BudgetStatusRow)
}
"""Tables whose rows are computed from series of days (computed.py)."""
OF_ENTITIES: Mapping[str, type[SeedRow]] = {"ai_anomaly": AnomalyRow, "ai_budget": BudgetStatusRow}
"""Blueprint of computed rows -> their table."""
EXPLAINED = frozenset((*SOURCES, *NAMED, FOCUS, *FROM_RAW, USAGE_BY_MODEL, BY_TAG, RESTATEMENTS, *COMPUTED))
"""What can be explained besides tables of days."""
IDENTIFIED_BY: Mapping[str, Sequence[str]] = {
    "ai_anomaly": ("incident", "kind", "id", "measure", "what", "first_day"),
    "ai_budget": ("source", "id", "budget", "first_day"),
}
"""Blueprint of computed rows -> the arguments of the macro that names its entities."""
OPTIONS: Mapping[str, Sequence[str]] = {
    "connection": ("connection", "x_Connection"),
    "day": ("usage_date", FOCUS_DAY),
    "start": ("usage_date", FOCUS_DAY),
    "end": ("usage_date", FOCUS_DAY),
    "month": ("month", "usage_date", FOCUS_DAY),
    "model": ("model", "family", "x_Model"),
    "project": ("project_id", "scope_id", "SubAccountId"),
    "workspace": ("workspace_id", "scope_id", "SubAccountId"),
    "user": ("user_id", "x_UserId", "account_id", "actor_email", "actor_user_id"),
    "api-key": ("api_key_id", "x_ApiKeyId", "api_key_name"),
    "team": ("team",),
}
"""Option of the command -> the columns that it may be about; the first that a relation has."""
COMPARED = {"start": ">=", "end": "<="}
"""Option -> how days are compared with it; others must be equal."""
DATED = ("day", "month", *COMPARED)
"""Options that name days."""
MOST_ROWS = 20_000
"""Rows of one figure."""
MOST_IN_SQL = 20
"""Rows that a query names one by one."""


@dataclass(frozen=True)
class Start:
    """What was typed."""

    identifier: str | None = None
    blueprint: str | None = None
    table: str | None = None
    columns: Sequence[str] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    where: Sequence[tuple[str, str]] = ()


class Measure(NamedTuple):
    """A column with figures."""

    name: str
    unit: str
    """What it counts; ``unit`` and ``measure`` stand for what the row says."""


@dataclass(frozen=True)
class Figure:
    """The sum of a column over rows of a table or view."""

    relation: str
    column: str
    rows: Sequence[Mapping[str, Any]]

    @property
    def value(self) -> Decimal | int | None:
        return sum_of(row[self.column] for row in self.rows)

    @property
    def unit(self) -> str | None:
        """What it counts; ``native_unit`` and the like stand for what the row says."""
        if self.column in (*FOCUS_AMOUNTS, "amount_usd") and self.column != "x_NativeAmount":
            return str(self.rows[0].get("BillingCurrency", "USD"))
        if self.column in ("native_amount", "x_NativeAmount", "billed_amount"):
            row = self.rows[0]
            unit = row.get("native_unit", row.get("x_NativeUnit"))
            currency = row.get("currency", row.get("BillingCurrency"))
            return f"{unit} of {currency}" if unit in ("major units", "minor units") else str(unit)
        unit = next((each.unit for each in measures_of(self.relation) if each.name == self.column), None)
        return str(self.rows[0][unit]) if unit in ("unit", "measure") else unit

    @property
    def days(self) -> Mapping[date, Decimal | int | None]:
        """The figure of each day; nothing if it is of one day, or of rows without days."""
        amounts: dict[date, list[Any]] = {}
        for row in self.rows:
            if day := day_in(row):
                amounts.setdefault(day, []).append(row[self.column])
        return {day: sum_of(values) for day, values in sorted(amounts.items())} if len(amounts) > 1 else {}


def day_in(row: Mapping[str, Any]) -> date | None:
    """Return the day of a row; None if it has none."""
    day: date | None = row.get(FOCUS_DAY, row.get("usage_date"))
    return day


def sum_of(values: Any) -> Decimal | int | None:
    """Return the exact sum; None where nothing is known."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return money.total(known) if isinstance(known[0], Decimal) else sum(known)


@cache
def row_model(relation: str) -> type[Row] | None:
    """Return the row model of a table of days that can be explained; None of a view."""
    model = declarations().get(relation)
    if model and issubclass(model, Row) and not relation.startswith("ledger."):
        return model
    return None


@cache
def measures_of(relation: str) -> Sequence[Measure]:
    """Return the columns that count something, of a table or of the rows of costs that a view shows."""
    if relation in (*FROM_RAW, USAGE_BY_MODEL):
        _, counted = FROM_RAW.get(relation, FROM_RAW[USAGE])
        return [Measure(*each) for each in counted.items()]
    if relation == RESTATEMENTS:
        return [Measure(name, "unit") for name in ("before", "after", "difference")]
    of_costs = AllocatedCost if relation in NAMED and relation != "costs.daily_costs_named" else DailyCost
    model = COMPUTED.get(relation) or row_model(relation) or of_costs
    return [Measure(each.name, each.unit) for each in columns(model) if each.unit]


def rows_of(relation: str) -> str:
    """Return what to select the rows of a relation from, as SQL."""
    return f"({USAGE_SQL})" if relation == USAGE else relation


def identity_of(relation: str, names: Sequence[str]) -> Sequence[str]:
    """Return the columns that identify a row of a relation, whose columns are ``names``."""
    if model := row_model(relation):
        return ("connection", "usage_date", *model.grain)
    if relation in COMPUTED:
        return COMPUTED[relation].grain
    if relation == RESTATEMENTS:
        return OF_RESTATEMENT
    if relation in FROM_RAW:
        return FROM_RAW[relation][0]
    if relation == FOCUS:
        return tuple(OF_FOCUS)
    if relation in NAMED:
        return ("connection", "usage_date", *NAMED[relation])
    return [name for name in names if name not in (*AMOUNTS, "rows_without_usd", *COUNTERS, *LISTED.values())]


def figures_of(database: duckdb.DuckDBPyConnection, start: Start, forgotten: Forgotten) -> Sequence[Figure]:
    """Return the figures that are meant: those of the named columns, or of all of one row. Raises WarehouseError."""
    if start.identifier:
        relation, rows = _entity(database, start.identifier, start.blueprint, forgotten)
    else:
        relation, rows = _rows(database, start, forgotten)
    shown = _amounts(relation, rows[0])
    if start.columns:
        for name in start.columns:
            if name not in shown:
                raise WarehouseError(f"{relation}: {name} is no figure of it: it has {', '.join(shown)}")
        shown = [*start.columns]
    if len(rows) > 1 and (relation in COMPUTED or not start.columns):
        advice = "" if relation in COMPUTED else "name a --column to explain its sum, or "
        raise WarehouseError(
            f"{relation}: {len(rows)} rows fit: {advice}say which row is meant: they "
            f"differ in {listed(_differing(rows, identity_of(relation, [*rows[0]])))}"
        )
    shared = {column for name in shown for column in shared_by(relation, name.lower())}
    for name in (name for name in rows[0] if name.lower() in shared):
        if len(kinds := {str(row.get(name)) for row in rows}) > 1:
            raise WarehouseError(
                f"{relation}: amounts of several {name} are never added ({', '.join(sorted(kinds))}): "
                f"add --where {name}=..."
            )
    return [Figure(relation, name, rows) for name in shown if start.columns or rows[0][name] is not None]


def _amounts(relation: str, row: Mapping[str, Any]) -> list[str]:
    names = FOCUS_AMOUNTS if relation == FOCUS else [each.name for each in measures_of(relation)]
    return [name for name in names if name in row and name != "usd_rate"]


def _differing(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    return [f"{name} ({listed(sorted(found), 3)})" for name in names if len(found := {str(r[name]) for r in rows}) > 1]


def _entity(
    database: duckdb.DuckDBPyConnection, identifier: str, blueprint: str | None, forgotten: Forgotten
) -> tuple[str, list[dict[str, Any]]]:
    names = sorted({model.name for model in ENTITIES} | OF_ENTITIES.keys())
    if blueprint and blueprint not in names:
        raise WarehouseError(f"blueprint {blueprint} has no figures to explain; these have: {', '.join(names)}")
    found: dict[str, list[dict[str, Any]]] = {}
    for macros in NAMES_OF_INSIGHTS:
        database.execute(macros)
    for name in [blueprint] if blueprint else names:
        table, identified = f"port_entities.{name}", "identifier"
        if name in OF_ENTITIES:
            table = OF_ENTITIES[name].table
            identified = f"{name}_identifier({', '.join(IDENTIFIED_BY[name])})"
        if exists(database, table):
            sql = f"select * from {table} where {identified} = $identifier"
            rows = fetch(database, sql, {"identifier": identifier})
            found |= {table: rows} if rows else {}
    if not found:
        raise WarehouseError(
            f"no entity is called {identifier} in what is published{_unless_forgotten(forgotten, identifier)}"
        )
    if len(found) > 1:
        raise WarehouseError(f"{identifier} is in several blueprints: add --blueprint: {', '.join(found)}")
    return next(iter(found.items()))


def _rows(database: duckdb.DuckDBPyConnection, start: Start, forgotten: Forgotten) -> tuple[str, list[dict[str, Any]]]:
    relation = str(start.table)
    known = relation in EXPLAINED or row_model(relation)
    if not known or not exists(database, relation):
        raise WarehouseError(
            f"{relation} is no table or view with figures that can be explained: those of usage, costs and entities "
            f"can (docs/reference.md), and {', '.join(sorted({FOCUS, RESTATEMENTS, *COMPUTED}))}"
        )
    names = [name for name, *_ in database.execute(f"describe {relation}").fetchall()]
    conditions, parameters = ["true"], dict[str, Any]()
    for option, text in start.options.items():
        column = next((name for name in OPTIONS[option] if name in names), None)
        if column is None:
            raise WarehouseError(f"{relation} has no column for --{option}; it has {', '.join(names)}")
        of_day = f'"{column}"::date'
        cast = dict.fromkeys(DATED, of_day) | {"month": f"date_trunc('month', \"{column}\")::date"}
        parameter, compared = f"option_{option.replace('-', '_')}", COMPARED.get(option, "is not distinct from")
        conditions.append(f"{cast.get(option, f'{column}::varchar')} {compared} ${parameter}")
        parameters[parameter] = day_of(option, text) if option in cast else text or None
    for n, (column, text) in enumerate(start.where):
        if column not in names:
            raise WarehouseError(f"{relation} has no column {column}; it has {', '.join(names)}")
        conditions.append(f"coalesce(\"{column}\"::varchar, '') = $where{n}")
        parameters[f"where{n}"] = text
    sql = f"select * from {rows_of(relation)} where {' and '.join(conditions)} limit {MOST_ROWS + 1}"
    rows = fetch(database, sql, parameters)
    texts = [*start.options.values(), *(text for _, text in start.where)]
    if not rows:
        raise WarehouseError(f"{relation}: no row fits in what is published{_unless_forgotten(forgotten, *texts)}")
    if len(rows) > MOST_ROWS:
        raise WarehouseError(f"{relation}: more than {MOST_ROWS} rows fit: explain a smaller figure")
    return relation, rows


def _unless_forgotten(forgotten: Forgotten, *texts: str) -> str:
    """Say that a person was forgotten, if that is why nothing is found."""
    is_forgotten = any(forgotten.stand_in(part) for text in texts for part in _parts(text))
    return ": the person was forgotten, and their figures are under a stand-in now" if is_forgotten else ""


def _parts(text: str) -> Iterator[str]:
    """Yield what an identifier may have been composed of. A part may have the sign in it that joins them."""
    for part in re.split(r"[/:]", text):
        words = part.split("-")
        yield from ("-".join(words[i:j]) for i, j in combinations(range(len(words) + 1), 2))


def day_of(option: str, text: str) -> date:
    """Return a day, or the first day of a month. Raises WarehouseError."""
    try:
        return date.fromisoformat(f"{text}-01" if option == "month" else text)
    except ValueError:
        wanted = "month: write YYYY-MM" if option == "month" else "day: write YYYY-MM-DD"
        raise WarehouseError(f"--{option} '{text}' is not a {wanted}") from None


def exists(database: duckdb.DuckDBPyConnection, relation: str) -> bool:
    """Whether there is such a table or view."""
    try:
        database.execute(f"describe {relation}")
    except duckdb.CatalogException:
        return False
    return True


def fetch(
    database: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Return the rows of a query, exact."""
    rows: list[dict[str, Any]] = fetch_arrow(database.execute(sql, dict(parameters or {}))).to_pylist()
    return rows


def literal(value: object) -> str:
    """Return a value as SQL."""
    if value is None:
        return "null"
    if isinstance(value, bool | int | Decimal):
        return str(value)
    if isinstance(value, datetime):
        return f"timestamptz {quoted(value.isoformat())}"
    if isinstance(value, date):
        return f"date {quoted(value.isoformat())}"
    return quoted(str(value))


def condition_of(relation: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return SQL that is true for the rows; for many rows, for all of their connections and days."""
    names = identity_of(relation, [*rows[0]])
    if len(rows) > MOST_IN_SQL:
        names = [name for name in names if name in ("connection", "usage_date", "x_Connection", FOCUS_DAY)]
    alike = [" and ".join(f'"{name}" is not distinct from {literal(row[name])}' for name in names) for row in rows]
    return " or\n".join(f"({each})" for each in dict.fromkeys(alike))


def sources_of_view(
    database: duckdb.DuckDBPyConnection, relation: str, rows: Sequence[Mapping[str, Any]]
) -> Mapping[str, list[dict[str, Any]]]:
    """Return the rows that rows of a view are made from, by relation. Raises MissingLinkError."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if relation == BY_TAG:
            for source, sql in (("costs.allocated_costs_named", BILLS_OF_TAG), (GATEWAY_TAGS, USES_OF_TAG)):
                if made_from := fetch(database, sql, {name: row[name] for name in re.findall(r"\$(\w+)", sql)}):
                    found.setdefault(source, []).extend(made_from)
            continue
        if relation in SOURCES:
            source, where = SOURCES[relation], _in_group(relation, row)
        elif relation == USAGE_BY_MODEL:
            source = USAGE
            where = {name: row[name] for name in identity_of(relation, [*row]) if name in OF_USAGE}
        elif relation == FOCUS and row["x_SourceTable"] in PASSED:
            source = str(row["x_SourceTable"])
            where = {"connection": row["x_Connection"], "usage_date": row[FOCUS_DAY]} | {
                raw: row[name] for name, raw in passed_columns(source).items() if name in row
            }
        elif relation == FOCUS:
            source = "costs.allocated_costs_named"
            where = {text: row[name] for name, text in OF_FOCUS.items() if "$" not in text}
        else:
            table = DailyCost if relation == "costs.daily_costs_named" or row["allocation"] is None else AllocatedCost
            source, where = table.table, {name: row[name] for name in ("connection", "usage_date", *table.grain)}
        conditions = [f"{text} is not distinct from {literal(value)}" for text, value in where.items()]
        if relation == FOCUS and source not in PASSED:
            conditions.append(
                f"coalesce(line_item, {literal(row['ChargeDescription'])}) = {literal(row['ChargeDescription'])}"
            )
        made_from = fetch(database, f"select * from {rows_of(source)} where {' and '.join(conditions)}")
        if not made_from or (relation not in (*SOURCES, USAGE_BY_MODEL) and len(made_from) > 1):
            raise MissingLinkError(f"{relation}: the rows that this one is made from cannot be told apart")
        found.setdefault(source, []).extend(made_from)
    return found


def passed_columns(table: str) -> Mapping[str, str]:
    """Return FOCUS's name of each column of a table whose rows are FOCUS -> the table's own name."""
    return {field.encode_name: field.name for field in msgspec.structs.fields(declarations()[table])}


def _in_group(relation: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the rows that were summed to a row have in common: SQL, and its value."""
    name, by = next((name, by) for name, _, by, _ in SUMMED if f"costs.{name}" == relation)
    unit = f"{unit_of(name)} as native_unit"
    grouped = [*source_columns(name), *re.split(r", (?![^(]*\))", by), "cost_basis", unit, "currency"]
    pairs = [each.rpartition(" as ") if " as " in each else (each, "", each) for each in grouped]
    of_name = {name: OF_MODEL.format(column=name) for name in ("family", "version", "variant", "developer")}
    of_name["usage_family"] = OF_USAGE_TYPE
    return {of_name.get(text, text): row[column] for text, _, column in pairs}

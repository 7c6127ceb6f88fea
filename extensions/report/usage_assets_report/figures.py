"""The figures of the report: one query each, in ``sql/`` here or in ``sql/report/`` of a provider's folder.

The page shows each query with its days written out, so that anybody can run it again. Queries of costs read temporary
tables instead of the same view ten times; the shown query contains the queries of these tables.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from usage_assets.core.money import Rate, rates_in_words
from usage_assets.models.costs import of_people, unreadable
from usage_assets.models.insights import behind_in_words
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.arrow import fetch_arrow
from usage_assets.warehouse.errors import WarehouseError
from usage_assets.warehouse.values import declared_in
from usage_assets_report.dimensions import DIMENSIONS, called, id_of, of_dimension
from usage_assets_report.period import Period
from usage_assets_report.temporary_views import Made
from usage_assets_report.what_changed import read_changes

SQL = Path(__file__).parent / "sql"
BILLED = "{days} --where cost_basis=billed --column amount_usd"
EXPLAINED: Mapping[str, str] = {
    "team": f"--table costs.by_team --team {{id}} {BILLED}",
    "cost_center": f"--table costs.by_team --where cost_center={{id}} {BILLED}",
    "person": f"--table costs.by_person --where person_id={{id}} {BILLED}",
    "project": f"--table costs.by_project --{{place}} {{id}} {BILLED}",
    "model": f"--table costs.by_model_as_sent --where family={{id}} {BILLED}",
    "usage_type": f"--table costs.by_usage_type --where usage_family={{id}} {BILLED}",
    "api_key": f"--table costs.allocated_costs_named --api-key {{id}} {BILLED}",
}
"""Dimension -> arguments of `usage-assets explain` for a row. ``{days}`` are those of the report."""
ALSO = " ; "
"""Between the commands of a row."""
HIDDEN = re.compile(r"(?m)^.*?(\w+),  -- for explain\n")
"""Columns of a query that only commands need."""
DAY_IN_QUERY = re.compile(r"\$(first|last|before_first|before_last|before_same)\b(?:::date)?")
"""A parameter of a query, in ``Period.parameters``."""
WITHOUT_NAME = "no model"
PARTS = {
    f"{{{name}}}": (SQL / f"{name}.sql").read_text().rstrip()
    for name in ("price_id", "priced_as", "told_apart", "mixed", "charge_kind")
}
"""What tells the prices of a connection apart: always, and where all of its rows say so; the connections of which some
do not; whether a charge is for use, for seats, or another one."""
MOST_ROWS = 50
"""Rows of a table by dimension; all others are one more row."""
MOST_BARS = (12, 8, 5, 3, 1)
"""Bars of a chart by dimension: fewer where the page would become too large."""
MOST_FACTS = 25_000
LABEL = "  if(names_{name}.rank <= {most}, names_{name}.label, '{others}') as {name},"
LABELLED = """join names_{name}
  on names_{name}.id is not distinct from billed.{id}
  and names_{name}.name = {called}
  and (names_{name}.connection is null or names_{name}.connection = billed.connection)"""


def _replaced(sql: str, parts: Mapping[str, str]) -> str:
    for part, text in parts.items():
        sql = sql.replace(part, text)
    return sql


TEMPORARY: Mapping[str, str] = {
    **{
        name: _replaced((SQL / f"{name}.sql").read_text(), PARTS | {"{of_people}": of_people("costs.counted_costs")})
        for name in ("sellers", "charged", "priced_days", "what_ifs", "billed", "used", "item_days", "items")
    },
    **{f"names_{dimension}": of_dimension((SQL / "names.sql").read_text(), dimension) for dimension in DIMENSIONS},
}
"""The tables that several queries read -> their queries. A query may read the tables before its own."""
SHARED = ("sellers", "charged", "priced_days")
"""Those that are read once for all ranges of the page."""
STATES = """states as (
  select connection, usage_date, bool_and(final_at is not null) as is_final
  from ledger.day_states
  join accounting.cost_sources on source_table = table_name
  where usage_date between $first and $last
  group by all
)"""
"""Whether the costs of a connection's day may still change."""
ANOMALIES = "anomalies"
OF_REPORT = {"{meant}": "(is_open or last_day between $first and $last)", "{limit}": "limit 100"}
"""Parts of the query of anomalies: what is open now is in each report."""
OF_DAYS = {"{meant}": "first_day <= $last and last_day >= $first", "\n{limit}": ""}
"""The same of whoever asks for all of a period."""
NOTE_OF_DAYS = (
    "Incidents (spikes, drops and level shifts) that have one of these days, and days on which a guardrail was "
    "crossed. Amounts are per day. Volume and price say how much of the difference comes from more tokens, and how "
    "much from their price."
)
Queries = Mapping[str, tuple[str, Mapping[str, str]]]
"""Name -> query, and its declarations that are not in its file."""
OVERVIEW = (
    *("headline", "kinds", "amortized", "by_day", "budgets"),
    *("forecast", "forecast_days", "trend", "compared", "movers", "anomalies", "notes"),
)
COSTS = ("cost_centers", "tags", "tokens", "unowned", "caching")
ECONOMICS = ("unit_costs", "savings", "what_if")
SEATS = ("seats", "idle_seats", "seat_break_even")
CERTAINTY = (
    "connections",
    "doubts",
    "restatements",
    "unattributed",
    "unpriced",
    "rates",
    "billed_twice",
    "left_out",
    "delivered",
    "invoices",
)
FOLLOWS = (
    *("headline", "kinds", "by_day", "budgets", "forecast", "compared", "movers", "anomalies", "notes"),
    *("unowned", "caching", "unattributed", "doubts", "unpriced", "seats"),
    *(f"by_{dimension}" for dimension in DIMENSIONS),
)
"""The figures of each range that the page offers, with what changed. All others are those of its own period."""
HAS_BUDGETS = "select count(*) > 0 from accounting.budgets"
FIRST_STORED = """
select min(usage_date)
from ledger.stored_days
where table_name = 'costs.daily_costs'
"""
RATES_USED = """
select distinct currency, rate, source, valid_from
from costs.rates_used
where usage_date between $before_first and $last
"""


@dataclass(frozen=True)
class Figure:
    """The rows of one query, with what people read about them."""

    name: str
    title: str
    note: str
    query: str
    """The query, with ``$first`` and so on for the days of its period."""
    period: Period
    tables: Sequence[str]
    """The tables and views that it reads."""
    rows: pa.Table
    commands: Sequence[Sequence[str]]
    """For each row, its `usage-assets explain` commands; none for a row without an amount."""
    short: str = ""
    """How a row is said where there is no chart: a template of ``rows_in_words``."""
    is_computed: bool = False
    """Whether the rows are computed from those of the query."""

    @property
    def sql(self) -> str:
        """The query, to be run again anywhere."""
        return _written(self.query, self.period)

    @property
    def is_valued(self) -> bool:
        """Whether it has amounts in USD."""
        return self.name in ("headline", "amortized") or any("usd" in name for name in self.rows.column_names)


@dataclass(frozen=True)
class Facts:
    """Billed, valued in USD, per day, provider and label of each dimension: what the page filters."""

    rows: pa.Table
    others: Mapping[str, str]
    """Dimension -> the label of all values without a bar of their own; empty if there are none."""


@dataclass(frozen=True)
class Report:
    """All figures of a period."""

    period: Period
    figures: Mapping[str, Figure]
    activity: Sequence[str]
    """The names of the providers' own figures."""
    facts: Facts
    missing: Sequence[str]
    """Titles of figures without their tables, because nothing was ever stored in them."""
    rates: str | None
    """The exchange rates with which its amounts were valued in USD; None if all of them are in USD or have no rate."""
    behind: str | None = None
    """That forecasts, anomalies and budgets are not those of what is stored, in words; None if they are."""
    has_budgets: bool = False
    """Whether the connections file states budgets."""
    stored_since: date | None = None
    """The first day of which costs are stored; None if there is none."""
    ranges: Mapping[str, "Report"] = field(default_factory=dict)
    """This report and those of other days, by the names that people choose; figures in ``FOLLOWS`` are theirs."""

    @property
    def days(self) -> int:
        """How many days of the period can be known."""
        return (self.period.last - max(self.period.first, self.stored_since or self.period.first)).days + 1

    @property
    def begins_late(self) -> str:
        """That the first days of the period are not stored, in words; empty if they are."""
        if self.stored_since is None or self.stored_since <= self.period.first:
            return ""
        return f"Nothing before {self.stored_since} is stored."


def read(database: duckdb.DuckDBPyConnection, period: Period, *, is_page: bool = False) -> Report:
    """Run all queries in one state of the warehouse. ``is_page``: also those of the ranges that the page offers.

    Raises WarehouseError where the tables of costs do not exist.
    """
    ranges = period.ranges() if is_page else {period.title: period}
    shared = Made(database, Period.around(ranges.values()), TEMPORARY, SHARED)
    facts = _facts(shared)
    figures, missing = _figures(shared.of(period), _queries())
    activity = [name for name in figures if name not in _own()]
    since = _found(database, FIRST_STORED, period)
    words = rates_of(database, shared.period)
    behind, has_budgets = behind_in_words(database), _found(database, HAS_BUDGETS, period)
    report = Report(period, figures, activity, facts, missing, words, behind, has_budgets, since)
    queries = {name: each for name, each in _queries().items() if name in FOLLOWS}
    others = {
        name: replace(
            report,
            period=each,
            figures={**figures, **_figures(shared.of(each), queries)[0]},
            rates=rates_of(database, each),
        )
        for name, each in [*ranges.items()][1:]
    }
    return replace(report, ranges={next(iter(ranges)): report, **others})


def _figures(made: Made, queries: Queries) -> tuple[dict[str, Figure], list[str]]:
    """Return the figures of a period, and the titles of those without their tables."""
    figures: dict[str, Figure] = {}
    missing: list[str] = []
    for name, (sql, extra) in queries.items():
        stated = {**declared_in(sql), **extra}
        try:
            figures[name] = _figure(made, name, sql, stated)
        except (
            duckdb.CatalogException,
            duckdb.BinderException,
            WarehouseError,
        ):  # not stored yet, or by an earlier release
            missing.append(stated["title"])
    if "headline" in figures:
        figures["what_changed"] = _changes(made)
    return figures, missing


def read_figure(database: duckdb.DuckDBPyConnection, name: str, period: Period) -> Figure:
    """Run one query. Raises WarehouseError where its tables do not exist."""
    return _read(database, name, *_queries()[name], period)


def read_incidents(database: duckdb.DuckDBPyConnection, period: Period) -> Figure:
    """Return every incident that has a day of a period. Raises WarehouseError where none can be stored."""
    sql = _replaced(_query(ANOMALIES), OF_DAYS)
    return _read(database, ANOMALIES, sql, {"note": NOTE_OF_DAYS}, period)


def _read(database: duckdb.DuckDBPyConnection, name: str, sql: str, extra: Mapping[str, str], period: Period) -> Figure:
    try:
        return _figure(Made(database, period, TEMPORARY), name, sql, {**declared_in(sql), **extra})
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise unreadable(database, error) from None


def read_what_changed(database: duckdb.DuckDBPyConnection, period: Period) -> Figure:
    """Run the query of what changed alone. Raises WarehouseError where its tables do not exist."""
    return _changes(Made(database, period, TEMPORARY))


def rates_of(database: duckdb.DuckDBPyConnection, period: Period) -> str | None:
    """Return the exchange rates of the period and the one before, in words; None if none was used."""
    rates = database.execute(RATES_USED, period.used(RATES_USED)).fetchall()
    return rates_in_words(Rate(*rate) for rate in rates)


def _changes(made: Made) -> Figure:
    stated = declared_in(TEMPORARY["items"])
    query, tables = _shown(TEMPORARY["items"])
    made.make(*(table for table in TEMPORARY if table not in ("priced_days", "what_ifs")))
    rows = read_changes(made.database)
    nothing = [()] * rows.num_rows
    return Figure(
        *("what_changed", stated["title"], stated["note"], query, made.period),
        *(tables, rows, nothing, stated["short"]),
        is_computed=True,
    )


def _own() -> Sequence[str]:
    return (
        "what_changed",
        *OVERVIEW,
        *(f"by_{dimension}" for dimension in DIMENSIONS),
        *COSTS,
        *ECONOMICS,
        *SEATS,
        *CERTAINTY,
    )


def _queries() -> Queries:
    """Return name -> query, and its declarations that are not in its file. Those about bills of files are of a package
    that may be missing."""
    names = [name for name in (*OVERVIEW, *COSTS, *ECONOMICS, *SEATS, *CERTAINTY) if (SQL / f"{name}.sql").is_file()]
    found: dict[str, tuple[str, Mapping[str, str]]] = {name: (_query(name), {}) for name in names}
    found["by_day"] = (_query("by_day").replace("{states}", STATES), {})
    found[ANOMALIES] = (_replaced(_query(ANOMALIES), OF_REPORT), {})
    for dimension, several in DIMENSIONS.items():
        sql = _query("by").replace("{names}", f"{{names_{dimension}}}").replace("{dimension}", dimension)
        sql = sql.replace("{most}", str(MOST_ROWS)).replace("{others}", f"other {several}")
        short = f"{{{dimension}}}: {{usd}} billed"
        stated = {"title": f"By {in_words(dimension)}", "short": short, "explain": EXPLAINED[dimension]}
        found[f"by_{dimension}"] = (sql, stated)
    for provider in PROVIDERS.values():
        for path in sorted(provider.sql.glob("report/*.sql")):
            found[path.stem] = (path.read_text(), {})
    return found


def in_words(column: str) -> str:
    """Return what people call a column."""
    return column.replace("_", " ").replace("usd", "USD").replace("api", "API")


def _query(name: str) -> str:
    return (SQL / f"{name}.sql").read_text()


def _figure(made: Made, name: str, sql: str, stated: Mapping[str, str]) -> Figure:
    period = made.period
    run = made.run(sql)
    shown, tables = _shown(sql)
    rows = fetch_arrow(made.database.execute(run, period.used(run)))
    ids = _ids(made.database, name.removeprefix("by_")) if stated.get("explain") in EXPLAINED.values() else None
    commands = [[*_commands(stated.get("explain", ""), row, ids, period)] for row in rows.to_pylist()]
    rows = rows.drop_columns(HIDDEN.findall(sql))
    said = (stated["title"], stated.get("note", ""))
    return Figure(name, *said, shown, period, tables, rows, commands, stated.get("short", ""))


def _shown(sql: str) -> tuple[str, Sequence[str]]:
    """Return a query that needs no temporary table, and the tables that it reads."""
    for table, query in reversed([*TEMPORARY.items()]):
        sql = sql.replace(f"{{{table}}}", _indented(query))
    shown = HIDDEN.sub("", sql)
    shown = re.sub(r"(?m)^-- (title|note|short|reads|explain): .*\n(--   .*\n)*", "", shown).strip()
    return shown, sorted({*re.findall(r"\b(?<!distinct )(?:from|join) (\w+\.\w+)", shown)})


def _ids(database: duckdb.DuckDBPyConnection, dimension: str) -> Mapping[str, Mapping[str, object]]:
    """Return label -> id, connection and option of explain, of the rows that have a name. Labels are unique."""
    is_project = "id in (select project.id from billed where is_project)" if dimension == "project" else "false"
    # what no person has spent is no person's
    found = database.execute(
        f"select label, id, connection, {is_project} from names_{dimension}"  # noqa: S608
        f" where rank <= {MOST_ROWS} and (id is not null or '{dimension}' <> 'person')"
    ).fetchall()
    return {
        label: {"id": id_, "connection": connection, "place": "project" if of_project else "workspace"}
        for label, id_, connection, of_project in found
    }


def _commands(
    templates: str, row: Mapping[str, Any], ids: Mapping[str, Mapping[str, object]] | None, period: Period
) -> Iterator[str]:
    """Yield the commands that explain a row; none of dollars for a row without an amount."""
    amounts = [row[name] for name in ("usd", "amount", "stored") if name in row]
    known = {} if ids is None else ids.get(row[next(iter(row))])
    for template in templates.split(ALSO) if templates and known is not None else ():
        is_explained = row.get("of_costs", True)  # words of the command, from the query; null: there is none
        if is_explained and (not amounts or amounts[0] or "amount_usd" not in template):
            yield _command(template, row, known or {}, period)


def _command(template: str, row: Mapping[str, Any], known: Mapping[str, object], period: Period) -> str:
    unit = str(row.get("unit", row.get("currency")))
    values = {
        **{name: "" if value == WITHOUT_NAME else value for name, value in row.items()},
        **known,
        "column": "amount_usd" if unit == "USD" else "native_amount",
        "of_unit": "native_unit=credits" if unit == "credits" else f"currency={unit.rpartition(' ')[2]}",
    }
    values = {name: "" if value is None else value for name, value in values.items()}
    days = f"--start {period.first} --end {period.last}"
    if period.is_month:
        days = f"--month {period.first:%Y-%m}"
    words: list[str] = []
    for word in template.replace("{days}", days).split():
        several = row.get(word.strip("{}"))
        words += several if isinstance(several, list) else [word.format(**values)]
    if known.get("connection"):
        words += ["--connection", str(known["connection"])]
    return shlex.join(["usage-assets", "explain", *words])


def _found(database: duckdb.DuckDBPyConnection, sql: str, period: Period) -> Any:
    """Return the only value of a query; None if it has no row."""
    row = database.execute(sql, period.used(sql)).fetchone()
    return row and row[0]


def _written(sql: str, period: Period) -> str:
    """Return a query with its days instead of parameters."""
    return DAY_IN_QUERY.sub(lambda found: f"date '{period.parameters[found[1]]}'", sql)


def _indented(sql: str) -> str:
    return "".join(f"  {line}\n" for line in sql.splitlines() if not line.startswith("--")).rstrip()


def _facts(made: Made) -> Facts:
    made.make("charged", "billed", *(f"names_{dimension}" for dimension in DIMENSIONS))
    for most in MOST_BARS:
        others = {dimension: _others(made.database, dimension, most) for dimension in DIMENSIONS}
        labels = "\n".join(
            LABEL.format(name=name, most=most if label else MOST_FACTS, others=label) for name, label in others.items()
        )
        joins = "\n".join(LABELLED.format(name=name, id=id_of(name), called=called(name)) for name in DIMENSIONS)
        sql = _replaced(_query("facts"), {"{states}": STATES, "{labels}": labels, "{joins}": joins})
        rows = fetch_arrow(made.database.execute(sql, made.period.used(sql)))
        if rows.num_rows <= MOST_FACTS:
            break
    return Facts(rows, others)


def _others(database: duckdb.DuckDBPyConnection, dimension: str, most: int) -> str:
    """Return the label of all values after the last bar; empty for one value at most, which gets its own bar."""
    ranked = database.table(f"names_{dimension}").filter(f"rank > {most}").aggregate("count(distinct label)")
    [count] = ranked.fetchall()[0]
    return f"{count:,} others" if count > 1 else ""

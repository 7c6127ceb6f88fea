"""Views that several figures read, made again for one report: temporary, of its days, on tables that are read once.

DuckDB computes a view in each query that reads it, and a filter of days does not reach what two parts of it read. Here
are no figures. What a page shows names the views of the warehouse: they have the same rows.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

import duckdb

from usage_assets.features.report.period import Period
from usage_assets.models.costs import VIEWS

TABLES = ("costs.people", "models.names_in_costs")
"""Views that become tables."""
DAYS = ("costs.complete_days", "costs.daily_costs_by_key", "costs.usage")
"""Views of which the views below read the days of the report and of the period before it."""
OF_DAYS: Mapping[str, str] = {"costs.active_people": "table", "costs.unit_costs": "view"}
"""Views of these days, each after those that it reads -> what they become: a table is read twice."""
REMADE = (
    "costs.allocated_costs_by_key_of_people",
    "costs.by_model_as_sent",
    "costs.counted_costs",
    "costs.seats",
)
"""Views and macros of all days."""
STATEMENT = r"create or replace (view|macro) {name}(\(\w+\) as table| as)\n(.+?)(?:;\n\n|;?\s*\Z)"
Names = Mapping[str, str]
"""View -> what to read instead."""
STORED: Names = {}
"""All views as they are stored."""


def made_again(database: duckdb.DuckDBPyConnection, period: Period) -> Names:
    """Make them; return view -> what to read instead. A view that cannot be made is read as it is stored."""
    tables = dict(_made(database, [(name, f"table {{name}} as from {name}") for name in TABLES]))
    between = f"usage_date between date '{period.before_first}' and date '{period.last}'"
    days = dict(_made(database, [(name, f"view {{name}} as from {name} where {between}") for name in DAYS]))
    remade = dict(_made(database, [(name, reading(_statement(name), tables)) for name in REMADE]))
    of_days: dict[str, str] = {}
    if len(days) == len(DAYS):
        for name, kind in OF_DAYS.items():
            of_days |= _made(database, [(name, reading(_statement(name, kind), {**tables, **days, **of_days}))])
    return {**tables, **remade, **of_days}


def reading(sql: str, names: Names) -> str:
    """Return a query that reads what was made instead of the views."""
    if not names:
        return sql
    pattern = "|".join(map(re.escape, names))
    return re.sub(rf"\b(?:{pattern})\b", lambda found: names[found[0]], sql)


def _made(database: duckdb.DuckDBPyConnection, statements: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for name, statement in statements:
        called = f"temp.main.{name.partition('.')[2]}"
        with suppress(duckdb.CatalogException, duckdb.BinderException):  # as in figures.read
            database.execute(f"create or replace temp {statement.replace('{name}', called)}")
            yield name, called


def _statement(name: str, becomes: str = "") -> str:
    """Return this release's view or macro, with ``{name}`` for its own name."""
    pattern = re.compile(STATEMENT.format(name=re.escape(name)), re.S)
    [found] = filter(None, (pattern.search(view.sql) for view in VIEWS))
    kind, parameters, query = found.groups()
    return f"{becomes or kind} {{name}}{parameters}\n{query}"

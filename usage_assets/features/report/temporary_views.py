"""Views that several figures read, made again for one report: temporary, of its days, on tables that are read once.

DuckDB computes a view in each query that reads it, and a filter of days does not reach what two parts of it read. Here
are no figures. What a page shows names the views of the warehouse: they have the same rows, because only views of this
release are made again.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

import duckdb

from usage_assets.features.report.period import Period
from usage_assets.models.costs import VIEWS
from usage_assets.warehouse.values import View
from usage_assets.warehouse.views import are_made

DAYS = ("costs.complete_days", "costs.daily_costs", "costs.daily_costs_by_key", "costs.usage")
"""What is narrowed down to the days of the report and of the period before it, for the views below."""
MADE: Mapping[str, tuple[str, Sequence[str]]] = {
    "costs.people": ("table", ()),
    "costs.seats": ("macro", ()),
    "costs.allocated_costs_by_key_of_people": ("view", ()),
    "models.names": ("view", ("costs.daily_costs", "costs.usage")),
    "models.names_in_costs": ("table", ("costs.daily_costs",)),
    "costs.counted_costs": ("view", ()),
    "costs.by_model_as_sent": ("view", ()),
    "costs.billed_twice": ("view", ("costs.daily_costs",)),
    "costs.active_people": ("table", ("costs.complete_days", "costs.usage")),
    "costs.unit_costs": ("view", ("costs.complete_days", "costs.daily_costs_by_key", "costs.usage")),
}
"""View or macro -> what it becomes, and of which of ``DAYS`` it reads these days alone; each after those that it reads.

Costs of these days have models of these days, and a name means the same among any others (models/sql/model_rules.sql).
"""
STATEMENT = r"create or replace (?:view|macro) {name}(\(\w+\) as table| as)\n(.+?)(?:;\n\n|;?\s*\Z)"
Names = Mapping[str, str]
"""View -> what to read instead."""
STORED: Names = {}
"""All views as they are stored."""


def made_again(database: duckdb.DuckDBPyConnection, period: Period) -> Names:
    """Make them; return view -> what to read instead. What another release has stored is read as it is stored."""
    between = f"usage_date between date '{period.before_first}' and date '{period.last}'"
    days: dict[str, str] = {}
    for name in DAYS:
        days |= _made(database, name, "view", f" as from {name} where {between}")
    made: dict[str, str] = {}
    for name, (kind, of_days) in MADE.items():
        view, query = _declared(name)
        if are_made(database, [view]):
            made |= _made(
                database, name, kind, reading(query, made | {each: days[each] for each in of_days if each in days})
            )
    return made


def reading(sql: str, names: Names) -> str:
    """Return a query that reads what was made instead of the views."""
    if not names:
        return sql
    pattern = "|".join(map(re.escape, names))
    return re.sub(rf"\b(?:{pattern})\b", lambda found: names[found[0]], sql)


def _made(database: duckdb.DuckDBPyConnection, name: str, kind: str, query: str) -> Iterator[tuple[str, str]]:
    """Make one, and yield its name with what to read; nothing where tables are missing or of an earlier release."""
    called = f"temp.main.{name.partition('.')[2]}"
    with suppress(duckdb.CatalogException, duckdb.BinderException):
        database.execute(f"create or replace temp {kind} {called}{query}")
        yield name, called


def _declared(name: str) -> tuple[View, str]:
    """Return the file of a view or macro, and what it is, from its parameters on."""
    pattern = re.compile(STATEMENT.format(name=re.escape(name)), re.S)
    [(view, found)] = [(view, found) for view in VIEWS if (found := pattern.search(view.sql))]
    parameters, query = found.groups()
    return view, f"{parameters}\n{query}"

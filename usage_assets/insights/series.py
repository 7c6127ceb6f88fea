"""Reads daily series from the warehouse: what was billed or used in total, and by team, model, person and so on."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import duckdb

from usage_assets.core.days import Window
from usage_assets.models.costs import SOURCES, VIEWS
from usage_assets.statistics.series import Series

SQL = Path(__file__).parent / "sql"
LONGEST = timedelta(days=400)
"""How far back days are read."""
RECENT = timedelta(days=35)
"""The scopes with the largest sums of this time are read. It is longer than a month."""
MOST_PER_KIND = 200
"""The most scopes of a kind that are read."""
EVERYTHING = "all"
Key: TypeAlias = tuple[str, str]
"""Kind (connection, team, ...) and id."""


@dataclass(frozen=True)
class Measure:
    """What a series counts."""

    name: str
    """The column that holds it, and its unit."""
    rows: str
    """The file in ``sql/`` with the query of its rows."""
    sources: Sequence[str]
    """The raw tables that it comes from."""
    least: Decimal
    """The smallest difference per day that is an anomaly."""

    @property
    def is_cost(self) -> bool:
        return self.name == "usd"

    def query(self, name: str) -> str:
        """Return a query over the rows of this measure."""
        rows = (SQL / f"{self.rows}.sql").read_text()
        return (SQL / f"{name}.sql").read_text().replace("{rows}", rows).replace("{measure}", self.name)


BILLED = tuple(source.table for source in SOURCES if source.billed_totals)
[USED] = (view.reads for view in VIEWS if "costs.usage" in view.names)


def counter(name: str, least: Decimal = Decimal(0)) -> Measure:
    """Return the measure of a counter of the usage reports."""
    return Measure(name, "used", USED, least)


USD = Measure("usd", "billed", BILLED, Decimal(1))
MEASURES = (USD, counter("tokens", Decimal(100_000)), counter("requests", Decimal(100)))
"""The measures that are searched for anomalies."""


@dataclass(frozen=True)
class Days:
    """The days that are stored of a connection."""

    stored: frozenset[date]
    growing_from: date | None
    """The first of its last days that the provider had not settled when it was asked."""


@dataclass(frozen=True)
class Scope:
    """What was billed, or used, for one thing. A day is in it if all its connections have stored that day."""

    kind: str
    id: str
    name: str
    amounts: Mapping[date, Decimal]
    """What was billed, or used, on the days with any."""
    connections: Collection[str]
    days: Mapping[str, Days]
    """Of each connection."""
    measure: Measure = USD

    @cached_property
    def series(self) -> Series | None:
        """The series, with 0 for stored days without any; None without any day."""
        of_it = [self.days[name] for name in self.connections if name in self.days]
        if not of_it or not self.amounts:
            return None
        first, last = min(self.amounts), max(max(days.stored) for days in of_it)
        values = {
            day: self.amounts.get(day, Decimal(0))
            for day in Window(first, last).days
            if all(day in days.stored or day < min(days.stored) for days in of_it)
        }
        growing = [days.growing_from for days in of_it if days.growing_from]
        return Series(values, min(growing, default=None)) if values else None

    def sum(self, first: date, last: date) -> Decimal:
        """What these days add up to."""
        return sum((amount for day, amount in self.amounts.items() if first <= day <= last), Decimal(0))


def largest(scopes: Iterable[Scope], newest: date, most: int) -> Sequence[Scope]:
    """Return the largest scopes by what was billed, or used, in the last five weeks."""
    return sorted(scopes, key=lambda scope: (-scope.sum(newest - RECENT, newest), scope.kind, scope.id))[:most]


def read(
    database: duckdb.DuckDBPyConnection, newest: date, measure: Measure = USD, configured: Collection[str] | None = None
) -> Mapping[Key, Scope]:
    """Return the largest scopes by what was billed, or used, in the last five weeks: kind and id -> scope."""
    days = stored_days(database, newest, measure, configured)
    asked = {"first": newest - LONGEST, "last": newest, "recent": newest - RECENT, "most": MOST_PER_KIND}
    names: dict[Key, str] = {}
    amounts: dict[Key, dict[date, Decimal]] = defaultdict(dict)
    connections: dict[Key, set[str]] = defaultdict(set)
    for kind, id_, name, day, of_it, amount in database.execute(measure.query("series"), asked).fetchall():
        key = (kind, id_)
        names[key] = name or id_
        amounts[key][day] = amount
        connections[key].update(of_it)
    return {
        key: Scope(*key, names[key] or EVERYTHING, of_key, sorted(connections[key]), days, measure)
        for key, of_key in sorted(amounts.items())
    }


def stored_days(
    database: duckdb.DuckDBPyConnection, newest: date, measure: Measure = USD, configured: Collection[str] | None = None
) -> Mapping[str, Days]:
    """Return the days whose costs, or counters, are stored, by connection.

    ``configured``: the connections that are; None: all are. One that was taken out has nothing on the days since,
    and no day of it grows any more: otherwise everything together would have no whole day after its last one.
    """
    stored: dict[str, dict[date, bool]] = defaultdict(dict)
    asked = {"first": newest - LONGEST, "last": newest, "sources": [*measure.sources], "is_cost": measure.is_cost}
    for connection, day, is_growing in database.execute((SQL / "days.sql").read_text(), asked).fetchall():
        stored[connection][day] = is_growing
    for name in () if configured is None else stored.keys() - {*configured}:
        last = max(stored[name])
        stored[name] = dict.fromkeys([*stored[name], *Window(last, newest).days], False)
    return {name: Days(frozenset(days), _growing_from(days)) for name, days in stored.items()}


def _growing_from(days: Mapping[date, bool]) -> date | None:
    first = None
    for day in sorted(days, reverse=True):
        if not days[day]:
            break
        first = day
    return first

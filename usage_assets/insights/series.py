"""Reads series of dollars from the warehouse: what was billed per day, in all and by team, model, person and so on."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import duckdb

from usage_assets.core.days import DAY
from usage_assets.statistics.series import Series

SQL = Path(__file__).parent / "sql"
LONGEST = timedelta(days=400)
"""What is read of the past."""
BILLED = (SQL / "billed.sql").read_text()
RECENT = timedelta(days=28)
"""What the largest scopes are found by."""
EVERYTHING = "all"
Key: TypeAlias = tuple[str, str]
"""Kind (connection, team, ...) and id."""


@dataclass(frozen=True)
class Days:
    """The days that are stored of a connection."""

    stored: frozenset[date]
    growing_from: date | None
    """The first of its last days that the provider had not settled when it was asked."""


@dataclass(frozen=True)
class Scope:
    """What was billed for one thing. A day is in it if all connections that it belongs to have stored that day."""

    kind: str
    id: str
    name: str
    amounts: Mapping[date, Decimal]
    """Dollars of the days with costs."""
    connections: Collection[str]
    days: Mapping[str, Days]
    """Of each connection."""

    @cached_property
    def series(self) -> Series | None:
        """The series, with 0 for stored days without costs; None without any day."""
        of_it = [self.days[name] for name in self.connections if name in self.days]
        if not of_it or not self.amounts:
            return None
        first, last = min(self.amounts), max(max(days.stored) for days in of_it)
        values: dict[date, Decimal] = {}
        day = first
        while day <= last:
            if all(day in days.stored or day < min(days.stored) for days in of_it):
                values[day] = self.amounts.get(day, Decimal(0))
            day += DAY
        growing = [days.growing_from for days in of_it if days.growing_from]
        return Series(values, min(growing, default=None)) if values else None

    def billed(self, first: date, last: date) -> Decimal:
        """Dollars of these days."""
        return sum((amount for day, amount in self.amounts.items() if first <= day <= last), Decimal(0))


def query(name: str) -> str:
    """Return a query over ``billed.sql``."""
    return (SQL / f"{name}.sql").read_text().replace("{billed}", BILLED)


def largest(scopes: Iterable[Scope], newest: date, most: int) -> Sequence[Scope]:
    """Return the scopes for which most was billed in the last four weeks."""
    return sorted(scopes, key=lambda scope: (-scope.billed(newest - RECENT, newest), scope.kind, scope.id))[:most]


def read(database: duckdb.DuckDBPyConnection, today: date) -> Mapping[Key, Scope]:
    """Return every scope with costs, by kind and id."""
    bounds, days = {"first": today - LONGEST, "last": today}, stored_days(database, today)
    names: dict[Key, str] = {}
    amounts: dict[Key, dict[date, Decimal]] = defaultdict(dict)
    connections: dict[Key, set[str]] = defaultdict(set)
    for kind, id_, name, day, of_it, amount in database.execute(query("series"), bounds).fetchall():
        key = (kind, id_)
        names[key] = name or id_
        amounts[key][day] = amount
        connections[key].update(of_it)
    return {
        key: Scope(*key, names[key] or EVERYTHING, of_key, sorted(connections[key]), days)
        for key, of_key in sorted(amounts.items())
    }


def stored_days(database: duckdb.DuckDBPyConnection, today: date) -> Mapping[str, Days]:
    """Return the days whose costs are stored, by connection."""
    stored: dict[str, dict[date, bool]] = defaultdict(dict)
    rows = database.execute((SQL / "days.sql").read_text(), {"first": today - LONGEST, "last": today}).fetchall()
    for connection, day, is_growing in rows:
        stored[connection][day] = is_growing
    return {name: Days(frozenset(days), _growing_from(days)) for name, days in stored.items()}


def _growing_from(days: Mapping[date, bool]) -> date | None:
    first = None
    for day in sorted(days, reverse=True):
        if not days[day]:
            break
        first = day
    return first

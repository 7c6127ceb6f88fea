"""Reads daily series from the warehouse: what was billed or used in total, and by team, model, person and so on."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeAlias

import duckdb

from usage_assets.core.days import Window
from usage_assets.models.costs import NEWER_COLUMNS, SOURCES, VIEWS
from usage_assets_report.statistics.growth import Fetched, Growth
from usage_assets_report.statistics.looks import Look
from usage_assets_report.statistics.series import Series

SQL = Path(__file__).parent / "sql"
LONGEST = timedelta(days=400)
"""How far back days are read."""
RECENT = timedelta(days=35)
"""The scopes with the largest sums of this time are read. It is longer than a month."""
MOST_PER_KIND = 200
"""The most scopes of a kind that are read."""
EVERYTHING = "all"
CREDITS = "credits"
ZERO = Decimal(0)
Key: TypeAlias = tuple[str, str]
"""Kind (connection, team, ...) and id."""


def query(name: str) -> str:
    """Return a query, with the queries that it reads."""
    text = (SQL / f"{name}.sql").read_text()
    for read in ("charges", "recurring"):
        text = text.replace(f"{{{read}}}", (SQL / f"{read}.sql").read_text())
    return text.replace("{newer_columns}", NEWER_COLUMNS)


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

    @property
    def kept(self) -> str:
        """The temporary table of its rows (kept.sql)."""
        return f"{self.rows}_rows"

    def query(self, name: str) -> str:
        """Return a query over the rows of this measure, or over those that are kept."""
        text = query(name).replace("{rows}", query(self.rows)).replace("{kept}", self.kept)
        return text.replace("{measure}", self.name)


TOTALS = {source.table: source.billed_totals for source in SOURCES if source.billed_totals}
"""Raw table -> which of its totals are billed."""
[USED] = (view.reads for view in VIEWS if "costs.usage" in view.names)


def counter(name: str, least: Decimal = Decimal(0)) -> Measure:
    """Return the measure of a counter of the usage reports."""
    return Measure(name, "used", USED, least)


USD = Measure("usd", "billed", tuple(TOTALS), Decimal(1))
MEASURES = (USD, counter("tokens", Decimal(100_000)), counter("requests", Decimal(100)))
"""The measures that are searched for anomalies."""


@dataclass(frozen=True)
class Days:
    """The days that are stored of a connection."""

    stored: Collection[date]
    growing_from: date | None
    """The first of its last days that were fetched before the end of their settling time."""
    looks: Mapping[date, Mapping[str, Look]] = field(default_factory=dict)
    """Day -> source -> what is known."""
    ended_on: date | None = None
    """The last stored day, if the connection is no longer configured: nothing comes after it, and nothing grows."""
    unvalued: Collection[date] = ()
    """Days with amounts in a currency without a rate then that has one on other days. Their sum in USD is too small."""
    lapsed: str | None = None
    """That a rate ends before the last of these days: what the connection will cost in USD is unknown."""

    @cached_property
    def first(self) -> date:
        """The first stored day."""
        return min(self.stored)

    @cached_property
    def last(self) -> date:
        """The last stored day."""
        return max(self.stored)

    @cached_property
    def unknown(self) -> Collection[date]:
        """The days from the first to the last that are not stored, or not whole."""
        between = Window(self.first, self.last).days
        return {day for day in between if day not in self.stored or day in self.unvalued}

    def is_settled(self, day: date) -> bool:
        """Whether no source of the day may change any more. The ledger's rule (ledger.day_states)."""
        if self.ended_on and day > self.ended_on:
            return True
        return day in self.looks and all(look.state == "settled" for look in self.looks[day].values())


@dataclass(frozen=True)
class Part:
    """What one connection billed for a scope."""

    by_source: Mapping[str, Mapping[date, Decimal]]
    """Source -> day -> amount."""
    recurring: Mapping[str, Mapping[int, Mapping[date, Decimal]]]
    """Source -> day of the month on which it is due again (statistics.forecast) -> day -> the part of its amount."""

    @cached_property
    def amounts(self) -> Mapping[date, Decimal]:
        """What all sources together billed, per day with any."""
        return _added(self.by_source.values())


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
    parts: Mapping[str, Part] = field(default_factory=dict)
    """What each connection billed."""

    @classmethod
    def of_parts(
        cls, kind: str, id_: str, name: str, parts: Mapping[str, Part], days: Mapping[str, Days], measure: Measure = USD
    ) -> Self:
        """Return the scope that these parts add up to."""
        amounts = _added(part.amounts for part in parts.values())
        return cls(kind, id_, name, amounts, sorted(parts), days, measure, parts)

    @cached_property
    def series(self) -> Series | None:
        """The series that is searched: 0 on stored days without any, and without what recurs; None without any day."""
        of_it = [self.days[name] for name in self.connections if name in self.days]
        if not of_it or not self.amounts:
            return None
        recurring = _added(
            amounts for part in self.parts.values() for due in part.recurring.values() for amounts in due.values()
        )
        unknown = {day for days in of_it for day in days.unknown}
        whole = Window(min(self.amounts), min(days.last for days in of_it))
        values = {day: self.amounts.get(day, ZERO) for day in whole.days if day not in unknown}
        for day in recurring.keys() & values.keys():
            values[day] -= recurring[day]
        growing = [days.growing_from for days in of_it if days.growing_from]
        return Series(values, min(growing, default=None)) if values else None

    @cached_property
    def settled(self) -> Mapping[date, Decimal]:
        """What connections billed on days that they may no longer change."""
        return self._in_state(is_settled=True)

    @cached_property
    def provisional(self) -> Mapping[date, Decimal]:
        """What connections have billed so far on days that they may still change."""
        return self._in_state(is_settled=False)

    def _in_state(self, *, is_settled: bool) -> Mapping[date, Decimal]:
        return _added(
            {
                day: amount
                for day, amount in part.amounts.items()
                if (name in self.days and self.days[name].is_settled(day)) is is_settled
            }
            for name, part in self.parts.items()
        )

    def is_settled(self, day: date) -> bool:
        """Whether no connection may change what it billed on a day."""
        of_it = [self.days[name] for name in self.connections if name in self.days]
        return all(days.is_settled(day) for days in of_it if day in days.stored)

    def sum(self, first: date, last: date) -> Decimal:
        """What these days add up to."""
        return in_days(self.amounts, first, last)


def in_days(amounts: Mapping[date, Decimal], first: date, last: date) -> Decimal:
    """Return what the amounts of a range of days add up to."""
    return sum((amount for day, amount in amounts.items() if first <= day <= last), ZERO)


def _added(many: Iterable[Mapping[date, Decimal]]) -> Mapping[date, Decimal]:
    sums: dict[date, Decimal] = defaultdict(Decimal)
    for amounts in many:
        for day, amount in amounts.items():
            sums[day] += amount
    return dict(sums)


def parts_of(rows: Iterable[tuple[date, str, str, int | None, Decimal]]) -> Mapping[str, Part]:
    """Return connection -> its part, of rows of day, connection, source, day on which it is due again, and amount."""
    sources: dict[str, dict[str, dict[date, Decimal]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(Decimal)))
    recurring: dict[str, dict[str, dict[int, dict[date, Decimal]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(lambda: defaultdict(Decimal)))
    )
    for day, connection, source, due_on, amount in rows:
        sources[connection][source][day] += amount
        if due_on is not None:
            recurring[connection][source][due_on][day] += amount
    return {name: Part(by_source, recurring[name]) for name, by_source in sorted(sources.items())}


def largest(scopes: Iterable[Scope], newest: date, most: int) -> Sequence[Scope]:
    """Return the largest scopes by what was billed, or used, in the last five weeks."""
    return sorted(scopes, key=lambda scope: (-scope.sum(newest - RECENT, newest), scope.kind, scope.id))[:most]


def read(
    database: duckdb.DuckDBPyConnection, newest: date, measure: Measure = USD, configured: Collection[str] | None = None
) -> Mapping[Key, Scope]:
    """Return the connections and the largest scopes of the last five weeks: kind and id -> scope."""
    return read_all(database, newest, (measure,), configured)[measure]


def read_all(
    database: duckdb.DuckDBPyConnection,
    newest: date,
    measures: Sequence[Measure],
    configured: Collection[str] | None = None,
) -> Mapping[Measure, Mapping[Key, Scope]]:
    """Return the scopes of several measures."""
    keep(database, newest, measures)
    of_rows = {measure.rows: measure for measure in measures}
    days = {rows: stored_days(database, newest, measure, configured) for rows, measure in of_rows.items()}
    return {measure: _read(database, newest, measure, days[measure.rows]) for measure in measures}


def keep(database: duckdb.DuckDBPyConnection, newest: date, measures: Sequence[Measure]) -> None:
    """Put what was billed and used into temporary tables: the queries of scopes, odd days and their parts read them."""
    for kept in {measure.rows: measure for measure in measures}.values():
        beside = dict.fromkeys(each.name for each in (*MEASURES, *measures) if each.rows == kept.rows)
        sql = kept.query("kept").replace("{measures}", ",\n  ".join(beside))
        database.execute(
            f"create or replace temp table {kept.kept} as {sql}", {"first": newest - LONGEST, "last": newest}
        )


def _read(
    database: duckdb.DuckDBPyConnection, newest: date, measure: Measure, days: Mapping[str, Days]
) -> Mapping[Key, Scope]:
    asked = {"recent": newest - RECENT, "most": MOST_PER_KIND}
    names: dict[Key, set[str]] = defaultdict(set)
    rows: dict[Key, list[Any]] = defaultdict(list)
    for kind, id_, name, *source, dates, amounts in database.execute(measure.query("series"), asked).fetchall():
        names[kind, id_].add(name or id_)
        rows[kind, id_] += [(day, *source, amount) for day, amount in zip(dates, amounts, strict=True)]
    scopes = {
        key: Scope.of_parts(*key, _name(key[1], names[key]), parts_of(of_key), days, measure)
        for key, of_key in sorted(rows.items())
    }
    everything = {key[1]: scope.parts[key[1]] for key, scope in scopes.items() if key[0] == "connection"}
    if everything:
        scopes[EVERYTHING, ""] = Scope.of_parts(EVERYTHING, "", EVERYTHING, everything, days, measure)
    return scopes


def _name(id_: str, names: Collection[str]) -> str:
    """Return what something is called: connections may have several names of it, or none."""
    return min(names, key=lambda name: (name == id_, name))


def stored_days(
    database: duckdb.DuckDBPyConnection,
    newest: date,
    measure: Measure = USD,
    configured: Collection[str] | None = None,
    first: date | None = None,
) -> Mapping[str, Days]:
    """Return the days whose costs, or counters, are stored, by connection: from a day on, or of the last 400.

    ``configured``: the connections that are; None: all are. One that was taken out has nothing on the days since,
    and no day of it grows any more: otherwise everything together would have no whole day after its last one.
    """
    looks: dict[str, dict[date, dict[str, Look]]] = defaultdict(dict)
    asked = {
        "first": first or newest - LONGEST,
        "last": newest,
        "sources": [*measure.sources],
        "totals": [TOTALS.get(source, "") for source in measure.sources],
        "is_cost": measure.is_cost,
    }
    for connection, day, states in database.execute(query("days"), asked).fetchall():
        looks[connection][day] = {state.pop("source"): Look(**state) for state in states}
    days = {
        name: _ended(of_it, newest)
        if configured is not None and name not in configured
        else Days(frozenset(of_it), _growing_from(of_it), of_it)
        for name, of_it in looks.items()
    }
    if measure.is_cost:
        range_ = {"first": asked["first"], "last": newest}
        for name, currency, without_rate, last_valued in database.execute(query("unvalued"), range_).fetchall():
            if name in days:
                days[name] = _unvalued(days[name], currency, without_rate, last_valued)
    return days


def _ended(looks: Mapping[date, Mapping[str, Look]], newest: date) -> Days:
    last = max(looks)
    return Days(frozenset([*looks, *Window(last, newest).days]), None, looks, last)


def _unvalued(days: Days, currency: str, without_rate: Collection[date], last_valued: date) -> Days:
    has_lapsed = max(without_rate) > last_valued and not days.ended_on
    lapsed = f"{currency} has no rate after {last_valued}" if has_lapsed else days.lapsed
    return replace(days, unvalued={*days.unvalued, *without_rate}, lapsed=lapsed)


def _growing_from(looks: Mapping[date, Mapping[str, Look]]) -> date | None:
    first = None
    for day in sorted(looks, reverse=True):
        if not any(look.is_growing for look in looks[day].values()):
            break
        first = day
    return first


def growths(database: duckdb.DuckDBPyConnection, newest: date, unit: str) -> Mapping[tuple[str, str], Growth]:
    """Return how stored days have grown, by connection and source: billed amounts, or credits."""
    asked = {"first": newest - LONGEST, "last": newest, "sources": [*TOTALS], "totals": [*TOTALS.values()]}
    fetched: dict[tuple[str, str], list[Fetched]] = defaultdict(list)
    for connection, source, is_credits, *twice in database.execute(query("growth"), asked).fetchall():
        if is_credits == (unit == CREDITS):
            fetched[connection, source].append(Fetched(*twice))
    return {key: Growth.of(of_it) for key, of_it in fetched.items()}

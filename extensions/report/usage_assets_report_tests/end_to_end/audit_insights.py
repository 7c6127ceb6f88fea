"""What budgets, forecasts of stored days and guardrails must say, computed from the rows that the books say are stored.

Decimals and days here; the product's statistics are not known. Of days to come only what holds for every forecast is
compared: that sums are the sums of what is shown beside them.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

from usage_assets_report_tests.end_to_end.audit_books import Keeper
from usage_assets_report_tests.end_to_end.audit_models import identity_of
from usage_assets_report_tests.end_to_end.audit_sources import USD_TOTALS
from usage_assets_report_tests.end_to_end.audit_sums import (
    Row,
    by,
    differing,
    keyed,
    midnight,
    month_of,
    next_month,
    picked,
    total,
)
from usage_assets_report_tests.end_to_end.audit_views import THRESHOLDS, scope_of, whole_units
from usage_assets_sandbox.company import EXACT

Read = Callable[[str], list[Row]]
Books = Mapping[str, Sequence[Row]]
Source = tuple[str, str]
"""Connection and raw table of costs."""
BILLED = {"openai.costs", "anthropic.cost_report", "chatgpt.codex_usage", *USD_TOTALS}
"""Raw tables of bills and of credits."""
DAY, HALF_A_CENT, ZERO = timedelta(days=1), Decimal("0.005"), Decimal(0)
RECENT = timedelta(days=35)
"""A scope is forecast if anything was billed for it in these days."""
PREPAID = (Decimal("0.8"), Decimal("0.95"), Decimal(1))
"""Thresholds of prepaid credits."""


def age(day: date, fetched: datetime) -> int:
    """Whole days between the end of a day and a fetch."""
    return (fetched - midnight(day + DAY)) // DAY


def days_from(first: date, last: date) -> list[date]:
    """The days of a range, both inclusive."""
    return [first + DAY * n for n in range((last - first).days + 1)]


class Spent(NamedTuple):
    """One amount: whose it is, and whether its provider may still change the day."""

    day: date
    source: Source
    amount: Decimal
    is_settled: bool


@dataclass(frozen=True)
class Spending:
    """What one scope spent in one unit. Money of a currency, all that has dollars ("USD"), or credits."""

    kind: str
    id: str
    unit: str
    amounts: Sequence[Spent]
    growing: Mapping[Source, Collection[date]]
    """The stored days of each source at whose age the provider has changed a day before."""
    settled_days: Collection[tuple[str, date]]
    """Connection and day."""
    stored_days: Mapping[Source, Collection[date]]
    all_sources: Collection[Source]
    """Those that state amounts in this unit, of whatever scope."""

    def sum(self, first: date, last: date, *, settled: bool | None = None) -> Decimal:
        """What was spent on some days; on those that are settled, or that are not."""
        chosen = (each for each in self.amounts if first <= each.day <= last)
        return total(each.amount for each in chosen if settled in (None, each.is_settled)) or ZERO

    @cached_property
    def by_day(self) -> Mapping[date, Decimal]:
        """What was spent on each day with anything."""
        days: dict[date, Decimal] = defaultdict(Decimal)
        for each in self.amounts:
            days[each.day] = EXACT.add(days[each.day], each.amount)
        return dict(days)

    @property
    def sources(self) -> set[Source]:
        """Where its amounts come from. A connection has all of its own sources, also those without an amount."""
        of_it = {each.source for each in self.amounts}
        if self.kind in ("all", "connection"):
            names = {connection for connection, _ in of_it}
            of_it |= {source for source in self.all_sources if source[0] in names}
        return of_it

    def reached_on(self, amount: Decimal, first: date, last: date) -> date | None:
        """The first day on which the stored sum is an amount, or more."""
        summed = ZERO
        for day in sorted(day for day in self.by_day if first <= day <= last):
            summed = EXACT.add(summed, self.by_day[day])
            if summed >= amount:
                return day
        return None

    def may_grow(self, first: date, last: date) -> bool:
        """Whether a provider has ever changed a day as old as one of these that is not settled."""
        return any(first <= day <= last for source in self.sources for day in self.growing.get(source, ()))

    def provisional_parts(self, first: date, last: date) -> int:
        """How many days of sources are not settled: each is shown rounded to a cent."""
        return sum(
            first <= day <= last and (source[0], day) not in self.settled_days
            for source in self.sources
            for day in self.stored_days[source]
        )

    def is_whole(self, first: date, last: date) -> bool:
        """Whether every source that has stored anything has stored each of these days."""
        kept = [{*stored} for source in self.sources if (stored := self.stored_days[source])]
        return bool(kept) and all({*days_from(first, last)} <= days for days in kept)


IDS: Mapping[str, Callable[[Row], str | None]] = {
    "connection": lambda row: row["connection"],
    "team": lambda row: row["team"],
    "project": lambda row: row["project_id"],
    "workspace": lambda row: row["workspace_id"],
    "user": lambda row: row["user_id"],
    "model": lambda row: identity_of(row["model"]).family,
    "api_key": lambda row: row["api_key_id"] or row["api_key_name"],
}


@dataclass(frozen=True)
class Spendings:
    """All spending of the books."""

    costs: Sequence[Row]
    states: Sequence[Row]
    changed_after: Mapping[Source, int]
    """The greatest age, at a fetch, of a day that was another one at the next fetch."""
    _known: dict[tuple[str, str, str], Spending] = field(default_factory=dict)

    @classmethod
    def of(cls, keeper: Keeper, books: Books) -> "Spendings":
        """What was spent by the rows of costs, their states, and what providers have changed."""
        changed: dict[Source, int] = defaultdict(lambda: -1)
        for row in keeper.restatements:
            if row["cause"] == "provider":
                name, day = row["connection"], row["usage_date"]
                writes = keeper.days[row["table_name"], row["slice"], name, day].writes
                source = (name, row["table_name"])
                changed[source] = max(changed[source], age(day, writes[row["version"] - 2]))
        states = [row for row in books["ledger.day_states"] if row["table_name"] in BILLED]
        return cls(books["costs.allocated_costs_named"], states, changed)

    def spending(self, kind: str, id_: str, unit: str = "USD") -> Spending:
        """What one scope spent."""
        if (kind, id_, unit) in self._known:
            return self._known[kind, id_, unit]
        rows = [
            (row, amount, (row["connection"], row["source_table"]))
            for row in self.costs
            if (amount := _in_unit(row, unit)) is not None
        ]
        found = [
            Spent(row["usage_date"], source, amount, (row["connection"], row["usage_date"]) in self.settled)
            for row, amount, source in rows
            if kind == "all" or IDS[kind](row) == id_
        ]
        sources = {source for *_, source in rows}
        days = (self.growing, self.settled, self.stored)
        self._known[kind, id_, unit] = Spending(kind, id_, unit, found, *days, sources)
        return self._known[kind, id_, unit]

    @cached_property
    def stored(self) -> Mapping[Source, Collection[date]]:
        """The stored days of each source of bills and credits."""
        return _days(self.states)

    @cached_property
    def settled(self) -> Collection[tuple[str, date]]:
        """The days of connections of which every source is settled, as the ledger says it."""
        days = by(self.states, "connection", "usage_date")
        return {(name, day) for (name, day), rows in days.items() if {row["state"] for row in rows} == {"settled"}}

    @cached_property
    def growing(self) -> Mapping[Source, Collection[date]]:
        """The days that are not settled, and at whose age a day of the source has changed before."""
        return _days(
            row
            for row in self.states
            if row["state"] != "settled"
            and age(row["usage_date"], row["last_fetched_at"])
            <= self.changed_after.get((row["connection"], row["table_name"]), -1)
        )

    def scopes(self, newest: date) -> Iterator[tuple[str, str]]:
        """Everything, and each connection and team that was billed any dollars lately."""
        yield "all", ""
        for kind in ("connection", "team"):
            for id_ in sorted({str(IDS[kind](row)) for row in self.costs}):
                if self.spending(kind, id_).sum(newest - RECENT, newest):
                    yield kind, id_


def _days(states: Iterable[Row]) -> Mapping[Source, Collection[date]]:
    places = by(states, "connection table_name").items()
    return defaultdict(set, {place: {row["usage_date"] for row in rows} for place, rows in places})


def _in_unit(row: Row, unit: str) -> Decimal | None:
    """What a cost counts in dollars (whatever has a rate), in a currency (its own rows only), or in credits."""
    amount: Decimal | None = None
    if unit == "credits":
        amount = row["native_amount"] if row["cost_basis"] == "credits" else None
    elif row["cost_basis"] == "billed" and unit == "USD":
        amount = row["amount_usd"]
    elif row["cost_basis"] == "billed" and row["currency"] == unit:
        amount = whole_units(row["native_amount"], row["native_unit"], unit)
    return amount


# --- Budgets ----------------------------------------------------------------------------------------------------------


class Period(NamedTuple):
    """A budget or purchase of credits in one of its periods."""

    source: str
    name: str
    kind: str
    id: str
    unit: str
    amount: Decimal
    thresholds: Sequence[Decimal]
    first: date
    last: date


def periods_of(accounting: Iterable[Any], newest: date) -> Iterator[Period]:
    """The period of the newest day and the one before it, as far as a budget is valid in them; all of a purchase."""
    for entry in accounting:
        said = entry.said
        first, last = said.get("valid_from", date.min), said.get("valid_until") or date.max
        if entry.table == "purchase" and said["kind"] == "credits":
            amount = Decimal(said["quantity"])
            yield Period(
                "purchase", said["id"], "connection", said["connection"], "credits", amount, PREPAID, first, last
            )
        if entry.table != "budget":
            continue
        kind, id_ = scope_of(said)
        unit = "credits" if "credits" in said else said.get("currency", "USD")
        amount = Decimal(said.get("amount", said.get("credits", 0)))
        for begin, end in _calendar(said.get("period", "month"), newest):
            begins, ends = max(begin, first), min(end, last)
            if begins <= min(ends, newest):
                thresholds = said.get("thresholds", THRESHOLDS)
                yield Period("budget", said["name"], kind, id_ or "", unit, amount, thresholds, begins, ends)


def _calendar(period: str, newest: date) -> Iterator[tuple[date, date]]:
    """The month or quarter of the newest day, and the one before it."""
    day = newest
    for _ in range(2):
        first = month_of(day)
        while period == "quarter" and first.month % 3 != 1:
            first = month_of(first - DAY)
        last = first
        for _ in range(3 if period == "quarter" else 1):
            last = next_month(last)
        yield first, last - DAY
        day = first - DAY


def wrong_budgets(read: Read, spendings: Spendings, accounting: Iterable[Any], newest: date) -> Iterator[str]:
    """A line for each figure of costs.budget_status that is not what the books say."""
    rows = keyed(read("costs.budget_status"), "source budget first_day")
    months = keyed(read("costs.forecast_totals"), "kind id")
    periods = [*periods_of(accounting, newest)]
    for key in sorted(rows.keys() - {(each.source, each.name, each.first) for each in periods}):
        yield f"{key[0]} {key[1]} from {key[2]}: expected no such row"
    for each in periods:
        what = f"{each.source} {each.name}, {each.first} to {each.last}"
        row = rows.get((each.source, each.name, each.first))
        if row is None:
            yield f"{what}: expected a row, found none"
            continue
        spending = spendings.spending(each.kind, each.id, each.unit)
        yield from differing(what, row, _stated(each, spending))
        for line in (*_wrong_expectation(row, each, spending, newest), *_wrong_date(row, each, spending, newest)):
            yield f"{what}, {line}"
        month = months.get((each.kind, each.id))
        if each.unit == "USD" and month and (each.first, each.last) == _month_of(month):
            for name in ("settled", "provisional", "expected", "low", "high"):
                if row[name] != month[name]:
                    yield f"{what}, {name}: {row[name]}, but {month[name]} in costs.forecast_totals"


def _month_of(row: Row) -> tuple[date, date]:
    return row["month"], next_month(row["month"]) - DAY


def _stated(each: Period, spending: Spending) -> Row:
    """The columns that stored amounts and the connections file say alone."""
    reached = [(share, spending.reached_on(share * each.amount, each.first, each.last)) for share in each.thresholds]
    return picked(each._asdict(), "last_day=last kind id unit amount") | {
        "settled": spending.sum(each.first, each.last, settled=True),
        "provisional": spending.sum(each.first, each.last, settled=False),
        "thresholds": ", ".join(f"{share} on {day}" for share, day in reached if day),
        "has_costs": bool(spending.amounts),
    }


def _wrong_expectation(row: Row, each: Period, spending: Spending, newest: date) -> Iterator[str]:
    spent = spending.sum(each.first, each.last)
    if row["expected"] is None:
        if spending.amounts and each.last <= newest and spending.is_whole(each.first, each.last):
            yield f"expected of a period that is over: expected about {spent}, found nothing"
        return
    if each.last <= newest and not spending.is_whole(each.first, each.last):
        yield f"expected of a period that is over: expected nothing, days are not stored, found {row['expected']}"
    if not row["low"] <= row["expected"] <= row["high"]:
        yield f"expected: {row['expected']} is not between {row['low']} and {row['high']}"
    if each.last <= newest and not spending.may_grow(each.first, each.last):
        tolerated = HALF_A_CENT * spending.provisional_parts(each.first, each.last)
        for name in ("expected", "low", "high"):
            if abs(row[name] - spent) > tolerated:
                yield f"{name} of a period that is over: expected {spent}, found {row[name]}"


def _wrong_date(row: Row, each: Period, spending: Spending, newest: date) -> Iterator[str]:
    """A past day is the one on which stored amounts reach the budget; another day is to come, and expected."""
    found, reached = row["exhausted_on"], spending.reached_on(each.amount, each.first, each.last)
    if each.last <= newest and spending.sum(each.first, each.last) < each.amount:
        reached = None
    if reached or each.last <= newest:
        if found != reached:
            yield f"exhausted_on: expected {reached}, found {found}"
    elif found and not newest < found <= each.last:
        yield f"exhausted_on: expected none, or a day from {newest + DAY} to {each.last}, found {found}"
    elif row["expected"] is not None and (found is not None) != (row["expected"] >= each.amount):
        yield f"exhausted_on: found {found}, though {row['expected']} of {each.amount} are expected"


# --- Forecasts --------------------------------------------------------------------------------------------------------


def wrong_forecasts(read: Read, spendings: Spendings, newest: date) -> Iterator[str]:
    """A line for each figure of costs.forecast and costs.forecast_totals that contradicts the books, or another one."""
    totals = keyed(read("costs.forecast_totals"), "kind id")
    daily: dict[tuple[str, str], dict[date, Decimal]] = defaultdict(dict)
    for row in read("costs.forecast"):
        daily[row["kind"], row["id"]][row["usage_date"]] = row["expected"]
    scopes = {scope: spendings.spending(*scope) for scope in spendings.scopes(newest)}
    for kind, id_ in sorted(totals.keys() ^ scopes.keys()):
        found = "found" if (kind, id_) in totals else "expected"
        yield f"forecast of {kind} {id_}: {found}, and it is not in the {'books' if found == 'found' else 'table'}"
    for scope in totals.keys() & scopes.keys():
        for line in _wrong_month(totals[scope], daily[scope], scopes[scope], newest):
            yield f"forecast of {' '.join(filter(None, scope))}, {line}"
    yield from _wrong_sums(totals, daily, newest)


def _wrong_month(row: Row, daily: Mapping[date, Decimal], spending: Spending, newest: date) -> Iterator[str]:
    first, last = _month_of(row)
    if first != month_of(newest):
        yield f"month: expected {month_of(newest)}, found {first}"
    for name, settled in (("settled", True), ("provisional", False)):
        if row[name] != (expected := spending.sum(first, last, settled=settled)):
            yield f"{name}: expected {expected}, found {row[name]}"
    for day in (day for day in daily if day <= newest and not spending.may_grow(day, day)):
        stored = spending.by_day.get(day, ZERO)
        if abs(daily[day] - stored) > HALF_A_CENT * len(spending.sources):
            yield f"{day}: expected what is stored, {stored}, found {daily[day]}"
    if row["expected"] is None:
        if spending.is_whole(first, newest):
            yield "expected: expected a forecast of the month, found nothing"
        return
    if not row["low"] <= row["expected"] <= row["high"]:
        yield f"expected: {row['expected']} is not between {row['low']} and {row['high']}"
    if missing := [day for day in days_from(newest + DAY, last) if day not in daily]:
        yield f"{missing[0]}: expected a row, found none"
        return
    # a day that has a row counts as forecast, any other as stored
    days = total(daily.get(day, spending.by_day.get(day, ZERO)) for day in days_from(first, last))
    if abs(row["expected"] - days) > HALF_A_CENT * max(1, len(spending.sources)):
        yield f"expected: {days} is the sum of its days, found {row['expected']}"


def _wrong_sums(
    totals: Mapping[tuple[str, str], Row], daily: Mapping[tuple[str, str], Mapping[date, Decimal]], newest: date
) -> Iterator[str]:
    """Everything is the sum of its connections, to the last digit: in the month, and on each day to come."""
    parts = [scope for scope in totals if scope[0] == "connection"]
    everything = totals.get(("all", ""), {}).get("expected")
    if everything is not None and all(totals[part]["expected"] is not None for part in parts):
        summed = total(totals[part]["expected"] for part in parts)
        if everything != summed:
            yield f"forecast of all: expected {summed}, the sum of its connections, found {everything}"
    for day, expected in sorted(daily["all", ""].items()):
        if day > newest and expected != (summed := total(daily[part].get(day, ZERO) for part in parts)):
            yield f"forecast of all, {day}: expected {summed}, the sum of its connections, found {expected}"


# --- Guardrails -------------------------------------------------------------------------------------------------------


def wrong_guardrails(read: Read, spendings: Spendings, accounting: Iterable[Any], newest: date) -> Iterator[str]:
    """A line for each day on which a guardrail of dollars was crossed that has no row, and the other way round."""
    for said in (entry.said for entry in accounting if entry.table == "guardrail"):
        kind, id_ = scope_of(said)
        since = max(said.get("valid_from", date.min), newest - timedelta(days=60))
        by_day = spendings.spending(kind, id_ or "").by_day
        books = {day: usd for day, usd in by_day.items() if usd > said["above"] and since <= day <= newest}
        found = {
            row["first_day"]: row["actual"]
            for row in read("costs.anomalies")
            if (row["what"], row["kind"], row["id"], row["measure"]) == (said["name"], kind, id_ or "", "usd")
        }
        for day in sorted(books.keys() | found.keys()):
            expected, actual = books.get(day), found.get(day)
            if expected != actual:
                yield f"guardrail {said['name']}, {day}: expected {expected}, found {actual}"

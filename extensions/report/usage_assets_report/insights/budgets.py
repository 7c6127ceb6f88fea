"""Budgets and prepaid credits: spent so far, and expected at the end of the period."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Literal

import duckdb

from usage_assets.core.days import DAY, Window, end_of_month, end_of_quarter, start_of_month, start_of_quarter
from usage_assets.core.money import digits_of, of_minor
from usage_assets.models.insights import BudgetStatusRow
from usage_assets_report.insights.forecasts import Futures, Outlook, crossed_on, estimated
from usage_assets_report.insights.series import (
    EVERYTHING,
    LONGEST,
    Days,
    Part,
    Scope,
    growths,
    in_days,
    parts_of,
    query,
    stored_days,
)
from usage_assets_report.statistics.forecast import Estimate

NOTHING = Decimal(0)


@dataclass(frozen=True)
class Budget:
    """What a scope may spend in a month, a quarter or one range of days."""

    name: str
    source: Literal["budget", "purchase"]
    kind: str
    id: str
    unit: str
    """A currency, or credits."""
    amount: Decimal
    period: Literal["month", "quarter", "once"]
    thresholds: Sequence[Decimal]
    first: date
    last: date

    def periods(self, newest: date) -> Iterator[tuple[date, date]]:
        """Yield the days of the period of a day and of the one before it on which the budget is valid, if any."""
        if self.period == "once":
            yield self.first, self.last
            return
        end, start = (end_of_month, start_of_month) if self.period == "month" else (end_of_quarter, start_of_quarter)
        last = end(newest)
        for _ in range(2):
            first = start(last)
            if max(first, self.first) <= min(last, self.last, newest):
                yield max(first, self.first), min(last, self.last)
            last = first - DAY


@dataclass(frozen=True)
class Pool:
    """Orders of prepaid credits of one connection whose days overlap.

    A day's credits are drawn from the valid order that expires first, until it is used up, and then from the next one.
    What is used beyond all of them is drawn from the valid one that expires last.
    """

    orders: Sequence[Budget]
    """The one that expires first is first."""

    @property
    def first(self) -> date:
        return min(order.first for order in self.orders)

    def drawn(self, order: Budget, amounts: Mapping[date, Decimal]) -> Mapping[date, Decimal]:
        """Return what is drawn from an order each day, of what all of them are drawn."""
        left = [each.amount for each in self.orders]
        found: dict[date, Decimal] = {}
        for day in sorted(amounts):
            rest = amounts[day]
            valid = [n for n, each in enumerate(self.orders) if each.first <= day <= each.last]
            for n in valid:
                part = rest if n == valid[-1] else min(rest, left[n])
                left[n], rest = max(left[n] - part, NOTHING), rest - part
                if part and self.orders[n] == order:
                    found[day] = part
        return found


@dataclass(frozen=True)
class Drawn:
    """What is drawn from one order of a pool so far, and what is expected."""

    pool: Pool
    order: Budget
    outlook: Outlook
    """Of all that the connection uses, from the first day of the pool on."""

    @property
    def scope(self) -> Scope:
        return self.outlook.scope

    @cached_property
    def amounts(self) -> Mapping[date, Decimal]:
        """What is drawn on each stored day."""
        return self.pool.drawn(self.order, self.scope.amounts)

    def settled(self, first: date, last: date) -> Decimal:
        return in_days({day: self.amounts[day] for day in self.amounts.keys() & self.scope.settled}, first, last)

    def provisional(self, first: date, last: date) -> Decimal:
        return in_days({day: self.amounts[day] for day in self.amounts.keys() & self.scope.provisional}, first, last)

    def expected(self, first: date, last: date) -> Estimate | str:
        whole = self.outlook.expected(self.pool.first, last)
        if isinstance(whole, str):
            return whole
        mean, low, high = (in_days(self._path(name, last), first, last) for name in ("mean", "low", "high"))
        return Estimate(mean, low, high)

    def _path(self, name: str, last: date) -> Mapping[date, Decimal]:
        """Return what is expected to be drawn each day, if the mean or an end of the range comes true."""
        forecast, first, newest = self.outlook.forecast, self.pool.first, self.outlook.newest
        if forecast is None:
            return {}
        path = {day: amount for day, amount in self.scope.amounts.items() if day >= first}
        known = min(newest, last)
        before = in_days(path, first, known)
        for day in Window(known, last).days:  # what is stored of the last days may grow
            until: Decimal = getattr(forecast.total(first, day), name)
            path[day] = path.get(day, NOTHING) + until - before
            before = until
        return self.pool.drawn(self.order, path)

    def crossed_on(self, amount: Decimal, first: date, last: date) -> date | None:
        return crossed_on(self.amounts, amount, first, last)

    def exhausted_on(self, amount: Decimal, first: date, last: date) -> date | None:
        if crossed := self.crossed_on(amount, first, last):
            return crossed
        last = min(last, self.outlook.until)
        if isinstance(self.outlook.expected(self.pool.first, last), str):
            return None
        day = crossed_on(self._path("mean", last), amount, first, last)
        return day if day and day > self.outlook.newest else None


@dataclass(frozen=True)
class BudgetStatus:
    """A budget in one period."""

    row: BudgetStatusRow
    reached: Sequence[tuple[Decimal, date]]
    """The thresholds that were reached, in ascending order, and the day of each."""
    connections: Collection[str] = ()
    """Those that spend it."""


def budget_status(
    database: duckdb.DuckDBPyConnection,
    budgets: Sequence[Budget],
    newest: date,
    configured: Collection[str] | None = None,
) -> Sequence[BudgetStatus]:
    """Return each budget in its periods, the newest first."""
    days = _days(database, budgets, newest, configured)
    grown = {unit: growths(database, newest, unit) for unit in {budget.unit for budget in budgets}}
    wholes = {unit: _spent(database, EVERYTHING, "", unit, newest - LONGEST, newest) for unit in grown}
    pools = {id(order): pool for pool in pools_of(budgets) for order in pool.orders}
    found: list[BudgetStatus] = []
    for budget in budgets:
        periods = [*budget.periods(newest)] if budget.first <= newest else []
        if not periods:
            continue
        pool = pools.get(id(budget))
        first = pool.first if pool else min(first for first, _ in periods)
        scope = _scope(database, budget, days, newest, first)
        until = max(first, end_of_quarter(newest))
        futures = Futures(wholes[budget.unit], days, grown[budget.unit], first, until, budget.unit)
        outlook = Outlook(scope, newest, futures)
        found += [_status(budget, Drawn(pool, budget, outlook) if pool else outlook, *period) for period in periods]
    return found


def pools_of(budgets: Iterable[Budget]) -> Iterator[Pool]:
    """Yield the orders of prepaid credits, those together that are of one connection and overlap."""
    orders = sorted((each for each in budgets if each.source == "purchase"), key=lambda each: (each.id, each.first))
    together: list[Budget] = []
    for order in orders:
        if together and (order.id != together[0].id or order.first > max(each.last for each in together)):
            yield Pool(_by_end(together))
            together = []
        together.append(order)
    if together:
        yield Pool(_by_end(together))


def _by_end(orders: Iterable[Budget]) -> Sequence[Budget]:
    return sorted(orders, key=lambda each: (each.last, each.first, each.name))


def scope_of(
    database: duckdb.DuckDBPyConnection,
    budget: Budget,
    newest: date,
    configured: Collection[str] | None = None,
    first: date | None = None,
) -> Scope:
    """Return what counts against a budget, day by day; from a day on that may be before its own first day."""
    days = _days(database, [budget], newest, configured, first)
    return _scope(database, budget, days, newest, first or budget.first)


def _days(
    database: duckdb.DuckDBPyConnection,
    budgets: Sequence[Budget],
    newest: date,
    configured: Collection[str] | None,
    first: date | None = None,
) -> Mapping[str, Days]:
    firsts = [_first(budget, newest, first or newest) for budget in budgets if budget.first <= newest]
    return stored_days(database, newest, configured=configured, first=min(firsts, default=None))


def _first(budget: Budget, newest: date, first: date) -> date:
    """The first day that is read: as of a range of days, if the budget is one, and from the first of its pool on."""
    return min(newest - LONGEST, budget.first, first) if budget.period == "once" else newest - LONGEST


def _scope(
    database: duckdb.DuckDBPyConnection, budget: Budget, days: Mapping[str, Days], newest: date, first: date
) -> Scope:
    parts = _spent(database, budget.kind, budget.id, budget.unit, _first(budget, newest, first), newest)
    return Scope.of_parts(budget.kind, budget.id, budget.name, parts, days)


def _spent(
    database: duckdb.DuckDBPyConnection, kind: str, id_: str, unit: str, first: date, newest: date
) -> Mapping[str, Part]:
    """Return what each connection billed for something, in a unit."""
    asked = {"kind": kind, "id": id_, "unit": unit, "first": first, "last": newest}
    rows = [
        (*of_it, of_minor(amount, digits_of(unit)) if scale else amount)
        for *of_it, scale, amount in database.execute(query("spent"), asked).fetchall()
    ]
    return parts_of(rows)


def _status(budget: Budget, outlook: Outlook | Drawn, first: date, last: date) -> BudgetStatus:
    crossed = ((each, outlook.crossed_on(each * budget.amount, first, last)) for each in sorted(budget.thresholds))
    reached = [(threshold, day) for threshold, day in crossed if day]
    row = BudgetStatusRow(
        budget=budget.name,
        source=budget.source,
        kind=budget.kind,
        id=budget.id,
        first_day=first,
        last_day=last,
        unit=budget.unit,
        amount=budget.amount,
        settled=outlook.settled(first, last),
        provisional=outlook.provisional(first, last),
        exhausted_on=outlook.exhausted_on(budget.amount, first, last),
        thresholds=", ".join(f"{threshold} on {day}" for threshold, day in reached),
        has_costs=bool(outlook.scope.amounts),
        **estimated(outlook.expected(first, last)),
    )
    return BudgetStatus(row, reached, outlook.scope.connections)

"""Budgets and prepaid credits: spent so far, and expected at the end of the period."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

import duckdb

from usage_assets.core.days import DAY, end_of_month, end_of_quarter, start_of_month, start_of_quarter
from usage_assets.core.money import Money, digits_of
from usage_assets.features.report.insights.forecasts import Growths, Outlook, estimated
from usage_assets.features.report.insights.series import LONGEST, Days, Scope, growths, parts_of, query, stored_days
from usage_assets.models.insights import BudgetStatusRow


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
class BudgetStatus:
    """A budget in one period."""

    row: BudgetStatusRow
    reached: Sequence[tuple[Decimal, date]]
    """The thresholds that were reached, in ascending order, and the day of each."""


def budget_status(
    database: duckdb.DuckDBPyConnection,
    budgets: Sequence[Budget],
    newest: date,
    configured: Collection[str] | None = None,
) -> Sequence[BudgetStatus]:
    """Return each budget in its periods, the newest first."""
    budgets = [budget for budget in budgets if budget.first <= newest]
    days = _days(database, budgets, newest, configured)
    grown = {unit: growths(database, newest, unit) for unit in {budget.unit for budget in budgets}}
    return [
        _status(budget, outlook, *period)
        for budget in budgets
        if (periods := [*budget.periods(newest)])
        for outlook in [_outlook(_scope(database, budget, days, newest), budget, periods, newest, grown[budget.unit])]
        for period in periods
    ]


def _outlook(
    scope: Scope, budget: Budget, periods: Sequence[tuple[date, date]], newest: date, growths: Growths
) -> Outlook:
    first = min(first for first, _ in periods)
    return Outlook(scope, newest, first, max(first, end_of_quarter(newest)), growths, budget.unit)


def scope_of(
    database: duckdb.DuckDBPyConnection,
    budget: Budget,
    newest: date,
    configured: Collection[str] | None = None,
) -> Scope:
    """Return what counts against a budget, day by day."""
    return _scope(database, budget, _days(database, [budget], newest, configured), newest)


def _days(
    database: duckdb.DuckDBPyConnection, budgets: Sequence[Budget], newest: date, configured: Collection[str] | None
) -> Mapping[str, Days]:
    first = min((_first(budget, newest) for budget in budgets), default=None)
    return stored_days(database, newest, configured=configured, first=first)


def _first(budget: Budget, newest: date) -> date:
    """The first day that is read."""
    return min(newest - LONGEST, budget.first) if budget.period == "once" else newest - LONGEST


def _scope(database: duckdb.DuckDBPyConnection, budget: Budget, days: Mapping[str, Days], newest: date) -> Scope:
    first = _first(budget, newest)
    asked = {"kind": budget.kind, "id": budget.id, "unit": budget.unit, "first": first, "last": newest}
    rows = [
        (*of_it, Money.of_minor(amount, budget.unit, digits_of(budget.unit)).amount if scale else amount)
        for *of_it, scale, amount in database.execute(query("spent"), asked).fetchall()
    ]
    return Scope.of_parts(budget.kind, budget.id, budget.name, parts_of(rows), days)


def _status(budget: Budget, outlook: Outlook, first: date, last: date) -> BudgetStatus:
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
    return BudgetStatus(row, reached)

"""Budgets and prepaid credits: spent so far, and expected at the end of the period."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Literal

import duckdb

from usage_assets.config.accounting import digits_of
from usage_assets.core.days import DAY, end_of_month
from usage_assets.core.money import Money
from usage_assets.insights.forecasts import Outlook, end_of_quarter
from usage_assets.insights.rows import BudgetStatusRow
from usage_assets.insights.series import LONGEST, Days, Scope, stored_days

SPENT = (Path(__file__).parent / "sql" / "spent.sql").read_text()
ZERO = Decimal(0)


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

    def periods(self, newest: date, others: Iterable["Budget"] = ()) -> Iterator[tuple[date, date]]:
        """Yield the period of a day and the one before it, if the budget is valid in it. It ends with the budget.

        Of several entries of one name that follow each other within a period, the last one that has begun counts.
        """
        if self.period == "once":
            yield self.first, self.last
            return
        end = end_of_month if self.period == "month" else end_of_quarter
        follows = min((each.first for each in others if each.is_after(self)), default=date.max)
        last = end(newest)
        for _ in range(2):
            months = 1 if self.period == "month" else 3
            first = last.replace(day=1)
            for _ in range(months - 1):
                first = (first - DAY).replace(day=1)
            if self.first <= min(last, newest) < follows and first <= self.last:
                yield first, min(last, self.last)
            last = first - DAY

    def is_after(self, other: "Budget") -> bool:
        """Whether it is a later entry of the same budget."""
        return (self.source, self.name) == (other.source, other.name) and self.first > other.first


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
    days = stored_days(database, newest, configured=configured)
    return [
        _status(budget, Outlook(_scope(database, budget, days, newest), end_of_quarter(newest)), first, last)
        for budget in budgets
        if budget.first <= newest
        for first, last in budget.periods(newest, budgets)
    ]


def scope_of(
    database: duckdb.DuckDBPyConnection,
    budget: Budget,
    newest: date,
    configured: Collection[str] | None = None,
) -> Scope:
    """Return what counts against a budget, day by day."""
    return _scope(database, budget, stored_days(database, newest, configured=configured), newest)


def _scope(database: duckdb.DuckDBPyConnection, budget: Budget, days: Mapping[str, Days], newest: date) -> Scope:
    first = min(newest - LONGEST, budget.first if budget.period == "once" else newest)
    asked = {"kind": budget.kind, "id": budget.id, "unit": budget.unit, "first": first, "last": newest}
    amounts: dict[date, Decimal] = defaultdict(Decimal)
    connections: set[str] = set()
    for day, of_it, scale, amount in database.execute(SPENT, asked).fetchall():
        amounts[day] += Money.of_minor(amount, budget.unit, digits_of(budget.unit)).amount if scale else amount
        connections.update(of_it)
    return Scope(budget.kind, budget.id, budget.name, dict(amounts), sorted(connections), days)


def _status(budget: Budget, outlook: Outlook, first: date, last: date) -> BudgetStatus:
    settled, provisional = outlook.settled(first, last), outlook.provisional(first, last)
    estimate = outlook.expected(first, last)
    reached = [*_reached(budget, outlook.scope, first, last)]
    row = BudgetStatusRow(
        budget=budget.name,
        source=budget.source,
        kind=budget.kind,
        id=budget.id,
        first_day=first,
        last_day=last,
        unit=budget.unit,
        amount=budget.amount,
        settled=settled,
        provisional=provisional,
        expected=estimate.mean if estimate else None,
        low=estimate.low if estimate else None,
        high=estimate.high if estimate else None,
        exhausted_on=outlook.exhausted_on(budget.amount, first, min(last, outlook.until)),
        thresholds=", ".join(f"{threshold} on {day}" for threshold, day in reached),
        has_costs=bool(outlook.scope.amounts),
    )
    return BudgetStatus(row, reached)


def _reached(budget: Budget, scope: Scope, first: date, last: date) -> Iterator[tuple[Decimal, date]]:
    for threshold in sorted(budget.thresholds):
        spent = ZERO
        for day in sorted(day for day in scope.amounts if first <= day <= last):
            spent += scope.amounts[day]
            if spent >= threshold * budget.amount:
                yield threshold, day
                break

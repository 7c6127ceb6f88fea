"""Alerts: thresholds of budgets that were reached, anomalies, guardrails that were crossed. Each is posted once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from usage_assets.insights.budgets import BudgetStatus
from usage_assets.insights.rows import TOLD, AnomalyRow, BudgetStatusRow
from usage_assets.insights.series import EVERYTHING, USD


@dataclass(frozen=True)
class Alert:
    """One message."""

    key: str
    """Identifies the alert. It is not posted again while there is an alert with this key."""
    text: str
    """Empty: the alert is open, but nothing is posted about it."""


def of_budgets(budgets: Iterable[BudgetStatus], newest: date) -> Sequence[Alert]:
    """Return an alert for each threshold that was reached. Of several in a period, only the highest has a text.

    A threshold that a restatement takes back may be reached again, and is told again then.
    """
    return [
        Alert(
            f"{each.row.subject} {each.row.first_day} {threshold}",
            _of_budget(each.row, threshold, day) if (threshold, day) == each.reached[-1] else "",
        )
        for each in budgets
        if each.row.last_day > newest - TOLD
        for threshold, day in each.reached
    ]


def _of_budget(row: BudgetStatusRow, threshold: Decimal, day: date) -> str:
    spent = money(row.settled + row.provisional, row.unit)
    ahead = ""
    if row.expected is not None and row.low is not None and row.high is not None:
        ahead = (
            f", {money(row.expected, row.unit)} expected ({money(row.low, row.unit)} to {money(row.high, row.unit)})"
        )
    if row.exhausted_on:
        ahead += f", used up on {row.exhausted_on}"
    valued = f"; {row.rates}" if row.rates else ""
    return (
        f"budget {row.budget}, {row.first_day} to {row.last_day}: {threshold:.0%} of {money(row.amount, row.unit)} "
        f"was reached on {day}: {spent} spent{ahead}{valued}"
    )


def of_anomalies(rows: Iterable[AnomalyRow]) -> Sequence[Alert]:
    """Return an alert for each open incident and crossed guardrail. A closed one has none."""
    return [Alert(row.key, _of_anomaly(row)) for row in rows if row.is_open]


def _of_anomaly(row: AnomalyRow) -> str:
    subject = scope_named(row.kind, row.name)
    days = f"{row.first_day}" if row.first_day == row.last_day else f"{row.first_day} to {row.last_day}"
    if row.score is None:
        limit = f"{measured(row.actual, row.measure)}, and the limit is {measured(row.expected, row.measure)}"
        return f"guardrail {row.what}: {subject}, {days}: {limit}"
    ranged = ""
    if row.low is not None and row.high is not None:
        ranged = f", ordinary days are {measured(row.low, row.measure)} to {measured(row.high, row.measure)}"
    because = f"; most of it: {row.driver}" if row.driver else ""
    state = " (provisional)" if row.is_provisional else ""
    return f"{row.what} of {subject}, {days}: {measured(row.actual, row.measure)} a day{state}{ranged}{because}"


def scope_named(kind: str, name: str) -> str:
    """Return what people call a scope."""
    return "everything" if kind == EVERYTHING else f"{kind} {name}"


def money(value: Decimal, unit: str) -> str:
    """Return an amount as people read it."""
    return f"${value:,.2f}".replace("$-", "-$") if unit == "USD" else f"{value:,.2f} {unit}"


def measured(value: Decimal, measure: str) -> str:
    """Return dollars, or a count, as people read it."""
    return money(value, "USD") if measure == USD.name else f"{value:,.0f} {measure}"

"""What people are told, once each: thresholds of budgets, odd days, guardrails."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from usage_assets.insights.anomalies import TOLD
from usage_assets.insights.rows import AnomalyRow, BudgetStatusRow
from usage_assets.insights.series import EVERYTHING


@dataclass(frozen=True)
class Alert:
    """One message."""

    key: str
    """What it is about. As long as there is an alert with this key, it is not told again."""
    text: str
    """Empty: it is known to be, and not told."""


def of_budgets(rows: Iterable[BudgetStatusRow], newest: date) -> Sequence[Alert]:
    """Return an alert for each threshold that was reached; the highest of a period speaks for those below it.

    A threshold that a restatement takes back may be reached again, and is told again then.
    """
    return [
        Alert(f"{row.budget} {row.first_day} {threshold}", _of_budget(row, threshold, day) if is_highest else "")
        for row in rows
        if row.last_day > newest - TOLD
        for threshold, day, is_highest in thresholds_in(row)
    ]


def thresholds_in(row: BudgetStatusRow) -> Sequence[tuple[Decimal, str, bool]]:
    """Return the thresholds that were reached, the day of each, and whether it is the highest."""
    reached = [each.split(" on ") for each in row.thresholds.split(", ") if each]
    return [(Decimal(threshold), day, at == len(reached)) for at, (threshold, day) in enumerate(reached, 1)]


def _of_budget(row: BudgetStatusRow, threshold: Decimal, day: str) -> str:
    spent = money(row.settled + row.provisional, row.unit)
    ahead = ""
    if row.expected is not None and row.low is not None and row.high is not None:
        ahead = (
            f", {money(row.expected, row.unit)} expected ({money(row.low, row.unit)} to {money(row.high, row.unit)})"
        )
    if row.exhausted_on:
        ahead += f", used up on {row.exhausted_on}"
    return (
        f"budget {row.budget}, {row.first_day} to {row.last_day}: {threshold:.0%} of {money(row.amount, row.unit)} "
        f"were reached on {day}: {spent} spent{ahead}"
    )


def of_anomalies(rows: Iterable[AnomalyRow]) -> Sequence[Alert]:
    """Return an alert for each open anomaly. One that a restatement explains is gone."""
    return [
        Alert(f"{row.kind} {row.id} {row.measure} {row.what} {row.first_day}", _of_anomaly(row))
        for row in rows
        if row.is_open
    ]


def _of_anomaly(row: AnomalyRow) -> str:
    unit = "USD" if row.measure == "usd" else row.measure
    subject = "everything" if row.kind == EVERYTHING else f"{row.kind} {row.name}"
    days = f"{row.first_day}" if row.first_day == row.last_day else f"{row.first_day} to {row.last_day}"
    if row.score is None:
        limit = f"{money(row.actual, unit)}, and the limit is {money(row.expected, unit)}"
        return f"guardrail {row.what}: {subject}, {days}: {limit}"
    ranged = ""
    if row.low is not None and row.high is not None:
        ranged = f", ordinary days are {money(row.low, unit)} to {money(row.high, unit)}"
    because = f"; most of it: {row.driver}" if row.driver else ""
    state = " (provisional)" if row.is_provisional else ""
    return f"{row.what} of {subject}, {days}: {money(row.actual, unit)} a day{state}{ranged}{because}"


def money(value: Decimal, unit: str) -> str:
    """Return an amount as people read it."""
    return f"${value:,.2f}" if unit == "USD" else f"{value:,.2f} {unit}"

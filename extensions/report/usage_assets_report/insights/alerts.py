"""Alerts: thresholds of budgets that were reached, anomalies, guardrails that were crossed. Each is posted once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from usage_assets.core.money import with_unit
from usage_assets.models.insights import TOLD, AnomalyRow, BudgetStatusRow, ForecastTotalRow
from usage_assets_report.insights.budgets import BudgetStatus
from usage_assets_report.insights.series import EVERYTHING, USD


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
    ahead = expected_in_words(row, row.unit) + used_up_in_words(row) + unknown_in_words(row)
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


def expected_in_words(row: BudgetStatusRow | ForecastTotalRow, unit: str) -> str:
    """Return what is expected, to follow what is spent; empty if it is unknown (``unknown_in_words``)."""
    if row.expected is None or row.low is None or row.high is None:
        return ""
    return f", {money(row.expected, unit)} expected ({money(row.low, unit)} to {money(row.high, unit)})"


def unknown_in_words(row: BudgetStatusRow | ForecastTotalRow) -> str:
    """Return why nothing is expected, to follow what is spent; empty if something is."""
    return f", expected: unknown ({row.expected_reason})" if row.expected_reason else ""


def used_up_in_words(row: BudgetStatusRow) -> str:
    """Return when a budget was used up, or is expected to be, to follow what is spent; empty if neither is."""
    if row.exhausted_on is None:
        return ""
    is_used_up = row.settled + row.provisional >= row.amount
    return f", {'' if is_used_up else 'likely to be '}used up on {row.exhausted_on}"


def scope_named(kind: str, name: str) -> str:
    """Return what people call a scope."""
    return "everything" if kind == EVERYTHING else f"{kind} {name}"


def money(value: Decimal, unit: str) -> str:
    """Return an amount as people read it."""
    return with_unit(f"{value:,.2f}", unit)


def measured(value: Decimal, measure: str) -> str:
    """Return dollars, or a count, as people read it."""
    return money(value, "USD") if measure == USD.name else f"{value:,.0f} {measure}"

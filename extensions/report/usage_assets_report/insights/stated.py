"""Reads the budgets and guardrails of the connections file. Prepaid credits are budgets, too."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

from usage_assets.config.accounting import Accounting
from usage_assets_report import entries
from usage_assets_report.insights.budgets import Budget
from usage_assets_report.insights.guardrails import Guardrail

CREDITS = "credits"
PREPAID = (Decimal("0.8"), Decimal("0.95"), Decimal(1))
"""Thresholds of prepaid credits, as shares of the amount."""
NOTHING = Decimal(0)


@dataclass(frozen=True)
class Stated:
    """All budgets and guardrails."""

    budgets: Sequence[Budget] = ()
    guardrails: Sequence[Guardrail] = ()
    connections: Collection[str] | None = None
    """Those that are configured; None: all that are stored. Any other has ended."""


def stated_in(accounting: Accounting, connections: Collection[str] | None = None) -> Stated:
    """Return the budgets and guardrails of the entries."""
    budgets = [
        Budget(
            name=entry.name,
            source="budget",
            kind=entry.scope[0],
            id=entry.scope[1] or "",
            unit=(entry.currency or "USD") if entry.credits is None else CREDITS,
            amount=entry.amount or entry.credits or NOTHING,
            period=entry.period,
            thresholds=entry.thresholds,
            first=entry.first,
            last=entry.last,
        )
        for entry in accounting.budgets
    ]
    prepaid = [
        Budget(
            name=entry.id,
            source="purchase",
            kind="connection",
            id=entry.connection,
            unit=CREDITS,
            amount=entry.quantity,
            period="once",
            thresholds=PREPAID,
            first=entry.first,
            last=entry.last,
        )
        for entry in accounting.purchases
        if entry.kind == CREDITS
    ]
    guardrails = [
        Guardrail(
            name=entry.name,
            kind=entry.scope[0],
            id=entry.scope[1] or "",
            measure=entry.measure,
            above=entry.above,
            rises_by=entry.rises_by,
            at_least=entry.at_least or NOTHING,
            first=entry.first,
            last=entry.last,
        )
        for entry in accounting.of_section("guardrail", entries.Guardrail)
    ]
    return Stated([*budgets, *prepaid], guardrails, connections)

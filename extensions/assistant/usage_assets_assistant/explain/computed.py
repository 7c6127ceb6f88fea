"""Forecasts, anomalies, guardrails and budgets: computed from series of days, and computed again to compare.

Each day of a series is a figure of its own, which chain.py follows to the archive.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

import duckdb
import msgspec

from usage_assets.config.settings import Settings
from usage_assets.core.days import end_of_month
from usage_assets.core.errors import UserError
from usage_assets.core.schema import SeedRow
from usage_assets.models.insights import AnomalyRow, BudgetStatusRow, ForecastRow, ForecastTotalRow
from usage_assets_assistant.explain.figures import COMPUTED, OF_USAGE, USAGE, Figure, fetch, literal, rows_of
from usage_assets_assistant.explain.lineage import MissingLinkError
from usage_assets_report.shared import Again, Recomputation, code, stated_in

MADE = "select read_at from ledger.statements where name = 'insights'"
OF_SUMS = "the sum of the days"
DRAWN = "; of an order of prepaid credits, what was drawn from it"
OF_SERIES = (
    "statistics/forecast.py: what is stored, times its usual growth until it is settled; of days to come, 500 futures "
    "of a level with weekdays, and what recurs on its day; the mean, and the range that four of five are in"
)
OF_BASELINE = (
    "statistics/anomalies.py: median level and weekday of the days around, on logarithms; the range of four of five "
    "ordinary days, and the distance in standard deviations"
)
OF_DRIVERS = (
    "statistics/drivers.py: the models' dollars and tokens against the two last same weekdays that are not odd, split "
    "into volume and price"
)
METHODS: Mapping[tuple[type[SeedRow], str], str] = {
    (BudgetStatusRow, "amount"): "stated in the connections file, or bought ([[budget]], [[purchase]])",
    (BudgetStatusRow, "settled"): f"insights/budgets.py: {OF_SUMS} of the period that may no longer change",
    (BudgetStatusRow, "provisional"): f"insights/budgets.py: {OF_SUMS} of the period that may still change",
    (ForecastTotalRow, "settled"): f"insights/forecasts.py: {OF_SUMS} of the month that may no longer change",
    (ForecastTotalRow, "provisional"): f"insights/forecasts.py: {OF_SUMS} of the month that may still change",
    (AnomalyRow, "actual"): "what is stored, the average of the days; of a shift, of its first 14 days",
    **{(AnomalyRow, name): OF_BASELINE for name in ("expected", "low", "high", "score")},
    **{(AnomalyRow, name): OF_DRIVERS for name in ("volume_usd", "price_usd")},
    **{
        (row, name): OF_SERIES
        for row in (ForecastRow, ForecastTotalRow, BudgetStatusRow)
        for name in ("expected", "low", "high")
    },
}
"""How each figure is computed."""
OF_GUARDRAIL = {
    "actual": "insights/guardrails.py: what was used on the day",
    "expected": "insights/guardrails.py: the limit of the connections file ([[guardrail]]), or of the 7 days before",
}


class ShownInput(msgspec.Struct, frozen=True):
    """What a computed figure was computed from, of one day."""

    day: date
    value: Decimal
    unit: str
    state: str
    """settled or provisional."""


class ShownComputation(msgspec.Struct):
    """How a figure is computed, and what is computed now."""

    method: str
    code: str
    computed_at: datetime
    again: Decimal | None
    inputs: list[ShownInput]


@dataclass(frozen=True)
class Computations:
    """Computes rows of insights again, from one published state."""

    settings: Settings
    database: duckdb.DuckDBPyConnection
    _again: dict[str, Again] = field(default_factory=dict)

    @cached_property
    def _made_at(self) -> datetime:
        found = self.database.execute(MADE).fetchone()
        if found is None:
            raise MissingLinkError("ledger.statements does not say when insights were computed: the next report does")
        made_at: datetime = found[0]
        return made_at

    @cached_property
    def _recomputation(self) -> Recomputation:
        """As of the day on which they were computed: newer days that are stored meanwhile are left out."""
        today = self._made_at.date()
        connections = [each.name for each in self.settings.connections()]
        return Recomputation(
            self.database,
            stated_in(self.settings.accounting(), connections),
            today - timedelta(days=0 if self.settings.usage_include_today else 1),
            today,
        )

    def again(self, relation: str, row: Mapping[str, Any]) -> Again:
        """Return what is computed of a row now: once, for all of its figures. Raises MissingLinkError."""
        key = f"{relation} {row}"
        try:
            if key not in self._again:
                self._again[key] = self._recomputation.again(COMPUTED[relation](**row))
        except UserError as error:
            raise MissingLinkError(f"{relation}: {error}") from None
        return self._again[key]

    def shown(self, figure: Figure) -> ShownComputation:
        """Return how a figure of one row is computed. Raises MissingLinkError if another one is computed now."""
        [row] = figure.rows
        again = self.again(figure.relation, row)
        value = getattr(again.row, figure.column) if again.row else None
        amounts, measure = again.amounts(figure.column), again.scope.measure
        unit = again.unit or ("USD" if measure.is_cost else measure.name)
        return ShownComputation(
            _method(COMPUTED[figure.relation], figure.column, row),
            code(),
            self._made_at,
            value,
            [
                ShownInput(
                    day, amounts.get(day, Decimal(0)), unit, "settled" if again.scope.is_settled(day) else "provisional"
                )
                for day in self._days(figure, again)
            ],
        )

    def inputs(self, figure: Figure, days: Sequence[date] | None = None) -> Sequence[Figure]:
        """Return what a figure of one row is computed from: of some days, or of all. Raises MissingLinkError."""
        [row] = figure.rows
        again = self.again(figure.relation, row)
        own = self._days(figure, again)
        wanted = own if days is None else days
        for day in wanted:
            if day not in own:
                raise MissingLinkError(f"{figure.relation}: {figure.column} is not computed from {day}")
        if not wanted:
            return []
        try:
            source = self._recomputation.source(again, wanted)
        except UserError as error:
            raise MissingLinkError(f"{figure.relation}: {error}") from None
        rows = self._with_counters(source.rows) if source.relation == USAGE else source.rows
        of_days: dict[date, list[Mapping[str, Any]]] = {day: [] for day in wanted}
        for each in rows:
            if each["usage_date"] in of_days:
                of_days[each["usage_date"]].append(each)
        return [Figure(source.relation, column, each) for each in of_days.values() for column in source.columns if each]

    def _with_counters(self, ids: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """Return rows of costs.usage by their ids."""
        if not ids:
            return ()
        days = dict.fromkeys(literal(row["usage_date"]) for row in ids)
        wanted = {tuple(row[name] for name in OF_USAGE) for row in ids}
        rows = fetch(self.database, f"select * from {rows_of(USAGE)} where usage_date in ({', '.join(days)})")
        return [row for row in rows if tuple(row[name] for name in OF_USAGE) in wanted]

    def _days(self, figure: Figure, again: Again) -> Sequence[date]:
        if (COMPUTED[figure.relation], figure.column) == (BudgetStatusRow, "amount"):
            return ()
        [row] = figure.rows
        if month := row.get("month"):
            return again.days(figure.column, (month, end_of_month(month)))
        return again.days(figure.column, (row["first_day"], row["last_day"]) if "first_day" in row else None)


def _method(model: type[SeedRow], column: str, row: Mapping[str, Any]) -> str:
    if model is AnomalyRow and row["score"] is None:
        return OF_GUARDRAIL[column]
    drawn = DRAWN if model is BudgetStatusRow and row["source"] == "purchase" and column != "amount" else ""
    return METHODS[model, column] + drawn

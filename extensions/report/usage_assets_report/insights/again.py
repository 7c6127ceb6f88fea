"""Computes one row of insights again, and says from which days. compute.py computes all rows, with each report."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb

from usage_assets.core.days import DAY
from usage_assets.core.errors import UserError
from usage_assets.core.money import digits_of, exactly, of_minor
from usage_assets.core.schema import SeedRow
from usage_assets.models.insights import AnomalyRow, BudgetStatusRow, ForecastRow, ForecastTotalRow
from usage_assets.warehouse.arrow import fetch_arrow
from usage_assets_report.insights.anomalies import explained, odd_days, row_of
from usage_assets_report.insights.budgets import budget_status, pools_of, scope_of
from usage_assets_report.insights.forecasts import Growths, forecasts
from usage_assets_report.insights.guardrails import BEFORE, bounded, crossed, values_of
from usage_assets_report.insights.series import (
    EVERYTHING,
    MEASURES,
    SQL,
    USD,
    Key,
    Measure,
    Scope,
    counter,
    growths,
    read,
)
from usage_assets_report.insights.stated import CREDITS, Stated

PACKAGE = Path(__file__).parent.parent
WHOLE = ("expected", "low", "high", "score", "volume_usd", "price_usd")
"""Figures that are computed from the whole series."""


@dataclass(frozen=True)
class Again:
    """A row as it is computed now, and its days."""

    row: SeedRow | None
    """None: nothing is computed of it any more."""
    scope: Scope
    unit: str | None = None
    """Currency of a budget, or credits; None: USD, or a count."""
    drawn: Mapping[date, Decimal] | None = None
    """Of an order of prepaid credits: its part of each day. None: all of it."""

    def amounts(self, column: str) -> Mapping[date, Decimal]:
        """Return what a figure is computed from, day by day."""
        by_column = {"settled": self.scope.settled, "provisional": self.scope.provisional}
        amounts = by_column.get(column, self.scope.amounts)
        return amounts if self.drawn is None else {day: self.drawn[day] for day in self.drawn.keys() & amounts.keys()}

    def days(self, column: str, bounds: tuple[date, date] | None) -> Sequence[date]:
        """Return the days that a figure is computed from, the newest first. ``bounds``: those of the row, if any."""
        series = self.scope.series
        days: Iterable[date] = self.amounts(column)
        if column in WHOLE and series:
            days = series.values
        elif bounds and column not in WHOLE:
            days = [day for day in days if bounds[0] <= day <= bounds[1]]
        return sorted(days, reverse=True)


@dataclass(frozen=True)
class Source:
    """Rows of a relation, and the columns whose sum is the figure of a day."""

    relation: str
    columns: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    """Of all days from the first to the last; of costs.usage, only what identifies them."""


@dataclass(frozen=True)
class Recomputation:
    """One state of the warehouse, as of the day on which insights were computed."""

    database: duckdb.DuckDBPyConnection
    stated: Stated
    newest: date
    today: date
    _scopes: dict[Measure, Mapping[Key, Scope]] = field(default_factory=dict)

    @cached_property
    def _growths(self) -> Growths:
        return growths(self.database, self.newest, "USD")

    @exactly()
    def again(self, row: SeedRow) -> Again:
        """Compute a row again. Raises UserError if what it is about is not in the configuration, or is not stored."""
        if isinstance(row, BudgetStatusRow):
            return self._budget(row)
        if isinstance(row, AnomalyRow) and row.score is None:
            return self._guardrail(row)
        if isinstance(row, AnomalyRow):
            scope = self._scope(_measure(row.measure), row.kind, row.id)
            found = ((each, row_of(each, self.newest)) for each in odd_days(scope))
            same = next(((odd, again) for odd, again in found if _is_same(again, row)), None)
            return Again(explained(self.database, *same) if same else None, scope)
        if isinstance(row, ForecastRow | ForecastTotalRow):
            scope = self._scope(USD, row.kind, row.id)
            asked = {(EVERYTHING, ""): self._scope(USD, EVERYTHING, ""), (row.kind, row.id): scope}
            daily, months = forecasts(asked, self._growths, self.newest, self.today)
            rows: Sequence[SeedRow] = [*daily, *months]
            return Again(next((each for each in rows if _is_same(each, row)), None), scope)
        raise TypeError(row)

    def _scope(self, measure: Measure, kind: str, id_: str) -> Scope:
        if measure not in self._scopes:
            self._scopes[measure] = read(self.database, self.newest, measure, self.stated.connections)
        if (kind, id_) not in self._scopes[measure]:
            raise UserError(f"{kind} {id_}".rstrip() + f": no {measure.name} of it are stored any more")
        return self._scopes[measure][kind, id_]

    def _budget(self, row: BudgetStatusRow) -> Again:
        about = (row.source, row.kind, row.id)
        of_scope = [each for each in self.stated.budgets if (each.source, each.kind, each.id) == about]
        budget = next((each for each in of_scope if each.name == row.budget), None)
        if budget is None:
            raise UserError(f"{row.source} {row.budget} is no longer in the connections file")
        found = budget_status(self.database, of_scope, self.newest, self.stated.connections)
        again = next((each.row for each in found if _is_same(each.row, row)), None)
        pool = next((pool for pool in pools_of(of_scope) if budget in pool.orders), None)
        scope = scope_of(self.database, budget, self.newest, self.stated.connections, pool.first if pool else None)
        return Again(again, scope, row.unit, pool.drawn(budget, scope.amounts) if pool else None)

    def _guardrail(self, row: AnomalyRow) -> Again:
        for guardrail in self.stated.guardrails:
            about = (guardrail.name, guardrail.kind, guardrail.id, guardrail.measure)
            if about == (row.what, row.kind, row.id, row.measure) and guardrail.first <= row.last_day <= guardrail.last:
                found = crossed(self.database, [guardrail], self.newest)
                scope = bounded(self.database, guardrail, self.newest)
                first = row.first_day if guardrail.above is not None else row.first_day - BEFORE * DAY
                days = {day: value for day, value in values_of(scope).items() if first <= day <= row.last_day}
                scope = replace(scope, amounts=days)
                unit = "USD" if row.measure == USD.name else None
                return Again(next((each for each in found if each.key == row.key), None), scope, unit)
        raise UserError(f"guardrail {row.what} is no longer in the connections file")

    @exactly()
    def source(self, again: Again, days: Sequence[date]) -> Source:
        """Return the rows that days of a scope consist of. Raises UserError if a day's add up to something else."""
        scope = again.scope
        asked: dict[str, Any] = {"kind": scope.kind, "id": scope.id, "first": min(days), "last": max(days)}
        if scope.measure.is_cost:
            unit = again.unit or "USD"
            column = "amount_usd" if unit == "USD" else "native_amount"
            sql, asked["unit"] = (SQL / "inputs_usd.sql").read_text(), unit
            source = Source("costs.allocated_costs_named", [column], self._rows(sql, asked))
            found: defaultdict[date, Decimal] = defaultdict(Decimal)
            for row in source.rows:
                found[row["usage_date"]] += _in_unit(row, column, unit)
            for day in days:
                if found[day] != (amount := scope.amounts.get(day, Decimal(0))):
                    raise UserError(f"{scope.kind} {scope.id} {day}: its rows add up to {found[day]}, not {amount}")
            return source
        sql = scope.measure.query("inputs_used")
        columns = ["input_tokens", "output_tokens"] if scope.measure.name == "tokens" else [scope.measure.name]
        return Source("costs.usage", columns, self._rows(sql, asked))

    def _rows(self, sql: str, asked: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        rows: list[dict[str, Any]] = fetch_arrow(self.database.execute(sql, asked)).to_pylist()
        return rows


def _measure(name: str) -> Measure:
    return next((each for each in MEASURES if each.name == name), None) or counter(name)


def _is_same(one: SeedRow, other: SeedRow) -> bool:
    """Whether two rows of insights have the same grain."""
    return type(one) is type(other) and all(getattr(one, name) == getattr(other, name) for name in one.grain)


def _in_unit(row: Mapping[str, Any], column: str, unit: str) -> Decimal:
    amount: Decimal = row[column]
    if row["native_unit"] == "minor units" and column == "native_amount" and unit != CREDITS:
        return of_minor(amount, digits_of(unit))
    return amount


def code() -> str:
    """Return the release, and a digest of everything that computes insights."""
    files = [path for name in ("insights", "statistics") for path in (PACKAGE / name).rglob("*")]
    texts = (path.read_bytes() for path in sorted(files) if path.suffix in (".py", ".sql"))
    digest = sha256(b"\0".join(texts))
    return f"usage-assets {version('usage-assets')}, code {digest.hexdigest()[:12]}"

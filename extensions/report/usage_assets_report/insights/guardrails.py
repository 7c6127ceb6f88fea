"""Guardrails: days with more usage or dollars than the connections file allows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_FLOOR, Decimal

import duckdb

from usage_assets.core.days import DAY, Window
from usage_assets.core.money import SCALE, exactly
from usage_assets.models.insights import KEPT, TOLD, AnomalyRow
from usage_assets_report.insights.series import USD, Scope, counter, parts_of, query, stored_days

LOOKED_AT = KEPT
"""An older day that crossed one is in no table any more."""
BEFORE = 7
"""A rise is compared with the mean of this many days before it."""


@dataclass(frozen=True)
class Guardrail:
    """The most that a scope may use on a day, or by how much it may rise."""

    name: str
    kind: str
    id: str
    measure: str
    above: Decimal | None
    rises_by: Decimal | None
    at_least: Decimal
    first: date
    last: date

    @exactly()
    def limit(self, values: Mapping[date, Decimal], day: date) -> Decimal | None:
        """Return the limit of a day; None if a rise is meant and one of the 7 days before it has no value.

        It is rounded down to a stored amount's last place: what is above the one is above the other.
        """
        if self.above is not None:
            return self.above
        before = [values[day - n * DAY] for n in range(1, BEFORE + 1) if day - n * DAY in values]
        if len(before) < BEFORE or self.rises_by is None:
            return None
        used = [value for value in before if value >= 0]  # a refund says nothing about use
        limit = self.rises_by * sum(used) / max(len(used), 1)
        return max(self.at_least, limit.quantize(Decimal(1).scaleb(-SCALE), ROUND_FLOOR))


def crossed(database: duckdb.DuckDBPyConnection, guardrails: Sequence[Guardrail], newest: date) -> Iterator[AnomalyRow]:
    """Yield a row for each day on which a guardrail was crossed."""
    for guardrail in guardrails:
        scope = bounded(database, guardrail, newest)
        values = values_of(scope)
        whole = {day: value for day, value in values.items() if _is_whole(scope, day)}
        for day, value in values.items():
            limit = guardrail.limit(whole, day)
            first = max(guardrail.first, newest - LOOKED_AT)
            if limit is not None and value > limit and first <= day <= guardrail.last:
                yield _row(guardrail, scope, day, limit, newest)


def bounded(database: duckdb.DuckDBPyConnection, guardrail: Guardrail, newest: date) -> Scope:
    """Return what a guardrail bounds, day by day."""
    first = newest - LOOKED_AT - BEFORE * DAY
    asked: dict[str, object] = {"kind": guardrail.kind, "id": guardrail.id, "first": first, "last": newest}
    measure = USD if guardrail.measure == USD.name else counter(guardrail.measure)
    if measure.is_cost:
        rows = database.execute(query("spent"), {**asked, "unit": "USD"}).fetchall()
    else:
        rows = database.execute(measure.query("measured"), asked).fetchall()
    days = stored_days(database, newest, measure, first=first)
    parts = parts_of((*of_it, amount) for *of_it, _, amount in rows)
    return Scope.of_parts(guardrail.kind, guardrail.id, guardrail.id or guardrail.kind, parts, days, measure)


def values_of(scope: Scope) -> Mapping[date, Decimal]:
    """Return what was used per day, from the first stored day of its connections to the last with any: 0 on others."""
    if not scope.amounts:
        return {}
    first = min((*scope.amounts, *(scope.days[name].first for name in scope.connections if name in scope.days)))
    return {day: scope.amounts.get(day, Decimal(0)) for day in Window(first, max(scope.amounts)).days}


def _is_whole(scope: Scope, day: date) -> bool:
    """Whether no connection lacks the day, or a rate on it: what is stored would then be too small to compare with."""
    of_it = [scope.days[name] for name in scope.connections if name in scope.days]
    return not any(day in days.unvalued or (day not in days.stored and days.first < day < days.last) for days in of_it)


def _row(guardrail: Guardrail, scope: Scope, day: date, limit: Decimal, newest: date) -> AnomalyRow:
    return AnomalyRow(
        kind=guardrail.kind,
        id=guardrail.id,
        name=scope.name,
        measure=guardrail.measure,
        what=guardrail.name,
        first_day=day,
        last_day=day,
        actual=scope.amounts[day],
        expected=limit,
        low=None,
        high=None,
        score=None,
        is_provisional=not scope.is_settled(day),
        is_open=day > newest - TOLD,
        driver=None,
        volume_usd=None,
        price_usd=None,
    )

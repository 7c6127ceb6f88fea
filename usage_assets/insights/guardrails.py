"""Guardrails: days with more usage or dollars than the connections file allows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import duckdb

from usage_assets.core.days import DAY, Window
from usage_assets.insights.anomalies import TOLD
from usage_assets.insights.rows import KEPT, AnomalyRow
from usage_assets.insights.series import SQL, USD, counter

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

    def limit(self, values: Mapping[date, Decimal], day: date) -> Decimal | None:
        """Return the limit of a day; None if one of the 7 days before it has no value."""
        if self.above is not None:
            return self.above
        before = [values[day - n * DAY] for n in range(1, BEFORE + 1) if day - n * DAY in values]
        if len(before) < BEFORE or self.rises_by is None:
            return None
        return max(self.at_least, self.rises_by * sum(before) / BEFORE)


def crossed(database: duckdb.DuckDBPyConnection, guardrails: Sequence[Guardrail], newest: date) -> Iterator[AnomalyRow]:
    """Yield a row for each day on which a guardrail was crossed."""
    for guardrail in guardrails:
        values = values_of(database, guardrail, newest)
        for day, value in values.items():
            limit = guardrail.limit(values, day)
            first = max(guardrail.first, newest - LOOKED_AT)
            if limit is not None and value > limit and first <= day <= guardrail.last:
                yield _row(guardrail, day, value, limit, newest)


def values_of(database: duckdb.DuckDBPyConnection, guardrail: Guardrail, newest: date) -> Mapping[date, Decimal]:
    """Return what was used per day; 0 on a day between two others without any."""
    asked: dict[str, object] = {
        "kind": guardrail.kind,
        "id": guardrail.id,
        "first": newest - LOOKED_AT - BEFORE * DAY,
        "last": newest,
    }
    if guardrail.measure == USD.name:
        rows = database.execute((SQL / "spent.sql").read_text(), {**asked, "unit": "USD"}).fetchall()
        found = {day: amount for day, _, _, amount in rows}
    else:
        found = dict(database.execute(counter(guardrail.measure).query("measured"), asked).fetchall())
    if not found:
        return {}
    return {day: found.get(day, Decimal(0)) for day in Window(min(found), max(found)).days}


def _row(guardrail: Guardrail, day: date, value: Decimal, limit: Decimal, newest: date) -> AnomalyRow:
    return AnomalyRow(
        kind=guardrail.kind,
        id=guardrail.id,
        name=guardrail.id or guardrail.kind,
        measure=guardrail.measure,
        what=guardrail.name,
        first_day=day,
        last_day=day,
        actual=value,
        expected=limit,
        low=None,
        high=None,
        score=None,
        is_provisional=False,
        is_open=day > newest - TOLD,
        driver=None,
        volume_usd=None,
        price_usd=None,
    )

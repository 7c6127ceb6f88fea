"""Forecasts of everything, each connection and each team, until the end of the quarter of the first day to come."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from itertools import accumulate
from typing import Any

from usage_assets.core.days import (
    DAY,
    Window,
    end_of_month,
    end_of_quarter,
    spans,
    start_of_month,
    start_of_quarter,
)
from usage_assets.core.errors import UserError
from usage_assets.models.insights import ForecastRow, ForecastTotalRow
from usage_assets_report.insights.series import EVERYTHING, Days, Key, Part, Scope, in_days, largest
from usage_assets_report.statistics.forecast import Estimate, Forecast, Past, forecast, share_of
from usage_assets_report.statistics.growth import Growth
from usage_assets_report.statistics.looks import past_of

KINDS = (EVERYTHING, "connection", "team")
MOST = 60
"""The most scopes that are forecast: the largest of the last five weeks."""
Growths = Mapping[tuple[str, str], Growth]
"""Connection and source -> how stored days have grown."""


@dataclass(frozen=True)
class Futures:
    """The futures of each connection, in one unit. What is expected of a part, such as a team, is its share of them."""

    parts: Mapping[str, Part]
    """What each connection billed in all."""
    days: Mapping[str, Days]
    growths: Growths
    first: date
    until: date
    unit: str = "USD"
    _found: dict[str, tuple[Past, Forecast]] = field(default_factory=dict)

    def of(self, scope: Scope) -> Forecast:
        """Return what is expected of a scope."""
        return Forecast.together([self._part(name, part) for name, part in scope.parts.items()])

    def _part(self, connection: str, part: Part) -> Forecast:
        key = f"connection/{connection}/{connection}/{self.unit}"
        if connection not in self._found:
            past = self._past(connection, self.parts[connection])
            self._found[connection] = past, forecast(past, self.first, self.until, key)
        whole = self._found[connection]
        if part.amounts == self.parts[connection].amounts:
            return whole[1]
        return share_of(*whole, self._past(connection, part), key)

    def _past(self, connection: str, part: Part) -> Past:
        """Return what is stored of a part of a connection, with what is known about its days."""
        days, first = self.days[connection], min(part.amounts)
        return past_of(
            connection,
            [day for day in days.stored if day >= first],
            part.by_source,
            {} if days.ended_on else days.looks,
            {source: growth for (name, source), growth in self.growths.items() if name == connection},
            part.recurring,
            too_small=days.unvalued if self.unit == "USD" else (),
            has_ended=days.ended_on is not None,
        )


@dataclass(frozen=True)
class Outlook:
    """What a scope was billed so far, and what is expected of a range of days."""

    scope: Scope
    newest: date
    """The last day that may be stored."""
    futures: Futures

    @property
    def unit(self) -> str:
        return self.futures.unit

    @property
    def until(self) -> date:
        return self.futures.until

    @property
    def forecast(self) -> Forecast | None:
        """The sum of the forecasts of all connections; None if there is none."""
        return None if isinstance(self._found, str) else self._found

    @cached_property
    def _found(self) -> Forecast | str:
        """The forecast, or why there is none."""
        if not self.scope.parts:
            kind = self.scope.kind.replace("api_key", "API key")
            misspelled = f" of this {kind}: is it misspelled?" if self.scope.id else ""
            return f"no costs in {self.unit} are stored{misspelled}"
        if strange := self.scope.parts.keys() - self.scope.days.keys():
            return f"each stored day of {', '.join(sorted(strange))} lacks a source of its costs"
        try:
            return self.futures.of(self.scope)
        except UserError as error:
            return str(error)

    @cached_property
    def _days(self) -> Mapping[str, Days]:
        return {name: self.scope.days[name] for name in self.scope.parts}

    @cached_property
    def _lapsed(self) -> str | None:
        """Why no day to come is known in USD."""
        lapsed = [f"{name}: {days.lapsed}" for name, days in self._days.items() if days.lapsed]
        return "; ".join(lapsed) if lapsed and self.unit == "USD" else None

    def settled(self, first: date, last: date) -> Decimal:
        """What was billed on days that no longer change."""
        return in_days(self.scope.settled, first, last)

    def provisional(self, first: date, last: date) -> Decimal:
        """What is billed so far on days that may still change."""
        return in_days(self.scope.provisional, first, last)

    def expected(self, first: date, last: date) -> Estimate | str:
        """The estimate of the sum of a range of days, or why it is unknown: a past day is not stored, for example."""
        if isinstance(self._found, str):
            return self._found
        if last > self.until:
            end = "has no end" if last == date.max else f"ends on {last}"
            return f"forecasts end on {self.until}, but the period {end}"
        return self._unknown(first, last) or self._found.total(first, last)

    def _unknown(self, first: date, last: date) -> str | None:
        """Why the sum of a range of days is unknown. The answer does not depend on which future day is the last."""
        if last > self.newest and self._lapsed:
            return self._lapsed
        for name, days in self._days.items():
            end = last if last <= self.newest else days.last  # it may be late with the last days
            if missing := [day for day in Window(first, end).days if day not in days.stored]:
                return f"{name} is not stored on {spans(missing)}"
        return None

    def unsettled(self) -> Iterator[tuple[date, Estimate]]:
        """Yield the estimate of each day that may change or is to come.

        A day that a connection lacks has none, nor has a day to come if a rate has ended.
        """
        if self.forecast is None:
            return
        for day in Window(self.futures.first, self.newest if self._lapsed else self.until).days:
            is_settled = all(day < days.first or days.is_settled(day) for days in self._days.values())
            if day > self.newest or not (is_settled or self._is_missing(day)):
                yield day, self.forecast.day(day)

    def _is_missing(self, day: date) -> bool:
        """Whether a connection has days before and after this one, but not this one."""
        return any(day not in days.stored and days.first < day < days.last for days in self._days.values())

    def crossed_on(self, amount: Decimal, first: date, last: date) -> date | None:
        """The day on which stored amounts reached an amount; None if they are below it now (after a refund)."""
        return crossed_on(self.scope.amounts, amount, first, last)

    def exhausted_on(self, amount: Decimal, first: date, last: date) -> date | None:
        """Return the day on which the amount was reached.

        If it was not, return the day on which it is expected to be, or None.
        """
        if crossed := self.crossed_on(amount, first, last):
            return crossed
        if self.forecast is None or self._unknown(first, self.newest + DAY):
            return None
        to_come = Window(max(first, self.newest + DAY), min(last, self.until)).days
        return next((day for day in to_come if self.forecast.total(first, day).mean >= amount), None)


def crossed_on(amounts: Mapping[date, Decimal], amount: Decimal, first: date, last: date) -> date | None:
    """The day on which the amounts of these days reached an amount; None if they are below it on the last one."""
    days = sorted(day for day in amounts if first <= day <= last)
    sums = [*accumulate(amounts[day] for day in days)]
    if not sums or sums[-1] < amount:
        return None
    return next(day for day, spent in zip(days, sums, strict=True) if spent >= amount)


def forecasts(
    scopes: Mapping[Key, Scope], growths: Growths, newest: date, today: date
) -> tuple[Sequence[ForecastRow], Sequence[ForecastTotalRow]]:
    """Return the rows of both tables. Without statsmodels, they have no estimates, only what is billed."""
    if (EVERYTHING, "") not in scopes:
        return [], []
    first = min(start_of_quarter(newest), start_of_month(start_of_month(newest) - DAY))
    whole = scopes[EVERYTHING, ""]
    ahead = newest + DAY  # after the last day of a month, people ask what the one that has begun will cost
    futures = Futures(whole.parts, whole.days, growths, first, end_of_quarter(ahead))
    daily: list[ForecastRow] = []
    months: list[ForecastTotalRow] = []
    for scope in largest([each for each in scopes.values() if each.kind in KINDS], newest, MOST):
        outlook = Outlook(scope, newest, futures)
        daily += _daily(outlook, today)
        months += [_month(outlook, month, today) for month in sorted({*map(start_of_month, (newest, ahead))})]
    return daily, months


def _daily(outlook: Outlook, today: date) -> Iterator[ForecastRow]:
    for day, estimate in outlook.unsettled():
        yield ForecastRow(
            kind=outlook.scope.kind,
            id=outlook.scope.id,
            name=outlook.scope.name,
            usage_date=day,
            expected=estimate.mean,
            low=estimate.low,
            high=estimate.high,
            made_on=today,
        )


def _month(outlook: Outlook, month: date, today: date) -> ForecastTotalRow:
    last = end_of_month(month)
    return ForecastTotalRow(
        kind=outlook.scope.kind,
        id=outlook.scope.id,
        name=outlook.scope.name,
        month=month,
        settled=outlook.settled(month, last),
        provisional=outlook.provisional(month, last),
        made_on=today,
        **estimated(outlook.expected(month, last)),
    )


def estimated(estimate: Estimate | str) -> dict[str, Any]:
    """Return the columns of an estimate, or of the reason why it is unknown."""
    if isinstance(estimate, str):
        return {"expected": None, "low": None, "high": None, "expected_reason": estimate}
    return {"expected": estimate.mean, "low": estimate.low, "high": estimate.high, "expected_reason": None}

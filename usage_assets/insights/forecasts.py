"""Forecasts of everything, each connection and each team, until the end of the quarter."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from itertools import accumulate

from usage_assets.core.days import DAY, Window, end_of_month
from usage_assets.core.errors import UserError
from usage_assets.insights.rows import ForecastRow, ForecastTotalRow
from usage_assets.insights.series import EVERYTHING, Key, Scope, largest
from usage_assets.statistics.estimates import CENT
from usage_assets.statistics.forecast import Estimate, Forecast, forecast

KINDS = (EVERYTHING, "connection", "team")
MOST = 60
"""The most scopes that are forecast: the largest of the last five weeks."""
NEVER = date(1970, 1, 1)
ZERO = Decimal(0)


@dataclass(frozen=True)
class Outlook:
    """What a scope was billed so far, and its forecast."""

    scope: Scope
    until: date
    """The last day that is forecast."""

    @cached_property
    def forecast(self) -> Forecast | None:
        """The forecast; None if no day is settled, if every day is, or if statsmodels is not installed."""
        series = self.scope.series
        if series is None or series.settled < 1 or series.day(series.settled) > self.until:
            return None
        try:
            return forecast(series, self.until)
        except UserError:
            return None

    @property
    def unsettled_from(self) -> date:
        """The first day that still grows, or is not stored yet; NEVER without any day."""
        series = self.scope.series
        return series.day(series.settled) if series else NEVER

    def settled(self, first: date, last: date) -> Decimal:
        """What was billed on days that no longer grow."""
        return self.scope.sum(first, min(last, self.unsettled_from - DAY))

    def provisional(self, first: date, last: date) -> Decimal:
        """What is billed so far on days that may still grow."""
        return self.scope.sum(max(first, self.unsettled_from), last)

    def expected(self, first: date, last: date) -> Estimate | None:
        """The estimate of the sum of a range of days; None if a past day is not stored, or there is no forecast."""
        series = self.scope.series
        if series is None or not self._is_whole(first, min(last, self.unsettled_from - DAY)):
            return None
        settled = self.settled(first, last)
        if last < self.unsettled_from:
            return Estimate(settled, settled, settled)
        if self.forecast is None or last > self.until:
            return None
        rest = self.forecast.total(max(first, self.unsettled_from), last)
        return Estimate(*((settled + each).quantize(CENT) for each in (rest.mean, rest.low, rest.high)))

    def exhausted_on(self, amount: Decimal, first: date, last: date) -> date | None:
        """The day on which an amount was, or is expected to be, spent; None if it is none of these days."""
        days = Window(first, last).days
        sums = accumulate(self._of(day) for day in days)
        return next((day for day, spent in zip(days, sums, strict=True) if spent >= amount), None)

    def _of(self, day: date) -> Decimal:
        if day >= self.unsettled_from and self.forecast and self.forecast.first <= day <= self.forecast.last:
            return self.forecast.day(day).mean
        return self.scope.amounts.get(day, ZERO)

    def _is_whole(self, first: date, last: date) -> bool:
        series = self.scope.series
        days = Window(first, last).days
        return series is not None and all(day in series.values or day < series.first for day in days)


def forecasts(
    scopes: Mapping[Key, Scope], newest: date, today: date
) -> tuple[Sequence[ForecastRow], Sequence[ForecastTotalRow]]:
    """Return the rows of both tables. Without statsmodels, they have no estimates, only what is billed."""
    shown = [scope for scope in scopes.values() if scope.kind in KINDS and scope.series]
    outlooks = [Outlook(scope, end_of_quarter(newest)) for scope in largest(shown, newest, MOST)]
    daily = [row for outlook in outlooks for row in _daily(outlook, today)]
    return daily, [_month(outlook, newest.replace(day=1), today) for outlook in outlooks]


def _daily(outlook: Outlook, today: date) -> Iterator[ForecastRow]:
    found = outlook.forecast
    if found is None:
        return
    for day in Window(found.first, found.last).days:
        estimate = found.day(day)
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
    estimate = outlook.expected(month, last)
    return ForecastTotalRow(
        kind=outlook.scope.kind,
        id=outlook.scope.id,
        name=outlook.scope.name,
        month=month,
        settled=outlook.settled(month, last),
        provisional=outlook.provisional(month, last),
        expected=estimate.mean if estimate else None,
        low=estimate.low if estimate else None,
        high=estimate.high if estimate else None,
        made_on=today,
    )


def end_of_quarter(day: date) -> date:
    """Return the last day of the quarter of a day."""
    return end_of_month(day.replace(day=1, month=day.month + (-day.month) % 3))

"""Forecasts the days of one thing as many equally likely futures. Past anomalies are found in ``anomalies.py``.

What is stored is the beginning: a day that is over is what is stored times its growth (``growth.py``), and charges that
recur come on their day. The rest of each day to come is drawn from a model of the past: a local level with a weekday
season, on logarithms, filtered by statsmodels' Kalman filter, which handles gaps. Its variances are not fitted: four
models with given variances draw futures in proportion to their likelihood. So a forecast needs no optimizer and is the
same each time.

Floats throughout, but for what is certain: that stays an exact decimal, and an estimate in cents is added to it.
"""

from calendar import monthrange
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from itertools import product
from typing import Any, Self

import numpy as np

from usage_assets.core.days import DAY, Window
from usage_assets.core.errors import UserError
from usage_assets_report.statistics.anomalies import Ordinary, ordinary
from usage_assets_report.statistics.estimates import cents, dice
from usage_assets_report.statistics.series import Floats, Series

FUTURES = 500
LONGEST = 126
"""Days of the past that are read."""
SAME = 14
"""A past that ends with so many days of one amount goes on with it."""
EVERY_DAY = 0
"""A charge that recurs is due on this day of the month, 31 being the last one; or every day."""
LEVELS = (0.001, 0.03)
"""Variances of the daily change of the level, divided by the variance of the noise."""
SEASONS = (0.05, 5.0)
"""Variances of the weekday effects, likewise."""
USUAL_NOISE, BELIEF = 0.15, 4.0
"""Prior of the noise: its standard deviation, and its weight in days."""
SHIFTS, SHIFTS_DAYS, SHIFT = 0.018, 60, 0.6
"""Prior of level shifts: how many a day, its weight in days, and the standard deviation of their size."""
MOST = 1.2
"""How far a future may go beyond the largest day of the past, as a logarithm."""
SMALL = 0.1
"""Share of the median. Differences between amounts below it hardly count."""
FEWEST_RESIDUALS, SETTLING_IN = 21, 7
"""The fewest past errors from which new ones are drawn, and the first errors that are left out as too large."""
FEWEST_CLOSED = 3
"""A weekday without use is forecast as zero after this many of them."""
RECENT_WEEKS = 4
"""Weeks of which the shares of parts are drawn."""
LOW, HIGH = 0.1, 0.9
UNKNOWN = 1e4
"""The initial variance of the level."""
SEASON_TURNS = np.vstack([-np.ones(6), np.eye(5, 6)])
"""Transition of the six states of the season in a day. The seven weekday effects add up to zero."""
SEASON = np.column_stack([np.linalg.matrix_power(SEASON_TURNS, day)[0] for day in range(7)])
"""What the states of a season add on each of the next seven days."""
ZERO, NANO = Decimal(0), Decimal("1e-9")
ROUNDED = Decimal("1e-6")
"""How much the price of a month may differ that is billed in days, which GitHub rounds to billionths of a month."""


@dataclass(frozen=True)
class Estimate:
    """The mean, and the range that holds four times out of five."""

    mean: Decimal
    low: Decimal
    high: Decimal


@dataclass(frozen=True)
class Past:
    """What is stored of one thing, day by day, and what is known about these days. An absent day is not stored.

    Raises UserError without any day.
    """

    stored: Mapping[date, Decimal]
    grown: Mapping[date, Floats] = field(default_factory=dict)
    """What a day will be in each future, of days that are over and still grow: stored amounts times their growth."""
    open: Collection[date] = ()
    """Days that were not over when they were fetched, or of which nothing is served yet. They are forecast like days to
    come."""
    young: Collection[date] = ()
    """Days that are over, and how much they still grow is hardly known. No other day is forecast from them."""
    recurring: Mapping[int, Mapping[date, Decimal]] = field(default_factory=dict)
    """Day of the month, or EVERY_DAY -> the part of each stored day that recurs then."""
    has_ended: bool = False
    """Whether nothing comes any more."""

    def __post_init__(self) -> None:
        if not self.stored:
            raise UserError("nothing is stored: there is nothing to forecast from")

    @cached_property
    def last(self) -> date:
        """The last stored day."""
        return max(self.stored)

    @cached_property
    def history(self) -> Series:
        """The days that others are forecast from, without what recurs. Days below zero (refunds) are left out.

        Young days are among them where they have the same amount as the days before: they need not grow.
        """
        over = self.stored.keys() - {*self.open}
        every = self._series(over or self.stored.keys())
        old = over - {*self.young}
        return every if _one_amount(every) or not old else self._series(old)

    def _series(self, days: Collection[date]) -> Series:
        values = {day: self.usual(day) for day in days}
        used = sorted(value for value in values.values() if value)
        sign = -1 if used and used[len(used) // 2] < 0 else 1
        return Series({day: value for day, value in values.items() if value * sign >= 0} or dict.fromkeys(days, ZERO))

    def usual(self, day: date) -> Decimal:
        """What a stored day will be, without what recurs."""
        grown = self.grown.get(day)
        stored = self.stored[day] if grown is None else Decimal(repr(float(grown.mean())))
        return stored - sum((amounts.get(day, ZERO) for amounts in self.recurring.values()), ZERO)

    def due(self, day: date) -> Decimal:
        """What recurs on a day to come."""
        return sum((self._due(on, amount, day) for on, amount in self._last_due.items() if _is_due(on, day)), ZERO)

    def _due(self, on: int, amount: Decimal, day: date) -> Decimal:
        """What comes on a day if this amount came when it was last due."""
        if on != EVERY_DAY or not self._is_by_month or _length(day) == _length(self._last_over):
            return amount
        return (amount * _length(self._last_over) / _length(day)).quantize(NANO)

    @cached_property
    def _is_by_month(self) -> bool:
        """Whether what comes every day is the price of a month in equal parts, as GitHub's seats: where the length of
        the month changed, the day's amount changed so that the month's was the same."""
        amounts = self.recurring.get(EVERY_DAY, {})
        firsts = (day for day in amounts if day.day == 1 and day not in self.open and amounts.get(day - DAY))
        return any(
            _length(day) != _length(day - DAY)
            and abs(amounts[day] * _length(day) / (amounts[day - DAY] * _length(day - DAY)) - 1) < ROUNDED
            for day in firsts
        )

    @cached_property
    def _last_over(self) -> date:
        """The last stored day that was over when it was fetched."""
        return max(self.stored.keys() - {*self.open}, default=self.last)

    def varies(self, day: date) -> float:
        """The standard deviation of what recurs on a day to come, by how it changed from one time to the next.

        What comes every day goes on as it was.
        """
        due = [on for on in self._last_due if on != EVERY_DAY and _is_due(on, day)]
        return float(np.sqrt(sum(self._changes[on] ** 2 for on in due)))

    @cached_property
    def _changes(self) -> Mapping[int, float]:
        """Day of the month -> the root mean square of the changes."""
        due = {on: [float(amounts[day]) for day in sorted(amounts)] for on, amounts in self.recurring.items()}
        return {
            on: float(np.sqrt((np.diff(of_it) ** 2).mean())) if len(of_it) > 1 else 0.0 for on, of_it in due.items()
        }

    @cached_property
    def _last_due(self) -> Mapping[int, Decimal]:
        """What came when it was last due: what did not come then has ended."""
        over = sorted((day for day in self.stored if day not in self.open), reverse=True)
        last = {on: next((day for day in over if _is_due(on, day)), None) for on in self.recurring}
        return {on: self.recurring[on].get(day, ZERO) for on, day in last.items() if day and not self.has_ended}


def _one_amount(history: Series) -> Decimal | None:
    """The amount of each of the newest days, if they have only one and it is not 0."""
    newest = [history.values[day] for day in sorted(history.values)[-SAME:]]
    return newest[0] or None if len(newest) == SAME and len({*newest}) == 1 else None


def _is_due(on: int, day: date) -> bool:
    return on == EVERY_DAY or day.day == min(on, _length(day))


def _length(day: date) -> int:
    """How many days the month of a day has."""
    return monthrange(day.year, day.month)[1]


@dataclass(frozen=True)
class Forecast:
    """Futures of a range of days."""

    first: date
    certain: Sequence[Decimal]
    """Of each day, what is stored or due: exact. Estimates are added to it."""
    expected: Sequence[Decimal]
    """Of each day, the mean of its futures: what is stored or due, and the rest in cents."""
    futures: Floats
    """A row for each future, a column for each day."""

    @classmethod
    def of(cls, first: date, certain: Sequence[Decimal], futures: Floats) -> Self:
        """Return the forecast with the means of the futures."""
        means = futures.mean(axis=0)
        pairs = zip(certain, means, strict=True)
        return cls(first, certain, [amount + cents(mean - float(amount)) for amount, mean in pairs], futures)

    @classmethod
    def together(cls, parts: Sequence["Forecast"]) -> Self:
        """Add forecasts of the same days up, future by future. What is expected is the sum of the parts' expected."""
        columns = [zip(*(getattr(part, name) for part in parts), strict=True) for name in ("certain", "expected")]
        certain, expected = ([sum(amounts, ZERO) for amounts in column] for column in columns)
        return cls(parts[0].first, certain, expected, np.sum([part.futures for part in parts], axis=0))

    @property
    def last(self) -> date:
        return self.first + DAY * (len(self.certain) - 1)

    def day(self, day: date) -> Estimate:
        """The estimate of one day."""
        return self.total(day, day)

    def total(self, first: date, last: date) -> Estimate:
        """The estimate of the sum of these days, both inclusive. The sum of their bands would be too wide.

        Raises UserError for days that are not in the forecast.
        """
        if not self.first <= first <= last <= self.last:
            raise UserError(f"{first} to {last} is not in the forecast of {self.first} to {self.last}")
        those = slice((first - self.first).days, (last - self.first).days + 1)
        certain, mean = sum(self.certain[those], ZERO), sum(self.expected[those], ZERO)
        bounds = np.quantile(self.futures[:, those].sum(axis=1), (LOW, HIGH)) - float(certain)
        low, high = (certain + cents(float(bound)) for bound in bounds)
        return Estimate(mean, min(mean, low), max(mean, high))


def forecast(past: Past, first: date, until: date, key: str) -> Forecast:
    """Forecast a range of days of a connection. Takes 6 to 9 ms of CPU time.

    A day that is over is what is stored, times its growth. An open day is forecast like one to come, and no lower than
    a positive amount that is stored of it. A day that is not stored, before the last one that is, counts as 0. ``key``:
    what is forecast. The same key and past give the same futures, other keys draw other random numbers. Raises
    UserError if statsmodels is needed and not installed.
    """
    days = Window(first, until).days
    at = {day: number for number, day in enumerate(days)}
    certain = [past.due(day) if day > past.last else past.stored.get(day, ZERO) for day in days]
    futures = np.tile([*map(float, certain)], (FUTURES, 1))
    for day in past.grown.keys() & at.keys():
        futures[:, at[day]] = past.grown[day]
    unknown = [day for day in days if day in past.open or day > past.last]
    if unknown and not past.has_ended:
        rest, usual = _rest(past.history, until, key)
        for day in unknown:
            ahead = (day - past.history.last).days - 1
            drawn = rest[:, ahead if ahead >= 0 else ahead % 7]  # an open day among others: as in the week to come
            if varies := past.varies(day):
                drawn = drawn + varies * _mirrored(FUTURES, 1, dice(f"{key}/{day}"))[:, 0]
            if day > past.last:
                futures[:, at[day]] += drawn
                certain[at[day]] += usual
            else:
                drawn, stored = drawn + float(past.due(day)), float(past.stored[day])
                futures[:, at[day]] = np.maximum(drawn, stored) if stored >= 0 else drawn + stored
    return Forecast.of(first, certain, futures)


def share_of(whole_past: Past, whole: Forecast, past: Past, key: str) -> Forecast:
    """Return the forecast of a part of something that was forecast: its share of each future.

    The share of a day to come is that of the same weekday in one of the last ``RECENT_WEEKS`` weeks, drawn for each
    future and week, so that a newer week and a day with more of everything are likelier. All parts draw the same days.
    So they add up to the whole, in each future and in what is expected. What is stored, grows and recurs is the part's
    own. ``key``: of the whole.
    """
    days = Window(whole.first, whole.last).days
    certain = [past.due(day) if day > past.last else past.stored.get(day, ZERO) for day in days]
    base = np.array([*map(float, certain)])
    of_whole = np.array(
        [float(whole_past.due(day) if day > whole_past.last else whole_past.stored.get(day, ZERO)) for day in days]
    )
    rest = whole.futures - of_whole
    draws = dice(f"{key}/shares").random((FUTURES, (days[-1] - whole_past.history.last).days // 7 + 2))
    shares = _Shares.of(whole_past.history, past)
    changes = np.zeros_like(rest)
    for n, day in enumerate(days):
        if day in past.grown:
            changes[:, n] = past.grown[day] - base[n]
        elif day in whole_past.open or day > whole_past.last:
            week = max(0, (day - whole_past.history.last).days - 1) // 7
            changes[:, n] = rest[:, n] * shares.drawn(day, draws[:, week])
    of_rest = rest.mean(axis=0)
    parts = np.divide(changes.mean(axis=0), of_rest, out=np.zeros_like(of_rest), where=of_rest != 0)
    expected = [
        amount + ((all_of_it - Decimal(repr(float(known)))) * Decimal(repr(float(part)))).quantize(NANO)
        for amount, all_of_it, known, part in zip(certain, whole.expected, of_whole, parts, strict=True)
    ]
    return Forecast(whole.first, certain, expected, base + changes)


@dataclass(frozen=True)
class _Shares:
    """A part's share of the days of a whole from which shares are drawn."""

    last: date
    """The last of these days."""
    amounts: Floats
    """Of the whole on each of them, the last first, without what recurs; 0 where nothing else is known."""
    parts: Floats

    @classmethod
    def of(cls, history: Series, past: Past) -> Self:
        days = [history.last - DAY * n for n in range(LONGEST)]
        amounts = np.abs([float(history.values.get(day, ZERO)) for day in days])
        parts = [float(past.usual(day)) if day in past.stored else 0.0 for day in days]
        sign = -1 if min(history.values.values()) < 0 else 1
        return cls(history.last, amounts, sign * np.array(parts))

    def drawn(self, day: date, draws: Floats) -> Floats:
        """The share of a day in each future."""
        among = np.arange((self.last - day).days % 7, 7 * RECENT_WEEKS, 7)
        for candidates in (among, np.arange(7 * RECENT_WEEKS), np.arange(LONGEST)):
            weights = self.amounts[candidates] * np.maximum(1, RECENT_WEEKS - candidates // 7)
            if weights.any():
                chosen = candidates[np.searchsorted((weights / weights.sum()).cumsum()[:-1], draws, side="right")]
                return self.parts[chosen] / self.amounts[chosen]
        return np.zeros_like(draws)


def _rest(history: Series, until: date, key: str) -> tuple[Floats, Decimal]:
    """Draw each day after a history, a week at least, without what recurs; and return what each certainly is, or 0."""
    days = max(7, (until - history.last).days)
    if amount := _one_amount(history):
        return np.full((FUTURES, days), float(amount)), amount
    sign = -1 if min(history.values.values()) < 0 else 1
    past = Series({day: abs(value) for day, value in history.values.items()})
    return sign * _futures(ordinary(past), history.last.weekday(), days, dice(key)), ZERO


def _futures(history: Ordinary, last_weekday: int, days: int, rng: np.random.Generator) -> Floats:
    """Futures after a past that ends on this weekday, with shifts and odd days as frequent as in the past."""
    past = history.values[-LONGEST:]
    used = past[past > 0]
    if not len(used):
        return np.zeros((FUTURES, days))
    small = SMALL * float(np.median(used))
    log = np.log1p(past / small)
    closed = _closed(past, last_weekday)
    log[np.isin((last_weekday - np.arange(len(past))[::-1]) % 7, closed)] = np.nan
    center = float(np.nanmean(log))
    kalman = _kalman_filter(log - center)
    models = [_filtered(kalman, *variances) for variances in product(LEVELS, SEASONS)]
    likely = np.array([model.likelihood for model in models])
    shares = np.exp(likely - likely.max()).cumsum()
    counts = np.diff(np.rint(shares / shares[-1] * FUTURES).astype(int), prepend=0)
    drawn = [model.draw(int(count), days, rng) for model, count in zip(models, counts, strict=True) if count]
    states, noise, steps = (np.concatenate(part) for part in zip(*drawn, strict=True))
    rate = (history.shifts + SHIFTS * SHIFTS_DAYS) / (len(history.values) + SHIFTS_DAYS)
    shifted = np.tile(rng.random((FUTURES // 2, days)) < rate, (2, 1))
    steps += np.where(shifted, SHIFT * _mirrored(FUTURES, days, rng) - SHIFT**2 / 2, 0)
    if len(history.odd):
        rate = len(history.odd) / (len(history.values) + SHIFTS_DAYS)
        noise += np.where(rng.random(noise.shape) < rate, rng.choice(history.odd, noise.shape), 0)
    season = np.tile(states[:, 1:] @ SEASON, days // 7 + 1)[:, :days]
    ahead = states[:, :1] + steps.cumsum(axis=1) + season + noise + center
    futures: Floats = np.maximum(0, small * np.expm1(np.minimum(ahead, np.nanmax(log) + MOST)))
    futures[:, np.isin((last_weekday + 1 + np.arange(days)) % 7, closed)] = 0
    return futures


def _closed(past: Floats, last_weekday: int) -> list[int]:
    """The weekdays on which nothing is ever used."""
    weekdays = (last_weekday - np.arange(len(past))[::-1]) % 7
    seen = {weekday: past[(weekdays == weekday) & np.isfinite(past)] for weekday in range(7)}
    return [weekday for weekday, days in seen.items() if len(days) >= FEWEST_CLOSED and not days.any()]


@dataclass(frozen=True)
class _Model:
    """One model after filtering the past. Variances are divided by that of the noise."""

    level: float
    """The variance of what a day adds to the level."""
    state: Floats
    """On the first day to come: the level, and six states of the season."""
    covariance: Floats
    squares: float
    """The sum of squared standardized errors."""
    count: int
    likelihood: float
    """Log-likelihood, without the terms that are the same for all models."""
    residuals: Floats

    def draw(self, count: int, days: int, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
        """Random states of the first day to come, and the noise and the steps of the level of each day."""
        shape = (count, days)
        sizes = np.resize(rng.chisquare(self.count + BELIEF, count // 2 + count % 2), count)
        spread = np.sqrt(self.squares / sizes)[:, None]
        root = np.linalg.cholesky(self.covariance + 1e-12 * np.eye(len(self.state)))
        states = self.state + spread * (_mirrored(count, len(self.state), rng) @ root.T)
        noise = rng.choice(self.residuals, shape) if len(self.residuals) else _mirrored(*shape, rng)
        return states, spread * noise, spread * np.sqrt(self.level) * _mirrored(*shape, rng)


def _mirrored(count: int, each: int, rng: np.random.Generator) -> Floats:
    """Standard normal numbers, so many rows of them; the second half of the rows is the first one with the other sign.

    So the mean of few futures is nearly that of many.
    """
    half = rng.standard_normal((count // 2 + count % 2, each))
    return np.vstack([half, -half])[:count]


def _kalman_filter(log: Floats) -> Any:
    """Return statsmodels' filter of a past: a level and a fixed season. Variances are set by ``_filtered``."""
    try:
        from statsmodels.tsa.statespace.kalman_filter import KalmanFilter  # noqa: PLC0415 - large, slow, an extra
    except ModuleNotFoundError as error:
        missing = f"the package {error.name} is missing: pip install 'usage-assets[insights]'"
        raise UserError(f"nothing can be forecast: {missing}") from None
    kalman = KalmanFilter(k_endog=1, k_states=7, k_posdef=1)
    kalman.bind(log[:, None].copy())
    kalman["transition"] = np.block([[np.eye(1), np.zeros((1, 6))], [np.zeros((6, 1)), SEASON_TURNS]])
    kalman["design"] = np.eye(2, 7).sum(axis=0, keepdims=True)
    kalman["selection"] = np.eye(7, 1)
    kalman["obs_cov"] = np.eye(1)
    kalman.memory_no_smoothing = True
    return kalman


def _filtered(kalman: Any, level: float, season: float) -> _Model:
    """Filter the past with these variances. The size of the noise follows from the errors."""
    spread = np.diag([UNKNOWN, *[season] * 6])
    spread[1:, 1:] -= season / 7
    kalman["state_cov"] = np.array([[level]])
    kalman.initialize_known(np.zeros(7), spread)
    filtered = kalman.filter()
    known = np.flatnonzero(np.isfinite(kalman.endog[0]))[1:]  # the first day only says where the level is
    expected = filtered.forecasts_error_cov[0, 0][known]
    errors = filtered.forecasts_error[0][known] / np.sqrt(expected)
    squares = float((errors**2).sum()) + BELIEF * USUAL_NOISE**2
    residuals = errors[SETTLING_IN:]
    size = np.sqrt((residuals**2).mean()) if len(errors) >= FEWEST_RESIDUALS else 0
    return _Model(
        level=level,
        state=filtered.predicted_state[:, -1],
        covariance=filtered.predicted_state_cov[:, :, -1],
        squares=squares,
        count=len(errors),
        likelihood=-0.5 * float(np.log(expected).sum() + (len(errors) + BELIEF) * np.log(squares)),
        residuals=residuals / size if size else np.empty(0),
    )

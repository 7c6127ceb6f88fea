"""Forecasts the next days of a series as many equally likely futures. Past anomalies are found in ``anomalies.py``.

The model is a local level with a weekday season, on logarithms, filtered by statsmodels' Kalman filter, which handles
gaps. Its variances are not fitted: four models with given variances draw futures in proportion to their likelihood. So
a forecast needs no optimizer and is the same each time.

Floats throughout: a forecast is an estimate. It is returned rounded to cents and never added to money.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import product
from typing import Any

import numpy as np

from usage_assets.core.days import DAY
from usage_assets.core.errors import UserError
from usage_assets.statistics.anomalies import Ordinary, ordinary
from usage_assets.statistics.estimates import rounded
from usage_assets.statistics.series import Floats, Series

FUTURES = 500
LONGEST = 126
"""Days of the past that are read."""
LEVELS = (0.001, 0.03)
"""Variances of the daily change of the level, divided by the variance of the noise."""
SEASONS = (0.05, 5.0)
"""Variances of the weekday effects, likewise."""
USUAL_NOISE, BELIEF = 0.15, 4.0
"""Prior of the noise: its standard deviation, and its weight in days."""
SHIFTS, SHIFTS_DAYS, SHIFT = 0.018, 40, 0.6
"""Prior of level shifts: how many a day, its weight in days, and the standard deviation of their size."""
MOST = 1.2
"""How far a future may go beyond the largest day of the past, as a logarithm."""
SMALL = 0.1
"""Share of the median. Differences between amounts below it hardly count."""
FEWEST_RESIDUALS, SETTLING_IN = 21, 7
"""The fewest past errors from which new ones are drawn, and the first errors that are left out as too large."""
FEWEST_CLOSED = 3
"""A weekday without use is forecast as zero after this many of them."""
LOW, HIGH = 0.1, 0.9
UNKNOWN = 1e4
"""The initial variance of the level."""
SEASON_TURNS = np.vstack([-np.ones(6), np.eye(5, 6)])
"""Transition of the six states of the season in a day. The seven weekday effects add up to zero."""
SEASON = np.column_stack([np.linalg.matrix_power(SEASON_TURNS, day)[0] for day in range(7)])
"""What the states of a season add on each of the next seven days."""


@dataclass(frozen=True)
class Estimate:
    """The mean, and the range that holds four times out of five."""

    mean: Decimal
    low: Decimal
    high: Decimal


@dataclass(frozen=True)
class Forecast:
    """Futures of a series, from its first day that is not settled."""

    first: date
    futures: Floats
    """A row for each future, a column for each day."""

    @property
    def last(self) -> date:
        return self.first + DAY * (len(self.futures[0]) - 1)

    def day(self, day: date) -> Estimate:
        """The estimate of one day."""
        return self.total(day, day)

    def total(self, first: date, last: date) -> Estimate:
        """The estimate of the sum of these days, both inclusive. The sum of their bands would be too wide.

        Raises UserError for days that are not in the forecast.
        """
        if not self.first <= first <= last <= self.last:
            raise UserError(f"{first} to {last} is not in the forecast of {self.first} to {self.last}")
        sums = self.futures[:, (first - self.first).days : (last - self.first).days + 1].sum(axis=1)
        mean, low, high = float(sums.mean()), *map(float, np.quantile(sums, (LOW, HIGH)))
        return Estimate(rounded(mean), rounded(min(mean, low)), rounded(max(mean, high)))


def forecast(series: Series, until: date) -> Forecast:
    """Forecast the days after the last settled one, up to and including a day. Takes 6 ms of CPU time.

    Provisional days are forecast, too: each is at least what is stored of it. Raises UserError if no day is settled, if
    ``until`` is, or if statsmodels is not installed.
    """
    first = series.day(series.settled)
    days = (until - first).days + 1
    if series.settled < 1:
        raise UserError(f"no day before {first} is settled: there is nothing to forecast from")
    if days < 1:
        raise UserError(f"{until} is settled: the forecast begins on {first}")
    futures = _futures(ordinary(series), (first - DAY).weekday(), days)
    growing = np.nan_to_num(series.floats()[series.settled :][:days])
    futures[:, : len(growing)] = np.maximum(futures[:, : len(growing)], growing)
    return Forecast(first, futures)


def _futures(history: Ordinary, last_weekday: int, days: int) -> Floats:
    """Futures after a past that ends on this weekday, with shifts and odd days as frequent as in the past."""
    rng = np.random.default_rng(0)
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
    steps += np.where(rng.random(steps.shape) < rate, rng.normal(-(SHIFT**2) / 2, SHIFT, steps.shape), 0)
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
        spread = np.sqrt(self.squares / rng.chisquare(self.count + BELIEF, count))[:, None]
        root = np.linalg.cholesky(self.covariance + 1e-12 * np.eye(len(self.state)))
        states = self.state + spread * (rng.standard_normal((count, len(self.state))) @ root.T)
        noise = rng.choice(self.residuals, shape) if len(self.residuals) else rng.standard_normal(shape)
        return states, spread * noise, spread * np.sqrt(self.level) * rng.standard_normal(shape)


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

"""Anomalies of a series: spikes, drops and level shifts. ``drivers.py`` explains a difference.

All statistics are medians of logarithms in floats, so a few odd days change nothing. Results are rounded and never
added to money.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import pairwise
from statistics import median
from typing import Literal, Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from usage_assets_report.statistics.estimates import rounded
from usage_assets_report.statistics.series import Floats, Series

Bools = NDArray[np.bool]
Kind = Literal["spike", "drop", "shift"]

FEWEST = 21
"""Days before anything is called odd: each weekday must have been seen three times for a median to mean something."""
FEWEST_OF_WEEKDAY = 3
FEWEST_BUSY, BUSY = 10, 1.645
"""Fewest days of a weekday to estimate its own noise: the 90th percentile of its distances, divided by BUSY."""
WINDOW = 21
"""Days whose median is the level of a day: three of each weekday."""
SIDE, SIDE_BEFORE, SIDE_AFTER = 14, 7, 5
"""Days on each side of a shift that are compared, and the fewest there must be."""
SPIKE_SCORE, SHIFT_SCORE = 4.5, 4.2
SMALLEST_SPIKE, SMALLEST_DROP, SMALLEST_SHIFT = np.log(1.35), np.log(2), np.log(1.25)
"""The smallest difference that is an anomaly, however quiet a series is, as a logarithm."""
HOLIDAY = 0.5
"""How far from the quietest weekday a holiday may be, as a logarithm."""
IDLE = 0.1
"""If this share of all days, or of a weekday's days, is without use, such a day is ordinary."""
FEWEST_IDLE = 2
SHORTEST_SLEEP, SLEEP = 7, 5
"""A run of days without use is an end, not a pause, from this many days on and this many times a long pause."""
SMALL = 0.02
"""Share of the median. Differences between amounts below it hardly count."""
LONGEST_HOLIDAY = 11
"""Days, with weekends."""
LEAST_NOISE = 0.02
BAND = 1.2816
"""80 % of a normal distribution."""


@dataclass(frozen=True)
class Anomaly:
    """Odd days. All amounts are averages per day of ``days``."""

    kind: Kind
    first: date
    last: date
    """Of a shift, the last day of the new level."""
    days: Sequence[date]
    """The odd days without gaps and ordinary idle days; of a shift, its first SIDE days."""
    actual: Decimal
    expected: Decimal
    low: Decimal
    high: Decimal
    """80 % of ordinary days are between the two."""
    score: float
    """The distance from what is expected, in standard deviations of this series."""
    is_provisional: bool
    """Whether one of its days still grows."""
    lasts: bool
    """Whether it is a shift whose new level is still that of the last day."""

    @property
    def size(self) -> Decimal:
        """How much more, or less, than expected."""
        return self.actual - self.expected


@dataclass(frozen=True)
class _Days:
    """The days that are compared with each other, without gaps and ordinary idle days."""

    at: NDArray[np.int64]
    """The number of each in the series."""
    week: Floats
    """Of each, the effect of its weekday."""
    log: Floats
    """Of each, without that effect."""
    quietest: float
    """The effect of the quietest weekday; -inf where that is one without use."""
    small: float
    settled: int
    """How many of them no longer grow."""
    idle: NDArray[np.int64]
    """The ordinary days without use, which are not among them."""

    def without(self, those: Bools) -> Self:
        return replace(
            self,
            at=self.at[~those],
            week=self.week[~those],
            log=self.log[~those],
            settled=self.settled - int(those[: self.settled].sum()),
        )


@dataclass(frozen=True)
class _Examined:
    """What is ordinary in a series: the level of each day that is compared, its shifts, the noise around it."""

    days: _Days
    level: Floats
    noise: Floats
    """Of each day, the standard deviation of its weekday."""
    shifts: Sequence[int]
    """Numbers of days in ``days``."""

    def odd(self) -> tuple[Bools, Bools]:
        """The days that are too high, and those that are too low."""
        distance = self.days.log - self.level
        high = distance > np.maximum(SPIKE_SCORE * self.noise, SMALLEST_SPIKE)
        low = distance < -np.maximum(SPIKE_SCORE * self.noise, SMALLEST_DROP)
        low &= distance + self.days.week < self.days.quietest - np.maximum(2.5 * self.noise, HOLIDAY)
        low[self.days.settled :] = False
        return high, low


def find(series: Series) -> list[Anomaly]:
    """The odd days of a series, oldest first. Takes 3 ms of CPU time for a year.

    A provisional day that is low is no drop: it still grows. Days as low as the quietest weekday are holidays, and no
    drop either. A slow drift is no shift.
    """
    values = series.floats()
    if (examined := _examine(series, values)) is None:
        return []
    found = [*_shift_anomalies(series, values, examined), *_day_anomalies(series, values, examined)]
    return sorted(found, key=lambda anomaly: (anomaly.first, anomaly.kind))


@dataclass(frozen=True)
class Ordinary:
    """The settled past of a series without what is odd in it, and what was odd."""

    values: Floats
    """Each day as it would have been at the level of today; NaN on odd days and holidays."""
    shifts: int
    """How many level shifts were taken out."""
    odd: Floats
    """How far each odd day was from its level, as a logarithm."""


def ordinary(series: Series) -> Ordinary:
    """Take odd days and level shifts out of the past of a series."""
    all_values = series.floats()
    values = all_values[: series.settled]
    if (examined := _examine(series, all_values)) is None:
        return Ordinary(values, 0, np.empty(0))
    days = examined.days
    steps = np.zeros(len(values))
    for shift in examined.shifts:
        steps[: days.at[shift]] += examined.level[shift] - examined.level[shift - 1]
    odd = np.logical_or(*examined.odd())[: days.settled]
    kept = days.at[: days.settled][~odd]
    moved = np.full(len(values), np.nan)
    moved[kept] = days.small * np.expm1(np.maximum(0, np.log1p(values[kept] / days.small) + steps[kept]))
    moved[days.idle[days.idle < len(values)]] = 0
    asleep = _asleep(values)
    if asleep[-1]:
        return Ordinary(np.where(asleep, 0, np.nan), 0, np.empty(0))
    moved[asleep] = np.nan
    return Ordinary(moved, len(examined.shifts), (days.log - examined.level)[: days.settled][odd])


def _examine(series: Series, values: Floats) -> _Examined | None:
    """None where there are too few days to compare."""
    days = _comparable(values, series.settled, series.first.weekday())
    if days is None:
        return None
    days = days.without(_holidays(days))
    past = days.log[: days.settled]
    _, noise = _level(past, [])
    shifts = list(_shifts(past, noise))
    level, noise = _level(past, shifts)
    last = _median(past[max([0, *shifts, len(past) - WINDOW]) :])
    weekdays = (days.at + series.first.weekday()) % 7
    distance = np.abs(past - level)
    noises = np.array([max(noise, _busiest(distance[weekdays[: len(past)] == day])) for day in range(7)])
    return _Examined(days, np.append(level, np.full(len(days.at) - len(past), last)), noises[weekdays], shifts)


def _busiest(distance: Floats) -> float:
    """The standard deviation of a weekday by its days that are far from their level, where these are more than a tenth:
    a job may run on some Saturdays."""
    if len(distance) < FEWEST_BUSY:
        return 0.0
    return float(np.sort(distance)[-2 - len(distance) // FEWEST_BUSY]) / BUSY


def _comparable(values: Floats, settled: int, first_weekday: int) -> _Days | None:
    """The days to compare; None where there are too few of them."""
    known = np.isfinite(values)
    used = known & (values > 0)
    weekdays = (np.arange(len(values)) + first_weekday) % 7
    asleep = _asleep(values)
    past = known & ~asleep & (np.arange(len(values)) < settled)
    idle = [_is_idle(used[past & (weekdays == weekday)]) or _is_idle(used[past]) for weekday in range(7)]
    is_idle = known & ~used & ~asleep & np.array(idle)[weekdays]
    at = np.flatnonzero(known & ~is_idle)
    count = int((at < settled).sum())
    if count < FEWEST or not (used & past).any():
        return None
    small = SMALL * float(np.median(values[used & past]))
    log = np.log1p(values[at] / small)
    awake = past[at]
    effects = np.zeros(7)
    for _ in range(2):
        rest = log[awake] - effects[weekdays[at[awake]]]
        rest = rest - _rolling(rest)
        for weekday in range(7):
            mine = rest[weekdays[at[awake]] == weekday]
            effects[weekday] += _median(mine) if len(mine) >= FEWEST_OF_WEEKDAY else 0
    week = np.where(asleep[at], 0, effects[weekdays[at]])
    return _Days(
        at, week, log - week, -np.inf if any(idle) else float(effects.min()), small, count, np.flatnonzero(is_idle)
    )


def _holidays(days: _Days) -> Bools:
    """The days of short runs that look like the quietest weekday, after which everything is as before."""
    past = days.log[: days.settled]
    level, noise = _level(past, [])
    level = np.append(level, np.full(len(days.log) - len(past), level[-1]))
    distance = days.log - level
    margin = max(2.5 * noise, HOLIDAY)
    low = distance < -max(2.5 * noise, HOLIDAY / 2)
    if np.isinf(days.quietest):
        is_quiet, neutral = days.log + days.week <= 0, np.zeros(len(low), dtype=bool)
    else:
        is_quiet = np.abs(distance + days.week - days.quietest) < margin
        neutral = ~low & (days.week - days.quietest < margin / 2)
    holidays = np.zeros(len(low), dtype=bool)
    for run in _runs(low | neutral):
        those = np.flatnonzero(low[run]) + run.start
        if not len(those) or those[-1] - those[0] >= LONGEST_HOLIDAY or not is_quiet[those].all():
            continue
        before, after = days.log[max(0, those[0] - 7) : those[0]], days.log[those[-1] + 1 : those[-1] + 8]
        if len(before) and len(after) and _median(after) - _median(before) < _median(distance[those]) / 2:
            continue
        holidays[those] = True
    return holidays


def _asleep(values: Floats) -> Bools:
    """The days of runs without use that are longer than pauses between two days of use: before a project begins, and
    after it has ended."""
    known = np.flatnonzero(np.isfinite(values))
    used = np.flatnonzero(values[known] > 0)
    asleep = np.zeros(len(values), dtype=bool)
    pauses = [run for run in _runs(values[known] == 0) if run.stop - run.start >= SHORTEST_SLEEP]
    if not len(used) or not pauses:
        return asleep
    longest = max(SHORTEST_SLEEP, SLEEP * float(np.quantile(np.diff(used) - 1, 0.9)) if len(used) > 1 else 0)
    for run in pauses:
        asleep[known[run]] = run.stop - run.start >= longest
    return asleep


def _is_idle(used: Bools) -> bool:
    """Whether days without use are ordinary among these: once or twice is an accident."""
    unused = len(used) - int(used.sum())
    return unused > FEWEST_IDLE and unused >= IDLE * len(used)


def _rolling(log: Floats) -> Floats:
    """The median of the window around each day; at both ends, that of the first or last window."""
    width = min(WINDOW, len(log))
    starts = np.clip(np.arange(len(log)) - width // 2, 0, len(log) - width)
    return _medians(log, width)[starts]


def _level(log: Floats, shifts: Sequence[int]) -> tuple[Floats, float]:
    """The level of each day, which no window across a shift blurs, and the standard deviation of most days from it."""
    cuts = [0, *shifts, len(log)]
    level = np.concatenate([_rolling(log[begin:end]) for begin, end in pairwise(cuts)])
    distance = np.abs(log - level)[log != 0]
    half, most = np.quantile(distance, (0.5, 0.8)) / (0.6745, BAND) if len(distance) else (0.0, 0.0)
    return level, max(float(half), float(most), LEAST_NOISE)


def _shifts(log: Floats, noise: float) -> Iterator[int]:
    """Where a new level begins: the largest differences between the days before and after, far from each other."""
    count = len(log)
    if count < SIDE_BEFORE + SIDE_AFTER:
        return
    places = np.arange(SIDE_BEFORE, count - SIDE_AFTER + 1)
    windows = _medians(log, SIDE) if count >= SIDE else np.empty(0)
    early = [_median(log[:place]) for place in places[places < SIDE]]
    late = [_median(log[place:]) for place in places[places + SIDE > count]]
    before = np.concatenate([early, windows[places[places >= SIDE] - SIDE]])
    after = np.concatenate([windows[places[places + SIDE <= count]], late])
    step = after - before
    of_means = 1.2533 * noise * np.sqrt(1 / np.minimum(places, SIDE) + 1 / np.minimum(count - places, SIDE))
    score = np.abs(step) / of_means
    rest = np.ones(len(places), dtype=bool)
    found: list[int] = []
    while rest.any():
        best = int(np.argmax(np.where(rest, score, -1)))
        rest &= np.abs(places - places[best]) >= SIDE
        # what differences of this series are elsewhere: related days make them larger than noise alone
        usual = 1.4826 * float(np.median(np.abs(step[rest]))) if rest.any() else 0.0
        if abs(step[best]) < SHIFT_SCORE * max(of_means[best], usual):
            break
        place = _place(log, int(places[best]))
        if abs(step[best]) >= SMALLEST_SHIFT and count - place >= SIDE_AFTER and _is_abrupt(log, place):
            found.append(place)
    yield from sorted(found)


def _place(log: Floats, around: int) -> int:
    """Where two levels, one before and one after, fit the days around best."""
    begin, end = max(0, around - SIDE), min(len(log), around + SIDE)
    places = range(max(begin + 2, around - 6), min(end - 2, around + 6) + 1)
    return min(places, key=lambda place: (_misfit(log[begin:place]) + _misfit(log[place:end]), abs(place - around)))


def _misfit(log: Floats) -> float:
    middle = _median(log)
    return sum(abs(float(value) - middle) for value in log)


def _median(few: Floats) -> float:
    """The median of few numbers: ten times as fast as numpy's."""
    return median(map(float, few))


def _medians(log: Floats, width: int) -> Floats:
    """The median of each window: half as long as numpy's, which looks for missing values."""
    left, right = (width - 1) // 2, width // 2
    windows = np.partition(sliding_window_view(log, width), (left, right), axis=1)
    return (windows[:, left] + windows[:, right]) / 2


def _is_abrupt(log: Floats, place: int) -> bool:
    """Whether two levels fit better than a line, which a slow drift is."""
    window = log[max(0, place - SIDE) : place + SIDE]
    at = np.arange(len(window))
    half = len(window) // 2
    slope = (_median(window[half:]) - _median(window[:half])) / (len(window) - half)
    steps = _misfit(log[max(0, place - SIDE) : place]) + _misfit(log[place : place + SIDE])
    return steps < _misfit(window - slope * at)


def _shift_anomalies(series: Series, values: Floats, examined: _Examined) -> Iterator[Anomaly]:
    days, level = examined.days, examined.level
    for begin, end in pairwise([*examined.shifts, len(days.at)]):
        expected = np.full(min(end - begin, SIDE), level[begin - 1])
        score = abs(level[begin] - level[begin - 1]) / examined.noise[begin]
        yield _anomaly("shift", series, values, examined, slice(begin, end), expected, score)


def _day_anomalies(series: Series, values: Floats, examined: _Examined) -> Iterator[Anomaly]:
    kinds: tuple[Kind, Kind] = ("spike", "drop")
    for kind, those in zip(kinds, examined.odd(), strict=True):
        for run in _runs(those):
            expected = examined.level[run]
            score = (np.abs(examined.days.log[run] - expected) / examined.noise[run]).max()
            yield _anomaly(kind, series, values, examined, run, expected, score)


def _runs(those: Bools) -> Iterator[slice]:
    """The runs of neighbors among some days."""
    changes = np.flatnonzero(np.diff(those, prepend=False, append=False)).tolist()
    yield from map(slice, changes[::2], changes[1::2])


def _anomaly(
    kind: Kind, series: Series, values: Floats, examined: _Examined, run: slice, expected: Floats, score: float
) -> Anomaly:
    """The anomaly of a run of days, with the averages of as many of them as there are expected levels."""
    days = examined.days
    those = slice(run.start, run.start + len(expected))
    low, middle, high = (
        rounded(float(days.small * np.expm1(expected + days.week[those] + margin * examined.noise[those]).mean()))
        for margin in (-BAND, 0, BAND)
    )
    return Anomaly(
        kind=kind,
        first=series.day(int(days.at[run.start])),
        last=series.day(int(days.at[run.stop - 1])),
        days=[series.day(int(number)) for number in days.at[those]],
        actual=rounded(float(values[days.at[those]].mean())),
        expected=middle,
        low=low,
        high=high,
        score=round(float(score), 1),
        is_provisional=bool(days.at[run.stop - 1] >= series.settled),
        lasts=kind == "shift" and run.stop == len(days.at),
    )

"""Made-up daily spending for ``benchmarks/statistics.py``: what happened each day, and what was planted there.

Nothing here knows the product's forecast or detector. A planted event is one that a person with a calendar could
name: noise never goes beyond ``NOISE_LIMIT`` standard deviations, spikes and shifts are larger than noise.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from usage_assets.core.days import DAY

Kind = Literal["spike", "drop", "shift", "drift", "holiday"]
Floats = NDArray[np.float64]

SERIES, FUTURE = 400, 30
"""How many are made of a seed, and the days at the end of each that are only there to be forecast."""
NOISE_LIMIT = 3.5
FIRST_DAY = date(2025, 1, 6)
APART = 15
"""Days between planted events, so that each can be named by itself."""


@dataclass(frozen=True)
class Planted:
    """An event and its days. A shift stays; its last day is that of the series."""

    kind: Kind
    first: int
    last: int


@dataclass(frozen=True)
class Spending:
    """The truth of each day, how it was made, and how much of a day is known at which age."""

    name: str
    values: Floats
    planted: Sequence[Planted]
    stored: Sequence[bool]
    known: Floats
    """The part of the last day, the day before it and so on that has been reported; 1 where days are settled."""
    history: int
    """Days before the future begins."""
    first: date = field(default=FIRST_DAY)

    def seen(self, days: int) -> tuple[Mapping[date, Decimal], date | None]:
        """What is stored after the first so many days, and the first of its days that still grows."""
        parts = np.ones(days)
        growing = min(len(self.known), days)
        parts[days - growing :] = self.known[:growing][::-1]
        seen = {
            self.first + DAY * day: Decimal(repr(round(float(self.values[day] * parts[day]), 6)))
            for day in range(days)
            if self.stored[day]
        }
        return seen, self.first + DAY * (days - growing) if growing else None


def generate(seed: int, count: int = SERIES) -> Iterator[Spending]:
    """Series of all kinds; the same for the same seed."""
    for number in range(count):
        yield _one(np.random.default_rng([seed, number]))


def _one(dice: np.random.Generator) -> Spending:
    history = _history(dice)
    days = history + FUTURE
    at = np.arange(days)
    week, weekend = _week(dice)
    noise, spread, noise_kind = _noise(dice, days)
    log = np.log(10 ** dice.uniform(-2, 5)) + _trend(dice, at)
    planted = list(_plant(dice, history, weekend, noise_kind))
    for event in planted:
        if event.kind == "shift":
            log[event.first :] += dice.choice([-1, 1]) * (max(0.4, 2.5 * spread) + dice.uniform(0, 0.8))
        elif event.kind == "drift":
            log[event.first :] += dice.choice([-1, 1]) * dice.uniform(0.4, 1.2) * _ramp(event, at)
    values = np.exp(log) * week[at % 7] * noise
    for event in planted:
        span = slice(event.first, event.last + 1)
        if event.kind == "spike":
            values[span] = np.maximum(values[span], np.exp(log[span])) * np.exp(
                max(0.5, 5 * spread) + dice.uniform(0, 1.2)
            )
        elif event.kind == "drop":
            values[span] = np.minimum(values[span], np.exp(log[span]) * weekend * dice.uniform(0, 0.3))
        elif event.kind == "holiday":
            values[span] = np.minimum(values[span], np.exp(log[span]) * weekend * noise[span])
    known = np.array([dice.uniform(0.2, 0.9), dice.uniform(0.7, 1), dice.uniform(0.95, 1)])
    return Spending(
        name=noise_kind,
        values=values,
        planted=planted,
        stored=[bool(stored) for stored in dice.random(days) >= dice.choice([0, 0, 0, 0.05])],
        known=known[: dice.choice([0, 0, 1, 2, 3])],
        history=history,
    )


def _history(dice: np.random.Generator) -> int:
    """Short ones of up to 14 days, some of two months, most of up to a year."""
    kind = dice.random()
    if kind < 0.1:
        return int(dice.integers(1, 15))
    return int(dice.integers(15, 75) if kind < 0.25 else dice.integers(75, 366))


def _week(dice: np.random.Generator) -> tuple[Floats, float]:
    """A factor for each weekday, and what a weekend or holiday is worth."""
    kind = dice.random()
    week = np.exp(dice.normal(0, 0.08, 7))
    weekend = 1.0
    if kind < 0.55:  # an office
        weekend = float(dice.uniform(0.1, 0.6))
    elif kind < 0.7:  # nobody at the weekend
        weekend = 0.0
    elif kind < 0.8:  # a shop
        weekend = 1.0
        week[5:] *= dice.uniform(1.2, 2)
        return week, weekend
    week[5:] *= weekend
    return week, weekend


def _noise(dice: np.random.Generator, days: int) -> tuple[Floats, float, str]:
    """A factor for each day, its standard deviation on the scale of logarithms, and its kind."""
    kind = str(dice.choice(["normal", "laplace", "student", "related", "counts", "walk", "idle"], p=_NOISES))
    spread = float(dice.uniform(0.04, 0.35))
    match kind:
        case "laplace":
            return np.exp(spread * _limited(dice.laplace(0, 0.7071, (8, days)))), spread, kind
        case "student":
            return np.exp(spread * _limited(dice.standard_t(4, (8, days)) / 1.4142)), spread, kind
        case "related":
            shocks, memory = _limited(dice.normal(0, 1, (8, days))), dice.uniform(0.3, 0.7)
            for day in range(1, days):
                shocks[day] = memory * shocks[day - 1] + np.sqrt(1 - memory**2) * shocks[day]
            return np.exp(spread * shocks), spread, kind
        case "counts":
            expected = dice.uniform(8, 200)
            spread = float(expected**-0.5)
            limit = expected * NOISE_LIMIT * spread
            return np.clip(dice.poisson(expected, days), expected - limit, expected + limit) / expected, spread, kind
        case "walk":
            shocks = spread / 2 * _limited(dice.normal(0, 1, (8, days)))
            return np.exp(shocks + np.cumsum(dice.normal(0, 0.015, days))), spread / 2, kind
        case "idle":  # a job that runs on some days
            runs = (dice.random(days) < dice.uniform(0.15, 0.8)).astype(np.float64)
            return runs * np.exp(spread * _limited(dice.normal(0, 1, (8, days)))), spread, kind
    return np.exp(spread * _limited(dice.normal(0, 1, (8, days)))), spread, kind


_NOISES = (0.3, 0.12, 0.12, 0.13, 0.12, 0.11, 0.1)


def _limited(draws: Floats) -> Floats:
    """The first of several draws for each day that is within the limit."""
    inside = np.abs(draws) < NOISE_LIMIT
    limited: Floats = draws[inside.argmax(axis=0), np.arange(draws.shape[1])]
    limited[~inside.any(axis=0)] = 0
    return limited


def _trend(dice: np.random.Generator, at: NDArray[np.int64]) -> Floats:
    """None, growth by a part each day, or by an amount each day."""
    match int(dice.integers(0, 4)):
        case 0:
            return dice.uniform(-0.002, 0.005) * at.astype(np.float64)
        case 1:
            return np.log1p(dice.uniform(0, 2) * at / 365)
    return np.zeros(len(at))


def _ramp(event: Planted, at: NDArray[np.int64]) -> Floats:
    return np.clip((at[event.first :] - event.first + 1) / (event.last - event.first + 1), 0, 1)


def _plant(dice: np.random.Generator, history: int, weekend: float, noise: str) -> Iterator[Planted]:
    """Events of days that have a past to be compared with, apart from each other; and holidays at random."""
    wanted: list[tuple[Kind, int, int, int]] = []  # kind, days, days before it, days after it
    if history >= 40:
        wanted += [("spike", int(dice.choice([1, 1, 1, 2, 3])), 21, 1)] * int(dice.integers(0, 2 + history // 90))
    if history >= 40 and weekend > 0 and noise != "idle":
        wanted += [("drop", int(dice.choice([1, 1, 2])), 21, 1)] * int(dice.integers(0, 2))
    if history >= 75 and noise != "idle":
        wanted += [("shift", 1, 28, 15)] * int(dice.integers(0, 1 + history // 75))
        wanted += [("drift", int(dice.integers(30, 90)), 28, 1)] * int(dice.random() < 0.25)
    taken = np.zeros(history + FUTURE + 200, dtype=bool)
    for kind, days, before, after in sorted(wanted, key=lambda event: -event[1]):
        room = [
            day
            for day in range(before, history - days - after + 1)
            if not taken[max(0, day - APART) : day + days + APART].any()
        ]
        if room:
            first = int(dice.choice(room))
            taken[first : first + days] = True
            yield Planted(kind, first, history + FUTURE - 1 if kind == "shift" else first + days - 1)
    if weekend < 1 and history >= 28:
        for day in dice.choice(history, max(1, history // 50), replace=False):
            days = int(dice.choice([1, 1, 1, 1, 2, 8]))
            if day % 7 < 5 and not taken[max(0, int(day) - 2) : int(day) + days + 2].any():
                yield Planted("holiday", int(day), int(day) + days - 1)

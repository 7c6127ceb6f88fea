"""Made-up daily spending for ``benchmarks/statistics.py``: what happened each day, and what was planted there.

Nothing here knows the product's forecast or detector. A planted event is one that a person with a calendar could
name: noise never goes beyond ``NOISE_LIMIT`` standard deviations, spikes and shifts are larger than noise.
"""

from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from usage_assets.core.days import DAY
from usage_assets_report.statistics.growth import Fetched

Kind = Literal["spike", "drop", "shift", "drift", "holiday"]
Floats = NDArray[np.float64]

SERIES, FUTURE = 400, 30
"""How many are made of a seed, and the days at the end of each that are only there to be forecast."""
NOISE_LIMIT = 3.5
FIRST_DAY = date(2025, 1, 6)
APART = 15
"""Days between planted events, so that each can be named by itself."""
SETTLING = 5
"""Mornings on which a day is fetched again. It changes on the first three at most."""


@dataclass(frozen=True)
class Planted:
    """An event and its days. A shift stays; its last day is that of the series."""

    kind: Kind
    first: int
    last: int


@dataclass(frozen=True)
class Charge:
    """A charge that comes once a month. It is reported at once, in the same report as the rest of its day."""

    on: int
    """The day of the month; 31: the last one."""
    amounts: Floats
    """Of each day of the series, 0 on most."""
    known_after: int
    """How many of them must have come until it is known to recur: 1 if the source states so."""


@dataclass(frozen=True)
class Spending:
    """The truth of each day, how it was made, and how much of a day is known at which age."""

    name: str
    values: Floats
    planted: Sequence[Planted]
    stored: Sequence[bool]
    known: Floats
    """A row for each day: the part that was reported on the morning after it, on the next one and so on. Then all."""
    history: int
    """Days before the future begins."""
    first: date = field(default=FIRST_DAY)
    key: str = ""
    """Tells it from all others."""
    charge: Charge | None = None
    """What recurs. ``values`` are without it."""

    @property
    def truth(self) -> Floats:
        """What is billed of each day in the end."""
        return self.values + (self.charge.amounts if self.charge else 0)

    def day(self, number: int) -> date:
        return self.first + DAY * number

    def amount(self, day: int, age: int) -> Decimal:
        """What is stored of a day on the morning so many days after the first one after it."""
        part = self.known[day, age] if age < self.known.shape[1] else 1.0
        fee = self.charge.amounts[day] if self.charge else 0.0
        return _stored(self.values[day] * part + fee)

    def seen(self, days: int) -> tuple[Mapping[date, Decimal], date | None]:
        """What is stored after the first so many days, and the first of its days that still grows."""
        seen = {self.day(day): self.amount(day, days - 1 - day) for day in range(days) if self.stored[day]}
        growing = min(self.known.shape[1], days)
        return seen, self.day(days - growing) if growing else None

    def fetched(self, days: int) -> Iterator[Fetched]:
        """What two mornings in a row brought of each of the first so many days."""
        for day in range(days):
            for age in range(min(SETTLING, days - 1 - day)) if self.stored[day] else ():
                yield Fetched(age, float(self.amount(day, age)), float(self.amount(day, age + 1)), day)

    def recurring(self, days: int) -> Mapping[int, Mapping[date, Decimal]]:
        """What is known to recur after the first so many days, as ``statistics.forecast.Past`` takes it."""
        if not self.charge:
            return {}
        came = [int(day) for day in np.flatnonzero(self.charge.amounts[:days]) if self.stored[int(day)]]
        if len(came) < self.charge.known_after:
            return {}
        return {self.charge.on: {self.day(day): _stored(self.charge.amounts[day]) for day in came}}


def _stored(amount: float) -> Decimal:
    return Decimal(repr(round(float(amount), 6)))


def generate(seed: int, count: int = SERIES) -> Iterator[Spending]:
    """Series of all kinds; the same for the same seed."""
    for number in range(count):
        yield _one(np.random.default_rng([seed, number]), np.random.default_rng([seed, number, 1]), f"{seed}/{number}")


def charged(spending: Spending, seed: int) -> Spending:
    """The same series with a charge that recurs: the same amount each month, or one that varies by 5 %."""
    dice = np.random.default_rng([seed, *spending.key.encode()])
    on, days = int(dice.integers(1, 32)), [spending.day(day) for day in range(len(spending.values))]
    due = np.array([day.day == min(on, monthrange(day.year, day.month)[1]) for day in days])
    base = float(spending.values.mean()) * 10 ** dice.uniform(-0.5, 1.5)
    more = dice.uniform(0, dice.choice([0, 0.05]), len(days))
    return replace(spending, charge=Charge(on, base * (1 + more) * due, int(dice.choice([1, 3]))))


def companies(ends: Sequence[tuple[Spending, int]], seed: int, count: int) -> Iterator[Sequence[tuple[Spending, int]]]:
    """So many companies of 2 to 8 series: what each has billed after so many days, all until the same day.

    Series of a company differ in size by a factor of ten at most, or the largest would be all that counts.
    """
    dice = np.random.default_rng([seed, 8])
    for _ in range(count):
        chosen = [ends[at] for at in dice.choice(len(ends), min(len(ends), int(dice.integers(2, 9))), replace=False)]
        weekday = int(dice.integers(0, 7))
        counts = [max(1, days - (days - weekday) % 7) for _, days in chosen]  # weekends stay on the same days
        size = 10 ** dice.uniform(1, 2, len(chosen))
        yield [
            (
                replace(
                    each,
                    key=f"{each.key} {at}",
                    values=each.values * size[at] / each.values.mean(),
                    first=FIRST_DAY + DAY * (max(counts) - counts[at]),
                ),
                counts[at],
            )
            for at, (each, _) in enumerate(chosen)
        ]


def _one(dice: np.random.Generator, more_dice: np.random.Generator, key: str) -> Spending:
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
    usually = np.array([dice.uniform(0.2, 0.9), dice.uniform(0.7, 1), dice.uniform(0.95, 1)])
    stored = [bool(stored) for stored in dice.random(days) >= dice.choice([0, 0, 0, 0.05])]
    known = _known(more_dice, days, usually[: dice.choice([0, 0, 1, 2, 3])])
    return Spending(noise_kind, values, planted, stored, known, history, key=key)


def _known(dice: np.random.Generator, days: int, usually: Floats) -> Floats:
    """The part of each day that is known at each age: around what is usual for the series, more of it with age.

    Of some series, a part of the days is whole at once, begins with too much (a correction follows) or with nothing.
    """
    ages = len(usually)
    spread = dice.uniform(0.1, 0.6)
    off = spread * (dice.normal(0, 1, (days, 1)) + 0.5 * dice.normal(0, 1, (days, ages)))
    known = np.maximum.accumulate(usually / (usually + (1 - usually) * np.exp(off)), axis=1)
    kinds = dice.random(days)
    whole, corrected, late = dice.choice([0, 0, 0.1, 0.4]), dice.choice([0, 0, 0.05, 0.2]), dice.choice([0, 0, 0, 0.1])
    too_much = 1 + dice.uniform(0, 0.25, (days, 1))
    known = np.where((kinds < whole)[:, None], 1.0, known)
    known = np.where((kinds > 1 - corrected)[:, None], too_much, known)
    known[dice.random(days) < late, :1] = 0
    return known


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

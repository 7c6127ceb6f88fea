"""Growth: how much a stored day usually still changes, learned from days that were fetched again."""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np

from usage_assets_report.statistics.estimates import dice
from usage_assets_report.statistics.series import Floats

FEWEST = 5
"""Observations from which growth is drawn. Of fewer, nothing is known, and nothing grows."""
MOST = 10.0
"""The largest ratio. An amount that grew more was as good as nothing."""


class Fetched(NamedTuple):
    """A day that was fetched twice in a row."""

    age: int
    """Whole days between the end of the day and the first of the two fetches."""
    before: float
    after: float
    of: Hashable = None
    """What was fetched: the day, and which of its totals. None: it is not known, so not what it became in the end."""
    run: Hashable = None
    """What fetched it again. None: a run of its own."""


@dataclass(frozen=True)
class Growth:
    """What days of one source became in the end, in parts of what was stored of them, by the age of the day.

    A fetch that changed nothing is a ratio of 1. Without these, a source would seem to change each day. What one run
    has changed is one observation, however many days it changed: a bill that is delivered again grows once.
    """

    in_the_end: Mapping[int, Sequence[float]] = field(default_factory=dict)
    """Age -> what days that were stored at this age, or later, became until their last fetch."""
    known: Collection[int] = ()
    """Ages at which FEWEST runs or more have fetched days again."""
    grown_from_nothing: int = -1
    """The highest age at which an amount of 0 became another one; -1: none did."""

    @classmethod
    def of(cls, twice: Iterable[Fetched]) -> Self:
        """Learn from all fetches of a source, those of a day in order."""
        days, runs = defaultdict[Hashable, list[Fetched]](list), defaultdict[int, set[Hashable]](set)
        for n, each in enumerate(twice):
            own = each._replace(of=("unknown", n) if each.of is None else each.of, run=each.run or ("a run", n))
            days[own.of].append(own)
            runs[own.age].add(own.run)
        every = [each for fetches in days.values() for each in fetches]
        known = {age for age, of_age in runs.items() if len(of_age) >= FEWEST}
        growing = max((each.age for each in every if each.age in known and each.before != each.after), default=-1)
        ends = {age: _ends(days.values(), age, growing) for age in range(growing + 1)}
        grown = max((each.age for each in every if each.after and not each.before), default=-1)
        return cls(ends, known, grown)

    def is_known(self, age: int) -> bool:
        """Whether days of this age were fetched again often enough."""
        return age in self.known

    def is_certain(self, age: int) -> bool:
        """Whether a day that is this old does not change any more, as far as anything is known."""
        ends = self.in_the_end.get(age, ())
        return len(ends) < FEWEST or all(ratio == 1 for ratio in ends)

    def draw(self, age: int, count: int, key: str) -> Floats:
        """Return so many random ratios of what a day of this age will be in the end to what is stored of it.

        They are drawn once from what days became in the end, and none is above all of these. ``key``: what grows. The
        same key draws the same numbers.
        """
        if self.is_certain(age):
            return np.ones(count)
        return _drawn(np.sort(self.in_the_end[age]), dice(key).random(count))


def _ends(days: Iterable[Sequence[Fetched]], age: int, growing: int) -> Sequence[float]:
    """Return what days became that were fetched again at an age or later: those that have come to their end, which is
    an age at which nothing changed any more; where these are too few, all."""
    ended, others = (defaultdict[Hashable, list[tuple[float, float]]](list) for _ in range(2))
    for fetches in days:
        later = [each for each in fetches if each.age >= age]
        if later and later[0].before:
            changed = frozenset(each.run for each in later if each.before != each.after)
            found = (later[0].before, later[-1].after)
            others[changed or later[0].of].append(found)
            if later[-1].age >= growing:
                ended[changed or later[0].of].append(found)
    chosen = ended if len(ended) >= FEWEST else others
    return [_ratio(*map(sum, zip(*pairs, strict=True))) for pairs in chosen.values()]


def _ratio(before: float, after: float) -> float:
    return min(max(after / before, 0.0), MOST) if before else 1.0


def _drawn(pool: Floats, chances: Floats) -> Floats:
    """Draw from a few numbers what the next one may be: in one of ``len(pool) + 1`` cases it is below all of them."""
    places = chances * (len(pool) + 1)
    drawn = np.interp(places, np.arange(1, len(pool) + 1), pool)
    drawn -= np.maximum(0, 1 - places) * (pool[1] - pool[0])
    return np.maximum(drawn, 0)

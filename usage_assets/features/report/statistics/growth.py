"""Growth: how much a stored day usually still changes, learned from days that were fetched again."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np

from usage_assets.features.report.statistics.estimates import dice
from usage_assets.features.report.statistics.series import Floats

FEWEST = 5
"""Ratios from which new ones are drawn. Fewer are filled up with 1: no change."""
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


@dataclass(frozen=True)
class Growth:
    """What one source stored at later fetches in parts of what it stored before, by the age of the day before.

    A fetch that changed nothing is a ratio of 1. Without these, a source would seem to change each day.
    """

    ratios: Mapping[int, Sequence[float]] = field(default_factory=dict)
    """Of two fetches in a row."""
    in_the_end: Mapping[int, Sequence[float]] = field(default_factory=dict)
    """Of the last fetch of a day, where that was after the last age at which any day changed."""
    grown_from_nothing: int = -1
    """The highest age at which an amount of 0 became another one; -1: none did."""

    @classmethod
    def of(cls, twice: Iterable[Fetched]) -> Self:
        """Learn from all fetches of a source."""
        ratios, in_the_end = defaultdict[int, list[float]](list), defaultdict[int, list[float]](list)
        days = defaultdict[Hashable, list[Fetched]](list)
        grown = [-1]
        for each in twice:
            days[each.of].append(each)
            if each.before:
                ratios[each.age].append(_ratio(each.before, each.after))
            elif each.after:
                grown.append(each.age)
        growing = max((age for age, those in ratios.items() if any(ratio != 1 for ratio in those)), default=-1)
        days.pop(None, None)
        for fetches in days.values():
            last = max(fetches, key=lambda each: each.age)
            for each in fetches if last.age >= growing else ():
                if each.before:
                    in_the_end[each.age].append(_ratio(each.before, last.after))
        return cls(dict(ratios), dict(in_the_end), max(grown))

    def is_known(self, age: int) -> bool:
        """Whether enough days were fetched again after this age."""
        return len(self.ratios.get(age, ())) >= FEWEST

    def is_certain(self, age: int) -> bool:
        """Whether no day changed that was this old, or older."""
        return not any(each >= age for each in self._pools)

    def draw(self, age: int, count: int, key: str) -> Floats:
        """Return so many random ratios of what a day of this age will be in the end to what is stored of it.

        They are drawn from what days became in the end: one that grows late often grows more than once. Where too few
        have come to their end, the ratios of two fetches in a row are drawn apart and multiplied. ``key``: what grows.
        The same key draws the same numbers.
        """
        drawn, rng = np.ones(count), dice(key)
        if self.is_certain(age):
            return drawn
        if len(ends := self.in_the_end.get(age, ())) >= FEWEST:
            return _drawn(np.sort(ends), rng.random(count))
        for each, pool in sorted(self._pools.items()):
            if each >= age:
                drawn *= _drawn(pool, rng.random(count))
        return drawn

    @cached_property
    def _pools(self) -> Mapping[int, Floats]:
        """The ratios in ascending order, of the ages at which any differs from 1."""
        return {
            age: np.sort([*ratios, *[1.0] * (FEWEST - len(ratios))])
            for age, ratios in self.ratios.items()
            if any(ratio != 1 for ratio in ratios)
        }


def _ratio(before: float, after: float) -> float:
    return min(max(after / before, 0.0), MOST)


def _drawn(pool: Floats, chances: Floats) -> Floats:
    """Draw from a few numbers what the next one may be: in one of ``len(pool) + 1`` cases it is below all of them."""
    places = chances * (len(pool) + 1)
    drawn = np.interp(places, np.arange(1, len(pool) + 1), pool)
    drawn -= np.maximum(0, 1 - places) * (pool[1] - pool[0])
    drawn += np.maximum(0, places - len(pool)) * (pool[-1] - pool[-2])
    return np.maximum(drawn, 0)

"""What a benchmark finds: a line each, with what is demanded of it. How CPU time is taken."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf, nan
from statistics import median
from time import process_time
from typing import Any, Self

ROUNDS = 5
"""Rounds of a ratio, both sides in turn, where a benchmark does not take more."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Ours beside what it is measured against. The ratio says how many times less ours is."""

    name: str
    ours: float
    theirs: float = nan
    unit: str
    demanded: float = 0
    """The smallest ratio that will do; infinite where ours must be nothing, 0 where nothing is demanded."""
    note: str = ""
    ratios: Sequence[float] = ()
    """Of each round, where there are several."""
    is_at_factor_1: bool = False
    """Whether theirs is a time on the machine of factor 1 (calibrate.py)."""

    @classmethod
    def of_rounds(cls, rounds: Sequence[tuple[float, float]], *, scale: float = 1, **facts: Any) -> Self:
        """The figure of several rounds of ours and theirs: medians, and each round's own ratio."""
        ours, theirs = (scale * median(side) for side in zip(*rounds, strict=True))
        return cls(ours=ours, theirs=theirs, ratios=[_ratio(*pair) for pair in rounds], **facts)

    @property
    def ratio(self) -> float:
        """Theirs in parts of ours."""
        return median(self.ratios) if self.ratios else _ratio(self.ours, self.theirs)

    @property
    def holds(self) -> bool:
        """Whether the demand is met."""
        return not self.demanded or self.ratio >= self.demanded

    def at(self, factor: float) -> Self:
        """The figure as it is to be judged on a machine that is so many times slower than that of factor 1."""
        if not self.is_at_factor_1:
            return self
        return replace(self, theirs=self.theirs * factor, ratios=[ratio * factor for ratio in self.ratios])

    def __str__(self) -> str:
        note = f" ({self.note})" if self.note else ""
        if not self.demanded:
            return f"{self.name:<42} {self.ours:>9.2f} {'':>9} {self.unit}{note}"
        spread = f" ({min(self.ratios):.2f}-{max(self.ratios):.2f})" if len(self.ratios) > 1 else ""
        return (
            f"{self.name:<42} {self.ours:>9.2f} {self.theirs:>9.2f} {self.unit:<3} {self.ratio:>6.2f}x{spread}"
            f"  {'ok' if self.holds else 'MISSED'}, demanded {self.demanded:g}x{note}"
        )


def _ratio(ours: float, theirs: float) -> float:
    return theirs / ours if ours else inf


def cpu_of(work: Callable[[], object]) -> float:
    """Seconds of CPU that something takes in this process."""
    began = process_time()
    work()
    return process_time() - began


HEADER = f"{'':<42} {'ours':>9} {'theirs':>9}"

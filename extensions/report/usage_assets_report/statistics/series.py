"""Series of daily values, the input of forecasts and anomalies."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from usage_assets.core.days import DAY
from usage_assets.core.errors import UserError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """What was spent or used on each stored day, in one unit. An absent day is unknown, not zero.

    Raises UserError without any day, and for a value that is not finite.
    """

    values: Mapping[date, Decimal]
    provisional_from: date | None = None
    """The first of the last days that still grow."""

    def __post_init__(self) -> None:
        if not self.values:
            raise UserError("a series needs a day")
        for day, value in self.values.items():
            if not value.is_finite():
                raise UserError(f"{day}: {value} is not an amount")

    @property
    def first(self) -> date:
        return min(self.values)

    @property
    def last(self) -> date:
        return max(self.values)

    @property
    def settled(self) -> int:
        """The number of days, from the first, that no longer grow."""
        days = (self.last - self.first).days + 1
        return days if self.provisional_from is None else min(days, max(0, (self.provisional_from - self.first).days))

    def floats(self) -> Floats:
        """The values as statistics take them: one for each day from the first to the last, NaN where none is stored.

        A day below zero (a refund) counts as zero.
        """
        at = np.fromiter(map(date.toordinal, self.values), np.int64, len(self.values))
        days = np.full(at.max() - at.min() + 1, np.nan)
        days[at - at.min()] = np.fromiter(map(float, self.values.values()), np.float64, len(self.values))
        days[days < 0] = 0
        return days

    def day(self, number: int) -> date:
        """The day at an index of ``floats``."""
        return self.first + DAY * number

"""The days of a report, and those that it compares them with."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Self

from usage_assets.core.days import DAY, end_of_month


@dataclass(frozen=True)
class Period:
    """Days from first to last, and the period before it. A month is compared with the month before."""

    first: date
    last: date
    before_first: date
    before_last: date
    is_month: bool = False
    """Whether it is a month, or its days so far."""

    @classmethod
    def of_month(cls, month: date, newest: date) -> Self:
        """Return the month of a day, up to the newest day that may be stored."""
        first = month.replace(day=1)
        before_last = first - DAY
        return cls(first, min(newest, end_of_month(first)), before_last.replace(day=1), before_last, is_month=True)

    @classmethod
    def of_days(cls, first: date, last: date) -> Self:
        """Return a range of days; as many days come before it. A range that is a month is that month."""
        if first.day == 1 and last == end_of_month(first):
            return cls.of_month(first, last)
        return cls(first, last, first - (last - first) - DAY, first - DAY)

    @property
    def before_same(self) -> date:
        """The last day of the period before that is compared: of a month so far, as many days as it has."""
        if self.is_month and self.last == end_of_month(self.first):
            return self.before_last
        return min(self.before_first + (self.last - self.first), self.before_last)

    @property
    def title(self) -> str:
        """What the period is called in a heading."""
        return f"{self.first:%B %Y}" if self.is_month else f"{self.first} to {self.last}"

    @property
    def parameters(self) -> Mapping[str, date]:
        """The values of a query's ``$first``, ``$last`` and so on."""
        names = ("first", "last", "before_first", "before_last", "before_same")
        return {name: getattr(self, name) for name in names}

    def used(self, sql: str) -> Mapping[str, date]:
        """Return the parameters that a query has."""
        return {name: day for name, day in self.parameters.items() if re.search(rf"\${name}\b", sql)}

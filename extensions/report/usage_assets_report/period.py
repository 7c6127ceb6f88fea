"""The days of a report, and those that it compares them with."""

import re
from collections.abc import Iterable, Mapping
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

    @classmethod
    def around(cls, periods: Iterable[Self]) -> Self:
        """Return the days of all of these, and what is before the first of them."""
        found = [*periods]
        first, before = min(each.first for each in found), min(each.before_first for each in found)
        return cls(first, max(each.last for each in found), before, first - DAY)

    def ranges(self) -> Mapping[str, Self]:
        """Return what the page lets people choose, by name: these days first, then others up to the same day."""
        month = self.of_month(self.last, self.last)
        former = self.of_month(month.before_last, month.before_last)
        of_days = {f"{days} days": self.of_days(self.last - DAY * (days - 1), self.last) for days in (7, 30, 90)}
        months = {f"{each.first:%B}": each for each in (month, former)}
        named = {f"{self.first:%B}" if self.is_month else self.title: self, **months, **of_days}
        firsts = [(each.first, each.last) for each in named.values()]
        return {
            name: each for at, (name, each) in enumerate(named.items()) if (each.first, each.last) not in firsts[:at]
        }

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

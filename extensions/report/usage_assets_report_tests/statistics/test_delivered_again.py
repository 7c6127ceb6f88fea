"""A game: bills that are delivered again, all days or some, with more or less. No forecast is multiplied by it.

``USAGE_EXAMPLES=10000`` plays so many.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from random import Random

import pytest

from usage_assets.core.days import DAY, end_of_month
from usage_assets_report.statistics.forecast import Estimate, forecast
from usage_assets_report.statistics.growth import Fetched, Growth
from usage_assets_report.statistics.looks import Look, past_of

FIRST = int(os.environ.get("USAGE_FIRST_SEED", "0"))
GAMES = int(os.environ.get("USAGE_EXAMPLES", "200"))
MONTH = date(2026, 10, 1)
SOURCE = "focus.charges"


@dataclass
class Bill:
    """What is stored of a bill, and each two fetches in a row of a day."""

    stored: dict[date, Decimal] = field(default_factory=dict)
    read_on: dict[date, date] = field(default_factory=dict)
    twice: list[Fetched] = field(default_factory=list)
    largest: float = 1.0
    """How much a day has grown at most, from any fetch to its last."""

    def deliver(self, days: Mapping[date, Decimal], on: date) -> None:
        """Read a delivery: days that are not in it stay as they are stored."""
        for day, amount in days.items():
            if day in self.stored:
                age, before = (self.read_on[day] - day).days - 1, float(self.stored[day])
                self.twice.append(Fetched(age, before, float(amount), day, on))
            self.stored[day], self.read_on[day] = amount, on
        for each in self.twice:
            assert isinstance(each.of, date)
            if each.before:
                self.largest = max(self.largest, float(self.stored[each.of]) / each.before)

    def expected(self, last: date) -> Estimate:
        """What is expected of all days from the first one on."""
        looks = {
            day: {SOURCE: Look("provisional", (on - day).days - 1, is_growing=True, is_empty=not self.stored[day])}
            for day, on in self.read_on.items()
        }
        growths = {SOURCE: Growth.of(self.twice)}
        past = past_of("bill", self.stored, {SOURCE: self.stored}, looks, growths, {})
        return forecast(past, min(self.stored), last, "bill").total(min(self.stored), last)


def deliveries(luck: Random, bill: Bill) -> Iterator[tuple[Mapping[date, Decimal], date]]:
    """Yield a month that grows, and what is delivered of it again: all days or some, with more, less, or nothing."""
    rate, spread = luck.choice((1, 10, 1000)), luck.choice((0, 0, 5))
    today = MONTH + DAY * luck.randint(8, 28)
    first = MONTH - DAY * luck.choice((0, 0, 60))
    begins = luck.choice((first, today - DAY))
    for n in range((today - begins).days):
        on = begins + DAY * (n + 1)
        missing = [day for k in range((on - first).days) if (day := first + DAY * k) not in bill.stored]
        yield {day: Decimal(rate + luck.randint(0, spread)) for day in missing}, on
    for n in range(luck.randint(1, 8)):
        some = [day for day in bill.stored if luck.random() < luck.choice((0.1, 1, 1))]
        times = Decimal(luck.choice(("0", "0.5", "0.9", "1", "1.05", "2", "2", "10")))
        yield {day: bill.stored[day] * times for day in some}, today + DAY * n


@pytest.mark.parametrize("seeds", [range(n, n + 50) for n in range(FIRST, FIRST + GAMES, 50)], ids=str)
def test_what_is_delivered_again_multiplies_nothing(seeds: range) -> None:
    """No more is expected than what is stored, grown as much as any day ever grew, and as much a day to come."""
    for seed in seeds:
        bill = Bill()
        for days, on in deliveries(Random(seed), bill):
            bill.deliver(days, on)
        stored, last = bill.stored.values(), end_of_month(max(bill.stored))
        ahead = (last - max(bill.stored)).days
        most = float(sum(stored)) * bill.largest + ahead * float(max(stored)) * bill.largest * 1.5
        expected = bill.expected(last)
        assert expected.mean <= most + 1, f"{seed}: {expected}, stored {sum(stored)}, grown {bill.largest} times"
        if len({*stored}) == 1 and not bill.twice:
            assert expected.mean == sum(stored) + ahead * next(iter(stored)), seed

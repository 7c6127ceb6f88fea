"""Series made by hand for the tests of statistics."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from usage_assets.core.days import DAY
from usage_assets_report.statistics.series import Series

MONDAY = date(2026, 1, 5)
OFFICE = ("102.10", "108.45", "97.30", "110.00", "99.95", "30.20", "24.80")
"""A week of an office, in dollars."""
WOBBLE = ("1.00", "1.04", "0.97", "1.02", "0.95", "1.01", "0.99", "1.03", "0.98", "1.05", "0.96")
"""Noise that is the same each time."""


def day(number: int) -> date:
    return MONDAY + DAY * number


def office(days: int) -> list[Decimal]:
    """So many days of an office, from a Monday on."""
    return [Decimal(OFFICE[at % 7]) * Decimal(WOBBLE[at % 11]) for at in range(days)]


def series(values: Sequence[Decimal | str | int | None], provisional: int = 0) -> Series:
    """The series of these days from a Monday on; None is a day that is not stored, the last ones may be provisional."""
    stored = {day(at): Decimal(value) for at, value in enumerate(values) if value is not None}
    return Series(stored, day(len(values) - provisional) if provisional else None)

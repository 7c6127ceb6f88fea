"""One plausible company: who works there and what they use on a given day, as rows at the finest grain.

A day's rows depend on the seed and the day alone. Nothing here knows HTTP, clocks or restatements (see ledger.py). What
the company uses of a provider is in company_<provider>.py.
"""

import hashlib
from collections.abc import Iterable
from datetime import date
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, localcontext
from random import Random
from typing import Any

Row = dict[str, Any]
Value = Decimal | int | None
DayRows = dict[str, list[Row]]

EMAIL_DOMAIN = "acme-robotics.example"
OPENED = date(2025, 1, 1)  # growth is counted from here
WEEKDAY_PACE = (1.0, 1.05, 1.1, 1.05, 0.9, 0.25, 0.2)
ATTENDANCE = (0.95, 0.95, 0.95, 0.95, 0.9, 0.45, 0.4)
DOUBLE = Context(prec=17)  # providers print doubles: at most 17 significant digits
EXACT = Context(prec=100, traps=[Inexact, InvalidOperation, DivisionByZero])  # a sum is exact or it raises
SMALLEST = Decimal("1E-22")  # no amount has more places, so that its hundredth still fits in 24


class Company:
    """The company that a seed stands for."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def dice(self, what: str, day: date) -> Random:
        """The random numbers of one subject on one day."""
        return Random(f"{self.seed} {what} {day}")  # noqa: S311 - plausible data, not a secret

    def falls_on(self, event: tuple[str, int], day: date) -> bool:
        """Whether the event happens on `day`."""
        name, every = event
        return (day.toordinal() + int(self._digest(name)[:8], 16)) % every == 0

    def identifier(self, prefix: str, name: str | None) -> str | None:
        """A provider-like identifier for a name, None for no name."""
        return None if name is None else prefix + self._digest(prefix + name)[:24]

    def pace(self, day: date) -> float:
        """How busy a day is: the rhythm of the week times the company's growth."""
        return WEEKDAY_PACE[day.weekday()] * (0.5 + max(0, (day - OPENED).days) / 600)

    def _digest(self, name: str) -> str:
        return hashlib.sha256(f"{self.seed} {name}".encode()).hexdigest()


def email(person: str | None) -> str | None:
    """A person's address, None for nobody."""
    return None if person is None else f"{person}@{EMAIL_DOMAIN}"


def total(values: Iterable[Value]) -> Value:
    """The exact sum of the known values; None when none is known."""
    known = [value for value in values if value is not None]
    with localcontext(EXACT):
        return sum(known[1:], known[0]) if known else None


def millionths(tokens: int, price: Decimal) -> Decimal:
    """`tokens` at a price per million, exact."""
    return (tokens * price).scaleb(-6)


def as_reported(amount: Decimal, dice: Random) -> Decimal:
    """`amount`, mostly with the ragged 17 digits that providers report because they add up doubles."""
    if dice.random() < 0.4:
        return amount
    ragged = DOUBLE.multiply(amount, 1 + Decimal(dice.randrange(1, 10**9)).scaleb(-16))
    return ragged.quantize(SMALLEST) if ragged.adjusted() < -6 else ragged

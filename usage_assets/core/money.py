"""Exact amounts: how a provider's number becomes the decimal that is stored, and what may be added to what.

No float, no Dagster, no database. Stored decimals become dollars in ``models/sql/valued.sql``, by the same rules.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, InvalidOperation
from functools import reduce
from typing import Self

PRECISION = 38
SCALE = 24
"""A 17-digit double of a few micro-dollars has 22 decimal places; its cents in dollars have 24."""
TOLERANCE = Decimal("1e-12")
"""Per row: what sums of the same rows may differ by. A provider adds up doubles, in another order for each question."""

_CONTEXT = Context(prec=PRECISION, rounding=ROUND_HALF_EVEN)
_SUMS = Context(prec=2 * PRECISION)
"""Enough for a sum of stored amounts."""
_STEP = Decimal(1).scaleb(-SCALE)
_NAN = Decimal("NaN")


class AmountError(ValueError):
    """A number that cannot be stored as an exact amount: not finite, or too large."""


def stored(amount: Decimal) -> Decimal:
    """The amount as ``DECIMAL(38,24)`` holds it: equal, or rounded half-even where it has more than 24 places.

    Raises AmountError for NaN, infinities and amounts of 10**14 or more.

    >>> stored(Decimal("0.13080438340307526"))
    Decimal('0.130804383403075260000000')
    """
    try:
        kept = _CONTEXT.quantize(amount, _STEP)
    except InvalidOperation:  # infinite, a signalling NaN, or more than 38 digits at this scale
        kept = _NAN
    if kept.is_nan():
        raise AmountError(f"{amount} is not an amount that can be stored exactly")
    return kept


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum of stored amounts. Plain ``sum`` rounds to 28 digits, and a stored amount may have 38.

    >>> total([Decimal("99999.999999999999999999999999"), Decimal("0.000000000000000000000001")])
    Decimal('100000.000000000000000000000000')
    """
    return reduce(_SUMS.add, amounts, Decimal(0))


def plain(amount: Decimal) -> str:
    """The shortest text of the same number, without an exponent.

    >>> plain(Decimal("186.500000000000000000000000"))
    '186.5'
    """
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


class UnitError(TypeError):
    """Amounts of different units were to be added, compared or converted."""


@dataclass(frozen=True)
class Money:
    """An exact amount of a currency (``unit``: its ISO 4217 code), in its major unit: dollars and not cents.

    Only amounts of the same unit can be added and compared; equality is of both.
    """

    amount: Decimal
    unit: str

    @classmethod
    def of_minor(cls, amount: Decimal, currency: str, digits: int) -> Self:
        """Convert an amount from the currency's smallest unit: 10**digits of them make one unit."""
        return cls(_SUMS.scaleb(amount, -digits), currency)

    def __add__(self, other: Self) -> Self:
        return type(self)(_SUMS.add(self.amount, self._same(other)), self.unit)

    def __sub__(self, other: Self) -> Self:
        return type(self)(_SUMS.subtract(self.amount, self._same(other)), self.unit)

    def __lt__(self, other: Self) -> bool:
        return self.amount < self._same(other)

    def __le__(self, other: Self) -> bool:
        return self.amount <= self._same(other)

    def rounded(self, places: int) -> Self:
        """Return the amount rounded to this many decimal places, half away from zero, as invoices are."""
        return type(self)(self.amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _SUMS), self.unit)

    def _same(self, other: object) -> Decimal:
        if not isinstance(other, Money) or other.unit != self.unit:
            raise UnitError(f"{self} and {other} have no common unit: convert one with a rate")
        return other.amount

    def __str__(self) -> str:
        return f"{plain(self.amount)} {self.unit}"

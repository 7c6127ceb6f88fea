"""Exact amounts: how a provider's number becomes the decimal that is stored, and where cents become dollars.

No float, no Dagster, no database. SQL does its own exact arithmetic on the stored decimals.
"""

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from functools import reduce

PRECISION = 38
SCALE = 24
"""A 17-digit double of a few micro-dollars has 22 decimal places; its cents in dollars have 24."""

_CONTEXT = Context(prec=PRECISION, rounding=ROUND_HALF_EVEN)
_SUMS = Context(prec=2 * PRECISION)
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

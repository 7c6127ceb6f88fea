"""The arithmetic of statements: shares of a cost, and cents that add up. Exact fractions only; reads nothing."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import TypeVar

from usage_assets.core.money import plain

K = TypeVar("K")
HALF = Fraction(1, 2)


def shared(amount: Fraction, weights: Mapping[K, Fraction]) -> Mapping[K, Fraction]:
    """Return the part of each; they add up to the amount. Empty where no weight is positive: there is no share then.

    >>> shared(Fraction(10), {"web": Fraction(1), "apps": Fraction(2)})
    {'web': Fraction(10, 3), 'apps': Fraction(20, 3)}
    """
    positive = {key: weight for key, weight in weights.items() if weight > 0}
    everything = sum(positive.values())
    return {key: amount * weight / everything for key, weight in positive.items()}


def rounded(amount: Fraction) -> int:
    """Return the nearest whole number, half away from zero, as invoices are rounded.

    >>> rounded(Fraction(-5, 2)), rounded(Fraction(5, 2))
    (-3, 3)
    """
    return floor(amount + HALF) if amount >= 0 else -floor(HALF - amount)


def whole_parts(amounts: Sequence[Fraction], total: int) -> Sequence[int]:
    """Return each amount as a whole number, up or down, so that they add up to the total (the largest remainder).

    The total is the sum of the amounts, rounded up or down. Of equal remainders, the first in order is rounded up.

    >>> whole_parts([Fraction(1, 3), Fraction(1, 3), Fraction(4, 3)], 2)
    [1, 0, 1]
    """
    parts = [floor(amount) for amount in amounts]
    by_remainder = sorted(range(len(parts)), key=lambda n: (parts[n] - amounts[n], n))
    for n in by_remainder[: total - sum(parts)]:
        parts[n] += 1
    return parts


def exact(amount: Fraction) -> str:
    """Return an exact text: a decimal number, or a fraction where there is none.

    >>> exact(Fraction(1, 8)), exact(Fraction(-10, 3))
    ('0.125', '-10/3')
    """
    rest, places = amount.denominator, 0
    for prime in (2, 5):
        count = 0
        while rest % prime == 0:
            rest, count = rest // prime, count + 1
        places = max(places, count)
    if rest > 1:
        return str(amount)
    digits = amount.numerator * (10**places // amount.denominator)
    return plain(Decimal((int(amount < 0), tuple(map(int, str(abs(digits)))), -places)))

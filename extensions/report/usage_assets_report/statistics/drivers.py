"""Drivers: which parts explain the difference between two sums, and how much of it is price and how much volume.

Money is exact here: the effects of all parts add up to the difference, to the last digit.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Generic, TypeVar

from usage_assets.core.money import SCALE, total

Key = TypeVar("Key", bound=Hashable)
ZERO = Decimal(0)


@dataclass(frozen=True)
class Part:
    """The amount of one model, person or line item, and its tokens, requests or images if they are known."""

    amount: Decimal
    quantity: Decimal | None = None


@dataclass(frozen=True)
class Effect(Generic[Key]):
    """What one part contributes to a difference: volume + price + other, exactly."""

    key: Key
    volume: Decimal
    """The change of quantity at the old price; the whole amount of a part that is new or gone."""
    price: Decimal
    """The change of price for the new quantity."""
    other: Decimal
    """The difference if a quantity is unknown, or is zero although there is an amount."""

    @property
    def difference(self) -> Decimal:
        return total((self.volume, self.price, self.other))


def driver(before: Mapping[Key, Part], after: Mapping[Key, Part]) -> list[Effect[Key]]:
    """Explain the difference of two sums by their parts, the largest first. A part without an effect is left out.

    Amounts are stored amounts (``core.money.stored``). Both sums must cover equally many days.
    """
    keys = dict.fromkeys([*before, *after])
    nothing = Part(ZERO, ZERO)
    effects = [_effect(key, before.get(key, nothing), after.get(key, nothing)) for key in keys]
    return sorted(
        (effect for effect in effects if _is_effect(effect)),
        key=lambda effect: effect.difference.copy_abs(),
        reverse=True,
    )


def _effect(key: Key, old: Part, new: Part) -> Effect[Key]:
    difference = total((new.amount, old.amount.copy_negate()))
    if old.quantity is None or new.quantity is None or _is_odd(old) or _is_odd(new):
        return Effect(key, ZERO, ZERO, difference)
    if not old.quantity:
        return Effect(key, difference, ZERO, ZERO)
    # a price may have endless digits: volume is rounded, and price takes the rest
    volume = (Fraction(new.quantity) - Fraction(old.quantity)) * Fraction(old.amount) / Fraction(old.quantity)
    rounded = Decimal(f"{round(volume * 10**SCALE)}E-{SCALE}")
    return Effect(key, rounded, total((difference, rounded.copy_negate())), ZERO)


def _is_odd(part: Part) -> bool:
    """Whether there is an amount for nothing, which has no price."""
    return part.amount != 0 and part.quantity == 0


def _is_effect(effect: Effect[Key]) -> bool:
    return bool(effect.volume or effect.price or effect.other)

"""What changed between two periods, and why: how much of a difference is volume, mix, price and so on.

Fractions, no float and no database. An item is what one connection bills under one price, unit and currency in
one project. At another grain the parts would differ, and their sum would not. The parts do not depend on an order: each
takes the mean of both periods for what it holds still. Each is rounded once, to a stored amount's last digit. Mix takes
the rest, so that a row adds up to its difference.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from usage_assets.core.money import SCALE, exactly

KINDS = ("volume", "mix", "price", "new", "gone", "seats", "credits_and_taxes", "exchange_rates", "not_split")
"""The parts of a difference, as the page shows them."""
NOT_COMPARED: Mapping[str, str] = {
    "more_days": "no such day before",
    "fewer_days": "no such day now",
    "not_known_before": "not known before",
    "not_known_now": "not known now",
}
"""Why days are not compared: what was billed on them is no part of the difference. Dollars before count as negative."""
PARTS = (*KINDS, *NOT_COMPARED)
"""What a row has beside its amounts before and now."""
EVERYTHING = "everything"

GUARD_DIGITS = 40
"""More places that the parts of each item have. The denominator of a sum of fractions would have no end of digits."""
LAST_PLACES: int = 10 ** (SCALE + GUARD_DIGITS)
Weights = Mapping[str, tuple[Fraction, Fraction]]
"""Part -> what a dollar of the period before and a dollar of this one add to it."""
Split = str | Weights
"""How the dollars of an item become parts: all of them are one part, or each has weights."""


class Item(NamedTuple):
    """Who bills, under which price, for which project."""

    connection: str
    price_id: str
    currency: str
    project: str | None
    kind: str
    """``usage``; otherwise the part that all of its dollars are, or why they are not compared."""


@dataclass(frozen=True)
class Used:
    """What an item cost in one period, and how much of that has a quantity."""

    usd: Decimal
    native: Decimal
    """The same in the currency that it is billed in."""
    quantities: Mapping[str, tuple[Decimal, Decimal]]
    """Unit -> quantity, and the part of ``native`` that it was billed for."""


@dataclass(frozen=True)
class Difference:
    """Dollars of the compared days of two periods, and the parts of their difference."""

    before: Decimal
    now: Decimal
    parts: Mapping[str, Decimal]
    """Part of ``KINDS`` -> dollars, which add up to the difference, exactly; and what is not compared."""

    @property
    def change(self) -> Decimal:
        """``now`` less ``before``."""
        with exactly():
            return self.now - self.before


def splits_of(before: Mapping[Item, Used], now: Mapping[Item, Used]) -> Mapping[Item, Split]:
    """Return how the dollars of each item become parts. Of a team or person, the same weights hold for its dollars.

    A quantity with a price p, a share s of its unit's total Q in the connection, and bars for the mean of both periods:
    price is the change of p times q, volume the change of Q times s times p, mix Q times the change of s times p.
    """
    sides = (before, now)
    split = {item: _units(before[item], now[item]) for item in before.keys() & now.keys() if item.kind == "usage"}
    totals: dict[tuple[str, str], list[Fraction]] = defaultdict(lambda: [Fraction(), Fraction()])
    for item, units in split.items():
        for unit in units:
            for side, period in enumerate(sides):
                totals[item.connection, unit][side] += Fraction(period[item].quantities[unit][0])
    return {
        item: _split(before[item], now[item], {unit: totals[item.connection, unit] for unit in split[item]})
        if item in split
        else _whole(item, item in before, item in now)
        for item in {**before, **now}
    }


def _units(before: Used, now: Used) -> Sequence[str]:
    """Return the units that both periods have a price in."""
    common = sorted(before.quantities.keys() & now.quantities.keys())
    return [unit for unit in common if all(_has_price(used, unit) for used in (before, now))]


def _has_price(used: Used, unit: str) -> bool:
    quantity, billed = used.quantities[unit]
    return quantity > 0 and billed > 0 and used.usd > 0 and used.native > 0


def _whole(item: Item, was_billed: bool, is_now: bool) -> str:
    if item.kind != "usage":
        return item.kind
    return "new" if not was_billed else "gone" if not is_now else "not_split"


def _split(before: Used, now: Used, totals: Mapping[str, Sequence[Fraction]]) -> Weights:
    parts: dict[str, tuple[Fraction, Fraction]] = {"not_split": (Fraction(-1), Fraction(1))}
    for unit, (all_before, all_now) in totals.items():
        (price, rate, covered), (price_now, rate_now, covered_now) = (_priced(used, unit) for used in (before, now))
        # what a dollar is in the currency of the bill, and in units
        native, native_now = covered / rate, covered_now / rate_now
        unit_, unit_now = native / price, native_now / price_now
        mean_rate, mean_price = (rate + rate_now) / 2, (price + price_now) / 2
        of_price = mean_rate * (price_now - price) / 2
        of_volume = mean_rate * mean_price * (all_now - all_before) / 2
        of_mix = mean_rate * mean_price * (all_before + all_now) / 2
        added = {
            "exchange_rates": ((rate_now - rate) / 2 * native, (rate_now - rate) / 2 * native_now),
            "price": (of_price * unit_, of_price * unit_now),
            "volume": (of_volume * unit_ / all_before, of_volume * unit_now / all_now),
            "mix": (-of_mix * unit_ / all_before, of_mix * unit_now / all_now),
            "not_split": (covered, -covered_now),
        }
        for kind, (old, new) in added.items():
            so_far = parts.get(kind, (Fraction(), Fraction()))
            parts[kind] = (so_far[0] + old, so_far[1] + new)
    return parts


def _priced(used: Used, unit: str) -> tuple[Fraction, Fraction, Fraction]:
    """Return the price in the currency of the bill, the exchange rate, and which part of the bill has the quantity."""
    quantity, billed = (Fraction(each) for each in used.quantities[unit])
    return billed / quantity, Fraction(used.usd) / Fraction(used.native), billed / Fraction(used.native)


def difference(cells: Iterable[tuple[Item, Decimal, Decimal]], splits: Mapping[Item, Split]) -> Difference:
    """Add up the parts of some items, or of one person's dollars of them: (item, dollars before, dollars now)."""
    before = now = Decimal()
    whole = dict.fromkeys(PARTS, Decimal())
    weighed: dict[str, int] = defaultdict(int)
    with exactly():
        for item, old, new in cells:
            split = splits[item]
            if not (isinstance(split, str) and split in NOT_COMPARED):
                before += old
                now += new
            if isinstance(split, str):
                whole[split] += new - old
                continue
            for kind, (of_old, of_new) in split.items():
                weighed[kind] += _times(of_old, old) + _times(of_new, new)
        parts = {kind: whole[kind] + _rounded(weighed[kind]) for kind in KINDS if kind != "mix"}
        parts["mix"] = now - before - sum(parts.values(), Decimal())
    return Difference(before, now, {kind: parts[kind] for kind in KINDS} | {why: whole[why] for why in NOT_COMPARED})


def _times(weight: Fraction, dollars: Decimal) -> int:
    """Return a product in its last place (``SCALE`` and ``GUARD_DIGITS``)."""
    numerator, denominator = dollars.as_integer_ratio()
    return weight.numerator * numerator * LAST_PLACES // (weight.denominator * denominator)


def _rounded(last_places: int) -> Decimal:
    return Decimal(round(Fraction(last_places, 10**GUARD_DIGITS))).scaleb(-SCALE)


def less(whole: Difference, rows: Iterable[Difference]) -> Difference:
    """Return what is left of a difference without some rows: a table with it adds up in every column."""
    before, now, parts = whole.before, whole.now, dict(whole.parts)
    with exactly():
        for row in rows:
            before, now = before - row.before, now - row.now
            parts = {part: parts[part] - row.parts[part] for part in parts}
    return Difference(before, now, parts)

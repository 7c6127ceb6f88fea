"""What explains a difference: the parts add up to it, to the last digit."""

from collections.abc import Mapping
from decimal import Decimal

from usage_assets.features.report.statistics.drivers import Effect, Part, driver


def part(amount: str, quantity: int | None = None) -> Part:
    return Part(Decimal(amount), None if quantity is None else Decimal(quantity))


def effect(key: str, *, volume: str = "0", price: str = "0", other: str = "0") -> Effect[str]:
    return Effect(key, Decimal(volume), Decimal(price), Decimal(other))


CASES: Mapping[str, tuple[Part | None, Part | None, dict[str, str]]] = {
    "more at the same price": (part("10", 100), part("30", 300), {"volume": "20"}),
    "the same at twice the price": (part("10", 100), part("20", 100), {"price": "10"}),
    "both": (part("10", 100), part("60", 300), {"volume": "20", "price": "30"}),
    "more for less": (part("10", 100), part("9", 300), {"volume": "20", "price": "-21"}),
    "new": (None, part("7", 5), {"volume": "7"}),
    "gone": (part("7", 5), None, {"volume": "-7"}),
    "quantity unknown": (part("7"), part("9"), {"other": "2"}),
    "quantity not known before": (part("7"), part("9", 3), {"other": "2"}),
    "an amount for nothing": (part("0", 0), part("2", 0), {"other": "2"}),
}


def test_volume_is_at_the_old_price_and_price_for_the_new_quantity() -> None:
    for case, (old, new, expected) in CASES.items():
        before, after = ({"gpt-5": each} if each else {} for each in (old, new))
        assert driver(before, after) == [effect("gpt-5", **expected)], case

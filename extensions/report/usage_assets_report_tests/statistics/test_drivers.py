"""What explains a difference: the parts add up to it, to the last digit."""

from collections.abc import Mapping
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from usage_assets.core.money import total
from usage_assets_report.statistics.drivers import Effect, Part, driver

amounts = st.decimals(-(10**13), 10**13, places=24)
quantities = st.one_of(st.none(), st.integers(0, 10**15).map(Decimal), st.decimals(0, 10**9, places=6))
sums = st.dictionaries(st.sampled_from("abcdef"), st.builds(Part, amounts, quantities))


def part(amount: str, quantity: int | None = None) -> Part:
    return Part(Decimal(amount), None if quantity is None else Decimal(quantity))


def effect(key: str, *, volume: str = "0", price: str = "0", other: str = "0") -> Effect[str]:
    return Effect(key, Decimal(volume), Decimal(price), Decimal(other))


@given(before=sums, after=sums)
def test_the_effects_add_up_to_the_difference_to_the_last_digit(
    before: dict[str, Part], after: dict[str, Part]
) -> None:
    effects = driver(before, after)
    difference = total(
        (*(each.amount for each in after.values()), *(each.amount.copy_negate() for each in before.values()))
    )
    assert total(each.difference for each in effects) == difference
    sizes = [each.difference.copy_abs() for each in effects]
    assert sizes == sorted(sizes, reverse=True)


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


def test_a_price_without_an_end_is_rounded_once_and_still_adds_up() -> None:
    [found] = driver({"gpt-5": part("10", 3)}, {"gpt-5": part("20", 4)})
    assert found.volume == Decimal("3.333333333333333333333333")
    assert found.price == Decimal("6.666666666666666666666667")
    assert found.difference == 10


def test_the_largest_comes_first_and_what_did_not_change_is_left_out() -> None:
    before = {"a": part("5", 5), "b": part("5", 5), "c": part("50", 5)}
    after = {"a": part("6", 6), "b": part("5", 5), "c": part("20", 2)}
    assert [each.key for each in driver(before, after)] == ["c", "a"]

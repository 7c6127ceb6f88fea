"""What explains a difference: the parts add up to it, to the last digit."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from usage_assets.core.money import total
from usage_assets_report.statistics.drivers import Effect, Part, driver
from usage_assets_tests.models.days import lines

amounts = st.decimals(-(10**13), 10**13, places=24)
quantities = st.one_of(st.none(), st.integers(0, 10**15).map(Decimal), st.decimals(0, 10**9, places=6))
sums = st.dictionaries(st.sampled_from("abcdef"), st.builds(Part, amounts, quantities))


def part(amount: str, quantity: int | None = None) -> Part:
    return Part(Decimal(amount), None if quantity is None else Decimal(quantity))


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


CASES = """
    more at the same price     10  100  30  300  20  0    0
    the same at twice the price  10  100  20  100  0   10   0
    both                       10  100  60  300  20  30   0
    more for less              10  100  9   300  20  -21  0
    new                        .   .    7   5    7   0    0
    gone                       7   5    .   .    -7  0    0
    quantity unknown           7   -    9   -    0   0    2
    quantity not known before  7   -    9   3    0   0    2
    an amount for nothing      0   0    2   0    0   0    2
"""
"""Amount and quantity before and after, and the difference by volume, by price, and by other things."""


def test_volume_is_at_the_old_price_and_price_for_the_new_quantity() -> None:
    for case, *cells in lines(CASES):
        before, after = (
            {} if amount == "." else {"gpt-5": part(amount, None if quantity == "-" else int(quantity))}
            for amount, quantity in (cells[:2], cells[2:4])
        )
        assert driver(before, after) == [Effect("gpt-5", *map(Decimal, cells[4:]))], case


def test_a_price_without_an_end_is_rounded_once_and_still_adds_up() -> None:
    [found] = driver({"gpt-5": part("10", 3)}, {"gpt-5": part("20", 4)})
    assert found.volume == Decimal("3.333333333333333333333333")
    assert found.price == Decimal("6.666666666666666666666667")
    assert found.difference == 10


def test_the_largest_comes_first_and_what_did_not_change_is_left_out() -> None:
    before = {"a": part("5", 5), "b": part("5", 5), "c": part("50", 5)}
    after = {"a": part("6", 6), "b": part("5", 5), "c": part("20", 2)}
    assert [each.key for each in driver(before, after)] == ["c", "a"]

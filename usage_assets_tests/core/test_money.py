"""Amounts are exact or refused: nothing is silently rounded to fewer places than a column has."""

from decimal import Decimal

import pytest

from usage_assets.core import money
from usage_assets.core.money import in_words
from usage_assets_tests.models.days import cases, lines

LARGEST = Decimal("99999999999999.999999999999999999999999")


def test_an_amount_is_kept_to_24_places_and_rounded_half_even() -> None:
    for amount, kept in lines(f"""
        0.06                         0.06
        -12.5                        -12.5
        1e-24                        1e-24
        1E+3                         1000
        0.13080438340307526          0.13080438340307526
        {LARGEST}                    {LARGEST}
        -{LARGEST}                   -{LARGEST}
        0.0000000000000000000000005  0
        0.0000000000000000000000015  2e-24
        1e-999999                    0
    """):
        stored = money.stored(Decimal(amount))
        assert stored == Decimal(kept)
        assert stored.as_tuple().exponent == -money.SCALE


def test_what_cannot_be_stored_is_refused() -> None:
    """Also the largest amount, where it rounds up."""
    for amount in f"NaN sNaN -NaN Infinity -Infinity 1e14 -1e14 1e400 {'9' * 60} {LARGEST}9".split():
        with pytest.raises(money.AmountError):
            money.stored(Decimal(amount))


def test_a_total_is_exact_where_sum_rounds() -> None:
    amounts = [Decimal("99999.999999999999999999999999"), Decimal("1e-24")] * 3
    assert money.total(amounts) == 3 * 100000
    assert money.total([LARGEST, Decimal("-1e-24")]) == Decimal("99999999999999.999999999999999999999998")
    assert money.total([]) == 0


def test_the_plain_text_of_an_amount_has_no_exponent_and_no_idle_zeros() -> None:
    for amount, text in lines("""
        186.500   186.5
        0.000000  0
        1E+3      1000
        100       100
        -0.10     -0.1
        1e-24     0.000000000000000000000001
    """):
        assert money.plain(Decimal(amount)) == text


def test_amounts_are_rounded_to_cents_or_to_the_digits_in_which_they_differ() -> None:
    for amounts, unit, texts in cases("""
        0.336000032090999270000000 0 -> USD -> $0.34, $0.00
        1234.5 1234.4996 -> USD -> $1,234.5000, $1,234.4996
        -5 -> USD -> -$5.00
        12.5 12.5 -> EUR -> 12.50 EUR, 12.50 EUR
        1250 1300 -> USD cents -> $12.50, $13.00
        1250 -> JPY minor units -> 1,250 JPY
        0.000000000000000000000001 0
            -> USD cents -> $0.00000000000000000000000001, $0.00000000000000000000000000
        3.5 -> credits -> 3.50 credits
        1234567 0 -> tokens -> 1,234,567 tokens, 0 tokens
        7 7.25 ->  -> 7.0, 7.3
        7 -> unheard of -> 7 unheard of
    """):
        numbers = [*map(Decimal, amounts.split())]
        shown = in_words(numbers, unit)
        assert ", ".join(shown[number] for number in numbers) == texts

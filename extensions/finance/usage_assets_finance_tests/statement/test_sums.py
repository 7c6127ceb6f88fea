"""Statements add up: exactly before they are rounded, then to the bill rounded once, and with their corrections."""

import doctest
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from usage_assets_finance.statement import shares, statements
from usage_assets_finance.statement.issued import _from_json, _to_json
from usage_assets_finance.statement.lines import Line, Month, SharedCosts, share_out, with_payables
from usage_assets_finance.statement.shares import exact, shared
from usage_assets_finance.statement.statements import Issued, corrections_of, payables_of, statements_of
from usage_assets_tests.fixtures import IS_NIGHT

PLACES = {"USD": 2, "JPY": 0, "KWD": 3}
CENTERS = (None, "4711", "17", "web")
AMOUNTS = st.decimals(min_value=-500, max_value=5000, places=24).map(Fraction)
MANY, FEW = (settings(max_examples=300 if IS_NIGHT else count, deadline=None) for count in (150, 100))

lines = st.lists(
    st.builds(
        Line,
        st.sampled_from(CENTERS),
        st.sampled_from(tuple(PLACES)),
        AMOUNTS,
        connection=st.sampled_from(("openai", "anthropic")),
        model=st.sampled_from((None, "gpt-5", "claude-opus-5")),
    ),
    max_size=12,
)
weights = st.fractions(min_value=0, max_value=100, max_denominator=100)
centers = st.sampled_from(CENTERS[1:])
of_centers = st.dictionaries(centers, st.fractions(min_value=Fraction(1, 100), max_value=1000, max_denominator=100))
rules = st.builds(
    SharedCosts,
    st.just("name"),
    st.sampled_from(("even", "headcount", "shares", "by_use")),
    st.dictionaries(st.sampled_from(tuple(PLACES)), of_centers),
)


def sums(of: Sequence[Line]) -> dict[str, Fraction]:
    found: defaultdict[str, Fraction] = defaultdict(Fraction)
    for line in of:
        found[line.currency] += line.amount
    return {currency: amount for currency, amount in found.items() if amount}


def bill(of: Sequence[Line]) -> dict[str, int]:
    """What lines add up to in the smallest unit, rounded once, by decimal's own rounding."""
    found = {}
    with localcontext() as context:
        context.prec = 80
        for currency, amount in sums(of).items():
            whole = Decimal(amount.numerator) / Decimal(amount.denominator) * 10 ** PLACES[currency]
            found[currency] = int(whole.quantize(Decimal(1), ROUND_HALF_UP))
    return {currency: amount for currency, amount in found.items() if amount}


def payables(of: Sequence[Line]) -> dict[str, int]:
    found: defaultdict[str, int] = defaultdict(int)
    for line in of:
        found[line.currency] += line.payable
    return {currency: amount for currency, amount in found.items() if amount}


@MANY
@given(
    st.lists(st.tuples(st.sampled_from((None, 0, 1)), lines), max_size=4),
    rules,
    rules,
)
def test_the_payables_of_all_statements_are_the_bill_rounded_once(
    costs: list[tuple[int | None, list[Line]]], first: SharedCosts, second: SharedCosts
) -> None:
    """Whatever is shared by which rules, in currencies of 0, 2 and 3 places; without use, too."""
    given = [(entry, line) for entry, several in costs for line in several]
    made = share_out(given, {0: first, 1: second})
    everything = [line for _, line in given]
    assert sums(made) == sums(everything), "the shares are exact"
    found = with_payables(made)
    assert sums(found) == sums(everything)
    assert payables(found) == bill(everything)
    of_statements: defaultdict[tuple[str | None, str], list[Line]] = defaultdict(list)
    for line in found:
        of_statements[line.cost_center, line.currency].append(line)
        assert abs(line.payable - line.amount * 10 ** PLACES[line.currency]) < 1, "up or down, and no further"
    for (_, currency), same in of_statements.items():
        owed = sum(line.amount for line in same) * 10 ** PLACES[currency]
        assert abs(sum(line.payable for line in same) - owed) < 1


MONTHS = [date(2026, n, 1) for n in (8, 9, 10, 11)]


@MANY
@given(st.lists(st.tuples(st.sampled_from(MONTHS), lines), max_size=8), st.permutations(MONTHS))
def test_issued_payables_and_corrections_are_the_bills_of_today(
    restated: list[tuple[date, list[Line]]], order: list[date]
) -> None:
    """Months are restated between one month that is issued and the next, in any order."""
    bills: dict[date, list[Line]] = {month: [] for month in MONTHS}
    issued: list[Issued] = []
    for step, month in enumerate(order):
        bills |= dict(restated[step * 2 : step * 2 + 2])
        corrections: defaultdict[str | None, list[Any]] = defaultdict(list)
        for before in sorted({each.month for each in issued if each.month < month}):
            for center, several in corrections_of(issued, month_of(before, bills[before])).items():
                corrections[center] += several
        now = datetime(2026, 12, 1, step, tzinfo=UTC)
        made = statements_of(month_of(month, bills[month]), issued, corrections)
        issued += [Issued(month, each.cost_center, now, None, **_from_json(_to_json(each))) for each in made]
        for before in {each.month for each in issued if each.month <= month}:
            said: defaultdict[tuple[str | None, str], int] = defaultdict(int)
            for each in issued:
                for currency, amount in each.payable.items() if each.month == before else ():
                    said[each.cost_center, currency] += amount
                for correction in each.corrections:
                    if correction.month == before:
                        said[each.cost_center, correction.currency] += correction.payable
            owed: defaultdict[tuple[str | None, str], int] = defaultdict(int)
            for line in with_payables(bills[before]):
                owed[line.cost_center, line.currency] += line.payable
            assert {key: n for key, n in said.items() if n} == {key: n for key, n in owed.items() if n}
            total: defaultdict[str, int] = defaultdict(int)
            for (_, currency), amount in said.items():
                total[currency] += amount
            assert {key: n for key, n in total.items() if n} == bill(bills[before])


def month_of(first: date, several: Sequence[Line]) -> Month:
    return Month(first, with_payables(several), frozenset(("openai", "anthropic")), None, ())


@FEW
@given(AMOUNTS, st.dictionaries(st.text(max_size=3), weights, max_size=5))
def test_parts_add_up_and_are_in_proportion(amount: Fraction, stated: dict[str, Fraction]) -> None:
    parts = shared(amount, stated)
    everything = sum(stated.values())
    assert parts == ({name: amount * part / everything for name, part in stated.items() if part} if everything else {})
    assert sum(parts.values()) == (amount if everything else 0)


@FEW
@given(st.fractions(), AMOUNTS)
def test_an_exact_text_is_the_same_number(any_one: Fraction, stored: Fraction) -> None:
    assert Fraction(exact(any_one)) == any_one
    assert Fraction(exact(stored)) == stored
    assert "/" not in exact(stored), "what is stored has 24 places"


def test_ten_dollars_among_three_are_a_cent_more_for_the_first() -> None:
    """10.00 / 3 = 3.333…: 3.33 + 3.33 + 3.33 = 9.99, and one cent is left."""
    rule = SharedCosts("seats", "even", {"USD": dict.fromkeys(("a", "b", "c"), Fraction(1))})
    found = with_payables(share_out([(0, Line(None, "USD", Fraction(10)))], {0: rule}))
    assert [(line.cost_center, line.payable, exact(line.amount), line.share) for line in found] == [
        ("a", 334, "10/3", "1 of 3, of 10 USD"),
        ("b", 333, "10/3", "1 of 3, of 10 USD"),
        ("c", 333, "10/3", "1 of 3, of 10 USD"),
    ]


def test_what_nobody_used_stays_without_a_cost_center_and_says_so() -> None:
    rule = SharedCosts("gateway", "by_use", {"EUR": {"a": Fraction(1)}})
    [line] = share_out([(0, Line(None, "USD", Fraction(10), model="gpt-5"))], {0: rule})
    assert (line.cost_center, line.amount, line.model) == (None, Fraction(10), "gpt-5")
    assert line.what == "gateway: not shared, none of its cost centers was billed anything in this currency"


def test_the_examples_are_right() -> None:
    for module in (shares, statements):
        assert not doctest.testmod(module).failed


def test_payables_leave_corrections_out() -> None:
    both = [Line("a", "USD", Fraction(1), payable=100), Line("a", "USD", Fraction(1), kind="correction", payable=7)]
    assert payables_of(both) == {"USD": 100}

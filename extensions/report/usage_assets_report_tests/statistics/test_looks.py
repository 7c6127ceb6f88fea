"""What a past is made of: which days grow, and which of them others are forecast from."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

import numpy as np

from usage_assets_report.statistics.forecast import EVERY_DAY, Past
from usage_assets_report.statistics.growth import Fetched, Growth
from usage_assets_report.statistics.looks import Look, past_of
from usage_assets_report_tests.statistics.made import day

DOUBLES = Growth.of(Fetched(0, 10.0, 20.0, at) for at in range(9))
"""On the second morning, each day is twice what it was."""
VARIES = Growth.of(Fetched(0, 10.0, 10.0 + at, at) for at in range(9))


def past(
    amounts: Mapping[date, Decimal],
    growth: Growth = DOUBLES,
    recurring: Mapping[int, Mapping[date, Decimal]] | None = None,
    state: str = "provisional",
) -> Past:
    """Of one source, whose last day was fetched on the first morning and is not settled."""
    last = max(amounts)
    looks = {last: {"s": Look(state, 0, is_growing=True, is_empty=not amounts[last])}}
    return past_of("c", amounts, {"s": amounts}, looks, {"s": growth}, {"s": recurring or {}})


def level(days: int) -> dict[date, Decimal]:
    return {day(at): Decimal(10) for at in range(days)}


def test_a_day_that_is_over_is_what_is_stored_times_its_growth() -> None:
    found = past(level(30))
    assert found.grown.keys() == {day(29)}
    np.testing.assert_allclose(found.grown[day(29)], 20)
    assert (found.open, found.young) == (set(), set())


def test_what_comes_once_a_month_does_not_grow() -> None:
    fee = {day(29): Decimal(1000)}
    amounts = {at: amount + fee.get(at, 0) for at, amount in level(30).items()}
    np.testing.assert_allclose(past(amounts, recurring={3: fee}).grown[day(29)], 1020)
    np.testing.assert_allclose(past(amounts, recurring={EVERY_DAY: fee}).grown[day(29)], 2020)


def test_no_day_is_forecast_from_one_that_may_be_very_different_in_the_end() -> None:
    assert past(level(30), VARIES).young == {day(29)}
    assert past(level(30), Growth.of([Fetched(0, 10.0, 10.0 + at / 50, at) for at in range(9)])).young == set()


def test_no_day_is_forecast_from_one_of_which_it_is_not_known_how_much_it_grows() -> None:
    assert past(level(30), Growth()).young == {day(29)}


def test_a_day_that_was_not_over_or_is_empty_too_early_is_like_one_to_come() -> None:
    assert past(level(30), state="open").open == {day(29)}
    empty = level(29) | {day(29): Decimal(0)}
    assert past(empty, Growth.of([Fetched(0, 0.0, 5.0, 1)])).open == {day(29)}
    assert past(empty, Growth.of([Fetched(0, 0.0, 0.0, 1)])).open == set()


def test_what_recurs_in_two_sources_is_due_together() -> None:
    fee = {day(3): Decimal(5)}
    found = past_of("c", [day(3)], {"s": fee, "t": fee}, {}, {}, {"s": {8: fee}, "t": {8: fee}})
    assert found.due(date(2026, 2, 8)) == 10

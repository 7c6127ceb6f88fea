"""Forecasts: what may be read from them, and what they make of gaps, short histories and days that still grow."""

import os
from calendar import monthrange
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usage_assets.core.days import DAY, Window
from usage_assets.core.errors import UserError
from usage_assets.features.report.statistics.forecast import (
    EVERY_DAY,
    FUTURES,
    Estimate,
    Forecast,
    Past,
    forecast,
    share_of,
)
from usage_assets_tests.features.report.statistics.made import OFFICE, day, office, series

amounts = st.decimals(0, 100_000, places=6)
refunds = st.decimals(-100, 0, places=6)
CASES = int(os.environ.get("USAGE_EXAMPLES", "200"))
histories = st.lists(st.one_of(amounts, amounts, amounts, st.none(), st.just(Decimal(0))), min_size=1, max_size=60)


def of(values: Sequence[Decimal | str | int | None], ahead: int = 30, open_: int = 0) -> Forecast:
    """The forecast of the days after these, from the first that is open."""
    count = len(values)
    past = Past(series(values).values, open=[day(count - n) for n in range(1, open_ + 1)])
    return forecast(past, day(count - open_), day(count - 1 + ahead), "of")


@settings(max_examples=60)
@given(values=histories, open_=st.integers(0, 3))
def test_without_refunds_no_day_is_negative_and_every_band_contains_its_mean(
    values: list[Decimal | None], open_: int
) -> None:
    stored = series([Decimal(1), *values]).values
    past = Past(stored, open=[day(len(values) - n) for n in range(open_) if day(len(values) - n) in stored])
    found = forecast(past, min(stored), max(stored) + DAY * 20, "of")
    assert np.isfinite(found.futures).all()
    assert (found.futures >= 0).all()
    for estimate in (found.day(found.first), found.day(found.last), found.total(found.first, found.last)):
        assert 0 <= estimate.low <= estimate.mean <= estimate.high


@settings(max_examples=CASES)
@given(
    parts=st.lists(
        st.lists(st.one_of(amounts, refunds, st.just(Decimal(0))), min_size=1, max_size=50), min_size=1, max_size=4
    ),
    open_=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_parts_add_up_to_the_whole(parts: list[list[Decimal]], open_: int, seed: int) -> None:
    """Whatever parts there are: each begins on a day of its own, and days grow and recur."""
    last = day(max(map(len, parts)) - 1)
    stored = [{last - DAY * n: amount for n, amount in enumerate(part)} for part in parts]
    whole: dict[date, Decimal] = {}
    for part in stored:
        for each, amount in part.items():
            whole[each] = whole.get(each, Decimal(0)) + amount
    first = min(whole)
    growing = {last - DAY * n: 1 + np.random.default_rng([seed, n]).random(FUTURES) for n in range(open_, open_ + 3)}

    def past(of_it: Mapping[date, Decimal]) -> Past:
        begins = min(of_it)
        every = {each: of_it.get(each, Decimal(0)) for each in Window(begins, last).days}
        grown = {each: float(every[each]) * ratios for each, ratios in growing.items() if each >= begins}
        return Past(every, grown, [last - DAY * n for n in range(open_) if last - DAY * n >= begins])

    everything = forecast(past(whole), first, last + DAY * 20, "of")
    found = [share_of(past(whole), everything, past(each), "of") for each in stored]
    sums = np.sum([each.futures for each in found], axis=0)
    np.testing.assert_allclose(sums, everything.futures, rtol=1e-9, atol=1e-6)
    for n, expected in enumerate(everything.expected):
        assert abs(expected - sum(each.expected[n] for each in found)) <= Decimal("1e-6")


def test_weekends_are_expected_to_be_quiet() -> None:
    found = of(office(70), ahead=7)
    for ahead, usual in enumerate(OFFICE):
        estimate = found.day(day(70 + ahead))
        assert estimate.low < Decimal(usual) < estimate.high
        assert abs(estimate.mean / Decimal(usual) - 1) < Decimal("0.06"), "a season is believed a little less than seen"


def test_a_day_that_still_grows_is_not_believed_but_is_the_least_there_will_be() -> None:
    low = of([*office(70), "1.00"], open_=1)
    without = of(office(70), ahead=31)
    assert low.first == day(70)
    assert low.day(day(70)) == without.day(day(70)), "a little of a day says nothing"
    assert low.total(day(71), day(100)) == without.total(day(71), day(100))
    assert of([*office(70), "500.00"], open_=1).day(day(70)).low == Decimal("500.00")


SEAT = {28: "0.678571416", 30: "0.633333327", 31: "0.612903216"}
"""What GitHub bills a day for a seat of $19 a month, in months of so many days."""


def seats(first: date, last: date) -> dict[date, Decimal]:
    return {at: 10 * Decimal(SEAT[monthrange(at.year, at.month)[1]]) for at in Window(first, last).days}


@pytest.mark.parametrize(
    ("first", "today", "end"),
    [
        (date(2025, 7, 1), date(2025, 9, 10), date(2025, 10, 31)),
        (date(2025, 8, 31), date(2025, 9, 20), date(2025, 12, 31)),
        (date(2025, 10, 1), date(2026, 1, 31), date(2026, 2, 28)),
    ],
)
def test_seats_that_are_billed_by_the_day_cost_the_same_in_months_of_all_lengths(
    first: date, today: date, end: date
) -> None:
    stored = seats(first, today)
    found = forecast(Past(stored, recurring={EVERY_DAY: stored}), today + DAY, end, "of")
    for at, amount in seats(today + DAY, end).items():
        assert abs(found.day(at).mean - amount) < Decimal("0.0000002")


def test_what_has_ended_costs_nothing_any_more() -> None:
    stored = series(office(70)).values
    found = forecast(Past(stored, recurring={EVERY_DAY: stored}, has_ended=True), day(60), day(99), "of")
    assert found.total(day(70), day(99)) == Estimate(Decimal(0), Decimal(0), Decimal(0))
    assert found.total(day(60), day(69)).mean == sum(office(70)[60:])


def test_a_day_that_is_not_stored_is_not_a_day_without_use() -> None:
    values = office(70)
    gaps = [None if at % 5 == 3 else value for at, value in enumerate(values)]
    zeros = [0 if at % 5 == 3 else value for at, value in enumerate(values)]
    usual, with_gaps, with_zeros = (of(each).total(day(70), day(99)).mean for each in (values, gaps, zeros))
    assert abs(with_gaps / usual - 1) < Decimal("0.05")
    assert with_zeros < Decimal("0.9") * usual


def test_a_spike_of_last_week_is_not_the_new_level() -> None:
    values = office(70)
    usual = of(values).total(day(70), day(99))
    values[66] *= 5
    found = of(values).total(day(70), day(99))
    assert abs(found.mean / usual.mean - 1) < Decimal("0.05")


def test_after_a_level_shift_the_new_level_counts() -> None:
    values = [value * (3 if at >= 56 else 1) for at, value in enumerate(office(70))]
    usual = of(office(70)).total(day(70), day(99)).mean
    assert abs(of(values).total(day(70), day(99)).mean / usual - 3) < Decimal("0.3")


@pytest.mark.parametrize("days", [1, 2, 3, 7, 14])
def test_a_short_history_gives_a_wide_band(days: int) -> None:
    short, long = (of(office(many)).total(day(many), day(many + 6)) for many in (days, 70))
    assert short.low < short.mean < short.high
    assert short.high - short.low > long.high - long.low
    assert short.high < 10 * sum(map(Decimal, OFFICE))


def test_what_cannot_be_forecast_is_said_in_one_line() -> None:
    with pytest.raises(UserError, match="nothing is stored: there is nothing to forecast from"):
        Past({})
    with pytest.raises(UserError, match="2026-01-06 to 2026-01-08 is not in the forecast of 2026-01-07 to 2026-01-09"):
        of([1, 2], ahead=3).total(day(1), day(3))

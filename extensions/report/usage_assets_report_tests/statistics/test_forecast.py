"""Forecasts: what may be read from them, and what they make of gaps, short histories and days that still grow."""

import os
import sys
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
from usage_assets_report.statistics.forecast import (
    EVERY_DAY,
    FUTURES,
    Estimate,
    Forecast,
    Past,
    forecast,
    share_of,
)
from usage_assets_report_tests.statistics.made import OFFICE, day, office, series

amounts = st.decimals(0, 100_000, places=6)
refunds = st.decimals(-100, 0, places=6)
CASES = int(os.environ.get("USAGE_EXAMPLES", "200"))
histories = st.lists(st.one_of(amounts, amounts, amounts, st.none(), st.just(Decimal(0))), min_size=1, max_size=60)


MONTH = (day(70), day(99))
"""Thirty days after seventy."""


def exactly(amount: Decimal | int) -> Estimate:
    return Estimate(*[Decimal(amount)] * 3)


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


def test_the_same_days_give_the_same_forecast_in_whatever_order_they_come() -> None:
    stored = series([*office(70), "13.30"]).values
    shuffled = dict(sorted(stored.items(), reverse=True))
    once, again, other = (
        forecast(Past(each, open=[day(70)]), day(70), day(100), "of").futures for each in (stored, stored, shuffled)
    )
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(once, other)


def test_what_is_forecast_apart_has_random_numbers_of_its_own() -> None:
    past = Past(series(office(70)).values)
    one, other = (forecast(past, *MONTH, key).futures for key in ("one", "other"))
    assert abs(float(np.corrcoef(one.sum(axis=1), other.sum(axis=1))[0, 1])) < 0.15


def test_other_random_numbers_give_nearly_the_same_mean() -> None:
    past = Past(series(office(70)).values)
    means = [float(forecast(past, *MONTH, str(n)).total(*MONTH).mean) for n in range(12)]
    assert np.std(means) / np.mean(means) < 0.007, "0.010 with numbers that are not mirrored"


def test_a_sum_is_the_sum_of_its_parts_future_by_future() -> None:
    parts = [forecast(Past(series(office(days)).values), day(40), day(99), str(days)) for days in (50, 70)]
    both = Forecast.together(parts)
    np.testing.assert_array_equal(both.futures, parts[0].futures + parts[1].futures)
    for first, last in ((45, 45), (40, 99), (60, 99)):
        one, other, found = (each.total(day(first), day(last)) for each in (*parts, both))
        assert found.mean == one.mean + other.mean


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


def test_cents_and_thousands_of_dollars_are_forecast_alike() -> None:
    for times in ("0.0001", "1000"):
        mine, scaled = (of([value * Decimal(by) for value in office(70)]).futures for by in ("1", times))
        np.testing.assert_allclose(scaled, mine * float(times), rtol=1e-6)


def test_weekends_are_expected_to_be_quiet() -> None:
    found = of(office(70), ahead=7)
    for ahead, usual in enumerate(OFFICE):
        estimate = found.day(day(70 + ahead))
        assert estimate.low < Decimal(usual) < estimate.high
        assert abs(estimate.mean / Decimal(usual) - 1) < 0.06, "a season is believed a little less than seen"


def test_a_weekday_without_any_use_stays_so() -> None:
    found = of([0 if at % 7 > 4 else value for at, value in enumerate(office(70))], ahead=7)
    assert found.total(day(75), day(76)) == exactly(0)


def test_the_band_of_a_month_is_narrower_than_the_sum_of_its_days_bands() -> None:
    found = of(office(70))
    month = found.total(*MONTH)
    days = [found.day(day(70 + ahead)) for ahead in range(30)]
    assert abs(month.mean - sum(each.mean for each in days)) < 0.16, "but for cents"
    assert month.high - month.low < Decimal("0.8") * sum(each.high - each.low for each in days)


def test_the_band_grows_with_time() -> None:
    found = of(office(70), ahead=90)
    first, last = found.day(day(70)), found.day(day(70 + 84))
    assert last.high - last.low > first.high - first.low


def test_a_day_that_still_grows_is_not_believed_but_is_the_least_there_will_be() -> None:
    low = of([*office(70), "1.00"], open_=1)
    without = of(office(70), ahead=31)
    assert low.first == day(70)
    assert low.day(day(70)) == without.day(day(70)), "a little of a day says nothing"
    assert low.total(day(71), day(100)) == without.total(day(71), day(100))
    assert of([*office(70), "500.00"], open_=1).day(day(70)).low == Decimal("500.00")


def test_a_refund_of_a_day_that_is_not_over_stays_and_its_use_is_still_to_come() -> None:
    refunded, without = of([*office(70), "-1500.00"], open_=1), of(office(70), ahead=31)
    assert refunded.day(day(70)).mean == without.day(day(70)).mean - 1500


def test_a_day_that_is_over_is_what_is_stored_with_any_sign_to_the_last_digit() -> None:
    stored = office(70)
    stored[40] = Decimal("-1500.123456789")
    found = forecast(Past(series(stored).values, young=[day(69)]), day(30), day(99), "of")
    for at in (39, 40, 69):
        assert found.day(day(at)) == exactly(stored[at])
    assert found.total(day(30), day(69)).mean == sum(stored[30:])
    usual = of(office(70)).total(*MONTH).mean
    assert abs(found.total(*MONTH).mean / usual - 1) < 0.05, "a refund does not come again"


def test_one_amount_on_14_days_goes_on_to_the_last_digit() -> None:
    amount = Decimal("33.333333")
    found = of([*office(30), *[amount] * 14], ahead=8)
    assert found.day(day(44)) == exactly(amount)
    assert found.total(day(44), day(51)) == exactly(8 * amount)
    assert of([amount] * 13).day(day(13)).low < amount


def test_one_amount_on_14_days_goes_on_although_it_is_hardly_known_how_much_the_last_of_them_grow() -> None:
    amount = Decimal("33.333333")
    values = series([*office(30), *[amount] * 14]).values
    young = [day(41), day(42), day(43)]
    assert forecast(Past(values, young=young), day(44), day(51), "of").day(day(51)) == exactly(amount)
    fee = {day(42): Decimal(500)}
    with_fee = Past({**values, day(42): amount + 500}, young=young, recurring={day(42).day: fee})
    assert forecast(with_fee, day(44), day(51), "of").day(day(51)) == exactly(amount)
    half = forecast(Past({**values, day(43): amount / 2}, young=young), day(44), day(51), "of").day(day(51))
    assert half.low < half.high, "11 days of one amount are known"


def test_what_recurs_comes_on_its_day_as_it_came_last_and_is_in_no_other() -> None:
    values = series(office(90)).values  # from 2026-01-05 to 2026-04-04
    fee = {date(2026, 1, 31): Decimal(500), date(2026, 2, 28): Decimal(500), date(2026, 3, 31): Decimal("510.5")}
    stored = {day_: amount + fee.get(day_, 0) for day_, amount in values.items()}
    found = forecast(Past(stored, recurring={31: fee}), date(2026, 4, 5), date(2026, 5, 31), "of")
    usual = forecast(Past(values), date(2026, 4, 5), date(2026, 5, 31), "of")
    for at in Window(date(2026, 4, 5), date(2026, 5, 31)).days:
        due = Decimal("510.5") if at in (date(2026, 4, 30), date(2026, 5, 31)) else Decimal(0)
        assert found.day(at).mean == usual.day(at).mean + due
    del fee[date(2026, 3, 31)]
    ended = forecast(Past(stored, recurring={31: fee}), date(2026, 4, 30), date(2026, 4, 30), "of")
    assert ended.day(date(2026, 4, 30)).high < 500, "what did not come when it was due has ended"


SEAT = {28: "0.678571416", 30: "0.633333327", 31: "0.612903216"}
"""What GitHub bills a day for a seat of $19 a month, in months of so many days."""


def seats(first: date, last: date) -> dict[date, Decimal]:
    return {at: 10 * Decimal(SEAT[monthrange(at.year, at.month)[1]]) for at in Window(first, last).days}


def test_seats_that_are_billed_by_the_day_cost_the_same_in_months_of_all_lengths() -> None:
    for first, today, end in [
        (date(2025, 7, 1), date(2025, 9, 10), date(2025, 10, 31)),
        (date(2025, 8, 31), date(2025, 9, 20), date(2025, 12, 31)),
        (date(2025, 10, 1), date(2026, 1, 31), date(2026, 2, 28)),
    ]:
        stored = seats(first, today)
        found = forecast(Past(stored, recurring={EVERY_DAY: stored}), today + DAY, end, "of")
        for at, amount in seats(today + DAY, end).items():
            assert abs(found.day(at).mean - amount) < 0.0000002


def test_what_costs_the_same_on_days_of_all_months_goes_on_so() -> None:
    stored = dict.fromkeys(seats(date(2025, 7, 1), date(2025, 9, 10)), Decimal(7))
    found = forecast(Past(stored, recurring={EVERY_DAY: stored}), date(2025, 10, 1), date(2025, 10, 31), "of")
    assert found.total(date(2025, 10, 1), date(2025, 10, 31)) == exactly(7 * 31)


def test_what_recurs_varies_as_it_did_and_widens_no_other_day() -> None:
    """Three fees that are the same, and the last of three 10.50 more."""
    ends = (date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 31))
    for last, off in (("500", 0.0), ("510.5", 1.2816 * (10.5**2 / 2) ** 0.5)):
        fee = dict(zip(ends, map(Decimal, ("500", "500", last)), strict=True))
        stored = {day_: Decimal(20) + fee.get(day_, 0) for day_ in Window(date(2026, 1, 5), date(2026, 4, 4)).days}
        found = forecast(Past(stored, recurring={31: fee}), date(2026, 4, 5), date(2026, 4, 30), "of")
        due, before = found.day(date(2026, 4, 30)), found.day(date(2026, 4, 29))
        assert due.mean == 20 + Decimal(last)
        assert float(due.mean - due.low) == pytest.approx(off, rel=0.15, abs=0.001)
        assert float(due.high - due.mean) == pytest.approx(off, rel=0.15, abs=0.001)
        assert before == exactly(20), last


def test_what_has_ended_costs_nothing_any_more() -> None:
    stored = series(office(70)).values
    found = forecast(Past(stored, recurring={EVERY_DAY: stored}, has_ended=True), day(60), day(99), "of")
    assert found.total(*MONTH) == exactly(0)
    assert found.total(day(60), day(69)).mean == sum(office(70)[60:])


def test_a_day_that_is_not_stored_is_not_a_day_without_use() -> None:
    values = office(70)
    gaps = [None if at % 5 == 3 else value for at, value in enumerate(values)]
    zeros = [0 if at % 5 == 3 else value for at, value in enumerate(values)]
    usual, with_gaps, with_zeros = (of(each).total(*MONTH).mean for each in (values, gaps, zeros))
    assert abs(with_gaps / usual - 1) < 0.05
    assert with_zeros < Decimal("0.9") * usual


def test_a_spike_of_last_week_is_not_the_new_level() -> None:
    values = office(70)
    usual = of(values).total(*MONTH)
    values[66] *= 5
    found = of(values).total(*MONTH)
    assert abs(found.mean / usual.mean - 1) < 0.05


def test_a_past_with_many_odd_days_has_a_future_with_odd_days() -> None:
    values = office(140)
    calm = of(values).total(day(140), day(169))
    for at in range(10, 140, 17):
        values[at] *= 5
    found = of(values).total(day(140), day(169))
    assert found.high - found.low > 2 * (calm.high - calm.low)
    assert calm.mean * Decimal("1.05") < found.mean < calm.mean * Decimal("1.3"), "8 of 140 days are 5 times as large"


def test_after_a_level_shift_the_new_level_counts() -> None:
    values = [value * (3 if at >= 56 else 1) for at, value in enumerate(office(70))]
    usual = of(office(70)).total(*MONTH).mean
    assert abs(of(values).total(*MONTH).mean / usual - 3) < 0.3


def test_a_short_history_gives_a_wide_band() -> None:
    for days in (1, 2, 3, 7, 14):
        short, long = (of(office(many)).total(day(many), day(many + 6)) for many in (days, 70))
        assert short.low < short.mean < short.high, days
        assert short.high - short.low > long.high - long.low, days
        assert short.high < 10 * sum(map(Decimal, OFFICE)), days


def test_a_project_that_has_stopped_is_expected_to_cost_nothing() -> None:
    assert of([*office(60), *[0] * 10]).total(*MONTH) == exactly(0)


def test_the_time_before_a_project_began_is_no_part_of_its_past() -> None:
    begun = of([*[0] * 42, *office(42)]).total(day(84), day(113))
    assert abs(begun.mean / of(office(42)).total(day(42), day(71)).mean - 1) < 0.05


def test_a_job_that_runs_now_and_then_is_expected_to_run_as_often() -> None:
    values = ["20.00" if at % 3 == 0 or at % 10 == 7 else 0 for at in range(120)]
    month = of(values).total(day(120), day(149))
    assert month.low < 260 < month.high
    assert 180 < month.mean < 340


def test_what_cannot_be_forecast_is_said_in_one_line() -> None:
    with pytest.raises(UserError, match="nothing is stored: there is nothing to forecast from"):
        Past({})
    with pytest.raises(UserError, match="2026-01-06 to 2026-01-08 is not in the forecast of 2026-01-07 to 2026-01-09"):
        of([1, 2], ahead=3).total(day(1), day(3))


def test_without_statsmodels_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "statsmodels.tsa.statespace.kalman_filter", None)
    with pytest.raises(UserError, match=r"statsmodels.* is missing: pip install 'usage-assets\[insights\]'"):
        of([1, 2])

"""Forecasts: what may be read from them, and what they make of gaps, short histories and days that still grow."""

import sys
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usage_assets.core.errors import UserError
from usage_assets.statistics.forecast import Estimate, Forecast, forecast
from usage_assets.statistics.series import Series
from usage_assets_tests.statistics.made import OFFICE, day, office, series

amounts = st.decimals(0, 100_000, places=6)
histories = st.lists(st.one_of(amounts, amounts, amounts, st.none(), st.just(Decimal(0))), min_size=1, max_size=60)


def of(values: Sequence[Decimal | str | int | None], ahead: int = 30, provisional: int = 0) -> Forecast:
    """The forecast of the days after these, from the first that is provisional."""
    return forecast(series(values, provisional), day(len(values) - 1 + ahead))


@settings(max_examples=60)
@given(values=histories, provisional=st.integers(0, 3))
def test_no_day_is_negative_and_every_band_contains_its_mean(values: list[Decimal | None], provisional: int) -> None:
    stored = series([Decimal(1), *values], provisional=min(provisional, len(values)))
    found = forecast(stored, stored.last + (day(20) - day(0)))
    assert np.isfinite(found.futures).all()
    assert (found.futures >= 0).all()
    for estimate in (found.day(found.first), found.day(found.last), found.total(found.first, found.last)):
        assert 0 <= estimate.low <= estimate.mean <= estimate.high


def test_the_same_days_give_the_same_forecast_in_whatever_order_they_come() -> None:
    stored = series([*office(70), "13.30"], provisional=1)
    shuffled = Series(dict(sorted(stored.values.items(), reverse=True)), stored.provisional_from)
    once, again, other = (forecast(each, day(100)).futures for each in (stored, stored, shuffled))
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(once, other)


@pytest.mark.parametrize("times", ["0.0001", "1000"])
def test_cents_and_thousands_of_dollars_are_forecast_alike(times: str) -> None:
    mine, scaled = (of([value * Decimal(by) for value in office(70)]).futures for by in ("1", times))
    np.testing.assert_allclose(scaled, mine * float(times), rtol=1e-6)


def test_weekends_are_expected_to_be_quiet() -> None:
    found = of(office(70), ahead=7)
    for ahead, usual in enumerate(OFFICE):
        estimate = found.day(day(70 + ahead))
        assert estimate.low < Decimal(usual) < estimate.high
        assert abs(estimate.mean / Decimal(usual) - 1) < Decimal("0.06"), "a season is believed a little less than seen"


def test_a_weekday_without_any_use_stays_so() -> None:
    found = of([0 if at % 7 > 4 else value for at, value in enumerate(office(70))], ahead=7)
    assert found.total(day(75), day(76)) == Estimate(Decimal(0), Decimal(0), Decimal(0))


def test_the_band_of_a_month_is_narrower_than_the_sum_of_its_days_bands() -> None:
    found = of(office(70))
    month = found.total(day(70), day(99))
    days = [found.day(day(70 + ahead)) for ahead in range(30)]
    assert abs(month.mean - sum(each.mean for each in days)) < Decimal("0.16"), "but for cents"
    assert month.high - month.low < Decimal("0.8") * sum(each.high - each.low for each in days)


def test_the_band_grows_with_time() -> None:
    found = of(office(70), ahead=90)
    first, last = found.day(day(70)), found.day(day(70 + 84))
    assert last.high - last.low > first.high - first.low


def test_a_day_that_still_grows_is_not_believed_but_is_the_least_there_will_be() -> None:
    low = of([*office(70), "1.00"], provisional=1)
    without = of(office(70), ahead=31)
    assert low.first == day(70)
    assert low.day(day(70)) == without.day(day(70)), "a little of a day says nothing"
    assert low.total(day(71), day(100)) == without.total(day(71), day(100))
    assert of([*office(70), "500.00"], provisional=1).day(day(70)).low == Decimal("500.00")


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
    usual = of(office(70)).total(day(70), day(99)).mean
    assert abs(of(values).total(day(70), day(99)).mean / usual - 3) < Decimal("0.3")


@pytest.mark.parametrize("days", [1, 2, 3, 7, 14])
def test_a_short_history_gives_a_wide_band(days: int) -> None:
    short, long = (of(office(many)).total(day(many), day(many + 6)) for many in (days, 70))
    assert short.low < short.mean < short.high
    assert short.high - short.low > long.high - long.low
    assert short.high < 10 * sum(map(Decimal, OFFICE))


def test_nothing_is_expected_where_there_was_nothing() -> None:
    assert of([0] * 30).total(day(30), day(59)) == Estimate(Decimal(0), Decimal(0), Decimal(0))


def test_a_project_that_has_stopped_is_expected_to_cost_nothing() -> None:
    assert of([*office(60), *[0] * 10]).total(day(70), day(99)) == Estimate(Decimal(0), Decimal(0), Decimal(0))


def test_the_time_before_a_project_began_is_no_part_of_its_past() -> None:
    begun = of([*[0] * 42, *office(42)]).total(day(84), day(113))
    assert abs(begun.mean / of(office(42)).total(day(42), day(71)).mean - 1) < Decimal("0.05")


def test_a_job_that_runs_now_and_then_is_expected_to_run_as_often() -> None:
    values = ["20.00" if at % 3 == 0 or at % 10 == 7 else 0 for at in range(120)]
    month = of(values).total(day(120), day(149))
    assert month.low < 260 < month.high
    assert 180 < month.mean < 340


def test_what_cannot_be_forecast_is_said_in_one_line() -> None:
    with pytest.raises(UserError, match="no day before 2026-01-05 is settled"):
        of([1, 2], provisional=2)
    with pytest.raises(UserError, match="2026-01-06 is settled: the forecast begins on 2026-01-07"):
        of([1, 2], ahead=0)
    with pytest.raises(UserError, match="2026-01-06 to 2026-01-08 is not in the forecast of 2026-01-07 to 2026-01-09"):
        of([1, 2], ahead=3).total(day(1), day(3))


def test_without_statsmodels_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "statsmodels.tsa.statespace.kalman_filter", None)
    with pytest.raises(UserError, match=r"statsmodels.* is missing: pip install 'usage-assets\[insights\]'"):
        of([1, 2])

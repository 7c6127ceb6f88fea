"""Odd days: what is found, what is said of it, and what is not odd."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usage_assets.features.report.statistics.anomalies import Anomaly, find
from usage_assets.features.report.statistics.series import Series
from usage_assets_tests.features.report.statistics.made import day, office, series

amounts = st.decimals(0, 100_000, places=6)
histories = st.lists(st.one_of(amounts, amounts, amounts, st.none(), st.just(Decimal(0))), min_size=1, max_size=90)


def kinds(found: list[Anomaly]) -> list[tuple[str, date, date]]:
    return [(anomaly.kind, anomaly.first, anomaly.last) for anomaly in found]


def test_ordinary_weeks_have_no_odd_day() -> None:
    assert find(series(office(120))) == []


def test_a_spike_is_found_with_what_was_expected() -> None:
    values = office(70)
    usual, values[45] = values[45], values[45] * 3
    [spike] = find(series(values))
    assert (spike.kind, spike.first, spike.last, spike.is_provisional) == ("spike", day(45), day(45), False)
    assert spike.actual == round(values[45], 2)
    assert abs(spike.expected - usual) < Decimal("0.1") * usual
    assert spike.low < spike.expected < spike.high < spike.actual
    assert spike.size == spike.actual - spike.expected
    assert spike.score > 4.2


def test_a_busy_saturday_is_a_spike_although_it_is_less_than_a_monday() -> None:
    values = office(70)
    values[40] = Decimal("95.00")
    assert day(40).isoweekday() == 6
    assert kinds(find(series(values))) == [("spike", day(40), day(40))]


def test_days_in_a_row_are_one_spike_with_averages() -> None:
    values = office(70)
    values[45:47] = [value * 4 for value in values[45:47]]
    [spike] = find(series(values))
    assert (spike.first, spike.last) == (day(45), day(46))
    assert spike.actual == round(sum(values[45:47]) / 2, 2)


def test_a_day_without_use_is_a_drop() -> None:
    values = office(70)
    values[44] = Decimal(0)
    [drop] = find(series(values))
    assert (drop.kind, drop.first, drop.actual) == ("drop", day(44), Decimal(0))
    assert drop.size < 0


@pytest.mark.parametrize("days", [1, 2, 9])
def test_days_like_a_weekend_are_holidays(days: int) -> None:
    values = office(90)
    values[43 : 43 + days] = [Decimal("27.00")] * days
    assert find(series(values)) == []


@pytest.mark.parametrize("times", ["2.5", "0.4"])
def test_a_level_that_stays_is_a_shift(times: str) -> None:
    values = [value * (Decimal(times) if at >= 50 else 1) for at, value in enumerate(office(90))]
    [shift] = find(series(values))
    assert kinds([shift]) == [("shift", day(50), day(89))]
    assert abs(shift.actual / shift.expected - Decimal(times)) < Decimal("0.1")


def test_each_of_two_shifts_lasts_until_the_next() -> None:
    levels = [1] * 40 + [3] * 30 + [1] * 40
    found = find(series([value * level for value, level in zip(office(110), levels, strict=True)]))
    assert kinds(found) == [("shift", day(40), day(69)), ("shift", day(70), day(109))]


def test_the_first_days_of_a_shift_are_a_spike_until_it_is_known_to_stay() -> None:
    values = [value * (3 if at >= 50 else 1) for at, value in enumerate(office(56))]
    assert kinds(find(series(values[:52]))) == [("spike", day(50), day(51))]
    assert kinds(find(series(values))) == [("shift", day(50), day(55))]


@pytest.mark.parametrize("days", [6, 8, 12])
def test_a_level_of_few_days_is_a_shift_while_it_lasts(days: int) -> None:
    values = [value * (4 if at >= 60 else 1) for at, value in enumerate(office(60 + days))]
    assert kinds(find(series(values))) == [("shift", day(60), day(59 + days))]


def test_a_project_that_stops_is_a_drop_and_then_a_shift_to_nothing() -> None:
    values = office(60)
    assert kinds(find(series([*values, *[0] * 3]))) == [("drop", day(60), day(62))]
    for days in (8, 30):
        [stop] = find(series([*values, *[0] * days]))
        assert (stop.kind, stop.first, stop.actual) == ("shift", day(60), Decimal(0))


def test_a_project_that_starts_is_a_shift_from_nothing() -> None:
    [start] = find(series([*[0] * 40, *office(40)]))
    assert (start.kind, start.first, start.expected) == ("shift", day(40), Decimal(0))


def test_the_pauses_of_a_monthly_job_are_no_stops() -> None:
    assert find(series([20 + at % 3 if at % 28 == 0 else 0 for at in range(1000)])) == []


def test_a_slow_drift_is_not_odd() -> None:
    values = [value * (1 + Decimal(min(max(at - 30, 0), 60)) / 60) for at, value in enumerate(office(120))]
    assert find(series(values)) == []


def test_a_day_that_still_grows_may_be_a_spike_but_no_drop() -> None:
    assert find(series([*office(70), "0.50"], provisional=1)) == []
    [spike] = find(series([*office(70), "400.00"], provisional=1))
    assert (spike.kind, spike.first, spike.is_provisional) == ("spike", day(70), True)


def test_three_weeks_must_be_known_before_anything_is_odd() -> None:
    values = office(40)
    values[19] *= 20
    assert find(series(values[:20])) == []
    assert kinds(find(series(values[:40]))) == [("spike", day(19), day(19))]


def test_a_job_that_runs_now_and_then_is_compared_with_its_own_runs() -> None:
    values = [Decimal(20 + at % 4) if at % 3 == 0 or at % 10 == 7 else Decimal(0) for at in range(120)]
    assert find(series(values)) == []
    values[90] = Decimal(200)
    assert kinds(find(series(values))) == [("spike", day(90), day(90))]


def test_a_job_that_runs_on_some_saturdays_is_ordinary() -> None:
    values = [value * (3 if at % 7 == 5 and at % 4 == 1 else 1) for at, value in enumerate(office(140))]
    assert find(series(values)) == []
    values[90] *= 3
    assert kinds(find(series(values))) == [("spike", day(90), day(90))]


def test_a_gap_is_neither_a_drop_nor_an_end_of_the_comparison() -> None:
    values = [None if at in (33, 34, 47) else value for at, value in enumerate(office(70))]
    assert find(series(values)) == []


def test_nothing_is_odd_where_there_was_nothing() -> None:
    assert find(series([0] * 60)) == []
    assert find(series(["12.50"] * 60)) == []


@settings(max_examples=60)
@given(values=histories, provisional=st.integers(0, 3), times=st.sampled_from([2**-10, 2**10]))
def test_neither_order_nor_unit_changes_what_is_odd(
    values: list[Decimal | None], provisional: int, times: float
) -> None:
    stored = series([Decimal(1), *values], provisional=min(provisional, len(values)))
    shuffled = Series(dict(sorted(stored.values.items(), reverse=True)), stored.provisional_from)
    scaled = Series({at: value * Decimal(times) for at, value in stored.values.items()}, stored.provisional_from)
    found = find(stored)
    assert found == find(stored) == find(shuffled)
    assert [(each.kind, each.first, each.last, each.score) for each in found] == [
        (each.kind, each.first, each.last, each.score) for each in find(scaled)
    ]
    for each in found:
        assert 0 <= each.low <= each.expected <= each.high
        assert each.kind != "drop" or not each.is_provisional

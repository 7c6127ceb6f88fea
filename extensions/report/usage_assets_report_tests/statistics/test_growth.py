"""Growth: learnt from days that were fetched again, also from those that did not change."""

import numpy as np
import pytest

from usage_assets_report.statistics.growth import FEWEST, Fetched, Growth

COUNT = 4000


def test_without_a_second_fetch_nothing_grows() -> None:
    growth = Growth.of([])
    assert growth.is_certain(0)
    np.testing.assert_array_equal(growth.draw(0, 5, "a"), np.ones(5))


def test_days_that_did_not_change_count_as_one() -> None:
    growth = Growth.of([*[Fetched(0, 10.0, 10.0)] * 18, *[Fetched(0, 10.0, 12.0)] * 2])
    drawn = growth.draw(0, COUNT, "a")
    assert abs(drawn.mean() - 1.02) < 0.02
    assert 0.8 < (drawn == 1).mean() < 0.9


def test_fewer_than_five_runs_teach_nothing() -> None:
    growth = Growth.of([Fetched(0, 10.0, 15.0)] * (FEWEST - 1))
    assert (growth.is_known(0), growth.is_certain(0)) == (False, True)
    np.testing.assert_array_equal(growth.draw(0, 9, "a"), np.ones(9))
    growth = Growth.of([Fetched(0, 10.0, 15.0)] * FEWEST)
    assert growth.is_known(0)
    np.testing.assert_allclose(growth.draw(0, 9, "a"), 1.5)


def test_a_day_grows_by_what_is_still_to_come_at_its_age() -> None:
    both = [Fetched(age, *of_it, day) for day in range(5) for age, of_it in ((0, (10.0, 20.0)), (2, (20.0, 22.0)))]
    growth = Growth.of(both)
    for age, expected in ((0, 2.2), (1, 1.1), (2, 1.1), (3, 1.0)):
        np.testing.assert_allclose(growth.draw(age, 9, "a"), expected)
    assert [growth.is_certain(age) for age in range(4)] == [False, False, False, True]


def test_what_one_run_changes_is_one_observation() -> None:
    """A bill of 25 days that is delivered again: days of 25 ages change at once."""
    for ratio in (0.5, 1.05, 2.0, 30.0):
        again = [Fetched(age, 10.0, 10.0 * ratio, 24 - age, "again") for age in range(25)]
        np.testing.assert_array_equal(Growth.of(again).draw(1, 99, "a"), np.ones(99))
        history = [Fetched(age, 10.0, 10.0, day, day + age) for day in range(-99, 0) for age in range(30)]
        drawn = Growth.of([*history, *again]).draw(1, COUNT, "a")
        assert abs(drawn.mean() - 1) < 0.15, ratio
        assert drawn.max() <= max(1, ratio)


def test_one_of_ten_new_ratios_is_below_the_smallest_of_nine() -> None:
    drawn = Growth.of([Fetched(0, 100.0, 100.0 + n) for n in range(1, 10)]).draw(0, COUNT, "a")
    assert abs((drawn < 1.01).mean() - 0.1) < 0.02
    assert drawn.max() == pytest.approx(1.09), "no more than was ever seen"


def test_a_day_that_grows_late_may_have_grown_early_too() -> None:
    twice = [Fetched(0, 10.0, 20.0, day) for day in range(10)] + [Fetched(1, 20.0, 40.0, day) for day in range(10)]
    never = [Fetched(age, 10.0, 10.0, day) for age in (0, 1) for day in range(10, 20)]
    drawn = Growth.of([*twice, *never]).draw(0, COUNT, "a")
    between = (drawn > 1) & (drawn < 4)
    assert between.mean() < 0.1, "10 of 20 days were 4 times as large in the end, none was twice as large"
    assert abs((drawn == 1).mean() - 0.45) < 0.05
    assert abs(drawn.mean() - 2.5) < 0.1


def test_a_day_that_may_still_change_is_not_at_its_end() -> None:
    whole = [Fetched(age, 10.0 if age else 5.0, 10.0, day) for day in range(5) for age in (0, 3)]
    late = [Fetched(3, 10.0, 20.0, 5)]
    growth = Growth.of([*whole, *late, Fetched(0, 10.0, 10.0, 6)])
    assert sorted(growth.in_the_end[0]) == [2.0] * 6
    assert sorted(growth.in_the_end[3]) == [1.0] * 5 + [2.0]


def test_an_amount_that_came_from_nothing_is_no_ratio() -> None:
    growth = Growth.of([Fetched(1, 0.0, 5.0), Fetched(2, 0.0, 0.0), Fetched(0, 0.001, 5.0)])
    assert growth.grown_from_nothing == 1
    assert growth.draw(0, COUNT, "a").max() < 25, "a ratio of 5,000 is as good as none"


def test_a_day_may_shrink_but_not_below_zero() -> None:
    drawn = Growth.of([Fetched(0, 10.0, float(n)) for n in range(6)]).draw(0, COUNT, "a")
    assert drawn.min() == 0
    assert drawn.mean() < 0.3


def test_the_same_key_draws_the_same_numbers() -> None:
    growth = Growth.of([Fetched(0, 100.0, 100.0 + n) for n in range(9)])
    np.testing.assert_array_equal(growth.draw(0, 50, "a"), growth.draw(0, 50, "a"))
    assert not np.array_equal(growth.draw(0, 50, "a"), growth.draw(0, 50, "b"))

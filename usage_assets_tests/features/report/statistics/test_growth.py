"""Growth: learnt from days that were fetched again, also from those that did not change."""

import numpy as np
import pytest

from usage_assets.features.report.statistics.growth import FEWEST, Fetched, Growth

COUNT = 4000


def test_without_a_second_fetch_nothing_grows() -> None:
    growth = Growth.of([])
    assert growth.is_certain(0)
    np.testing.assert_array_equal(growth.draw(0, 5, "a"), np.ones(5))


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


@pytest.mark.parametrize("ratio", [0.5, 1.05, 2.0, 30.0])
def test_what_one_run_changes_is_one_observation(ratio: float) -> None:
    """A bill of 25 days that is delivered again: days of 25 ages change at once."""
    again = [Fetched(age, 10.0, 10.0 * ratio, 24 - age, "again") for age in range(25)]
    np.testing.assert_array_equal(Growth.of(again).draw(1, 99, "a"), np.ones(99))
    history = [Fetched(age, 10.0, 10.0, day, day + age) for day in range(-99, 0) for age in range(30)]
    drawn = Growth.of([*history, *again]).draw(1, COUNT, "a")
    assert abs(drawn.mean() - 1) < 0.15
    assert drawn.max() <= max(1, ratio)

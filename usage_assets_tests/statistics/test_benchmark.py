"""The benchmark of statistics scores what it should, and no rule sees a later day. No test looks at its scores."""

import numpy as np
import pytest

from benchmarks import statistics
from benchmarks.series import FIRST_DAY, Planted, Spending, generate
from benchmarks.statistics import Alarm, hits
from usage_assets.core.days import DAY


def test_a_seed_makes_the_same_series_each_time() -> None:
    once, again = ([spending.values.tolist() for spending in generate(3, 20)] for _ in range(2))
    assert once == again
    assert once != [spending.values.tolist() for spending in generate(4, 20)]


def test_what_is_seen_of_a_day_depends_on_no_later_day_and_only_grows() -> None:
    for spending in generate(3, 30):
        seen, provisional_from = spending.seen(spending.history)
        assert max(seen, default=FIRST_DAY) < FIRST_DAY + DAY * spending.history
        assert all(value >= 0 for value in seen.values())
        later, _ = spending.seen(spending.history + 5)
        for day, value in seen.items():
            assert value <= later[day]
            assert value == later[day] or (provisional_from and day >= provisional_from)


def test_noise_has_a_limit_and_what_is_planted_is_beyond_it() -> None:
    for spending in generate(3, 60):
        for event in spending.planted:
            around = spending.values[event.first - 7 : event.first]
            if event.kind == "spike" and spending.name != "idle":
                assert spending.values[event.first] > 1.4 * np.median(around[around > 0])


@pytest.mark.parametrize(
    ("alarm", "event", "expected"),
    [
        (Alarm("spike", 50, 50), Planted("spike", 50, 51), True),
        (Alarm("any", 51, 53), Planted("spike", 50, 51), True),
        (Alarm("spike", 52, 52), Planted("spike", 50, 51), False),
        (Alarm("drop", 50, 50), Planted("spike", 50, 51), False),
        (Alarm("shift", 53, 90), Planted("shift", 50, 90), True),
        (Alarm("shift", 54, 90), Planted("shift", 50, 90), False),
        (Alarm("spike", 50, 50), Planted("shift", 50, 90), False),
        (Alarm("any", 40, 60), Planted("drift", 40, 60), False),
        (Alarm("any", 40, 40), Planted("holiday", 40, 40), False),
    ],
)
def test_an_alarm_is_right_by_its_kind_and_days(alarm: Alarm, event: Planted, expected: bool) -> None:
    assert hits(alarm, event) is expected


def test_a_percentage_rule_has_an_alarm_on_every_weekend() -> None:
    values = np.array([100.0, 100, 100, 100, 100, 30, 30] * 6)
    office = Spending("office", values, (), [True] * 42, np.empty(0), 42)
    alarms = statistics.RULES["50 % from the day before"](office, 14, 42)
    assert [(alarm.first % 7, alarm.last % 7) for alarm in alarms] == [(0, 0), (5, 5)] * 4
    assert statistics.ours(office, 0, 42) == []


def test_all_figures_are_there_for_a_few_series() -> None:
    data = list(generate(3, 4))
    names = [figure.name for figure in (*statistics.of_anomalies("x", data), *statistics.of_forecasts("x", data, 3, 1))]
    assert len(names) == 3 * 5 + 4 + 6
    assert {name.partition(",")[0] for name in names} >= {"x: spikes missed", "x: shifts wrong", "x: a forecast"}

"""The benchmark of statistics scores what it should, and no rule sees a later day. No test looks at its scores."""

import pytest

from benchmarks import forecasts, statistics
from benchmarks.series import FIRST_DAY, Planted, generate
from benchmarks.statistics import Alarm, hits
from usage_assets.core.days import DAY


def test_what_is_seen_of_a_day_depends_on_no_later_day_and_ends_at_the_truth() -> None:
    for spending in generate(3, 30):
        seen, provisional_from = spending.seen(spending.history)
        assert max(seen, default=FIRST_DAY) < FIRST_DAY + DAY * spending.history
        assert all(value >= 0 for value in seen.values())
        later, _ = spending.seen(spending.history + 5)
        for day, value in seen.items():
            assert value == later[day] or (provisional_from and day >= provisional_from)
            assert float(later[day]) == pytest.approx(spending.truth[(day - FIRST_DAY).days], abs=1e-6)


def test_an_alarm_is_right_by_its_kind_and_days() -> None:
    cases = (
        (Alarm("spike", 50, 50), Planted("spike", 50, 51), True),
        (Alarm("any", 51, 53), Planted("spike", 50, 51), True),
        (Alarm("spike", 52, 52), Planted("spike", 50, 51), False),
        (Alarm("drop", 50, 50), Planted("spike", 50, 51), False),
        (Alarm("shift", 53, 90), Planted("shift", 50, 90), True),
        (Alarm("shift", 54, 90), Planted("shift", 50, 90), False),
        (Alarm("spike", 50, 50), Planted("shift", 50, 90), False),
        (Alarm("any", 40, 60), Planted("drift", 40, 60), False),
        (Alarm("any", 40, 40), Planted("holiday", 40, 40), False),
    )
    for alarm, event, expected in cases:
        assert hits(alarm, event) is expected, (alarm, event)


def test_all_figures_are_there_for_a_few_series() -> None:
    data = list(generate(3, 12))
    names = [figure.name for figure in statistics.of_anomalies("x", data)]
    assert len(names) == 3 * 5 + 4
    assert {name.partition(",")[0] for name in names} >= {"x: spikes missed", "x: shifts wrong"}
    found = [figure.name for figure in forecasts.figures("tuned", forecasts.of_made_up({3: data}))]
    assert len(found) == 4 + len(forecasts.KINDS) + 1
    assert {f"tuned: {kind} inside" for kind in forecasts.KINDS} < {name.partition(",")[0] for name in found}

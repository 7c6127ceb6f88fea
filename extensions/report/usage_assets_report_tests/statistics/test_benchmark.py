"""The benchmark of statistics scores what it should, and no rule sees a later day. No test looks at its scores."""

import pytest

from benchmarks.series import FIRST_DAY, generate
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

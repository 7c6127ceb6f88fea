"""What a series is made of, and what it refuses."""

from decimal import Decimal

import numpy as np
import pytest

from usage_assets.core.errors import UserError
from usage_assets_report.statistics.estimates import rounded
from usage_assets_report.statistics.series import Series
from usage_assets_report_tests.statistics.made import day, series


def test_what_is_no_amount_is_refused_in_one_line_with_its_day() -> None:
    for value in ("NaN", "sNaN", "Infinity", "-Infinity"):
        with pytest.raises(UserError, match=rf"^2026-01-06: {value} is not an amount$"):
            series([1, value])


def test_a_series_without_a_day_is_refused() -> None:
    with pytest.raises(UserError, match="a series needs a day"):
        Series({})


def test_a_day_that_is_not_stored_is_unknown_and_a_refund_is_no_use() -> None:
    np.testing.assert_array_equal(series([1, None, "-2.5", 0]).floats(), [1, np.nan, 0, 0])


def test_days_settle_from_the_first_on() -> None:
    assert series([1, 2, 3]).settled == 3
    assert series([1, 2, 3], provisional=2).settled == 1
    assert series([1, 2, 3], provisional=3).settled == 0
    assert Series({day(0): Decimal(1)}, provisional_from=day(9)).settled == 1, "the days between are not stored"


def test_an_estimate_is_in_cents_and_never_negative() -> None:
    assert (rounded(1.239), rounded(1e-9), rounded(-3)) == (Decimal("1.24"), Decimal("0.00"), Decimal("0.00"))
    assert rounded(1e15) == Decimal("1000000000000000.00")

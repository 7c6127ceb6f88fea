"""Days become the fewest windows, and windows are spelled as each API wants them."""

from datetime import date, timedelta

import time_machine

from usage_assets.core.days import (
    Window,
    end_of_month,
    first_kept,
    rfc3339,
    single_day,
    unix_seconds,
    utc_today,
    windows,
)

FIRST = date(2026, 2, 27)


def days(*offsets: int) -> list[date]:
    """Days after FIRST."""
    return [FIRST + timedelta(days=n) for n in offsets]


def test_days_become_the_fewest_windows_that_cover_exactly_them() -> None:
    for asked, size, sizes in (
        ([], 31, []),
        ([0], 31, [1]),
        (range(31), 31, [31]),
        (range(32), 31, [31, 1]),
        (range(186), 180, [180, 6]),
        (range(365), 31, [31] * 11 + [24]),
        ([0, 1, 2, 4, 5, 8], 31, [3, 2, 1]),
        ([2, 0, 1, 1, 2], 31, [3]),
        (range(5), 1, [1] * 5),
    ):
        found = windows(days(*asked), size)
        assert [len(window.days) for window in found] == sizes
        assert [day for window in found for day in window.days] == sorted(set(days(*asked)))


def test_months_end_and_are_kept_with_their_leap_day() -> None:
    for end_of_february, kept in (("2028-02-29", "2027-01-01"), ("2027-02-28", "2026-01-01")):
        with time_machine.travel(f"{end_of_february}T12:00:00+00:00", tick=False):
            assert str(end_of_month(utc_today())) == end_of_february
            assert str(end_of_month(utc_today().replace(day=1))) == end_of_february
            assert str(first_kept(13)) == kept


def test_windows_end_at_the_midnight_after_their_last_day() -> None:
    window = Window(FIRST, date(2026, 3, 1))
    assert unix_seconds(window) == {"start_time": "1772150400", "end_time": "1772409600"}
    assert rfc3339(window) == {"starting_at": "2026-02-27T00:00:00Z", "ending_at": "2026-03-02T00:00:00Z"}
    assert single_day(Window(FIRST, FIRST)) == {"starting_at": "2026-02-27"}

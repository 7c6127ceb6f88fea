"""Runs of whole UTC days: what one chain of pages answers for, and how each API spells it in a query."""

from calendar import monthrange
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

DAY = timedelta(days=1)
"""The length of a day."""
MOST_DAYS = 186
"""As many days as a run may have: 6 windows of 31 days, and one page of OpenAI costs plus a few days."""
K = TypeVar("K")


def utc_today() -> date:
    """Return the current UTC day, which no provider has closed yet."""
    return datetime.now(UTC).date()


def end_of_month(day: date) -> date:
    """Return the last day of the month of a day."""
    return day.replace(day=monthrange(day.year, day.month)[1])


def start_of_month(day: date) -> date:
    """Return the first day of the month of a day."""
    return day.replace(day=1)


def start_of_quarter(day: date) -> date:
    """Return the first day of the quarter of a day."""
    return day.replace(day=1, month=day.month - (day.month - 1) % 3)


def end_of_quarter(day: date) -> date:
    """Return the last day of the quarter of a day."""
    return end_of_month(day.replace(day=1, month=day.month + (-day.month) % 3))


def first_kept(months: int | None) -> date:
    """Return the first day that is kept, if the current month and this many months before it are."""
    if months is None:
        return date.min
    year, month = divmod(utc_today().year * 12 + utc_today().month - 1 - months, 12)
    return date(year, month + 1, 1)


def days_of(partition_keys: Iterable[str]) -> list[date]:
    """Return the days of partition keys, ascending."""
    return sorted(map(date.fromisoformat, partition_keys))


@dataclass(frozen=True, order=True)
class Window:
    """Whole UTC days, both inclusive: what one chain of pages answers for."""

    first: date
    """The first day."""
    last: date
    """The last day."""

    @property
    def days(self) -> list[date]:
        """All days, ascending."""
        return [self.first + n * DAY for n in range((self.last - self.first).days + 1)]

    @property
    def start(self) -> datetime:
        """Midnight that opens the window (inclusive)."""
        return datetime(self.first.year, self.first.month, self.first.day, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """Midnight that closes the window (exclusive). Always fixed: a moving end makes page tokens invalid."""
        return self.start + DAY * len(self.days)

    def split(self, at: date) -> "tuple[Window, Window]":
        """The part before ``at`` and the part from ``at`` on."""
        return Window(self.first, at - DAY), Window(at, self.last)

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    def meets(self, other: "Window") -> bool:
        """Whether they share a day."""
        return self.first <= other.last and other.first <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last}"


def keeping_whole(window: Window, spans: Iterable[Window], size: int = MOST_DAYS) -> Window:
    """Return the window with the whole of each span that it has a part of, as long as it has at most ``size`` days."""
    for span in sorted(spans, reverse=True):
        wider = Window(min(window.first, span.first), max(window.last, span.last))
        if span.meets(window) and len(wider.days) <= size:
            window = wider
    return window


def windows(days: Iterable[date], size: int, gap: int = 0) -> list[Window]:
    """The fewest windows of at most ``size`` contiguous days that cover ``days``, and between them at most ``gap`` days
    that are not among these."""
    found: list[Window] = []
    for day in sorted(set(days)):
        if found and day - found[-1].last <= (gap + 1) * DAY and (day - found[-1].first).days < size:
            found[-1] = Window(found[-1].first, day)
        else:
            found.append(Window(day, day))
    return found


def counted(count: int, noun: str = "day") -> str:
    """Say how many: ``1 day``, ``3 days``, ``2 assets``."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def spans(days: Collection[date]) -> str:
    """Say which days, ascending: ``2026-11-01 to 2026-11-03, 2026-11-05``."""
    return ", ".join(map(str, windows(days, len(days))))


def alike(days: Mapping[date, K], size: int, uncut: Iterable[Window] = ()) -> list[tuple[Window, K]]:
    """Windows of at most ``size`` contiguous days that share a value, the newest first.

    Where a window is full, the next one begins with an ``uncut`` span, if one would be cut otherwise.
    """
    found: list[tuple[Window, K]] = []
    uncut = [span for span in uncut if len(span.days) <= size]
    for day in sorted(days, reverse=True):
        window, said = found[-1] if found else (Window(day, day), None)
        if not found or window.first != day + DAY or said != days[day]:
            found.append((Window(day, day), days[day]))
        elif (window.last - day).days < size:
            found[-1] = Window(day, window.last), days[day]
        elif cut := next(
            (span for span in uncut if day in span and span.last in window and span.last < window.last), None
        ):
            before, after = window.split(cut.last + DAY)
            found[-1:] = [(after, days[day]), (Window(day, before.last), days[day])]
        else:
            found.append((Window(day, day), days[day]))
    return found


def unix_seconds(window: Window) -> Mapping[str, str]:
    """``start_time`` and ``end_time`` in unix seconds; the end is exclusive."""
    return {"start_time": str(int(window.start.timestamp())), "end_time": str(int(window.end.timestamp()))}


def rfc3339(window: Window) -> Mapping[str, str]:
    """``starting_at`` and ``ending_at`` as ``2026-11-01T00:00:00Z``; the end is exclusive."""
    return {"starting_at": f"{window.start:%Y-%m-%dT%H:%M:%SZ}", "ending_at": f"{window.end:%Y-%m-%dT%H:%M:%SZ}"}


def single_day(window: Window) -> Mapping[str, str]:
    """``starting_at`` as ``2026-11-01``: that one UTC day."""
    return {"starting_at": f"{window.first:%Y-%m-%d}"}


def date_range(window: Window) -> Mapping[str, str]:
    """``start_date`` and ``end_date`` as ``2026-11-01``; the end is exclusive."""
    return {"start_date": f"{window.first:%Y-%m-%d}", "end_date": f"{window.end:%Y-%m-%d}"}


def date_alone(window: Window) -> Mapping[str, str]:
    """``date`` as ``2026-11-01``: that one UTC day."""
    return {"date": f"{window.first:%Y-%m-%d}"}

"""The charges of a range of days, from the files of a connection: which rows are taken, which days are covered.

Every row is checked, also of days that nobody asked for, so that a file is refused or not whatever is asked.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fnmatch import translate
from functools import cached_property, lru_cache
from hashlib import blake2b
from typing import Any

from usage_assets.core import money
from usage_assets.core.bills import NO_DAYS, Bills, ReadSet, Stored
from usage_assets.core.days import DAY, Window, end_of_month, spans
from usage_assets.fetching.files.location import FileError, Location
from usage_assets.fetching.files.sets import FileSet, sets_of
from usage_assets.fetching.files.tables import Rows, header_of, rows_of
from usage_assets.providers.files import CORRECTED_BY, FILE, KEPT, NOT_NAMED, ROW, UNREAD, FileReport

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:\.\d+)?)?)? ?(Z|UTC|[+-]\d\d:?\d\d)?")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_CURRENCY = re.compile("[A-Z]{3}")
LATEST_MIDNIGHT = timedelta(hours=12)
"""A UTC day is over everywhere 12 hours after its end: the last time zone is UTC-12."""
BESIDE = "-beside"
"""How the digest of a day ends that its set does not cover."""
Placed = tuple[date, dict[str, Any]]
"""A day, and a row of it."""


@lru_cache(4096)
def moment(text: str) -> datetime | None:
    """Return the moment that a text names, which is UTC unless it says otherwise; None for any other spelling.

    >>> moment("2026-11-01 00:00:00 UTC") == moment("2026-11-01T00:00:00Z") == moment("2026-11-01")
    True
    """
    if not (found := _TIME.fullmatch(text)):
        return None
    day, clock, seconds, zone = found.groups()
    offset = "+00:00" if zone in (None, "Z", "UTC") else zone
    try:
        return datetime.fromisoformat(f"{day}T{clock or '00:00'}:{seconds or '00'}{offset}").astimezone(UTC)
    except ValueError:
        return None


@lru_cache(4096)
def period_of(begins: str | None, ends: str | None) -> Window | None:
    """Return the UTC days of the billing period that a row states; None where it states none.

    A month may be one of another time zone (Google's: Pacific; Tencent's: Beijing). It then has the days between the
    UTC midnights that are nearest to its begin and end, so that no two months share a day. Google's view states the
    last day as the end (BillingPeriodEnd in the query of its guide to FOCUS in BigQuery), Tencent the last second.

    >>> print(period_of("2025-10-31T16:00:00Z", "2025-11-30T15:59:59Z"))
    2025-11-01 to 2025-11-30
    >>> print(period_of("2026-08-01T07:00:00Z", "2026-09-01T07:00:00Z"))
    2026-08-01 to 2026-08-31
    >>> print(period_of("2026-08-01 07:00:00 UTC", "2026-08-31 07:00:00 UTC"))
    2026-08-01 to 2026-08-31
    """
    begin, end = moment(begins or ""), moment(ends or "")
    if begin is None or end is None or end <= begin:
        return None
    first, last = (begin + LATEST_MIDNIGHT).date(), (end + LATEST_MIDNIGHT).date()
    is_last_day = first.day == 1 and last == end_of_month(first)
    return Window(first, last if is_last_day else max(first, last - DAY))


def _is_number(text: str) -> bool:
    """Whether a text is a number that can be stored."""
    try:
        return _NUMBER.fullmatch(text) is not None and money.stored(Decimal(text)) is not None
    except money.AmountError:
        return False


@dataclass
class Covered:
    """The days that the rows of a set speak about."""

    first: date | None = None
    last: date | None = None
    last_end: date | None = None
    is_daily: bool = False
    """Whether a charge for usage is of one day or less."""

    def add(self, begins: datetime, ends: datetime, period: Window | None) -> None:
        first, last = begins.date(), (ends - timedelta(microseconds=1)).date()
        last = min(last, period.last) if period else last
        self.first = min(self.first or first, first)
        self.last = max(self.last or first, first)
        self.last_end = max(self.last_end or last, last)
        self.is_daily = self.is_daily or ends - begins <= DAY

    def __contains__(self, day: date) -> bool:
        """Whether a charge is from the first to the last day. Whatever follows, it stays so."""
        return self.first is not None and self.last is not None and self.first <= day <= self.last

    @property
    def window(self) -> Window | None:
        """From the first to the last day on which a charge begins. Where all charges are longer than a day (a monthly
        report): to the end of the last one."""
        if self.first is None or self.last is None or self.last_end is None:
            return None
        return Window(self.first, self.last if self.is_daily else self.last_end)


@dataclass
class Said:
    """What the rows of a set say about each day, as digests that do not depend on the order of the rows."""

    days: dict[date, tuple[int, int]] = field(default_factory=dict)
    """Day -> rows, and the sum of their digests."""

    def add(self, day: date, content: object) -> None:
        rows, added = self.days.get(day, (0, 0))
        digest = int.from_bytes(blake2b(repr(content).encode(), digest_size=16).digest(), "big")
        self.days[day] = rows + 1, (added + digest) % (1 << 128)

    def about(self, covered: Window | None, charged: Collection[date]) -> Mapping[date, str]:
        """Return the digest of each day that has rows, is covered, or was ``charged``.

        Rows of a day that is not covered are stored with the name of their set, so its digest is another.
        """
        known = {*covered.days} if covered else set()
        days = sorted(known.union(self.days, charged))
        return {
            day: "{}-{:032x}".format(*self.days.get(day, (0, 0))) + ("" if day in known else BESIDE) for day in days
        }


@dataclass
class _Pass:
    """What one pass over the rows of a set has found so far."""

    files: FileSet
    name: str
    """As in ListedSet."""
    covered: Covered = field(default_factory=Covered)
    others: Covered = field(default_factory=Covered)
    """The same of charges that are not for usage."""
    outside: Covered = field(default_factory=Covered)
    """The same of usage outside of the billing period that its row states: it counts where no usage is inside."""
    said: Said = field(default_factory=Said)
    beside: list[Placed] = field(default_factory=list)
    """Rows of days that the set may not cover."""
    amounts: dict[tuple[date, str], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    """As in ReadSet."""
    periods: set[Window | None] = field(default_factory=set)
    """The billing periods of its rows."""

    @property
    def window(self) -> Window | None:
        """Return the days on which the set says everything, so that those without a charge are $0."""
        window = self.covered.window or self.outside.window or self.others.window
        period = self.files.period or self._stated(window)
        is_over = period and period.last < max(file.changed_at for file in self.files.files).date()
        return period if is_over else window

    def _stated(self, window: Window | None) -> Window | None:
        """Return the billing period, if all rows are of one, and some usage is in it."""
        period = next(iter(self.periods)) if len(self.periods) == 1 else None
        return period if window and period and window.meets(period) else None


@dataclass(frozen=True)
class Look:
    """What a location had when it was listed. Everything that is fetched after that is read from these files."""

    sets: Sequence[FileSet]
    bills: Bills

    @classmethod
    def at(cls, location: Location) -> "Look":
        """List the location. Raises FileError."""
        sets = sets_of(location)
        return cls(sets, Bills(listed=[each.listed(location) for each in sets]))


@dataclass
class Reading:
    """One pass over the files: of a connection's report, for a window."""

    location: Location
    report: FileReport
    window: Window
    patterns: Sequence[str]
    """Which rows are taken, as in FileReport.taken."""
    look: Look
    stored: Stored = NO_DAYS
    _left_out: dict[tuple[Any, ...], tuple[int, Decimal, Decimal | None]] = field(default_factory=dict)
    """Day, set that does not cover it, currency, service and FileReport.left_out_by -> rows, and what they add up to:
    billed, and amortized if all do."""
    _said: dict[tuple[date, tuple[int, int]], FileSet] = field(default_factory=dict)
    """Day and digest of what a set says of it -> the set."""
    _currencies: dict[tuple[str | None, ...], tuple[str, str]] = field(default_factory=dict)
    """Bill -> its currency, and where it was first."""
    _by_day: dict[date, FileSet] = field(default_factory=dict)

    def check(self) -> Sequence[str]:
        """Return the files that are ignored. Raises FileError unless every set is complete and every file has the
        columns that are needed."""
        sets = self.look.sets
        for each in sets:
            if each.missing:
                raise FileError(each.waiting, waits=True, is_broken=each.is_broken)
            for file in each.files:
                self._refuse_missing_columns(file.path, header_of(self.location, file))
        return [file.path for each in sets for file in each.left]

    def rows(self) -> Iterator[Placed]:
        """Yield the rows of the window's days that are taken, then those that add up what is left out.

        Raises FileError at any time: then nothing that it has yielded may be used. Its ``days`` say which of the days
        other files could still answer for.
        """
        for each, listed in zip(self.look.sets, self.look.bills.listed, strict=True):
            if each.missing:
                beside = self.stored.beside.get(listed.name, ())
                if days := [day for day in self.window.days if each.holds_up(day, beside)]:
                    raise DaysError(each.waiting, days, is_broken=each.is_broken)
                continue
            if not each.may_say(self.window.first):
                continue  # what it says is about earlier days only
            found = _Pass(each, listed.name)
            covered = yield from self._of_set(found)
            says = found.said.about(covered, self.stored.charged.get(listed.name, ()))
            self.look.bills.read[listed.name] = ReadSet(
                files=listed.files, covered=covered, says=says, amounts=found.amounts
            )
            self._refuse_second_delivery(each, found.said)
            self._refuse_second_set(each, covered)
        yield from self._kept()
        known = {*self.stored.cleared}.union(*(read.says for read in self.look.bills.read.values()))
        uncovered = [day for day in self.window.days if day not in known]
        if uncovered := [day for day in uncovered if day not in self.stored.kept]:
            raise DaysError(
                f"no file has charges of {spans(uncovered)}: {self.location.text} does not cover them yet", uncovered
            )
        for (day, corrected_by, currency, *by), (count, billed, amortized) in self._left_out.items():
            stated = {
                **dict(zip((self.report.named_by[0], *self.report.left_out_by), by, strict=True)),
                self.report.amortized: None if amortized is None else money.plain(amortized),
                CORRECTED_BY: corrected_by,
            }
            yield (
                day,
                {
                    **{name: value for name, value in stated.items() if value is not None},
                    self.report.currency: currency,
                    self.report.amount: money.plain(billed),
                    self.report.left_out_rows: count,
                },
            )

    def _kept(self) -> Iterator[Placed]:
        """Yield the rows that the window's days keep, but of sets that have them again."""
        for day in self.window.days:
            for name, stored in self.stored.kept.get(day, {}).items():
                read = self.look.bills.read.get(name) if name else None
                if not (read and day in read.says if name else day in self._by_day):
                    yield from ((day, {KEPT: row}) for row in stored)

    def _of_set(self, found: _Pass) -> Generator[Placed, None, Window | None]:
        """Yield the rows of a set; return the days that it covers. Rows of other days name it."""
        each, count = found.files, 0
        for file in each.files:
            for rows in rows_of(self.location, file):
                count += len(rows)
                yield from self._of_batch(found, rows)
        if not count:
            raise FileError(f"{each.files[0].path}: has a header and no row: it says nothing about any day, remove it")
        window = found.window
        own = set(window.days if window else ())
        yield from ((day, row if day in own else {**row, CORRECTED_BY: found.name}) for day, row in found.beside)
        for key in [key for key in self._left_out if key[1] == found.name and key[0] in own]:
            self._leave_out((key[0], None, *key[2:]), *self._left_out.pop(key))
        return window

    def _refuse_second_set(self, each: FileSet, covered: Window | None) -> None:
        for day in covered.days if covered else ():
            if day in self.window:
                if other := self._by_day.get(day):
                    raise FileError(
                        f"{each.name} and {other.name} both have charges of {day}: keep one of them, or give "
                        "each account a connection of its own"
                    )
                self._by_day[day] = each

    def _refuse_second_delivery(self, each: FileSet, said: Said) -> None:
        """Raise FileError where two sets say the same of a day: equal charges are as many, but not those of a copy."""
        for day, content in said.days.items():
            if day in self.window and (other := self._said.setdefault((day, content), each)) is not each:
                raise FileError(
                    f"{each.name} and {other.name} have the same charges of {day}: remove the one that is a copy"
                )

    def _leave_out(self, key: tuple[Any, ...], more: int, billed: Decimal, amortized: Decimal | None) -> None:
        """Add rows to those that are left out."""
        count, total, spread = self._left_out.get(key, (0, Decimal(), Decimal()))
        spread = None if spread is None or amortized is None else money.total((spread, amortized))
        self._left_out[key] = count + more, money.total((total, billed)), spread

    def _of_batch(self, found: _Pass, rows: Rows) -> Iterator[Placed]:
        report, each, said = self.report, found.files, found.said
        self._refuse_missing_columns(rows.file.path, rows.columns)
        values = {name: self._texts(rows, name) for name in report.required}
        for name, texts in values.items():
            if None in texts:
                raise self._fault(rows, texts.index(None), name, None, "each charge needs one")
        begins, ends, amounts = values[report.begins], self._texts(rows, report.ends), values[report.amount]
        amortized = rows.texts(report.amortized)
        currencies = values[report.currency]
        bills = list(zip(*(self._texts(rows, name) for name in report.billed_together), strict=True))
        late, use = self._texts(rows, report.late[0]), values[report.use[0]]
        stated = zip(*(rows.texts(name) for name in report.period), strict=True)
        periods = [each.period or period_of(*texts) for texts in stated]
        found.periods.update(periods)
        services = self._services(rows)
        by = list(zip(services, *(self._texts(rows, name) for name in report.left_out_by), strict=True))
        numbers = sorted((*report.amounts, *report.quantities))
        sums = list(zip(*(self._texts(rows, name) for name in numbers), strict=True))
        taken = self._taken(rows, services)
        wanted: list[tuple[int, date, bool]] = []
        for n in range(len(rows)):
            begin, end = self._period(rows, n, begins[n], ends[n])
            currency = currencies[n]
            if currency is None or not _CURRENCY.fullmatch(currency):
                raise self._fault(rows, n, report.currency, currency, "is no currency code: write it as USD")
            self._refuse_second_currency(rows, n, bills[n], currency)
            day = begin.date()
            is_late, is_use, period = late[n] == report.late[1], use[n] == report.use[1], periods[n]
            is_within = not is_late and (period is None or day in period)
            if is_within:
                (found.covered if is_use else found.others).add(begin, end, period)
            elif not is_late and each.period and begin >= each.period.end < end - LATEST_MIDNIGHT:
                raise self._fault(
                    rows, n, report.begins, begins[n], f"is after the period of its folder ({each.period})"
                )
            elif not is_late and is_use:
                found.outside.add(begin, end, None)
            is_own = (is_use and is_within) or day in found.covered
            billed = self._number(rows, n, report.amount, amounts[n])
            found.amounts[day, currency] = money.total((found.amounts[day, currency], billed))
            if taken[n]:
                wanted.append((n, day, is_own))
                continue
            # the same on the day between two months is no copy
            said.add(day, (currency, by[n], sums[n], *([] if is_late or is_within else [str(period)])))
            spread = None if amortized[n] is None else self._number(rows, n, report.amortized, amortized[n])
            if day in self.window:
                self._leave_out((day, None if is_own else found.name, currency, *by[n]), 1, billed, spread)
        for (n, day, is_own), row in zip(wanted, rows.taken([n for n, *_ in wanted]), strict=True):
            self._check(rows, n, row)
            said.add(day, sorted(row.items()))
            if day in self.window:
                placed = day, {**row, FILE: rows.file.path, ROW: rows.first + n}
                if is_own:
                    yield placed
                else:
                    found.beside.append(placed)

    def _services(self, rows: Rows) -> Sequence[str]:
        """Return the service of each row, or what the row says instead."""
        named = zip(*(self._texts(rows, name) for name in self.report.named_by), strict=True)
        return [next(filter(None, texts), NOT_NAMED) for texts in named]

    def _taken(self, rows: Rows, services: Sequence[str]) -> list[bool]:
        taken = [False] * len(rows)
        for name, pattern in self._patterns.items():
            known: dict[str | None, bool] = {None: False}
            for n, text in enumerate(services if name == self.report.named_by[0] else self._texts(rows, name)):
                if text not in known:
                    known[text] = pattern.fullmatch(text or "") is not None
                taken[n] = taken[n] or known[text]
        return taken

    @cached_property
    def _patterns(self) -> Mapping[str, re.Pattern[str]]:
        """Column -> what matches the values that are taken."""
        by_column: defaultdict[str, list[str]] = defaultdict(list)
        for text in self.patterns:
            column, stated, pattern = text.rpartition("=")
            by_column[column if stated else self.report.named_by[0]].append(translate(pattern))
        return {name: re.compile("|".join(patterns), re.I) for name, patterns in by_column.items()}

    def _check(self, rows: Rows, n: int, row: dict[str, Any]) -> None:
        """Refuse a row that is taken, or put it into the form in which it is stored."""
        for former, name in self.report.former_names.items():
            if name not in row and former in row:
                row[name] = row.pop(former)
        for name in self.report.words:
            if name in row:
                row[name] = self._spelled(name, row[name])
        for name in self.report.amounts:
            if name in row:
                self._number(rows, n, name, row[name])
        for name in self.report.quantities:
            if name in row and not _is_number(row[name]):
                row[f"{UNREAD}{name}"] = row.pop(name)
        for name in self.report.times:
            if name in row and (at := moment(row[name])):
                row[name] = f"{at:%Y-%m-%dT%H:%M:%SZ}"
            elif name in row:
                row[f"{UNREAD}{name}"] = row.pop(name)

    def _texts(self, rows: Rows, name: str) -> list[str | None]:
        """Return a column under its present name, in the words of the format."""
        texts = rows.texts(name)
        for former in self._former(name, rows.columns):
            texts = [text or before for text, before in zip(texts, rows.texts(former), strict=True)]
        return [text and self._spelled(name, text) for text in texts] if name in self.report.words else texts

    def _spelled(self, name: str, text: str) -> str:
        words = self.report.words[name]
        return text if text in words else next((word for word in words if word.lower() == text.lower()), text)

    def _former(self, name: str, columns: Sequence[str]) -> Sequence[str]:
        """Return the columns that have it under a former name."""
        return [former for former, new in self.report.former_names.items() if new == name and former in columns]

    def _period(self, rows: Rows, n: int, begins: str | None, ends: str | None) -> tuple[datetime, datetime]:
        begin = self._moment(rows, n, self.report.begins, begins)
        end = begin + DAY if ends is None else self._moment(rows, n, self.report.ends, ends)
        if end <= begin:
            raise self._fault(rows, n, self.report.ends, ends, f"is not after {self.report.begins}")
        return begin, end

    def _moment(self, rows: Rows, n: int, name: str, text: str | None) -> datetime:
        if text is None or (found := moment(text)) is None:
            raise self._fault(rows, n, name, text, "is no time: write it as 2026-11-01T00:00:00Z")
        return found

    def _number(self, rows: Rows, n: int, name: str, text: str | None) -> Decimal:
        if text is None or not _NUMBER.fullmatch(text):
            raise self._fault(rows, n, name, text, "is no number: write digits with a decimal point, as 1234.5")
        try:
            return money.stored(Decimal(text))
        except money.AmountError:
            raise self._fault(rows, n, name, text, "is too large to be stored exactly") from None

    def _fault(self, rows: Rows, n: int, name: str, value: str | None, reason: str) -> FileError:
        shown = "no value" if value is None else repr(value if len(value) <= 60 else f"{value[:57]}...")
        return FileError(f"{rows.place(n)}, {name}: {shown}: {reason}")

    def _refuse_missing_columns(self, path: str, columns: Sequence[str]) -> None:
        absent = [name for name in self.report.required if name not in columns and not self._former(name, columns)]
        if absent:
            some = " and ".join(absent[:3]) + (f" and {len(absent) - 3} more" if len(absent) > 3 else "")
            raise FileError(f"{path}: has no column {some}: export it with all columns that are required")

    def _refuse_second_currency(self, rows: Rows, n: int, bill: tuple[str | None, ...], currency: str) -> None:
        before = self._currencies.get(bill)
        if before is None:
            self._currencies[bill] = currency, rows.place(n)
        elif before[0] != currency:
            raise self._fault(
                rows, n, self.report.currency, currency, f"the same bill is in {before[0]} in {before[1]}"
            )


class DaysError(FileError):
    """Some days are not there yet; others may be."""

    def __init__(self, what: str, days: Sequence[date], *, is_broken: bool = False) -> None:
        super().__init__(what, waits=True, is_broken=is_broken)
        self.days = tuple(days)

"""The company's books: every row the sandbox knows, restatements included, and exact sums over them.

The emulated providers read rows here; /control/truth adds up the same books, never the pages that were served.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

from usage_assets_sandbox.books import Book, Books, Unit
from usage_assets_sandbox.company import EXACT, Company, DayRows, Row, total

HISTORY_DAYS = 400
CHANGES = ("scale", "add", "remove", "clear")
COSTS = {"openai": "costs", "anthropic": "cost_report"}
"""Provider -> its endpoint whose amounts have a currency."""


class Clock:
    """Real time, or a frozen moment."""

    def __init__(self, frozen: datetime | None = None) -> None:
        self.frozen = frozen

    def now(self) -> datetime:
        """The sandbox's time, aware, UTC."""
        return self.frozen or datetime.now(UTC)

    def today(self) -> date:
        """The sandbox's UTC date."""
        return self.now().date()


class Ledger:
    """The books of one company for the clock's last 400 days and today."""

    def __init__(self, seed: int, clock: Clock, books: Mapping[str, Books]) -> None:
        self.clock, self.books = clock, books
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """The books of the company of `seed` as they were before any restatement."""
        self.company = Company(seed)
        self._days: dict[tuple[str, date], DayRows] = {}
        self._newcomers = 0

    def first_day(self) -> date:
        """The earliest day with rows."""
        return self.clock.today() - timedelta(days=HISTORY_DAYS)

    def rows(self, provider: str, endpoint: str, day: date) -> list[Row]:
        """The rows of a day at the finest grain; none outside the books' days."""
        return self._day(provider, day)[endpoint] if self.first_day() <= day <= self.clock.today() else []

    def truth(self, start: date, end: date) -> dict[str, Any]:
        """Exact sums per provider, unit and day as decimal strings; a day without a known value is absent."""
        days: dict[str, dict[str, dict[str, str]]] = {}
        totals: dict[str, dict[str, str]] = {}
        for provider, books in self.books.items():
            sums = self._sums(provider, books.endpoints, max(start, self.first_day()), min(end, self.clock.today()))
            days[provider] = {
                unit: {day: _plain(value) for day, value in by_day.items()} for unit, by_day in sums.items()
            }
            totals[provider] = {unit: _plain(total(by_day.values()) or 0) for unit, by_day in sums.items()}
        return {"days": days, "totals": totals}

    def restate(self, provider: str, endpoint: str, day: date, change: str, factor: int) -> int:
        """Change the books of one day by one of CHANGES; answers how many rows it touched."""
        rows = self._day(provider, day)[endpoint]
        third, rest = rows[::3], [row for n, row in enumerate(rows) if n % 3]
        match change:
            case "scale":
                dimensions = self.books[provider].endpoints[endpoint].dimensions
                after, touched = [_scaled(row, dimensions, factor) for row in third] + rest, len(third)
            case "add":
                after, touched = [*rows, self._newcomer(provider, endpoint, day)], 1
            case "remove":
                after, touched = rest, len(third)
            case "clear":
                after, touched = [], len(rows)
        self._day(provider, day)[endpoint] = after
        return touched

    def bill(self, provider: str, day: date, currency: str, third: int) -> int:
        """Let a third of a day's costs be in a currency (the same numbers of it); answers how many rows it touched."""
        endpoint = COSTS[provider]
        rows = self._day(provider, day)[endpoint]
        spelled = currency.lower() if provider == "openai" else currency.upper()
        self._day(provider, day)[endpoint] = [
            row | {"currency": spelled} if n % 3 == third else row for n, row in enumerate(rows)
        ]
        return len(rows[third::3])

    def _newcomer(self, provider: str, endpoint: str, day: date) -> Row:
        """A plausible row that the day does not have yet: one of an earlier day, of someone new."""
        self._newcomers += 1
        earlier = (
            self.books[provider].day(self.company, day - timedelta(days=n))[endpoint] for n in range(1, HISTORY_DAYS)
        )
        row = next(rows[0] for rows in earlier if rows)
        return row | self.books[provider].endpoints[endpoint].newcomer(
            self.rows(provider, endpoint, day), self._newcomers
        )

    def _day(self, provider: str, day: date) -> DayRows:
        if (provider, day) not in self._days:
            self._days[provider, day] = self.books[provider].day(self.company, day)
        return self._days[provider, day]

    def _sums(
        self, provider: str, books: Mapping[str, Book], start: date, end: date
    ) -> dict[str, dict[str, Decimal | int]]:
        days = [start + timedelta(days=n) for n in range((end - start).days + 1)]
        sums: dict[str, dict[str, Decimal | int]] = {}
        for endpoint, book in books.items():
            for name, unit in (*book.units.items(), *self._currencies(provider, endpoint, days)):
                by_day = {str(day): total(map(unit.value, self.rows(provider, endpoint, day))) for day in days}
                sums[name] = {day: summed for day, summed in by_day.items() if summed is not None}
        return sums

    def _currencies(self, provider: str, endpoint: str, days: Sequence[date]) -> Iterator[tuple[str, Unit]]:
        """A unit for each currency but the dollar that the days are billed in, called as its code in lower case."""
        if endpoint == COSTS.get(provider):
            found = {row["currency"] for day in days for row in self.rows(provider, endpoint, day)}
            for currency in sorted(found - {"usd", "USD"}):
                yield currency.lower(), _amounts_in(currency)


def _amounts_in(currency: str) -> Unit:
    return Unit(lambda row: row["amount"] if row["currency"] == currency else None)


def _plain(value: Decimal | int) -> str:
    return f"{Decimal(value):f}"


def group(rows: Sequence[Row], dimensions: Iterable[str], kept: Iterable[str]) -> list[Row]:
    """`rows` summed over every dimension that is not kept; those dimensions become None."""
    dimensions, kept = tuple(dimensions), frozenset(kept)
    blank = {name: None for name in dimensions if name not in kept}
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in dimensions if name in kept), []).append(row)
    return [
        {name: total(row[name] for row in same) for name in same[0] if name not in dimensions}
        | {name: same[0][name] for name in dimensions}
        | blank
        for same in groups.values()
    ]


def _scaled(row: Row, dimensions: Sequence[str], factor: int) -> Row:
    return {name: value if name in dimensions else _times(value, factor) for name, value in row.items()}


def _times(value: Any, factor: int) -> Any:
    if isinstance(value, dict):
        return {name: _times(inner, factor) for name, inner in value.items()}
    if isinstance(value, list):
        return [_times(inner, factor) for inner in value]
    if isinstance(value, int | Decimal):
        with localcontext(EXACT):
            return value * factor
    return value

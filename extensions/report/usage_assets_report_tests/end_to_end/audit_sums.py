"""Exact sums, days and the names of entities: the arithmetic of the audit, which shares none with the product."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import cache
from typing import Any, NamedTuple

from usage_assets.core.days import DAY
from usage_assets.core.schema import declared
from usage_assets_sandbox.company import EXACT

Row = dict[str, Any]
DAILY, ALLOCATED = "costs.daily_costs", "costs.allocated_costs"
GRAIN = tuple(name for name in declared(DAILY).grain if name != "source_table")
STEP = Decimal("1e-24")
ROUNDED = Context(prec=100, rounding=ROUND_HALF_UP)
"""Half away from zero, once."""


def total(amounts: Iterable[Decimal | int | None]) -> Any:
    """The exact sum of those that are known; None of none."""
    known = [amount for amount in amounts if amount is not None]
    if not known:
        return None
    summed = known[0]
    for amount in known[1:]:
        summed = EXACT.add(Decimal(summed), Decimal(amount)) if isinstance(amount, Decimal) else summed + amount
    return summed


def added(rows: Iterable[Row], name: str, **only: Any) -> Any:
    """The exact sum of a column, of the rows that have these values."""
    if only:
        rows = [row for row in rows if all(row[column] == value for column, value in only.items())]
    return total(row[name] for row in rows)


def sums(rows: Collection[Row], *names: str) -> Row:
    """The exact sum of each column: a text names several."""
    return {name: added(rows, name) for name in _each(*names)}


def times(amount: Decimal, rate: Decimal) -> Decimal:
    """The product, to 24 places."""
    return ROUNDED.multiply(amount, rate).quantize(STEP, context=ROUNDED)


def by(rows: Iterable[Row], *names: str) -> dict[tuple[Any, ...], list[Row]]:
    """Rows by what they have in these columns: a text names several."""
    columns = _each(*names)
    groups: defaultdict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in columns)].append(row)
    return groups


def grouped(rows: Iterable[Row], *names: str) -> Iterator[tuple[Row, list[Row]]]:
    """The same: what rows have in common, and the rows."""
    for key, same in by(rows, *names).items():
        yield dict(zip(_each(*names), key, strict=True)), same


def picked(row: Row, *names: str) -> Row:
    """Some columns of a row. ``name=column`` is how a column is called elsewhere."""
    return {name: row[column] for name, column in _renamed(*names)}


def keyed(rows: Iterable[Row], names: str) -> dict[tuple[Any, ...], Row]:
    """Rows by what only one of them has in these columns."""
    return {tuple(picked(row, names).values()): row for row in rows}


def differing(what: str, found: Row, expected: Mapping[str, Any]) -> Iterator[str]:
    """A line for each figure of a row that is not what is expected."""
    for name, value in expected.items():
        if found[name] != value:
            yield f"{what}, {name}: expected {value}, found {found[name]}"


@cache
def _each(*names: str) -> Sequence[str]:
    return " ".join(names).split()


@cache
def _renamed(*names: str) -> Sequence[tuple[str, str]]:
    pairs = (each.partition("=") for each in _each(*names))
    return [(name, column or name) for name, _, column in pairs]


def cost(source: str, **said: Any) -> Row:
    """A row of costs.daily_costs, before it is valued."""
    blank = dict.fromkeys((*GRAIN, "usage_type"))
    return {**blank, "provider": source.partition(".")[0], "source_table": source, "grouped_by": "", **said}


def month_of(day: date) -> date:
    """The first day of its month."""
    return day.replace(day=1)


def next_month(day: date) -> date:
    """The first day of the month after its own."""
    return month_of(month_of(day) + 31 * DAY)


def midnight(day: date) -> datetime:
    """The moment that a day begins."""
    return datetime.combine(day, time(), UTC)


def valid(name: str) -> str:
    """An identifier that Port takes."""
    fits = [char if char.isalpha() or char in "0123456789@_.+:\\/=-" else "_" for char in name]
    if "".join(fits) == name and len(name) <= 1000:
        return name
    return "".join(fits)[:991] + "-" + hashlib.sha256(name.encode()).hexdigest()[:8]


def identifier(connection: str, published: str) -> str:
    """An identifier of a published blueprint."""
    is_default = connection in ("openai", "anthropic", "chatgpt")
    return valid(published if is_default else f"{connection}:{published}")


def path(*names: str | None) -> str:
    """An identifier of a blueprint of ours."""
    return valid("/".join((name or "").replace("%", "%25").replace("/", "%2F") for name in names))


class OneDay(NamedTuple):
    """The raw rows of a connection's day, of which entities are made."""

    connection: str
    day: date
    tables: Mapping[str, list[Row]]
    name_of: Any
    """Kinds of lists and an id -> its name."""

    def dated(self, published: str, title: str, **properties: Any) -> Row:
        """An entity of a published blueprint: its identifier and title."""
        return {"identifier": identifier(self.connection, published), "title": title, **properties}

    def record(self, published: str, title: str, **properties: Any) -> Row:
        """An entity that has the day as a moment."""
        return self.dated(published, title, record_date=f"{self.day}T00:00:00Z", **properties)


Entities = Mapping[str, list[Row]]
"""Blueprint -> its entities."""

"""How far answers can be relied on: what is stored, settled, due or missing of each connection."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime

from usage_assets.core.days import DAY, Window, counted, spans
from usage_assets.warehouse.errors import WarehouseError
from usage_assets.warehouse.values import listed
from usage_assets_assistant.mcp.answers import Freshness, cleaned
from usage_assets_assistant.mcp.store import Opened
from usage_assets_report.shared import FIRST_STORED, Period, read_figure

NEWEST = "select max(usage_date) from ledger.stored_days where table_name = 'costs.daily_costs'"

EARLIEST, LATEST = date(2000, 1, 1), date(2099, 12, 31)
"""The days that may be named: none of a provider is older, and the periods before and after them are days, too."""
MISSING = """
select connection, list(distinct usage_date order by usage_date)
from ledger.due_days
where state = 'missing'
group by connection
order by connection
"""


def stored_days(opened: Opened) -> tuple[date, date]:
    """Return the first and the newest day with costs. Raises WarehouseError where there is none."""
    if "stored_days" not in opened.known:
        with opened.stored() as database:
            found = [(database.execute(sql).fetchone() or (None,))[0] for sql in (FIRST_STORED, NEWEST)]
        if None in found:
            raise WarehouseError("no costs are stored yet: usage-assets doctor says what is missing")
        opened.known["stored_days"] = found
    first, last = opened.known["stored_days"]
    return first, last


def period_of(opened: Opened, first: str | None, last: str | None) -> Period:
    """Return the days that are meant: by default the month of the newest day with costs, up to it. Raises
    WarehouseError."""
    if not first and not last:
        newest = stored_days(opened)[1]
        return Period.of_month(newest, newest)
    if not first or not last:
        raise WarehouseError("name first and last, both YYYY-MM-DD, or neither: then it is the month of the newest day")
    return Period.of_days(*days_of(first, last))


def days_of(first: str, last: str) -> tuple[date, date]:
    """Return the first and the last day of a range that was typed. Raises WarehouseError."""
    days = day_of("first", first), day_of("last", last)
    if days[1] < days[0]:
        raise WarehouseError(f"last {last} is before first {first}")
    return days


def day_of(name: str, text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise WarehouseError(f"{name} {text}: must look like 2026-11-01, a day in UTC") from None
    if not EARLIEST <= day <= LATEST:
        raise WarehouseError(f"{name} {text}: must be from {EARLIEST} to {LATEST}")
    return day


def freshness(opened: Opened, connection: str | None = None) -> list[Freshness]:
    """Return the state of each connection that is seen, or of one. It holds for an hour: days become due."""
    name = f"freshness at {hour()}"
    if name not in opened.known:
        newest = stored_days(opened)[1]
        with opened.stored() as database:
            rows = read_figure(database, "connections", Period.of_days(newest, newest)).rows.to_pylist()
        opened.known[name] = [
            Freshness(
                connection=row["connection"],
                first_day=row["first_day"],
                newest_day=row["last_day"],
                final_until=row["final_until"],
                settled_until=row["settled_until"],
                due_days=row["due_days"],
                why_due=cleaned(row["why_due"]),
            )
            for row in rows
        ]
    known: list[Freshness] = opened.known[name]
    return [
        each
        for each in known
        if opened.sight.sees_connection(each.connection) and connection in (None, each.connection)
    ]


def missing_days(
    opened: Opened, first: date, last: date, connection: str | None = None
) -> Mapping[str, Sequence[date]]:
    """Return the days of a period that are not stored though they should be, of each connection that lacks some."""
    name = f"missing at {hour()}"
    if name not in opened.known:
        with opened.stored() as database:
            opened.known[name] = dict(database.execute(MISSING).fetchall())
    found: dict[str, Sequence[date]] = {
        each: [day for day in days if first <= day <= last]
        for each, days in opened.known[name].items()
        if opened.sight.sees_connection(each) and connection in (None, each)
    }
    return {each: days for each, days in found.items() if days}


def hour() -> str:
    """Return until when what depends on the time is known: days become due."""
    return f"{datetime.now(UTC):%Y-%m-%d %H}"


def doubts(
    opened: Opened, states: Sequence[Freshness], first: date, last: date, connection: str | None = None
) -> Iterator[str]:
    """Yield what to say beside amounts of these days: which may still change, and which are missing."""
    for name, days in missing_days(opened, first, last, connection).items():
        yield f"{name}: {spans(days)} not stored"
    open_ones: dict[date, list[str]] = {}
    for each in states:
        since = first if each.final_until is None else max(first, each.final_until + DAY)
        if since <= last:
            open_ones.setdefault(since, []).append(each.connection)
    if open_ones:
        which = "; ".join(f"{Window(since, last)} of {listed(names, 10)}" for since, names in sorted(open_ones.items()))
        yield f"provisional, the providers may still revise {which}"
    for each in states:
        if each.newest_day and first <= each.newest_day < last:
            yield f"{each.connection}: nothing after {each.newest_day} is stored"
        if each.first_day and first < each.first_day <= last:
            yield f"{each.connection}: nothing before {each.first_day} is stored"
        if each.due_days:
            yield f"{each.connection}: {counted(each.due_days)} due or missing ({each.why_due})"

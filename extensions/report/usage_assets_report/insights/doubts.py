"""What says that billed amounts are wrong. It is shown beside them, and no statement of such a month is issued."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date

import duckdb

from usage_assets.core.days import counted
from usage_assets.models.insights import DoubtRow
from usage_assets.models.same_use import SameUse
from usage_assets_report.insights.series import LONGEST, query

READS: Mapping[str, str] = {"failed_checks": "ledger.failed_checks", "billed_twice": "costs.billed_twice"}
"""Query -> what it reads. Without that table no check has run; the view is of the package that reads bills in files."""
THERE = """
select schema_name || '.' || table_name from duckdb_tables()
union all
select schema_name || '.' || view_name from duckdb_views()
"""


def doubts_of(database: duckdb.DuckDBPyConnection, same: Iterable[SameUse], newest: date) -> Iterator[DoubtRow]:
    """Yield what contradicts the days of the last 400."""
    first = newest - LONGEST
    there = {name for (name,) in database.execute(THERE).fetchall()}
    for file in (name for name, read in READS.items() if read in there):
        for name, connection, day, text in database.execute(query(file), {"first": first, "last": newest}).fetchall():
            yield DoubtRow(check_name=name, connection=connection, usage_date=day, text=text)
    for pair in same:
        for connection in pair.connections:
            [other] = {*pair.connections} - {connection}
            text = f"{other} stores the same usage (the same id in {pair.table}: {pair.id})"
            for day in pair.on:
                if first <= day <= newest:
                    yield DoubtRow(check_name="same_usage", connection=connection, usage_date=day, text=text)


def in_words(
    doubts: Sequence[DoubtRow], first: date, last: date, connections: Collection[str] | None = None
) -> str | None:
    """Return what contradicts a range of days, of some connections or of all; None where nothing does."""
    days: dict[str, set[date]] = {}
    for row in doubts:
        if first <= row.usage_date <= last and (connections is None or row.connection in connections):
            days.setdefault(row.check_name, set()).add(row.usage_date)
    found = [f"{name} on {counted(len(of_it))}" for name, of_it in sorted(days.items())]
    return ", ".join(found) or None

"""What is compared with what is stored: checks as data, which run in Dagster and without it.

``content`` repeats the SQL checks that a write had to pass before it was committed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property, partial
from itertools import groupby
from operator import itemgetter
from typing import Literal

import duckdb

from usage_assets.core.money import TOLERANCE
from usage_assets.core.schema import TableRow, declarations, declared
from usage_assets.models.costs import AllocatedCost, used_views
from usage_assets.models.due import stale_days
from usage_assets.models.model import SQL, sql_files
from usage_assets.models.prices import TOKENS, has_prices, unit_errors
from usage_assets.providers.endpoint import Control
from usage_assets.warehouse.checks import check_failures, differences
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.migrate import define_macros, read_by
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import CheckFailure, Query, View, declared_in

Severity = Literal["WARN", "ERROR"]
Finder = Callable[[duckdb.DuckDBPyConnection, Slice], Iterable[CheckFailure]]
Excuses = Callable[[duckdb.DuckDBPyConnection, Slice, Sequence[CheckFailure]], Mapping[date, str]]
"""Finds the days that are not compared, with the reason, given what contradicts the check."""
AGAIN = (
    "Fetch the day again: usage-assets backfill --connection {connection} --start {day} --end {day}. "
    "If it stays, please report it"
)
UNSETTLED_DAYS = """
select usage_date, table_name
from ledger.day_states
where table_name in (select unnest($tables)) and usage_date between $first and $last and state <> 'settled'
order by usage_date, table_name
"""
COMPARABLE_DAYS = """
select usage_date
from ledger.stored_days
where (table_name, connection) in (($own, $connection), ($other, $other_connection))
  and filters is null
  and usage_date between $first and $last
group by usage_date
having count(*) = 2
"""


@dataclass(frozen=True)
class CrossCheck:
    """Another table that covers the same usage, and the connection whose rows in it do."""

    table: Table
    connection: str

    @property
    def check(self) -> str:
        return self.table.name.partition(".")[2]

    @property
    def reason(self) -> str:
        """Why a day is not compared."""
        return f"{self.table.name} of {self.connection} does not have the day, or filters narrow one of the two down"

    def sql(self, own: Table, measures: str) -> str:
        """SQL whose every row is a day of the own table that differs in its money or its tokens."""
        text = (SQL / "cross_checks" / f"{measures}.sql").read_text()
        return text.format(own=own.name, other=self.table.name, connection=self.connection)

    def excuses(self, own: Table) -> Excuses:
        """Excuse the days that one side lacks, that filters narrow down, or that a provider may still change."""
        unsettled = _unsettled([own.name, self.table.name])

        def excused(
            database: duckdb.DuckDBPyConnection, target: Slice, failures: Sequence[CheckFailure]
        ) -> Mapping[date, str]:
            names = {"own": own.name, "other": self.table.name, "other_connection": self.connection}
            both = {day for (day,) in database.execute(COMPARABLE_DAYS, target.bounds | names).fetchall()}
            lacking = {day: self.reason for day in target.days if day not in both}
            return {**unsettled(database, target, failures), **lacking}

        return excused


def _nothing(*_: object) -> Mapping[date, str]:
    return {}


def _unsettled(tables: Sequence[str]) -> Excuses:
    """Excuse the wrong days on which a provider may still change one of the tables, of any connection: until a day is
    settled, two reports of one use may differ, because one of them is updated first."""

    def excused(
        database: duckdb.DuckDBPyConnection, target: Slice, failures: Sequence[CheckFailure]
    ) -> Mapping[date, str]:
        if not failures:
            return {}
        found = database.execute(
            UNSETTLED_DAYS, {"tables": [*tables], "first": target.first, "last": target.last}
        ).fetchall()
        wrong = {failure.day for failure in failures}
        return {day: f"the provider may still change {table}" for day, table in found if day in wrong}

    return excused


@dataclass(frozen=True)
class Comparison:
    """A check, what contradicts it, and how bad that is."""

    name: str
    description: str
    find: Finder
    severity: Severity = "WARN"
    is_blocking: bool = False
    excuses: Excuses = _nothing
    reads: Sequence[str] = ()
    """Other tables and views that it reads, which the connection need not have."""
    is_posted: bool = True
    """Whether somebody has to hear of it: what it finds is shown in any case."""

    def look(self, database: duckdb.DuckDBPyConnection, target: Slice) -> "Finding":
        """Look at the days of a run."""
        failures = [*self.find(database, target)]
        return Finding(self, failures, self.excuses(database, target, failures))


@dataclass(frozen=True)
class Finding:
    """What a check found wrong in the days of a run."""

    check: Comparison
    failures: Sequence[CheckFailure]
    left_out: Mapping[date, str]
    """Days that are not compared, with the reason."""

    @cached_property
    def wrong(self) -> Mapping[date, Sequence[str]]:
        """What is wrong with each day that is compared. Sorted, because the webhook posts an equal text once."""
        compared = sorted((f.day, f.text) for f in self.failures if f.day not in self.left_out)
        return {day: [text for _, text in texts] for day, texts in groupby(compared, key=itemgetter(0))}

    def advice(self, connection: str, day: date) -> str:
        """What to do about a wrong day."""
        said = dict.fromkeys(f.advice or AGAIN for f in self.failures if f.day == day)
        return ". ".join(said).format(connection=connection, day=day)


def comparisons_of(
    table: Table,
    query: Query | None,
    control: Control | None,
    derived: str = "",
    cross_check: CrossCheck | None = None,
) -> Iterator[Comparison]:
    """Yield what a table is compared with, and its warnings: the first line of a warning's query is its description."""

    def warning(name: str, sql: str, excuses: Excuses = _nothing) -> Comparison:
        description = sql.partition("\n")[0].removeprefix("-- ")
        stated = {name: value.split(", ") for name, value in declared_in(sql).items()}
        settled = stated.get("settled", ())
        if query and settled == ["sources"]:
            settled = [query.part, *query.reads, *query.optional_refs]
        return Comparison(
            name,
            description,
            _finding(sql),
            "ERROR" if stated.get("severity") == ["error"] else "WARN",
            excuses=_unsettled(settled) if settled and excuses is _nothing else excuses,
            reads=stated.get("reads", ()),
            is_posted=stated.get("shown") != ["only"],
        )

    file, part = table.name.replace(".", "_"), query.part if query else ""
    grain = f"One row per {', '.join(table.grain)}"
    description = f"{grain}; every total equals the raw tables'" if query else grain
    excuses = partial(_computed_again, table) if query else _nothing
    yield Comparison(
        "content",
        description,
        lambda database, target: check_failures(database, table, query, target),
        "ERROR",
        is_blocking=True,
        excuses=excuses,
    )
    if control:
        description = "Each day adds up to the provider's total without grouping"
        yield Comparison("control_total", description, _finding(control_query(table.row, control)), "ERROR")
    for name in filter(None, (derived, file)):
        for path in sql_files(f"warnings/{name}.*.sql"):
            yield warning(path.suffixes[0].removeprefix("."), path.read_text())
    if cross_check:
        sql = cross_check.sql(table, "money" if control else "tokens")
        yield warning(cross_check.check, sql, cross_check.excuses(table))
    if table.row is AllocatedCost and part in TOKENS and has_prices():
        description = (
            "The billed amount is not about 100 times the list price of the tokens, or a hundredth (a wrong unit)"
        )
        yield Comparison(
            "list_price", description, lambda database, target: unit_errors(database, part, target), "ERROR"
        )


def prepare(
    warehouse: Warehouse,
    database: duckdb.DuckDBPyConnection,
    comparisons: Iterable[Comparison],
    tables: Iterable[Table],
    query: Query | None,
    views: Iterable[View] = (),
) -> Sequence[str]:
    """Make the tables, views and macros that are read. Return what is wrong with each view that cannot be made."""
    others = [read for each in comparisons for read in each.reads]
    read = [Table(declared(name)) for name in others if name in declarations()]
    made = dict.fromkeys((*views, *used_views(others)))
    broken = warehouse.declare(database, [*tables, *read, *(read_by(query) if query else ())], tuple(made))
    if query:
        define_macros(database, query)
    return broken


def control_query(row: type[TableRow], control: Control) -> str:
    """Return SQL whose every row is a day that differs from its control total."""
    names = {"rows": row.table, "totals": control.row.table, "amount": control.amount, "currency": control.currency}
    # the days and the connection of the advice are those of what is found
    advised = {"connection": "{connection}", "day": "{day}"}
    return (SQL / "control_total.sql").read_text().format(**names, **advised, tolerance=f"{TOLERANCE:f}")


def _finding(sql: str) -> Finder:
    """What a query whose every row is a contradiction finds."""
    return lambda database, target: differences(database, sql, target)


def _computed_again(
    table: Table, database: duckdb.DuckDBPyConnection, target: Slice, failures: Sequence[CheckFailure]
) -> Mapping[date, str]:
    """Excuse the wrong days that are computed again: a rate was edited during the run, for example."""
    stale = stale_days(database, table, target) if failures else {}
    return {failure.day: stale[failure.day] for failure in failures if failure.day in stale}

"""Asset checks of stored days. ``content`` repeats the SQL checks that a write had to pass before it was committed.

A run has one result per check, after an evaluation for each failing day. Failing days stay in ``ledger.failed_checks``
until they pass.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property, partial
from itertools import groupby
from operator import itemgetter

import dagster as dg
import duckdb

from usage_assets.assets.names import ALONE, Names
from usage_assets.assets.posted import ADVICE, DAYS_WRONG, ONLY_SHOWN
from usage_assets.core.money import TOLERANCE
from usage_assets.core.schema import Row, TableRow, declarations, declared
from usage_assets.models.costs import AllocatedCost, used_views
from usage_assets.models.due import stale_days
from usage_assets.models.model import SQL, sql_files
from usage_assets.models.prices import TOKENS, has_prices, unit_errors
from usage_assets.providers.endpoint import Control
from usage_assets.warehouse.checks import (
    check_failures,
    differences,
    missing_fields,
    remember,
    stored_slice,
    unknown_fields,
)
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.ledger import FAILED_CHECKS, TEXT_CHARACTERS, FailedCheck
from usage_assets.warehouse.migrate import define_macros, read_by
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import CheckFailure, Query, declared_in

Results = Iterator[dg.AssetCheckEvaluation | dg.AssetCheckResult]
Finder = Callable[[duckdb.DuckDBPyConnection, Slice], Iterable[CheckFailure]]
UNKNOWN = "sends fields that this release does not know"
MISSING = "leaves out fields that it always sent"
AGAIN = (
    "Fetch the day again: usage-assets backfill --connection {connection} --start {day} --end {day}. "
    "If it stays, please report it"
)
FIELDS_ADVICE = {
    UNKNOWN: "No figure is wrong: they are kept in other_fields. Please report them, so that a release reads them",
    MISSING: "They are null, and sums lack them. Please report it with an archived answer",
}
Fields = Callable[[duckdb.DuckDBPyConnection, Table, Slice], Mapping[str, int]]
"""Finds names of fields in a slice, with the number of rows that each is about."""
Excuses = Callable[[duckdb.DuckDBPyConnection, Slice, Sequence[CheckFailure]], Mapping[date, str]]
"""Finds the days that are not compared, with the reason, given what contradicts the check."""
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

    spec: dg.AssetCheckSpec
    find: Finder
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN
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

    def rows(self, asset: str, connection: str, run_id: str) -> Iterator[FailedCheck]:
        """Yield the rows that ``ledger.failed_checks`` holds of it: none of what is only shown."""
        for day, texts in self.wrong.items() if self.check.is_posted else ():
            yield FailedCheck(
                connection=connection,
                usage_date=day,
                asset=asset,
                check_name=self.check.spec.name,
                severity=self.check.severity.value,
                text=_in_words(texts)[:TEXT_CHARACTERS],
                run_id=run_id,
                found_at=datetime.now(UTC),
            )

    def results(self, target: Slice, remembered: Iterable[tuple[date, str]]) -> Results:
        """Yield an evaluation for each wrong day, then the result of the run: whether no day is wrong any more.

        Where only days outside the run are wrong, it is a warning, because an error of a blocking check stops the run.
        """
        quiet: dict[str, int | str] = {} if self.check.is_posted else {ONLY_SHOWN: True}
        for day, texts in self.wrong.items():
            yield dg.AssetCheckEvaluation(
                asset_key=self.check.spec.asset_key,
                check_name=self.check.spec.name,
                passed=False,
                description=_in_words(texts),
                metadata={
                    "contradictions": dg.MetadataValue.json(texts[:LISTED_TEXTS]),
                    ADVICE: self.advice(target.connection, day),
                    **quiet,
                },
                severity=self.check.severity,
                blocking=self.check.spec.blocking,
                partition=day.isoformat(),
            )
        before = {day: text for day, text in remembered if day not in self.wrong}
        texts = [f"{day}: {_in_words(texts)}" for day, texts in self.wrong.items()]
        texts += [f"{day} (not in this run): {text}" for day, text in before.items()]
        advice = self.advice(target.connection, max(self.wrong)) if self.wrong else ""
        not_compared = _in_words([f"{day}: {reason}" for day, reason in self.left_out.items()])
        yield dg.AssetCheckResult(
            asset_key=self.check.spec.asset_key,
            check_name=self.check.spec.name,
            passed=not texts,
            severity=dg.AssetCheckSeverity.WARN if before and not self.wrong else self.check.severity,
            description=_in_words(texts) or None,
            metadata={
                "days": len(target.days),
                "contradictions": sum(map(len, self.wrong.values())),
                DAYS_WRONG: len(texts),
            }
            | ({"not_compared": not_compared} if not_compared else {})
            | ({ADVICE: advice} if advice else {})
            | quiet,
        )


LISTED_TEXTS = 5
LISTED_FIELDS, FIELD_CHARACTERS = 50, 100
"""What is shown of unknown fields: events are small, whatever a provider sends."""


@dataclass(frozen=True)
class FieldNames:
    """A check that names fields: those that are not known, or those that were left out. It has no result per day."""

    spec: dg.AssetCheckSpec
    find: Fields
    said: str

    def result(self, fields: Mapping[str, int]) -> dg.AssetCheckResult:
        """Return the result of a run that found these fields in so many rows."""
        advice = {ADVICE: FIELDS_ADVICE[self.said]} if fields else {}
        return dg.AssetCheckResult(
            asset_key=self.spec.asset_key,
            check_name=self.spec.name,
            passed=not fields,
            severity=dg.AssetCheckSeverity.WARN,
            description=fields_in_words(fields, self.said),
            metadata={"rows": sum(fields.values()), "fields": _listed(fields), **advice},
        )


def build_checks(
    definition: dg.AssetsDefinition,
    row: type[Row],
    connection: str,
    query: Query | None = None,
    control: Control | None = None,
    file: str = "",
    cross_check: CrossCheck | None = None,
    names: Names = ALONE,
) -> dg.AssetChecksDefinition:
    """Build an asset's checks.

    * ``content``
    * of a raw table: ``control_total`` if it has control totals, ``unknown_fields`` and ``missing_fields`` if it has
      columns for them
    * of a table that views read: ``views``
    * of allocated costs: ``list_price`` if there is a price list
    * warnings: what ``sql/warnings/<table>.<check>.sql`` and those of a derived ``file`` (``<folder>/<file>``) find
      (errors, where the file says ``severity: error``), and where the table differs from that of ``cross_check``

    They have one result per run, and an evaluation for each wrong day only: an event for every day and check was a
    third of what a backfill took.
    """
    key, table, part = definition.key, Table(row), query.part if query else ""
    asset = names.asset(key)
    fields = [*_field_names(key, table)]
    views = [_of_views(key)] if query and query.views else []
    comparisons = [*_comparisons(key, table, query, control, file, cross_check)]
    others = [read for each in comparisons for read in each.reads]
    tables = [FAILED_CHECKS, table, *(Table(declared(read)) for read in others if read in declarations())]
    tables += [*([Table(control.row)] if control else []), *([cross_check.table] if cross_check else [])]

    @dg.multi_asset_check(
        name=f"{key.to_python_identifier()}_checks",
        specs=[*(each.spec for each in comparisons), *(each.spec for each in fields), *views],
        can_subset=True,  # or nobody could execute one in the UI
    )
    @names.bound
    def checks(context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> Results:
        selected = context.selected_asset_check_keys
        viewed = [spec for spec in views if spec.key in selected]
        with warehouse.get_connection() as database:
            viewing = dict.fromkeys((*(query.views if query and viewed else ()), *used_views(others)))
            used = read_by(query) if query else ()
            broken = warehouse.declare(database, [*tables, *used], tuple(viewing))
            if query:
                define_macros(database, query)
            target = _asked(context, connection, part) or stored_slice(database, table, asset, connection, part)
            findings = [each.look(database, target) for each in comparisons if each.spec.key in selected]
            named = [(each, each.find(database, table, target)) for each in fields if each.spec.key in selected]
            looked = [each.check.spec.name for each in findings]
            rows = [row for each in findings for row in each.rows(asset, connection, context.run.run_id)]
            with warehouse.locked(FAILED_CHECKS.name) as alone:
                wrong = remember(database, asset, looked, target, rows, alone)
        for name, each in zip(looked, findings, strict=True):
            yield from each.results(target, [(day, text) for found, day, text in wrong if found == name])
        yield from (check.result(found) for check, found in named)
        yield from (_result_of_views(spec, broken) for spec in viewed)

    return checks


def _asked(context: dg.AssetCheckExecutionContext, connection: str, part: str) -> Slice | None:
    """The days of the run; None where it has none."""
    if not (context.has_partition_key or context.has_partition_key_range):
        return None
    days = context.partition_key_range
    return Slice(connection, date.fromisoformat(days.start), date.fromisoformat(days.end), part)


def fields_in_words(fields: Iterable[str], said: str = UNKNOWN) -> str | None:
    """Name fields, without counts: the same fields are the same message every day. None without any."""
    named = _listed(fields)
    return f"the provider {said}: {', '.join(named)}" if named else None


def _listed(fields: Iterable[str]) -> list[str]:
    return [field[:FIELD_CHARACTERS] for field in sorted(fields)[:LISTED_FIELDS]]


def _of_views(asset: dg.AssetKey) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec("views", asset=asset, description="Every view over the table can be created")


def _result_of_views(spec: dg.AssetCheckSpec, broken: Sequence[str]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=not broken,
        severity=dg.AssetCheckSeverity.WARN,
        description=_in_words(broken) or None,
    )


def _field_names(asset: dg.AssetKey, table: Table) -> Iterator[FieldNames]:
    if "other_fields" not in table.arrow_schema.names:
        return
    description = "The provider sends no field that we do not know (others are kept in other_fields)"
    spec = dg.AssetCheckSpec("unknown_fields", asset=asset, description=description)
    yield FieldNames(spec, unknown_fields, UNKNOWN)
    if any(column.expected for column in table.columns):
        description = "The provider leaves out no counter (one that is left out is null, and no sum has it)"
        spec = dg.AssetCheckSpec("missing_fields", asset=asset, description=description)
        yield FieldNames(spec, missing_fields, MISSING)


def _comparisons(
    asset: dg.AssetKey,
    table: Table,
    query: Query | None,
    control: Control | None,
    derived: str,
    cross_check: CrossCheck | None,
) -> Iterator[Comparison]:
    """Yield what a table is compared with, and its warnings: the first line of a warning's query is its description."""

    def spec(name: str, description: str, *, blocking: bool = False) -> dg.AssetCheckSpec:
        return dg.AssetCheckSpec(name, asset=asset, blocking=blocking, description=description)

    def warning(name: str, sql: str, excuses: Excuses = _nothing) -> Comparison:
        description = sql.partition("\n")[0].removeprefix("-- ")
        stated = {name: value.split(", ") for name, value in declared_in(sql).items()}
        settled = stated.get("settled", ())
        if query and settled == ["sources"]:
            settled = [query.part, *query.reads, *query.optional_refs]
        return Comparison(
            spec(name, description),
            _finding(sql),
            error if stated.get("severity") == ["error"] else dg.AssetCheckSeverity.WARN,
            excuses=_unsettled(settled) if settled and excuses is _nothing else excuses,
            reads=stated.get("reads", ()),
            is_posted=stated.get("shown") != ["only"],
        )

    file, part, error = table.name.replace(".", "_"), query.part if query else "", dg.AssetCheckSeverity.ERROR
    grain = f"One row per {', '.join(table.grain)}"
    description = f"{grain}; every total equals the raw tables'" if query else grain
    excuses = partial(_computed_again, table) if query else _nothing
    yield Comparison(
        spec("content", description, blocking=True),
        lambda database, target: check_failures(database, table, query, target),
        error,
        excuses,
    )
    if control:
        description = "Each day adds up to the provider's total without grouping"
        yield Comparison(spec("control_total", description), _finding(control_query(table.row, control)), error)
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
            spec("list_price", description), lambda database, target: unit_errors(database, part, target), error
        )


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


def _in_words(texts: Sequence[str]) -> str:
    more = f"; and {len(texts) - LISTED_TEXTS} more" if len(texts) > LISTED_TEXTS else ""
    return "; ".join(texts[:LISTED_TEXTS]) + more

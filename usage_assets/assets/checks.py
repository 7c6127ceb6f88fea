"""Asset checks: the SQL that was verified before a write was committed, run again on what is stored, day by day."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import dagster as dg
import duckdb

from usage_assets.assets.materializations import newest_materializations
from usage_assets.core.days import days_of
from usage_assets.core.money import TOLERANCE
from usage_assets.core.schema import Row, TableRow
from usage_assets.dagster_internals import AssetCheckEvaluationTargetMaterializationData
from usage_assets.models.costs import AllocatedCost
from usage_assets.models.due import stale_days
from usage_assets.models.model import SQL, sql_files
from usage_assets.models.prices import TOKENS, has_prices, unit_errors
from usage_assets.providers.endpoint import Control
from usage_assets.warehouse.checks import check_failures, differences, missing_fields, unknown_fields
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.migrate import create_or_alter, prepare
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import CheckFailure, Query
from usage_assets.warehouse.views import broken_views

Results = Iterator[dg.AssetCheckEvaluation | dg.AssetCheckResult]
Finder = Callable[[duckdb.DuckDBPyConnection, Slice], Iterable[CheckFailure]]
Targets = Mapping[date, AssetCheckEvaluationTargetMaterializationData | None]
"""The days that are checked, each with its newest materialization; None where the UI knows of none."""
UNKNOWN, MISSING = "sends fields that are not known", "leaves out fields"
Fields = Callable[[duckdb.DuckDBPyConnection, Table, Slice], Mapping[str, int]]
"""Finds names of fields in a slice, with the number of rows that each is about."""
Comparison = tuple[dg.AssetCheckSpec, Finder, dg.AssetCheckSeverity]
"""A check, what contradicts it, and how bad that is."""
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
    """A table that covers the same usage, and the connection whose rows of it do."""

    table: Table
    connection: str

    @property
    def check(self) -> str:
        """The name of the check that compares with it."""
        return self.table.name.partition(".")[2]

    @property
    def reason(self) -> str:
        """Why a day is not compared."""
        return f"{self.table.name} of {self.connection} does not have the day, or filters narrow one of the two down"

    def query(self, own: Table, measures: str) -> str:
        """SQL whose every row is a day of the own table that differs in its money or its tokens."""
        text = (SQL / "cross_checks" / f"{measures}.sql").read_text()
        return text.format(own=own.name, other=self.table.name, connection=self.connection)


LISTED_TEXTS = 5
LISTED_FIELDS, FIELD_CHARACTERS = 50, 100
"""What is shown of unknown fields: events are small, whatever a provider sends."""


def build_checks(
    definition: dg.AssetsDefinition,
    row: type[Row],
    connection: str,
    partitions: dg.PartitionsDefinition[str],
    select: Query | None = None,
    control: Control | None = None,
    file: str = "",
    cross_check: CrossCheck | None = None,
) -> dg.AssetChecksDefinition:
    """Build an asset's checks: ``content`` for every day; of a raw table also ``control_total``, where it has control
    totals, ``unknown_fields`` and ``missing_fields``, where it has such; warnings: what
    ``sql/warnings/<table>.<check>.sql`` and those of a derived ``file`` (``<folder>/<file>``) find, and where the table
    differs from one ``cross_check``; of allocated costs ``list_price``, where there is a price list."""
    asset, table = definition.key, Table(row)
    stored = [table, *([Table(control.row)] if control else []), *([cross_check.table] if cross_check else [])]
    names_of_fields = _names_of_fields(asset, table)
    grain = f"One row per {', '.join(table.grain)}"
    content = dg.AssetCheckSpec(
        "content",
        asset=asset,
        blocking=True,
        partitions_def=partitions,
        description=f"{grain}; every total equals the raw tables'" if select else grain,
    )
    viewed = [_of_views(asset)] if select and select.views else []
    comparisons = list(
        _comparisons(asset, table, partitions, control, select.part if select else "", file, cross_check)
    )

    @dg.multi_asset_check(
        name=f"{asset.to_python_identifier()}_checks",
        specs=[content, *(spec for spec, *_ in comparisons), *(spec for spec, *_ in names_of_fields), *viewed],
    )
    def checks(
        context: dg.AssetCheckExecutionContext, warehouse: Warehouse
    ) -> Iterable[dg.AssetCheckEvaluation | dg.AssetCheckResult]:
        days = days_of(context.partition_keys)
        target = Slice(connection, days[0], days[-1], select.part if select else "")
        with warehouse.get_connection() as database:
            for declared in stored:
                create_or_alter(database, declared)
            if select:
                prepare(database, select)
            left_out = _left_out(database, table, cross_check, target) if cross_check else {}
            found = check_failures(database, table, select, target)
            compared = [(spec, list(find(database, target)), severity) for spec, find, severity in comparisons]
            named = [(spec, find(database, table, target), said) for spec, find, said in names_of_fields]
            broken = broken_views(database, select.views) if select else ()
            # a rate that is edited while the run is under way, for example: the due sensor computes the day again
            stale = stale_days(database, table, target) if found and select else {}
        wrong_days = {failure.day for failure in found}
        targets = _targets(context.instance, asset, days)
        yield from _results(content, targets, found, left_out={day: stale[day] for day in wrong_days & stale.keys()})
        for spec, different, severity in compared:
            is_cross_check = cross_check is not None and spec.name == cross_check.check
            yield from _results(spec, targets, different, severity, left_out if is_cross_check else {})
        for spec, fields, said in named:
            yield dg.AssetCheckResult(
                asset_key=asset,
                check_name=spec.name,
                passed=not fields,
                severity=dg.AssetCheckSeverity.WARN,
                description=fields_in_words(fields, said),
                metadata={
                    "rows": sum(fields.values()),
                    "fields": [field[:FIELD_CHARACTERS] for field in sorted(fields)[:LISTED_FIELDS]],
                },
            )
        for spec in viewed:
            yield dg.AssetCheckResult(
                asset_key=asset,
                check_name=spec.name,
                passed=not broken,
                severity=dg.AssetCheckSeverity.WARN,
                description=_in_words(broken),
            )

    return checks


def fields_in_words(fields: Iterable[str], said: str = UNKNOWN) -> str | None:
    """Name fields, without counts: the same fields are the same message every day. None without any."""
    named = [field[:FIELD_CHARACTERS] for field in sorted(fields)[:LISTED_FIELDS]]
    return f"the provider {said}: {', '.join(named)}" if named else None


def _of_views(asset: dg.AssetKey) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec("views", asset=asset, description="Every view over the table can be made")


def _names_of_fields(asset: dg.AssetKey, table: Table) -> list[tuple[dg.AssetCheckSpec, Fields, str]]:
    """Return the checks that name fields: those that are not known, and those that were left out.

    They have one result a run, so they have no days: a day without a result would be shown as skipped.
    """
    found: list[tuple[dg.AssetCheckSpec, Fields, str]] = []
    if "other_fields" in table.arrow_schema.names:
        description = "The provider sends no field that we do not know (others are kept in other_fields)"
        spec = dg.AssetCheckSpec("unknown_fields", asset=asset, description=description)
        found.append((spec, unknown_fields, UNKNOWN))
        if any(column.expected for column in table.columns):
            description = "The provider leaves out no counter (one that is left out is null, and no sum has it)"
            spec = dg.AssetCheckSpec("missing_fields", asset=asset, description=description)
            found.append((spec, missing_fields, MISSING))
    return found


def _comparisons(
    asset: dg.AssetKey,
    table: Table,
    partitions: dg.PartitionsDefinition[str],
    control: Control | None,
    part: str,
    derived: str,
    cross_check: CrossCheck | None,
) -> Iterator[Comparison]:
    """Yield what a table is compared with, and what it is warned of: the first line of such a query says it."""

    def spec(name: str, description: str) -> dg.AssetCheckSpec:
        return dg.AssetCheckSpec(name, asset=asset, partitions_def=partitions, description=description)

    def warning(name: str, query: str) -> Comparison:
        description = query.partition("\n")[0].removeprefix("-- ")
        return spec(name, description), _finding(query), dg.AssetCheckSeverity.WARN

    file = table.name.replace(".", "_")
    if control:
        description = "Each day adds up to what the provider states for it without grouping"
        find = _finding(control_query(table.row, control))
        yield spec("control_total", description), find, dg.AssetCheckSeverity.ERROR
    for name in filter(None, (derived, file)):
        for path in sql_files(f"warnings/{name}.*.sql"):
            yield warning(path.suffixes[0].removeprefix("."), path.read_text())
    if cross_check:
        yield warning(cross_check.check, cross_check.query(table, "money" if control else "tokens"))
    if table.row is AllocatedCost and part in TOKENS and has_prices():
        description = "What is billed is not about 100 times the list price of the tokens, or a hundredth of it"
        yield spec("list_price", description), _unit_errors(part), dg.AssetCheckSeverity.ERROR


def control_query(row: type[TableRow], control: Control) -> str:
    """Return SQL whose every row is a day that differs from its control total."""
    names = {"rows": row.table, "totals": control.row.table, "amount": control.amount, "currency": control.currency}
    return (SQL / "control_total.sql").read_text().format(**names, tolerance=f"{TOLERANCE:f}")


def _unit_errors(source: str) -> Finder:
    """What is billed of a source in a wrong unit."""
    return lambda database, target: unit_errors(database, source, target)


def _finding(query: str) -> Finder:
    """What a query whose every row is a contradiction finds."""
    return lambda database, target: differences(database, query, target)


def _left_out(
    database: duckdb.DuckDBPyConnection, table: Table, cross_check: CrossCheck, target: Slice
) -> Mapping[date, str]:
    """Return the days that are not compared, with the reason."""
    names = {"own": table.name, "other": cross_check.table.name, "other_connection": cross_check.connection}
    both = {day for (day,) in database.execute(COMPARABLE_DAYS, target.bounds | names).fetchall()}
    return {day: cross_check.reason for day in target.days if day not in both}


def _targets(instance: dg.DagsterInstance, asset: dg.AssetKey, days: Iterable[date]) -> Targets:
    """Return what each day's evaluation is about: without it, the UI shows the day as never checked."""
    newest = newest_materializations(instance, asset, days)
    return {
        day: AssetCheckEvaluationTargetMaterializationData(
            storage_id=event.storage_id, run_id=event.run_id, timestamp=event.timestamp
        )
        if (event := newest.get(day))
        else None
        for day in days
    }


def _results(
    spec: dg.AssetCheckSpec,
    targets: Targets,
    found: Iterable[CheckFailure],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
    left_out: Mapping[date, str] = {},
) -> Results:
    """Yield an evaluation per day: a single result of a range run would show no day at all.

    The description has the figures, because that is what people are sent. Equal figures make an equal text.
    """
    found = [contradiction for contradiction in found if contradiction.day not in left_out]
    for day, target in targets.items():
        wrong = sorted(contradiction.text for contradiction in found if contradiction.day == day)
        said = {"contradictions": dg.MetadataValue.json(wrong[:LISTED_TEXTS])} if wrong else {}
        yield dg.AssetCheckEvaluation(
            asset_key=spec.asset_key,
            check_name=spec.name,
            passed=not wrong,
            description=_in_words(wrong) or left_out.get(day),
            metadata=said | ({"not_compared": dg.MetadataValue.text(left_out[day])} if day in left_out else {}),
            severity=severity,
            target_materialization_data=target,
            blocking=spec.blocking,
            partition=day.isoformat(),
        )
    yield dg.AssetCheckResult(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=not found,
        severity=severity,
        description=_in_words([f"{contradiction.day}: {contradiction.text}" for contradiction in found]),
        metadata={"days": len(targets), "contradictions": len(found)}
        | ({"days_not_compared": len(left_out)} if left_out else {}),
    )


def _in_words(texts: Sequence[str]) -> str | None:
    more = f"; and {len(texts) - LISTED_TEXTS} more" if len(texts) > LISTED_TEXTS else ""
    return "; ".join(texts[:LISTED_TEXTS]) + more if texts else None

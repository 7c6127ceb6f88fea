"""Asset checks of stored days. ``content`` repeats the SQL checks that a write had to pass before it was committed.

A run has one result per check, after an evaluation for each failing day. Failing days stay in ``ledger.failed_checks``
until they pass.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, ClassVar

import dagster as dg
import duckdb

from usage_assets.assets.names import ALONE, Names
from usage_assets.assets.posted import ADVICE, DAYS_WRONG, ONLY_SHOWN
from usage_assets.core.errors import first
from usage_assets.core.schema import Row
from usage_assets.models.comparisons import Comparison, CrossCheck, Finding, comparisons_of, prepare
from usage_assets.providers.endpoint import Control
from usage_assets.warehouse.checks import (
    missing_fields,
    remember,
    stored_slice,
    unknown_fields,
)
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.ledger import FAILED_CHECKS, TEXT_CHARACTERS, FailedCheck
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Query

Results = Iterator[dg.AssetCheckEvaluation | dg.AssetCheckResult]
Fields = Callable[[duckdb.DuckDBPyConnection, Table, Slice], Mapping[str, int]]
"""Finds names of fields in a slice, with the number of rows that each is about."""


LISTED_TEXTS = 5
LISTED_FIELDS, FIELD_CHARACTERS = 50, 100
"""What is shown of unknown fields: events are small, whatever a provider sends."""


@dataclass(frozen=True)
class FieldNames:
    """A check that names fields: those that are not known, or those that were left out. It has no result per day."""

    name: str
    description: str
    find: Fields
    said: str
    """What the provider does."""
    advice: str
    is_blocking: ClassVar[bool] = False


UNKNOWN = FieldNames(
    "unknown_fields",
    "The provider sends no field that we do not know (others are kept in other_fields)",
    unknown_fields,
    "sends fields that this release does not know",
    "No figure is wrong: they are kept in other_fields. Please report them, so that a release reads them",
)
MISSING = FieldNames(
    "missing_fields",
    "The provider leaves out no counter (one that is left out is null, and no sum has it)",
    missing_fields,
    "leaves out fields that it always sent",
    "They are null, and sums lack them. Please report it with an archived answer",
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
    comparisons, fields = [*comparisons_of(table, query, control, file, cross_check)], [*_fields_of(table)]
    checked: Sequence[Comparison | FieldNames] = [*comparisons, *fields]
    specs = {
        each.name: dg.AssetCheckSpec(each.name, asset=key, blocking=each.is_blocking, description=each.description)
        for each in checked
    }
    if query and query.views:
        specs["views"] = dg.AssetCheckSpec("views", asset=key, description="Every view over the table can be created")
    tables = [FAILED_CHECKS, table, *([Table(control.row)] if control else [])]
    tables += [cross_check.table] if cross_check else []

    # each can be chosen, or nobody could execute one in the UI
    @dg.multi_asset_check(name=f"{key.to_python_identifier()}_checks", specs=[*specs.values()], can_subset=True)
    @names.bound
    def checks(context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> Results:
        chosen = {name for name, spec in specs.items() if spec.key in context.selected_asset_check_keys}
        with warehouse.get_connection() as database:
            viewing = query.views if query and "views" in chosen else ()
            broken = prepare(warehouse, database, comparisons, tables, query, viewing)
            target = _asked(context, connection, part) or stored_slice(database, table, asset, connection, part)
            findings = {each.name: each.look(database, target) for each in comparisons if each.name in chosen}
            named = [(each, each.find(database, table, target)) for each in fields if each.name in chosen]
            rows = [row for each in findings.values() for row in _failed(each, asset, connection, context.run.run_id)]
            with warehouse.locked(FAILED_CHECKS.name) as alone:
                wrong = remember(database, asset, [*findings], target, rows, alone)
        for name, each in findings.items():
            yield from _results(each, specs[name], target, [(day, text) for found, day, text in wrong if found == name])
        for check, fields_found in named:
            advice = {ADVICE: check.advice} if fields_found else {}
            facts = {"rows": sum(fields_found.values()), "fields": _listed(fields_found), **advice}
            yield warning(specs[check.name], fields_in_words(fields_found, check.said), facts)
        if "views" in chosen:
            yield warning(specs["views"], _in_words(broken))

    return checks


def _failed(found: Finding, asset: str, connection: str, run_id: str) -> Iterator[FailedCheck]:
    """Yield the rows that ``ledger.failed_checks`` holds of it: none of what is only shown."""
    for day, texts in found.wrong.items() if found.check.is_posted else ():
        yield FailedCheck(
            connection=connection,
            usage_date=day,
            asset=asset,
            check_name=found.check.name,
            severity=found.check.severity,
            text=_in_words(texts)[:TEXT_CHARACTERS],
            run_id=run_id,
            found_at=datetime.now(UTC),
        )


def _results(found: Finding, spec: dg.AssetCheckSpec, target: Slice, remembered: Iterable[tuple[date, str]]) -> Results:
    """Yield an evaluation for each wrong day, then the result of the run: whether no day is wrong any more.

    Where only days outside the run are wrong, it is a warning, because an error of a blocking check stops the run.
    """
    severity = dg.AssetCheckSeverity(found.check.severity)
    quiet: dict[str, int | str] = {} if found.check.is_posted else {ONLY_SHOWN: True}
    for day, texts in found.wrong.items():
        yield dg.AssetCheckEvaluation(
            asset_key=spec.asset_key,
            check_name=spec.name,
            passed=False,
            description=_in_words(texts),
            metadata={
                "contradictions": dg.MetadataValue.json(texts[:LISTED_TEXTS]),
                ADVICE: found.advice(target.connection, day),
                **quiet,
            },
            severity=severity,
            blocking=spec.blocking,
            partition=day.isoformat(),
        )
    before = {day: text for day, text in remembered if day not in found.wrong}
    texts = [f"{day}: {_in_words(texts)}" for day, texts in found.wrong.items()]
    texts += [f"{day} (not in this run): {text}" for day, text in before.items()]
    advice = found.advice(target.connection, max(found.wrong)) if found.wrong else ""
    not_compared = _in_words([f"{day}: {reason}" for day, reason in found.left_out.items()])
    yield dg.AssetCheckResult(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=not texts,
        severity=dg.AssetCheckSeverity.WARN if before and not found.wrong else severity,
        description=_in_words(texts) or None,
        metadata={
            "days": len(target.days),
            "contradictions": sum(map(len, found.wrong.values())),
            DAYS_WRONG: len(texts),
        }
        | ({"not_compared": not_compared} if not_compared else {})
        | ({ADVICE: advice} if advice else {})
        | quiet,
    )


def _asked(context: dg.AssetCheckExecutionContext, connection: str, part: str) -> Slice | None:
    """The days of the run; None where it has none."""
    if not (context.has_partition_key or context.has_partition_key_range):
        return None
    days = context.partition_key_range
    return Slice(connection, date.fromisoformat(days.start), date.fromisoformat(days.end), part)


def fields_in_words(fields: Iterable[str], said: str = UNKNOWN.said) -> str | None:
    """Name fields, without counts: the same fields are the same message every day. None without any."""
    named = _listed(fields)
    return f"the provider {said}: {', '.join(named)}" if named else None


def _listed(fields: Iterable[str]) -> list[str]:
    return [field[:FIELD_CHARACTERS] for field in sorted(fields)[:LISTED_FIELDS]]


def warning(spec: dg.AssetCheckSpec, text: str | None, facts: Mapping[str, Any] | None = None) -> dg.AssetCheckResult:
    """Return the result of a check without days: it passes where there is nothing to say."""
    return dg.AssetCheckResult(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=not text,
        severity=dg.AssetCheckSeverity.WARN,
        description=text or None,
        metadata=facts or {},
    )


def _fields_of(table: Table) -> Iterator[FieldNames]:
    if "other_fields" in table.arrow_schema.names:
        yield UNKNOWN
        if any(column.expected for column in table.columns):
            yield MISSING


def _in_words(texts: Sequence[str]) -> str:
    return "; ".join(first(texts, LISTED_TEXTS))

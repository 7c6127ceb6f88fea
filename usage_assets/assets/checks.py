"""Asset checks: the SQL that was verified before a write was committed, run again on what is stored, day by day."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

import dagster as dg

from usage_assets.partitions import days_of
from usage_assets.rows import Row
from usage_assets.warehouse.database import Contradiction, Select, Slice, Warehouse, contradictions
from usage_assets.warehouse.tables import Table


def build_checks(
    definition: dg.AssetsDefinition,
    row: type[Row],
    connection: str,
    partitions: dg.PartitionsDefinition[str],
    select: Select | None = None,
) -> dg.AssetChecksDefinition:
    """Build an asset's checks: ``content`` for every day, and a warning where a raw table has ``unknown_fields``."""
    asset, table = definition.key, Table(row)
    has_other_fields = "other_fields" in table.arrow_schema.names
    grain = f"One row per {', '.join(table.grain)}"
    content = dg.AssetCheckSpec(
        "content",
        asset=asset,
        blocking=True,
        partitions_def=partitions,
        description=f"{grain}; every total equals the raw tables'" if select else grain,
    )
    unknown_fields = dg.AssetCheckSpec(
        "unknown_fields",
        asset=asset,
        partitions_def=partitions,
        description="The provider sends no field that we do not know (others are kept in other_fields)",
    )

    @dg.multi_asset_check(
        name=f"{asset.to_python_identifier()}_checks",
        specs=[content, unknown_fields] if has_other_fields else [content],
    )
    def checks(
        context: dg.AssetCheckExecutionContext, warehouse: Warehouse
    ) -> Iterable[dg.AssetCheckEvaluation | dg.AssetCheckResult]:
        days = days_of(context.partition_keys)
        target = Slice(connection, days[0], days[-1], select.part if select else "")
        with warehouse.get_connection() as database:
            found = contradictions(database, table, select, target)
        yield from _content_results(asset, days, found)
        if has_other_fields:
            fields = warehouse.unknown_fields(table, target)
            yield dg.AssetCheckResult(
                asset_key=asset,
                check_name="unknown_fields",
                passed=not fields,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"rows": sum(fields.values()), "fields": sorted(fields)},
            )

    return checks


def _content_results(
    asset: dg.AssetKey, days: Sequence[date], found: Sequence[Contradiction]
) -> Iterator[dg.AssetCheckEvaluation | dg.AssetCheckResult]:
    """Yield an evaluation per day: a single result of a range run would show no day at all."""
    for day in days:
        wrong = [contradiction.text for contradiction in found if contradiction.day == day]
        yield dg.AssetCheckEvaluation(
            asset_key=asset,
            check_name="content",
            passed=not wrong,
            metadata={"contradictions": dg.MetadataValue.json(wrong[:5])} if wrong else {},
            blocking=True,
            partition=day.isoformat(),
        )
    yield dg.AssetCheckResult(
        asset_key=asset,
        check_name="content",
        passed=not found,
        metadata={"days": len(days), "contradictions": len(found)},
    )

"""What a run of a schedule has to write: the days that differ from what is stored and announced."""

from collections.abc import Collection, Sequence
from datetime import date

import dagster as dg

from usage_assets.assets.materializations import announced_hashes
from usage_assets.core.days import spans, windows
from usage_assets.dagster_internals.executor import UNCHANGED, one_process
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.looks import changed_days
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch, Query

SCHEDULE = "dagster/schedule_name"
"""The tag of a run that a schedule asked for."""


def days_to_write(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    table: Table,
    content: Batch | Query,
    target: Slice,
    days: Sequence[date],
    *,
    lacking: Collection[date] = (),
) -> list[date]:
    """Return the days that the run has to write, ascending, and note in the ledger that it has looked at the others.

    What a person starts writes all of them: Dagster takes days of a backfill without an event for failed, and people
    run days again to repair a table. So does the due sensor, because it requests days that are due. So does a job of
    somebody else, whose executor would skip what depends on an unchanged asset. In runs of our schedules, a day stays
    as it is if the warehouse holds what the run brings, and the newest event of the day says so and is of this code.
    ``lacking`` days are written in any case: they have no archived answer. If no day is left, the asset's page shows
    that the run has looked.

    Raises WarehouseError.
    """
    if not is_scheduled(context) or context.job_def.executor_def is not one_process:
        return [*days]
    code_version = context.assets_def.code_versions_by_key[context.asset_key]
    compared = [day for day in days if day not in lacking]
    announced = announced_hashes(context.instance, context.asset_key, compared, code_version)
    if not announced:
        return [*days]
    found: list[date] = []
    for window in windows(days, len(days)):
        part = content.of(window.days) if isinstance(content, Batch) and len(window.days) < len(days) else content
        asked = Slice(target.connection, window.first, window.last, target.part)
        found += changed_days(warehouse, table, part, asked, announced, context.run.run_id)
    if not found:
        facts: dict[str, str | int] = {"days": spans(days), UNCHANGED: len(days)}
        context.log_event(dg.AssetObservation(context.asset_key, description="No day has changed", metadata=facts))
    context.log.info(f"{table.name}: {len(days) - len(found)} of {len(days)} days have not changed")
    return found


def is_scheduled(context: dg.AssetExecutionContext) -> bool:
    """Whether a schedule asked for the run."""
    return SCHEDULE in context.run.tags

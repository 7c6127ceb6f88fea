"""The sensor that has costs valued again after a rate was changed in the connections file: only the days it covers.

What the file says is known since the code location was loaded. Without a change a tick opens nothing.
"""

import hashlib
from collections.abc import Mapping, Sequence

import dagster as dg
import pyarrow as pa
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from usage_assets.assets.accounting import ACCOUNTING, otherwise_valued
from usage_assets.automation.jobs import ACCOUNTING_JOB, CONNECTION_TAG, USAGE_JOB, range_tags
from usage_assets.partitions import MAX_PARTITIONS_PER_RUN
from usage_assets.providers.windows import windows
from usage_assets.warehouse.database import Warehouse, WarehouseError
from usage_assets.warehouse.tables import Table

WAIT_SECONDS = 5
"""For a run that has the file open; the next tick comes soon."""


def build_revaluation_sensor(
    stated: Mapping[Table, pa.Table],
    valued: Mapping[str, Sequence[dg.AssetKey]],
    jobs: Sequence[UnresolvedAssetJobDefinition],
) -> dg.SensorDefinition:
    """Build the sensor. ``valued`` are each connection's assets that hold dollars of ``costs.daily_costs``."""
    digest = hashlib.sha256(repr([rows.to_pylist() for rows in stated.values()]).encode()).hexdigest()

    @dg.sensor(
        name="revaluation_sensor",
        jobs=[job for job in jobs if job.name in (ACCOUNTING_JOB, USAGE_JOB)],
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Stores what the connections file states about money, and has days valued again that it changes",
    )
    def revaluation_sensor(context: dg.SensorEvaluationContext, warehouse: Warehouse) -> dg.SensorResult:
        is_new = context.cursor is None and not any(rows.num_rows for rows in stated.values())
        if is_new or context.cursor == digest:
            return dg.SensorResult(skip_reason="costs are valued as the connections file states", cursor=digest)
        patient = warehouse.model_copy(update={"wait_seconds": WAIT_SECONDS})
        try:
            changed = otherwise_valued(patient, stated)
        except WarehouseError as error:
            return dg.SensorResult(skip_reason=f"not yet: {error}")
        requests = [dg.RunRequest(job_name=ACCOUNTING_JOB, asset_selection=[ACCOUNTING])]
        requests += [
            dg.RunRequest(
                job_name=USAGE_JOB,
                asset_selection=list(valued[connection]),
                tags={**range_tags(window.first, window.last), CONNECTION_TAG: connection},
            )
            for connection, days in changed.items()
            if connection in valued
            for window in windows(days, MAX_PARTITIONS_PER_RUN)
        ]
        return dg.SensorResult(run_requests=requests, cursor=digest)

    return revaluation_sensor

"""The sensor that requests the report when stored data has changed and no run is under way."""

from datetime import date

import dagster as dg
import duckdb

from usage_assets.assets.warehouse_resource import UNDER_WAY
from usage_assets.automation.jobs import REPORT_JOB
from usage_assets.core.days import utc_today
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.values import WarehouseError

CHANGED = "select max(written_at) from ledger.partition_versions where changed"


def build_report_sensor(*, running: bool) -> dg.SensorDefinition:
    """Build the sensor. Without a key nothing is stored, so it does not run."""

    @dg.sensor(
        name="report_sensor",
        job_name=REPORT_JOB,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED,
        description="Writes the report when what is stored has changed and no run is under way, and once a day",
    )
    def report_sensor(
        context: dg.SensorEvaluationContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.SensorResult | dg.SkipReason:
        seen, _, written = (context.cursor or " ").partition(" ")
        look = f"{warehouse.fingerprint}:{utc_today()}"
        if look == seen:
            return dg.SkipReason("nothing has changed")
        if context.instance.get_runs_count(dg.RunsFilter(statuses=[*UNDER_WAY])):
            return dg.SkipReason("runs are under way")
        try:
            changed = changed_at(warehouse, utc_today())
        except WarehouseError as error:
            return dg.SkipReason(f"not yet: {error}")
        requests = [dg.RunRequest(f"report:{changed}")] if changed != written else []
        return dg.SensorResult(run_requests=requests, cursor=f"{look} {changed}")

    return report_sensor


def changed_at(warehouse: Warehouse, today: date) -> str:
    """Return what the report depends on: the time of the last change, and today. Raises WarehouseError."""
    try:
        with warehouse.reading() as database:
            [newest] = database.execute(CHANGED).fetchall()[0]
    except duckdb.Error as error:
        raise WarehouseError(str(error).splitlines()[0]) from None
    return f"{newest:%Y-%m-%dT%H:%M:%S.%f}/{today}" if newest else ""

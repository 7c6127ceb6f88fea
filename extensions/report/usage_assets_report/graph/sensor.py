"""The sensor that requests the report when stored data has changed and no run is under way. If its run fails, it is
tried again as due days are (due_runs.py)."""

from datetime import date

import dagster as dg
import duckdb

from usage_assets.assets.names import ALONE, Names
from usage_assets.assets.warehouse_resource import UNDER_WAY
from usage_assets.automation.due_runs import Stored, Trouble, outcome_of
from usage_assets.core.days import utc_today
from usage_assets.core.errors import first_line
from usage_assets.models.insights import state_of
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.values import WarehouseError

REPORT_JOB = "report_page"
"""It has not the name of its asset: Dagster's implicit job of an asset has it."""
DESCRIBED = {
    REPORT_JOB: "Computes forecasts, anomalies and budgets, and writes the report, without a request to a provider. "
    "Nothing has to run after it: where Port is configured, it pushes what it has computed."
}


class Cursor(Stored):
    """What the sensor knows between ticks."""

    seen: str = ""
    """The state of the file and the day at the last look."""
    written: str = ""
    """What the last report was requested for."""
    run: str = ""
    """Its run key, until its run has ended."""
    trouble: Trouble = Trouble()

    @property
    def may_try_again(self) -> bool:
        """Whether the last run has failed and rested for long enough."""
        return bool(self.trouble.attempts) and not self.run and not self.trouble.rests()

    def skipped(self, reason: str) -> dg.SensorResult:
        return dg.SensorResult(skip_reason=reason, cursor=self.encode())


def build_report_sensor(names: Names = ALONE, *, running: bool) -> dg.SensorDefinition:
    """Build the sensor. Without a key nothing is stored, so it does not run."""

    @dg.sensor(
        name=names.own("report_sensor"),
        job_name=names.own(REPORT_JOB),
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED,
        description="Writes the report when what is stored has changed and no run is under way, and once a day",
    )
    @names.bound
    def report_sensor(context: dg.SensorEvaluationContext, warehouse: dg.ResourceParam[Warehouse]) -> dg.SensorResult:
        cursor = Cursor.decode(context.cursor)
        if cursor.run and (succeeded := outcome_of(context.instance, cursor.run)) is not None:
            cursor.run, cursor.trouble = "", Trouble() if succeeded else cursor.trouble.again("")
        look = f"{warehouse.fingerprint}:{utc_today()}"
        if look == cursor.seen and not cursor.may_try_again:
            return cursor.skipped("nothing has changed")
        if names.has_runs(context.instance, dg.RunsFilter(statuses=[*UNDER_WAY])):
            return cursor.skipped("runs are under way")
        try:
            changed = changed_at(warehouse, utc_today())
        except WarehouseError as error:
            return cursor.skipped(f"not yet: {error}")
        is_wanted, cursor.seen = changed != cursor.written or cursor.may_try_again, look
        if not is_wanted:
            return cursor.skipped("what is in the report has not changed")
        cursor.written, cursor.run = changed, f"{names.own(REPORT_JOB)}:{changed}:{cursor.trouble.attempts}"
        return dg.SensorResult(run_requests=[dg.RunRequest(cursor.run)], cursor=cursor.encode())

    return report_sensor


def changed_at(warehouse: Warehouse, today: date) -> str:
    """Return what the report depends on: what insights do, and today. Raises WarehouseError."""
    try:
        with warehouse.reading() as database:
            state = state_of(database)
    except duckdb.Error as error:
        raise WarehouseError(first_line(error)) from None
    return f"{state}/{today}" if state else ""

"""The daily job that compares what is stored with what was written, and its schedule."""

import dagster as dg

from usage_assets.assets.failures import failure
from usage_assets.assets.location import Location, Part
from usage_assets.assets.names import IO_MANAGER
from usage_assets.core.days import utc_today
from usage_assets.warehouse.database import Warehouse
from usage_assets_lake.doctor import compared
from usage_assets_lake.repair.files import SHARES

VERIFY_JOB = "verify_stored"
VERIFY_CRON = "50 4 * * *"
"""After what is old was removed."""


def build(location: Location) -> Part:
    """Build the job, and its schedule. It belongs to the main code location, and runs by default where a connection
    has its key, here or in another code location."""
    if not location.is_main or location.only is not None:
        return Part()
    settings, names = location.settings, location.names
    has_key = any(connection.has_access or connection.shard for connection in settings.connections())

    nothing = dg.Out(dg.Nothing, io_manager_key=names.own(IO_MANAGER))

    @dg.op(name=names.own("compare_with_what_was_written"), out=nothing)
    @names.bound
    def compare(context: dg.OpExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> None:
        found = compared(warehouse, [utc_today().toordinal() % SHARES])
        for each in found:
            context.log.error("%s: %s", each.subject, each.text)
        if found:
            more = f"; and {len(found) - 1} more, in the log of this run" if found[1:] else ""
            raise failure(f"{found[0].subject}: {found[0].text}{more}")

    @dg.job(
        name=names.job(VERIFY_JOB),
        description="Compares a seventh of a lake's files, and the rows of each day, with what was written",
        executor_def=dg.in_process_executor,
    )
    def verify_stored() -> None:
        compare()

    schedule = dg.ScheduleDefinition(
        name=names.own("daily_verify_schedule"),
        job=verify_stored,
        cron_schedule=VERIFY_CRON,
        execution_timezone="UTC",
        description="Fails where a file of a lake or rows of a day are not what was written",
        default_status=dg.DefaultScheduleStatus.RUNNING if has_key else dg.DefaultScheduleStatus.STOPPED,
    )
    return Part(schedules=[schedule])

"""The daily job that prunes old history and old days, and its schedule. What it deletes is in pruning.py."""

import dagster as dg

from usage_assets.assets.failures import failure
from usage_assets.assets.location import Location, Part
from usage_assets.assets.names import IO_MANAGER
from usage_assets.automation.schedules import our_schedule
from usage_assets.features.port.account import port_if_configured
from usage_assets.warehouse.database import Warehouse

PRUNE_JOB = "prune"
PRUNE_CRON = "20 4 * * *"
"""When no other schedule is due."""


def build(location: Location) -> Part:
    """Build the schedule, with its job, that removes what is old. It belongs to the main code location, and runs by
    default where a connection has its key, here or in another code location."""
    if not location.is_main or location.only is not None:
        return Part()
    settings, names = location.settings, location.names
    # the history of a project that has more than us is not ours to prune
    history = "" if names.is_guest else f"Dagster's history of more than {settings.usage_history_days} days, and "
    has_key = any(connection.has_access or connection.shard for connection in settings.connections())

    @dg.op(name=names.own("remove_what_is_old"), out=dg.Out(dg.Nothing, io_manager_key=names.own(IO_MANAGER)))
    @names.bound
    def remove(context: dg.OpExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> None:
        from usage_assets.features.deletion.pruning import find_old  # noqa: PLC0415 - brings SQLAlchemy with it

        with port_if_configured(settings, **location.patience) as port:
            old = find_old(
                None if names.is_guest else context.instance, settings, warehouse, port.account if port else ""
            )
            context.log.info("removes\n%s", "\n".join(old.lines))
            failures = old.remove(context.instance, warehouse, port)
        if failures:
            raise failure(f"Port keeps {len(failures)} entities, so all rows are kept: {failures[0]}")

    @dg.job(
        name=names.job(PRUNE_JOB),
        description=f"Removes {history}days that are not kept any more",
        executor_def=dg.in_process_executor,
    )
    def prune() -> None:
        remove()

    described = f"Removes {history}days that USAGE_RETENTION_MONTHS does not keep"
    stated = our_schedule(names, "daily_prune_schedule", PRUNE_CRON, described, is_running=has_key)
    return Part(schedules=[dg.ScheduleDefinition(job=prune, **stated)])

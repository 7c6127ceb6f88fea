"""The sensor that requests runs for days that have to be fetched or computed. due_runs.py says when and which together.

None is requested for a connection while another run of its assets is queued or in progress.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from hashlib import md5

import dagster as dg

from usage_assets.assets.location import Location
from usage_assets.assets.models import COSTS
from usage_assets.assets.names import Names
from usage_assets.assets.warehouse_resource import UNDER_WAY
from usage_assets.automation.due_runs import ALL_DAYS, Scheduler, Taken, digest, runs_in_progress
from usage_assets.automation.jobs import ACCOUNTING_JOB, USAGE_JOB, AssetJob
from usage_assets.config.days import longest_pause
from usage_assets.core.days import DAY, utc_today
from usage_assets.models.due import Due, due_days, whole_sets
from usage_assets.warehouse.database import Warehouse

COSTS_BY_DAY = """
select
  usage_date,
  sum(row_count)::bigint as row_count,
  md5(
    string_agg(concat_ws(' ', connection, slice, content_version), ', ' order by connection, slice)
  )[:8] as data_version,
  max(content_since) as changed_at,
  count(*) as parts
from ledger.stored_days
where table_name = 'costs.daily_costs'
group by usage_date
order by usage_date
"""
PRIORITY = {"dagster/priority": "-10"}
"""Whatever else is in Dagster's queue goes first."""


def build_due_sensor(location: Location, jobs: Mapping[str, AssetJob]) -> dg.SensorDefinition:
    """Build the sensor over the usage assets of each connection that has a key; without any it does not run.

    Days that are not settled are the daily schedule's; the sensor takes those that nobody has read for longer than its
    longest pause. Without USAGE_BACKFILL_HISTORY it fetches no missing day that is older than the recent ones of the
    schedule. In the main code location, each changed day of all connections' costs gets an event, whichever run or
    command changed it.
    """
    settings, names, watched, seeds = location.settings, location.names, location.watched, location.seeds
    overdue = longest_pause(settings)

    def is_wanted(row: Due) -> bool:
        if row.state == "late":
            return False
        if row.state in ("open", "unsettled"):
            return datetime.now(UTC) - row.since > overdue
        return settings.usage_backfill_history or not row.is_history(utc_today() - settings.usage_lookback_days * DAY)

    def taken(instance: dg.DagsterInstance, name: str) -> Sequence[Taken]:
        """Wait where the run of somebody else is about to write what the sensor would request."""
        runs = runs_in_progress(instance, UNDER_WAY, name, names, watched[name].computed_from.__contains__)
        return [ALL_DAYS] if any(True for _ in runs) else []

    states_money = ACCOUNTING_JOB in jobs
    scheduler = Scheduler(
        job=USAGE_JOB,
        names=names,
        graphs=watched,
        seeds=seeds,
        due=lambda warehouse: due_days(warehouse, seeds, keep=True),
        is_wanted=is_wanted,
        sets=whole_sets,
        taken=taken,
        tags=PRIORITY,
        money=next((digest(each) for each in seeds if states_money and each.name == "accounting"), ""),
        nothing="no day is missing or stale",
        news=partial(_changed_costs, names) if location.is_main else None,
    )

    @dg.sensor(
        name=names.own("due_days_sensor"),
        jobs=[job for name, job in jobs.items() if name in (USAGE_JOB, ACCOUNTING_JOB)],
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING if watched else dg.DefaultSensorStatus.STOPPED,
        description="Fetches and computes the days that are missing or stale, newest first: one run of a connection at "
        "a time, after everybody else's",
    )
    @names.bound
    def due_days_sensor(context: dg.SensorEvaluationContext, warehouse: dg.ResourceParam[Warehouse]) -> dg.SensorResult:
        return scheduler.tick(context, warehouse)

    return due_days_sensor


def _changed_costs(names: Names, warehouse: Warehouse, told: str) -> tuple[Sequence[dg.AssetMaterialization], str]:
    """Return an event for each day whose costs have changed since ``told``, and the new ``told``.

    If days are gone, because a connection was removed, or the clock of who wrote is behind that of an earlier writer,
    all days get an event. Unchanged ones keep their data version.
    """
    days = warehouse.read(COSTS_BY_DAY).to_pylist() if warehouse.exists else []
    if not days:
        return (), ""
    since, parts_before, version_before = (*told.split(" "), "", "")[:3]
    parts, newest = sum(day["parts"] for day in days), max(day["changed_at"] for day in days)
    version = md5("".join(day["data_version"] for day in days).encode(), usedforsecurity=False).hexdigest()
    changed = [day for day in days if not since or day["changed_at"] > datetime.fromisoformat(since)]
    if parts < int(parts_before or 0) or (not changed and version_before not in ("", version)):
        changed = days
    events = [
        dg.AssetMaterialization(
            names.key(COSTS),
            partition=str(day["usage_date"]),
            metadata={"dagster/partition_row_count": day["row_count"]},
            tags={"dagster/data_version": day["data_version"]},
        )
        for day in changed
    ]
    return events, f"{newest.isoformat()} {parts} {version}"

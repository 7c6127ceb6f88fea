"""The sensor that requests pushes of days that Port does not have. due_runs.py says when, and which days together."""

from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from functools import partial

import dagster as dg

from usage_assets.assets.names import Names
from usage_assets.assets.warehouse_resource import UNDER_WAY
from usage_assets.automation.due_runs import ALL_DAYS, Scheduler, Taken, runs_in_progress
from usage_assets.automation.jobs import PORT_SYNC_JOB, days_of_run
from usage_assets.features.port.assets import RECONCILE
from usage_assets.models.due import unpushed_days
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.values import Seed

SHORTEST = 30
"""Seconds between two looks. Each is four requests and writes of Dagster's, 0.1 CPU s, also where nothing is new."""
WRITING = [status for status in UNDER_WAY if status is not dg.DagsterRunStatus.QUEUED]


class Alone:
    """The graph of a connection's push: nothing depends on it."""

    def with_computed(self, assets: Iterable[str]) -> frozenset[str]:
        return frozenset(assets)

    def held_up_by(self, assets: Iterable[str]) -> frozenset[str]:
        return frozenset(assets)


def build_port_sensor(
    connections: Collection[str], seeds: Sequence[Seed], names: Names, every: timedelta, *, running: bool
) -> dg.SensorDefinition:
    """Build the sensor over the connections that have entities. It looks ``every`` so often, at most twice a
    minute."""
    scheduler = Scheduler(
        job=PORT_SYNC_JOB,
        names=names,
        graphs=dict.fromkeys(connections, Alone()),
        seeds=seeds,
        due=lambda warehouse: unpushed_days(warehouse, seeds, keep=True),
        taken=partial(_being_written, names),
        nothing="Port has every change",
    )

    @dg.sensor(
        name=names.own("port_changed_partitions_sensor"),
        job_name=names.own(PORT_SYNC_JOB),
        minimum_interval_seconds=max(SHORTEST, int(every.total_seconds())),
        default_status=dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED,
        description="Pushes days whose entities changed to Port, newest first: one run of a connection at a time",
    )
    @names.bound
    def port_changed_partitions_sensor(
        context: dg.SensorEvaluationContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.SensorResult:
        return scheduler.tick(context, warehouse)

    return port_changed_partitions_sensor


def _being_written(names: Names, instance: dg.DagsterInstance, connection: str) -> list[Taken]:
    """Return the days of runs in progress, whose assets write them one after the other: a push in between would not be
    the last. What was written before such a run began does not wait for it. A reconciliation pushes all days."""
    part, taken = f"{connection}/", []
    for record in runs_in_progress(instance, WRITING, connection, names, lambda asset: asset.startswith(part)):
        run = record.dagster_run
        if window := days_of_run(run):
            taken.append(Taken(window, record.start_time or record.create_timestamp.timestamp()))
        elif names.key(f"{part}{RECONCILE}") in (run.asset_selection or ()):
            taken.append(ALL_DAYS)
    return taken

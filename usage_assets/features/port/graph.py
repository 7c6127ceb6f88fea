"""What Port adds to the graph: a push, a state and a reconciliation of each connection, and what requests them."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import dagster as dg

from usage_assets.assets.location import ConnectionAssets, Location, Part
from usage_assets.automation.jobs import PORT_SYNC_JOB
from usage_assets.automation.schedules import our_schedule, unpartitioned_schedules
from usage_assets.core.features import UNDATED, hooks
from usage_assets.features.port.account import port_client
from usage_assets.features.port.assets import RECONCILE, PortAssets
from usage_assets.features.port.mapped import with_mappings
from usage_assets.features.port.sensor import build_port_sensor
from usage_assets.models.entities import pushed_entities
from usage_assets.warehouse.opened import warehouse_at

PORT_CONNECTION_JOB = "port_connection"
PORT_RECONCILE_JOB = "port_reconcile"
STATE_TAG = "usage_assets/state"
"""What the run that told Port the connections' states knew of them."""
CONNECTION_CRON = "40 * * * *"
"""Some time after the hour at which most schedules start."""
DESCRIBED = {
    PORT_SYNC_JOB: "Pushes days to Port: one connection's, and only what Port does not have. Nothing has to run after "
    "it, and a day without changes makes no request.",
    PORT_CONNECTION_JOB: "Tells Port how each connection's data is, with a request where that has changed. Nothing has "
    "to run after it.",
    PORT_RECONCILE_JOB: "Reads every entity back from Port, page by page, and pushes what people deleted or edited. "
    "Nothing has to run after it.",
}
"""Job -> what its page says."""
RECONCILE_CRON = "0 18 * * 0"
"""Hours after the other schedules of a Sunday: what they change has been pushed by then."""


def build(location: Location) -> Part:
    """Build it where Port is configured, and for a newcomer to see."""
    settings, names = location.settings, location.names
    is_configured = settings.states_connections or any(each.has_access for each in location.everywhere)
    if settings.port_account is None and is_configured:
        return Part()
    client = partial(port_client, settings, **location.patience)
    relations = settings.port_relations()
    assets: list[dg.AssetsDefinition] = []
    jobs: dict[str, list[dg.AssetKey]] = {PORT_SYNC_JOB: [], PORT_CONNECTION_JOB: [], PORT_RECONCILE_JOB: []}
    described = {**DESCRIBED}
    kept = settings.kept_connections
    pushed = [each for each in location.connections if each.graph.entities and each.graph.connection.name not in kept]
    for each in pushed:
        connection, graph = each.graph.connection, each.graph
        people = partial(settings.people, connection.people)
        entities = with_mappings(pushed_entities(connection, location.entities))
        port = PortAssets(connection, graph.endpoints, entities, relations, client, people, names)
        computed = names.keys([model.asset_of(each.name) for model in graph.entities])
        push = port.build_sync(computed, location.partitions, location.policy)
        own = location.of_connection(connection, [push, port.build_connection(), port.build_reconcile()])
        assets += own
        for keys, asset in zip(jobs.values(), own, strict=True):
            keys.append(asset.key)
    for build_undated in hooks(UNDATED):
        part = build_undated(location, client)
        assets += part.assets
        jobs |= part.jobs
        described |= part.described
    if not pushed or location.only is not None:
        return Part(assets=assets, jobs=jobs, described=described)
    is_running = settings.port_account is not None
    every = timedelta(minutes=settings.usage_push_minutes)
    sensor = build_port_sensor([each.name for each in pushed], location.seeds, names, every, running=is_running)
    schedules = [
        _states_schedule(location, pushed),
        *unpartitioned_schedules(
            names,
            "weekly_reconcile_schedule",
            PORT_RECONCILE_JOB,
            RECONCILE_CRON,
            {each.name: [names.key(f"{each.name}/{RECONCILE}")] for each in pushed},
            "Reads every connection's entities back from Port and repairs what people deleted or edited",
            is_running=is_running,
        ),
    ]
    return Part(assets=assets, jobs=jobs, described=described, schedules=schedules, sensors=[sensor])


def _states_schedule(location: Location, pushing: Sequence[ConnectionAssets]) -> dg.ScheduleDefinition:
    settings, names = location.settings, location.names
    fetched = [key for each in pushing for key in each.usage]
    stated = (settings.own_connections(), settings.port_relations(), settings.port_base_url, settings.port_client_id)
    warehouse = warehouse_at(settings.warehouse)

    described = (
        "Tells Port how every connection's data is: whether runs failed, which days are whole and settled. "
        "One run for all of them, and none where nothing has changed since the last one"
    )
    is_running = settings.port_account is not None
    stated_of_it = our_schedule(names, "hourly_connection_schedule", CONNECTION_CRON, described, is_running=is_running)

    @dg.schedule(job_name=names.own(PORT_CONNECTION_JOB), **stated_of_it)
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        tick, instance = context.scheduled_execution_time, context.instance
        last = {asset.asset_entry.last_run_id or "" for asset in instance.get_asset_records(fetched)}
        failed = dg.RunsFilter(run_ids=[*last] or [""], statuses=[dg.DagsterRunStatus.FAILURE])
        state = repr((stated, warehouse.fingerprint, tick.date(), sorted(instance.get_run_ids(failed))))
        tags = {STATE_TAG: hashlib.sha256(state.encode()).hexdigest()[:12]}
        for run in instance.get_runs(dg.RunsFilter(job_name=names.own(PORT_CONNECTION_JOB)), limit=1):
            if tags.items() <= run.tags.items() and (run.is_success or not run.is_finished):
                return dg.SkipReason("nothing was stored, failed or recovered since the last run")
        return dg.RunRequest(f"hourly_connection_schedule:{tick.isoformat()}", tags=tags)

    return schedule

"""Builds Dagster's definitions: settings -> connections -> assets, checks, jobs, schedules and sensors.

``definitions.py`` is what Dagster loads; tests call ``build_definitions`` with settings of their own.
"""

import gc
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import dagster as dg

from usage_assets.assets.accounting import build_accounting_asset, build_invoices_check
from usage_assets.assets.checks import CrossCheck, build_checks
from usage_assets.assets.completeness import build_completeness_checks
from usage_assets.assets.insights import KEYS as INSIGHTS
from usage_assets.assets.insights import build_insights
from usage_assets.assets.io_manager import UsageIOManager
from usage_assets.assets.lookups import build_lookup_asset, build_unknown_ids_check
from usage_assets.assets.models import COSTS, build_model_asset, costs_of_all_connections
from usage_assets.assets.partitions import backfill_policy, daily_partitions
from usage_assets.assets.port_assets import PortAssets
from usage_assets.assets.port_insights import PORT_INSIGHTS, build_port_insights
from usage_assets.assets.raw import build_raw_asset
from usage_assets.assets.report import REPORT, build_report_asset
from usage_assets.assets.warehouse_resource import resource_of
from usage_assets.automation.due_sensor import build_due_sensor
from usage_assets.automation.jobs import build_jobs
from usage_assets.automation.port_sensor import build_port_sensor
from usage_assets.automation.prune_job import build_pruning
from usage_assets.automation.report_sensor import build_report_sensor
from usage_assets.automation.schedules import build_schedules
from usage_assets.automation.webhook import build_webhook_sensor
from usage_assets.config.days import last_day, longest_pause
from usage_assets.config.settings import Connection, MissingKeyError, Settings, forget_exported_env_file
from usage_assets.core.private import keep_private
from usage_assets.dagster_internals.run_process import assets_of_this_run
from usage_assets.fetching.archive.store import packed
from usage_assets.fetching.connected import archive_of, cross_check_connection, lookups_of, provider_client, replay_of
from usage_assets.fetching.shapes import load
from usage_assets.models.connection_graph import (
    ConnectionGraph,
    cost_assets,
    fetched_costs,
    graph_of,
    owners_of,
    stated_assets,
    stated_money,
)
from usage_assets.models.entities import all_entities, pushed_entities
from usage_assets.models.same_use import refuse_same_use
from usage_assets.port.client import PortClient
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.opened import warehouse_at
from usage_assets.warehouse.tables import Table

# Backfill policies are used on purpose; Dagster would warn of each at every start.
warnings.filterwarnings("ignore", message=".*`backfill_policy`", category=Warning)


class Shared:
    """What the assets of all connections have in common."""

    def __init__(self, settings: Settings, patience: Mapping[str, Any]) -> None:
        """Read the settings. Raises SettingsError."""
        self.settings, self.patience = settings, patience
        self.everywhere = settings.connections()
        self.is_sharded = any(each.shard for each in self.everywhere)
        self.accounting, self.relations = settings.accounting(), settings.port_relations()
        self.money = stated_money(settings, self.accounting)
        self.partitions, self.policy = daily_partitions(settings), backfill_policy()
        self.archive = archive_of(settings)
        self.entities = all_entities(settings)
        is_configured = settings.usage_connections is not None or any(each.has_access for each in self.everywhere)
        self.pushes = settings.port_account is not None or not is_configured
        """Whether there are assets for Port: where it is configured, and for a newcomer to see."""

    def port_client(self) -> PortClient:
        account = self.settings.port_account
        if account is None:
            missing = "set PORT_CLIENT_ID and PORT_CLIENT_SECRET (for example in .env)"
            raise MissingKeyError(f"Port: no credentials: {missing}")
        secret = account.client_secret.get_secret_value()
        return PortClient(account.base_url, account.client_id, secret, **self.patience)


@dataclass(frozen=True)
class ConnectionAssets:
    """What Dagster has of one connection."""

    graph: ConnectionGraph
    assets: Sequence[dg.AssetsDefinition]
    checks: Sequence[dg.AssetChecksDefinition]
    lookups: Sequence[dg.AssetKey]
    is_pushed: bool
    """Whether its entities are pushed to Port."""

    @property
    def name(self) -> str:
        return self.graph.connection.name


@contextmanager
def _without_collections() -> Iterator[None]:
    """Look for no garbage: all that is built stays, and to go through it again and again took a fifth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@_without_collections()
def build_definitions(
    settings: Settings,
    *,
    only: Collection[str] | None = None,
    patience: Mapping[str, float] | None = None,
    warehouse: Warehouse | None = None,
) -> dg.Definitions:
    """Build the graph of this code location's connections.

    Opens no file and no network: without any key the whole graph loads, so that a newcomer sees it. With ``only``, it
    is what runs of these connections need: no schedules and no sensors. ``patience`` (attempts, base_delay, ...)
    replaces what the HTTP clients wait. Where ``warehouse`` is stated, runs store there and publish nothing.
    """
    shared, connections = Shared(settings, patience or {}), settings.own_connections()
    is_main = settings.usage_shard is None
    refuse_same_use(shared.everywhere)
    states_money = settings.usage_connections is not None and is_main
    built = [build_connection(each, shared) for each in connections if only is None or each.name in only]
    assets: list[dg.AssetsDefinition | dg.AssetSpec] = [asset for each in built for asset in each.assets]
    checks = [check for each in built for check in each.checks]
    usage = {each.name: [*map(dg.AssetKey.from_user_string, each.graph.assets)] for each in built}
    lookups = {each.name: each.lookups for each in built}
    pushed = [each.name for each in built if each.is_pushed]
    with_report = is_main and (only is None or any(key.path[0] in only for key in (REPORT, PORT_INSIGHTS, *INSIGHTS)))
    of_report = [*INSIGHTS, REPORT, *([PORT_INSIGHTS] if shared.pushes else [])] if with_report else []
    jobs = build_jobs(usage, lookups, pushed, states_money=states_money, of_report=of_report)
    if states_money:
        fetched = fetched_costs(shared.everywhere)
        assets.append(build_accounting_asset(shared.money))
        checks.append(build_invoices_check(shared.accounting, fetched, settings.usage_retention_months))
    schedules: list[dg.ScheduleDefinition] = []
    sensors: list[dg.SensorDefinition] = []
    if only is None:
        watched = {each.name: each.graph for each in built if each.graph.connection.has_access and each.graph.endpoints}
        seeds = (shared.money, stated_assets(settings, [*watched.values()]))
        completeness = build_completeness_checks([*watched], settings, seeds) if watched else None
        checks += [completeness] if completeness else []
        schedules += build_schedules(settings, connections, usage, lookups, pushed, seeds, completeness)
        if pushed:
            sensors.append(build_port_sensor(pushed, seeds, running=settings.port_account is not None))
        sensors.append(
            build_due_sensor(
                watched,
                seeds,
                jobs,
                with_history=settings.usage_backfill_history,
                recent_days=settings.usage_lookback_days,
                overdue=longest_pause(settings),
            )
        )
        sensors += [build_webhook_sensor(settings, url)] if (url := settings.webhook_url) else []
    if with_report:
        newest = partial(last_day, settings)
        assets.append(
            build_insights(shared.accounting, settings, newest, [COSTS], [each.name for each in shared.everywhere])
        )
        assets.append(build_report_asset(settings.report_path, settings.usage_report_url, newest, [COSTS, *INSIGHTS]))
        if shared.pushes:
            assets.append(
                build_port_insights(
                    [each.name for each in shared.everywhere],
                    shared.relations,
                    shared.port_client,
                    partial(settings.people, settings.usage_people),
                    settings.usage_report_url,
                )
            )
    if only is None and is_main:
        assets.append(costs_of_all_connections([*map(dg.AssetKey.from_user_string, cost_assets(shared.everywhere))]))
        sensors.append(build_report_sensor(running=any(each.has_access or each.shard for each in shared.everywhere)))
        schedules.append(build_pruning(settings, shared.port_client))
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=jobs,
        schedules=schedules,
        sensors=sensors,
        resources={
            "io_manager": UsageIOManager.of_runs(is_sharded=shared.is_sharded, shard=settings.usage_shard),
            "warehouse": warehouse or resource_of(warehouse_at(settings.warehouse)),
        },
        executor=dg.in_process_executor,
    )


def build_connection(connection: Connection, shared: Shared) -> ConnectionAssets:
    """Build the assets and checks of one connection: fetched, computed, looked up, pushed. Raises SettingsError."""
    settings, partitions, policy, archive = shared.settings, shared.partitions, shared.policy, shared.archive
    graph = graph_of(connection, shared.everywhere, shared.money, shared.entities)
    keep = packed if archive else None
    client = cache(partial(provider_client, connection, settings, keep=keep, **shared.patience))
    replay, shapes = partial(replay_of, connection, settings, archive), partial(load, settings.shapes_path)
    assets: list[dg.AssetsDefinition] = []
    checks: list[dg.AssetChecksDefinition] = []
    for endpoint in graph.endpoints:
        raw = build_raw_asset(endpoint, graph.provider, connection, client, replay, archive, shapes, partitions, policy)
        assets.append(raw)
        other = cross_check_connection(endpoint, connection, shared.everywhere)
        cross_check = CrossCheck(Table(endpoint.cross_check), other.name) if endpoint.cross_check and other else None
        checks.append(
            build_checks(raw, endpoint.row, connection.name, control=endpoint.control, cross_check=cross_check)
        )
    for model, query in graph.models:
        asset = build_model_asset(
            model,
            connection,
            query,
            graph.sources,
            partitions,
            policy,
            needed=graph.needed_by(model.asset_of(connection.name)),
            is_emptied=graph.is_superseded,
        )
        assets.append(asset)
        checks.append(build_checks(asset, model.row, connection.name, query=query, file=f"{model.folder}/{model.file}"))
    lookups = lookups_of(connection)
    assets += [build_lookup_asset(lookup, connection, client, is_sharded=shared.is_sharded) for lookup in lookups]
    checks += [build_unknown_ids_check(lookup, connection) for lookup in lookups if lookup.known_as]
    is_pushed = bool(graph.entities and shared.pushes)
    if is_pushed:
        people = partial(settings.people, connection.people)
        keys = [dg.AssetKey.from_user_string(model.asset_of(connection.name)) for model in graph.entities]
        stored = pushed_entities(connection, shared.entities)
        port = PortAssets(connection, graph.endpoints, stored, shared.relations, shared.port_client, people)
        assets += [port.build_sync(keys, partitions, policy), port.build_connection(), port.build_reconcile()]
    tags = {"connection": connection.name, "provider": connection.provider}
    owners = owners_of(connection, shared.accounting)
    assets = [asset.map_asset_specs(lambda spec: spec.merge_attributes(owners=owners, tags=tags)) for asset in assets]
    looked_up = [dg.AssetKey([connection.name, each.name]) for each in lookups]
    return ConnectionAssets(graph, assets, checks, looked_up, is_pushed)


def build_from_environment() -> dg.Definitions:
    """Build the graph of the environment's configuration; in the process of a run, of its connections only.

    Raises SettingsError.
    """
    assets = assets_of_this_run()
    if assets is not None:
        return _of_run(frozenset(key.path[0] for key in assets))
    return _built(None)


@cache
def _of_run(connections: frozenset[str]) -> dg.Definitions:
    """Build these connections once: Dagster asks for them twice in the process of a run."""
    return _built(connections)


def _built(connections: frozenset[str] | None) -> dg.Definitions:
    keep_private()
    settings = Settings.load()
    definitions = build_definitions(settings, only=connections)
    gc.freeze()  # Dagster makes a repository of it next, and would go through all of it for garbage
    forget_exported_env_file(settings)
    return definitions

"""The only place where everything meets: settings -> connections -> assets, checks, jobs, schedules and the sensor.

``definitions.py`` is what Dagster loads; tests call ``build_definitions`` with settings of their own.
"""

import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any

import dagster as dg

from usage_assets.assets.accounting import build_accounting_asset, build_invoices_check
from usage_assets.assets.checks import CrossCheck, build_checks
from usage_assets.assets.completeness import build_completeness_checks
from usage_assets.assets.io_manager import UsageIOManager
from usage_assets.assets.lookups import build_lookup_asset, build_unknown_ids_check
from usage_assets.assets.models import build_model_asset, costs_of_all_connections
from usage_assets.assets.partitions import backfill_policy, daily_partitions
from usage_assets.assets.port_assets import PortAssets
from usage_assets.assets.raw import build_raw_asset
from usage_assets.automation.due_sensor import build_due_sensor
from usage_assets.automation.jobs import build_jobs
from usage_assets.automation.port_sensor import build_port_sensor
from usage_assets.automation.prune_job import build_pruning
from usage_assets.automation.schedules import build_schedules
from usage_assets.automation.webhook import build_webhook_sensor
from usage_assets.config.days import last_day, longest_pause
from usage_assets.config.settings import MissingKeyError, Settings, forget_exported_env_file
from usage_assets.core.private import keep_private
from usage_assets.fetching.archive.store import packed
from usage_assets.fetching.connected import archive_of, cross_check_connection, lookups_of, provider_client, replay_of
from usage_assets.fetching.shapes import load
from usage_assets.models.connection_graph import ConnectionGraph, fetched_costs, graph_of, owners_of, seeds_of
from usage_assets.models.costs import DailyCost
from usage_assets.models.entities import entities_of, pushed_assets
from usage_assets.models.same_use import refuse_same_use
from usage_assets.port.client import PortClient
from usage_assets.warehouse.opened import warehouse_of_runs
from usage_assets.warehouse.tables import Table

# Backfill policies are used on purpose; Dagster would warn of each at every start.
warnings.filterwarnings("ignore", message=".*`backfill_policy`", category=Warning)


def build_definitions(
    settings: Settings, *, patience: Mapping[str, float] | None = None, **overrides: Any
) -> dg.Definitions:
    """Build the graph of the configured connections.

    Opens no file and no network: without any key the whole graph loads, so that a newcomer sees it. ``overrides``
    replace resources; ``patience`` (attempts, base_delay, ...) replaces what the HTTP clients wait.
    """
    partitions, policy, archive = daily_partitions(settings), backfill_policy(), archive_of(settings)
    connections, relations = settings.connections(), settings.port_relations()
    refuse_same_use(connections)
    accounting = settings.accounting()
    seeds = seeds_of(settings)
    keep = packed if archive else None
    configured = settings.usage_connections is not None or any(connection.key for connection in connections)
    shapes = partial(load, settings.shapes_path)
    assets: list[dg.AssetsDefinition] = []
    checks: list[dg.AssetChecksDefinition] = []
    usage_keys: dict[str, list[dg.AssetKey]] = defaultdict(list)
    entity_keys: dict[str, list[dg.AssetKey]] = {}
    watched: dict[str, ConnectionGraph] = {}
    lookup_keys: dict[str, list[dg.AssetKey]] = {}
    cost_keys: list[dg.AssetKey] = []
    for connection in connections:
        graph, first = graph_of(connection, connections, seeds[0]), len(assets)
        provider, endpoints, entities = graph.provider, graph.endpoints, graph.entities
        client = cache(partial(provider_client, connection, settings, keep=keep, **(patience or {})))
        replay = partial(replay_of, connection, settings, archive)
        for endpoint in endpoints:
            raw = build_raw_asset(endpoint, provider, connection, client, replay, archive, shapes, partitions, policy)
            assets.append(raw)
            other = cross_check_connection(endpoint, connection, connections)
            cross_check = (
                CrossCheck(Table(endpoint.cross_check), other.name) if endpoint.cross_check and other else None
            )
            checks.append(
                build_checks(raw, endpoint.row, connection.name, control=endpoint.control, cross_check=cross_check)
            )
            usage_keys[connection.name].append(raw.key)
        for model, query in graph.models:
            asset = build_model_asset(
                model, connection, query, graph.sources, partitions, policy, is_emptied=graph.is_superseded
            )
            assets.append(asset)
            checks.append(
                build_checks(asset, model.row, connection.name, query=query, file=f"{model.folder}/{model.file}")
            )
            usage_keys[connection.name].append(asset.key)
            if model.row is DailyCost:
                cost_keys.append(asset.key)
        if connection.key and endpoints:
            watched[connection.name] = graph
        lookups = lookups_of(connection)
        assets += [build_lookup_asset(lookup, connection, client) for lookup in lookups]
        checks += [build_unknown_ids_check(lookup, connection) for lookup in lookups if lookup.known_as]
        lookup_keys[connection.name] = [dg.AssetKey([connection.name, lookup.name]) for lookup in lookups]
        if entities and (settings.port_account or not configured):
            port = partial(_port_client, settings, patience or {})
            people = partial(settings.people, connection.people)
            keys = [model.asset_key(connection.name) for model in entities]
            stored = entities_of([endpoint.row.table for endpoint in provider.endpoints])
            to_port = PortAssets(connection, endpoints, stored, relations, port, people)
            assets += [to_port.build_sync(keys, partitions, policy), to_port.build_connection()]
            assets.append(to_port.build_reconcile())
            entity_keys[connection.name] = pushed_assets(connection)
        if owners := owners_of(connection, accounting):
            assets[first:] = [_owned(asset, owners) for asset in assets[first:]]
    jobs = build_jobs(usage_keys, lookup_keys, entity_keys, states_money=settings.usage_connections is not None)
    sensors = []
    if settings.usage_connections:
        assets.append(build_accounting_asset(seeds[0]))
        checks.append(build_invoices_check(accounting, fetched_costs(connections), settings.usage_retention_months))
    if entity_keys:
        newest, is_configured = partial(last_day, settings), settings.port_account is not None
        sensors.append(build_port_sensor(entity_keys, running=is_configured, last_day=newest))
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
    if url := settings.webhook_url:
        step_names = {asset.key.to_python_identifier(): asset.key.to_user_string() for asset in assets}
        sensors.append(build_webhook_sensor(settings, url, step_names))
    completeness = build_completeness_checks(list(watched), settings, seeds) if watched else None
    if completeness:
        checks.append(completeness)
    warehouse = overrides.setdefault("warehouse", warehouse_of_runs(settings.warehouse))
    return dg.Definitions(
        assets=[*assets, costs_of_all_connections(cost_keys)],
        asset_checks=checks,
        jobs=jobs,
        schedules=[
            *build_schedules(settings, connections, usage_keys, lookup_keys, entity_keys, seeds, completeness),
            build_pruning(settings, partial(_port_client, settings, patience or {})),
        ],
        sensors=sensors,
        resources={"io_manager": UsageIOManager(warehouse=warehouse), **overrides},
        executor=dg.in_process_executor,
    )


def _owned(asset: dg.AssetsDefinition, owners: Sequence[str]) -> dg.AssetsDefinition:
    return asset.map_asset_specs(lambda spec: spec.replace_attributes(owners=owners))


def _port_client(settings: Settings, patience: Mapping[str, Any]) -> PortClient:
    account = settings.port_account
    if account is None:
        raise MissingKeyError("Port: no credentials: set PORT_CLIENT_ID and PORT_CLIENT_SECRET (for example in .env)")
    return PortClient(account.base_url, account.client_id, account.client_secret.get_secret_value(), **patience)


def build_from_environment() -> dg.Definitions:
    """Build the graph of the environment's configuration. Raises SettingsError."""
    keep_private()
    settings = Settings.load()
    definitions = build_definitions(settings)
    forget_exported_env_file(settings)
    return definitions

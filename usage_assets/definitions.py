"""The only place where everything meets: settings -> connections -> assets, checks, jobs, schedules and the sensor.

Dagster loads ``defs``; tests call ``build_definitions`` with settings of their own.
"""

import warnings
from collections import defaultdict
from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import dagster as dg

from usage_assets.assets.checks import build_checks
from usage_assets.assets.costs import COSTS
from usage_assets.assets.derived import build_derived_asset
from usage_assets.assets.entities import ENTITIES
from usage_assets.assets.port_sync import build_port_sync
from usage_assets.assets.raw import build_raw_asset
from usage_assets.automation.jobs import build_jobs
from usage_assets.automation.schedules import build_schedules
from usage_assets.automation.sensors import build_port_sensor
from usage_assets.partitions import backfill_policy, daily_partitions
from usage_assets.port.client import PortClient
from usage_assets.providers import PROVIDERS, Client, Endpoint, Provider
from usage_assets.settings import Connection, MissingKeyError, Settings, SettingsError
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.io_manager import UsageIOManager

# Partitioned checks and backfill policies are used on purpose; Dagster would warn of each at every start.
warnings.filterwarnings("ignore", message=".*(`backfill_policy`|partitions_def on an AssetCheckSpec)", category=Warning)


def build_definitions(
    settings: Settings, *, patience: Mapping[str, float] | None = None, **overrides: Any
) -> dg.Definitions:
    """Build the graph of the configured connections.

    Opens no file and no network: without any key the whole graph loads, so that a newcomer sees it. ``overrides``
    replace resources; ``patience`` (attempts, base_delay, ...) replaces what the HTTP clients wait.
    """
    partitions, policy = daily_partitions(settings), backfill_policy()
    connections = settings.connections()
    configured = settings.usage_connections is not None or any(connection.key for connection in connections)
    assets: list[dg.AssetsDefinition] = []
    checks: list[dg.AssetChecksDefinition] = []
    usage_keys: dict[str, list[dg.AssetKey]] = defaultdict(list)
    entity_keys: dict[str, list[dg.AssetKey]] = {}
    for connection in connections:
        provider = PROVIDERS[connection.provider]
        client = cache(partial(_provider_client, connection, settings, patience or {}))
        endpoints = _switched_on(provider, connection)
        fetched = {endpoint.row.table for endpoint in endpoints}
        entities = [entity for entity in ENTITIES if fetched.issuperset(entity.reads)]
        costs = [cost for cost in COSTS if fetched.issuperset(cost.reads)]
        for endpoint in endpoints:
            raw = build_raw_asset(endpoint, provider, connection, client, partitions, policy)
            assets.append(raw)
            checks.append(build_checks(raw, endpoint.row, connection.name, partitions))
            usage_keys[connection.name].append(raw.key)
        for derived in (*entities, *costs):
            asset = build_derived_asset(derived, connection, partitions, policy)
            assets.append(asset)
            checks.append(build_checks(asset, derived.row, connection.name, partitions, select=derived.select))
            usage_keys[connection.name].append(asset.key)
        if entities and (settings.port_account or not configured):
            port = partial(_port_client, settings, patience or {})
            assets.append(build_port_sync(connection, entities, port, lambda: settings.people, partitions, policy))
            entity_keys[connection.name] = [derived.asset_key(connection.name) for derived in entities]
    warehouse = Warehouse(database=str(settings.warehouse_path))
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=build_jobs(usage_keys, entity_keys),
        schedules=build_schedules(settings, connections, usage_keys),
        sensors=[build_port_sensor(entity_keys, running=settings.port_account is not None)] if entity_keys else [],
        resources={"warehouse": warehouse, "io_manager": UsageIOManager(warehouse=warehouse), **overrides},
        executor=dg.in_process_executor,
    )


def _switched_on(provider: Provider, connection: Connection) -> list[Endpoint]:
    """Return the endpoints that are fetched. Raises SettingsError where one that does not exist is switched."""
    known = [endpoint.name for endpoint in provider.endpoints]
    if unknown := connection.disabled_endpoints.difference(known):
        raise SettingsError(
            f"connection {connection.name}: endpoints: {provider.name} has no {', '.join(sorted(unknown))}; "
            f"it has {', '.join(known)}"
        )
    return [endpoint for endpoint in provider.endpoints if endpoint.name not in connection.disabled_endpoints]


def _provider_client(connection: Connection, settings: Settings, patience: Mapping[str, Any]) -> Client:
    return Client(
        PROVIDERS[connection.provider],
        connection=connection.name,
        base_url=connection.base_url,
        key=connection.required_key(),
        workspace_id=connection.workspace_id,
        people=settings.people,
        **patience,
    )


def _port_client(settings: Settings, patience: Mapping[str, Any]) -> PortClient:
    account = settings.port_account
    if account is None:
        raise MissingKeyError("Port: no credentials: set PORT_CLIENT_ID and PORT_CLIENT_SECRET (for example in .env)")
    return PortClient(account.base_url, account.client_id, account.client_secret.get_secret_value(), **patience)


@dg.definitions
def defs() -> dg.Definitions:
    """Build the graph that ``workspace.yaml`` points Dagster at."""
    return build_definitions(Settings.load())

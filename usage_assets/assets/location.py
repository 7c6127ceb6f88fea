"""A code location while its graph is built: what all of its assets have in common, and what each part adds to it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import dagster as dg

from usage_assets.assets.partitions import backfill_policy, daily_partitions
from usage_assets.config.days import last_day
from usage_assets.config.settings import MissingKeyError, Settings
from usage_assets.fetching.connected import archive_of
from usage_assets.models.connection_graph import ConnectionGraph, stated_assets, stated_money
from usage_assets.models.entities import all_entities
from usage_assets.port.client import PortClient
from usage_assets.warehouse.values import Seed


class Location:
    """What the assets of all connections have in common, and which of them are built."""

    def __init__(
        self, settings: Settings, only: Collection[str] | None = None, patience: Mapping[str, Any] | None = None
    ) -> None:
        """Read the settings. Raises SettingsError."""
        self.settings, self.only, self.patience = settings, only, patience or {}
        self.is_main = settings.usage_shard is None
        self.connections: Sequence[ConnectionAssets] = ()
        """What was built of this code location's connections."""
        self.everywhere = settings.connections()
        self.is_sharded = any(each.shard for each in self.everywhere)
        self.accounting, self.relations = settings.accounting(), settings.port_relations()
        self.money = stated_money(settings, self.accounting)
        self.partitions, self.policy = daily_partitions(settings), backfill_policy()
        self.last_day = partial(last_day, settings)
        self.archive = archive_of(settings)
        self.entities = all_entities(settings)
        is_configured = settings.usage_connections is not None or any(each.has_access for each in self.everywhere)
        self.pushes = settings.port_account is not None or not is_configured
        """Whether there are assets for Port: where it is configured, and for a newcomer to see."""

    @cached_property
    def watched(self) -> Mapping[str, ConnectionGraph]:
        """What is due of each connection that has its key and fetches something."""
        graphs = [each.graph for each in self.connections if each.graph.endpoints]
        return {graph.connection.name: graph for graph in graphs if graph.connection.has_access}

    @cached_property
    def seeds(self) -> Sequence[Seed]:
        """What the configuration states: about money, and which assets are expected."""
        return (self.money, stated_assets(self.settings, [*self.watched.values()]))

    def has(self, keys: Collection[dg.AssetKey]) -> bool:
        """Whether assets that belong to no connection are built: by the main code location, and for a run of them."""
        return self.is_main and (self.only is None or any(key.path[0] in self.only for key in keys))

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

    @property
    def usage(self) -> Sequence[dg.AssetKey]:
        """What has days: fetched and computed."""
        return [dg.AssetKey.from_user_string(asset) for asset in self.graph.assets]


@dataclass(frozen=True, kw_only=True)
class Part:
    """What a part of the product adds to a code location."""

    assets: Sequence[dg.AssetsDefinition | dg.AssetSpec] = ()
    checks: Sequence[dg.AssetChecksDefinition] = ()
    jobs: Mapping[str, Sequence[dg.AssetKey]] = field(default_factory=dict)
    """Job -> what it runs. Two parts may add to one job."""
    schedules: Sequence[dg.ScheduleDefinition] = ()
    sensors: Sequence[dg.SensorDefinition] = ()

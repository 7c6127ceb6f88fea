"""A code location while its graph is built: what all of its assets have in common, and what each part adds to it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import dagster as dg

from usage_assets.assets.names import ALONE, Names
from usage_assets.assets.partitions import backfill_policy, daily_partitions
from usage_assets.config.settings import Connection, Settings
from usage_assets.fetching.connected import archive_of
from usage_assets.models.connection_graph import ConnectionGraph, owners_of, stated_assets, stated_money
from usage_assets.models.due import refuse_other_shard
from usage_assets.models.entities import all_entities
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.values import Seed, Stores


class Location:
    """What the assets of all connections have in common, and which of them are built."""

    def __init__(
        self,
        settings: Settings,
        only: AbstractSet[str] | None = None,
        patience: Mapping[str, Any] | None = None,
        names: Names = ALONE,
        stores: Stores = "always",
    ) -> None:
        """Read the settings. Raises SettingsError."""
        self.names = names
        self.settings, self.only, self.patience = settings, only, patience or {}
        self.is_main = settings.usage_shard is None
        self.connections: Sequence[ConnectionAssets] = ()
        """What was built of this code location's connections."""
        self.everywhere = settings.connections()
        self.accounting = settings.accounting()
        self.money = stated_money(settings, self.accounting, stores)
        self.partitions, self.policy = daily_partitions(settings), backfill_policy()
        self.archive = archive_of(settings)
        self.entities = all_entities(settings)

    @cached_property
    def watched(self) -> Mapping[str, ConnectionGraph]:
        """What is due of each connection that has its key and fetches something."""
        graphs = [each.graph for each in self.connections if each.graph.endpoints]
        return {graph.connection.name: graph for graph in graphs if graph.connection.has_access}

    @cached_property
    def seeds(self) -> Sequence[Seed]:
        """What the configuration states: about money, and which assets are expected."""
        return (self.money, stated_assets(self.settings, [*self.watched.values()]))

    def has(self, assets: Collection[str]) -> bool:
        """Whether assets that belong to no connection are built: by the main code location, and for a run of them."""
        return self.is_main and (self.only is None or not self.only.isdisjoint(assets))

    def refuse_other_shard(self, warehouse: Warehouse, connection: Connection) -> None:
        """Raise WarehouseError where another code location has stated that it runs a connection of this one."""
        if any(each.shard for each in self.everywhere):
            refuse_other_shard(warehouse, connection.name, connection.shard)

    def of_connection(self, connection: Connection, assets: Iterable[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
        """Return the assets with what the UI filters them by: the connection, its provider and its owners.

        The groups are of all connections, so each node shows its provider as a kind.
        """
        tags = {"connection": connection.name, "provider": connection.provider}
        owners = owners_of(connection, self.accounting)
        shown = partial(dg.AssetSpec.merge_attributes, owners=owners, tags=tags, kinds={connection.provider})
        return [each.map_asset_specs(shown) for each in assets]


@dataclass(frozen=True)
class ConnectionAssets:
    """What Dagster has of one connection."""

    graph: ConnectionGraph
    assets: Sequence[dg.AssetsDefinition]
    checks: Sequence[dg.AssetChecksDefinition]
    lookups: Sequence[dg.AssetKey]
    names: Names

    @property
    def name(self) -> str:
        return self.graph.connection.name

    @property
    def usage(self) -> Sequence[dg.AssetKey]:
        """What has days: fetched and computed."""
        return self.names.keys(self.graph.assets)


@dataclass(frozen=True, kw_only=True)
class Part:
    """What a part of the product adds to a code location."""

    assets: Sequence[dg.AssetsDefinition | dg.AssetSpec] = ()
    checks: Sequence[dg.AssetChecksDefinition] = ()
    jobs: Mapping[str, Sequence[dg.AssetKey]] = field(default_factory=dict)
    """Job -> what it runs. Two parts may add to one job."""
    described: Mapping[str, str] = field(default_factory=dict)
    """Job -> what its page says: what it takes, and what follows from it."""
    schedules: Sequence[dg.ScheduleDefinition] = ()
    sensors: Sequence[dg.SensorDefinition] = ()

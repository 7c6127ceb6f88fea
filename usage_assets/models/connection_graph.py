"""The assets of one connection as data: which endpoints it fetches, what is computed from them, and by which queries.

``build.py`` builds Dagster's assets from it, and ``seeds_of`` the tables of what is configured.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

from usage_assets.config.accounting import Accounting
from usage_assets.config.settings import Connection, Settings
from usage_assets.core.days import utc_today
from usage_assets.fetching.connected import endpoints_of
from usage_assets.models.costs import ALLOCATIONS, AllocatedCost, DailyCost, costs_of
from usage_assets.models.due import ExpectedAsset, assets_seed, expected_derived, expected_push, expected_raw
from usage_assets.models.entities import ENTITIES, all_entities, entities_of, pushed_entities
from usage_assets.models.model import Model, Sources, money_seed
from usage_assets.providers import PROVIDERS
from usage_assets.providers.endpoint import Endpoint, Provider
from usage_assets.warehouse.values import NOTHING, Query, Seed, Stores


@dataclass(frozen=True)
class ConnectionGraph:
    """What a connection fetches and what is computed from it, each after what it reads."""

    connection: Connection
    provider: Provider
    endpoints: Sequence[Endpoint]
    sources: Sources
    entities: Sequence[Model]
    models: Sequence[tuple[Model, Query]]

    @property
    def assets(self) -> Sequence[str]:
        """The assets that fetch and compute days, as ``ledger.assets`` names them."""
        fetched = [f"{self.connection.name}/{endpoint.name}" for endpoint in self.endpoints]
        return [*fetched, *(model.asset_of(self.connection.name) for model, _ in self.models)]

    @cached_property
    def computed_from(self) -> Mapping[str, Collection[str]]:
        """Each asset, with all that is computed from it, directly or not."""
        return self._computed_from(lambda query: query.sources)

    @cached_property
    def needed_for(self) -> Mapping[str, Collection[str]]:
        """Each asset, with all that is not computed without it, directly or not."""
        return self._computed_from(lambda query: query.needed)

    def _computed_from(self, sources: Callable[[Query], Iterable[tuple[str, str]]]) -> Mapping[str, Collection[str]]:
        found = {asset: set[str]() for asset in self.assets}
        for model, query in reversed(self.models):
            asset = model.asset_of(self.connection.name)
            for table, part in sources(query):
                found[self.sources[table][part]] |= {asset, *found[asset]}
        return found

    def with_computed(self, assets: Iterable[str]) -> frozenset[str]:
        """Return the assets of the connection among these, with all that is computed from them."""
        found = self.computed_from
        return frozenset(each for asset in assets if asset in found for each in (asset, *found[asset]))

    def held_up_by(self, assets: Iterable[str]) -> frozenset[str]:
        """Return the assets of the connection among these, with all that is not computed without them."""
        found = self.needed_for
        return frozenset(each for asset in assets if asset in found for each in (asset, *found[asset]))

    def expected(self, settings: Settings) -> Iterator[ExpectedAsset]:
        for endpoint in self.endpoints:
            yield from expected_raw(endpoint, self.connection, settings)
        for model, query in self.models:
            yield expected_derived(model, query, self.connection, settings)


def graph_of(connection: Connection, money: Seed, entities: Sequence[Model] = ENTITIES) -> ConnectionGraph:
    """Return a connection's graph, with those of the entities that it has.

    Raises SettingsError for a setting that its provider has no use for.
    """
    provider = PROVIDERS[connection.provider]
    endpoints = endpoints_of(provider, connection)
    sources = {endpoint.row.table: {"": f"{connection.name}/{endpoint.name}"} for endpoint in endpoints}
    costs = costs_of(sources)
    if costs:
        sources[DailyCost.table] = {cost.part: cost.asset_of(connection.name) for cost in costs}
    allocations = [allocation for allocation in ALLOCATIONS if allocation.part in sources]
    if allocations:
        sources[AllocatedCost.table] = {each.part: each.asset_of(connection.name) for each in allocations}
    entities = entities_of(sources, entities, connection.name)

    def query_of(model: Model) -> Query:
        query = model.query_of(sources)
        return replace(query, seed=money) if query.seed else query

    models = [(each, query_of(each)) for each in (*costs, *allocations, *entities)]
    return ConnectionGraph(connection, provider, endpoints, sources, entities, models)


def owners_of(connection: Connection, accounting: Accounting) -> Sequence[str]:
    """Return the owners of a connection's assets in Dagster's form: those that the connection names, or else the team
    that owns today the only project or workspace that it fetches. Owners of parts are only in ``accounting.owners``."""
    whole = {(kind, connection.ids.get(name)) for kind, name in (("project", "project"), ("workspace", "workspace_id"))}
    today = utc_today()
    teams = [
        f"team:{owner.team}"
        for owner in accounting.owners
        if owner.owned in whole and owner.connection in (None, connection.name) and owner.first <= today <= owner.last
    ]
    return connection.owners or teams


def seeds_of(settings: Settings, stores: Stores = "never") -> tuple[Seed, Seed]:
    """Return what the configuration states: money, and the assets of this code location's connections that have a key.

    A command uses what is stored about money. Raises SettingsError.
    """
    money = stated_money(settings, settings.accounting(), stores)
    entities = all_entities(settings)
    graphs = [graph_of(each, money, entities) for each in settings.own_connections() if each.has_access]
    return money, stated_assets(settings, graphs)


def stated_money(settings: Settings, accounting: Accounting, stores: Stores = "always") -> Seed:
    """Return what the connections file says about money, which is the main code location's to write."""
    seed = replace(money_seed(accounting, datetime.now(UTC)), stores=stores)
    return replace(seed, owned=NOTHING) if settings.usage_shard else seed


def stated_assets(settings: Settings, graphs: Iterable[ConnectionGraph]) -> Seed:
    """Return the assets of connections that have a key, and the pushes of all. Raises SettingsError."""
    expected = [*(row for graph in graphs for row in graph.expected(settings)), *_pushes(settings)]
    others = [each for each in settings.connections() if each.shard != settings.usage_shard]
    return assets_seed(expected, datetime.now(UTC), settings.usage_shard, others)


def _pushes(settings: Settings) -> Iterator[ExpectedAsset]:
    """Yield what is expected of the pushes to the Port account, if there is one."""
    account = settings.port_account
    if account and account.name:
        entities, relations = all_entities(settings), settings.port_relations()
        for each in (each for each in settings.own_connections() if each.name not in settings.kept_connections):
            for model in pushed_entities(each, entities):
                yield expected_push(model, each, account.name, relations, settings)


def cost_assets(connections: Sequence[Connection]) -> Sequence[str]:
    """Return the assets that write ``costs.daily_costs``."""
    return [cost.asset_of(connection.name) for connection in connections for cost in _costs(connection)]


def fetched_costs(connections: Sequence[Connection]) -> Sequence[tuple[str, str]]:
    """Return the sources of costs that are fetched: connection and raw table each."""
    return [
        (connection.name, cost.part)
        for connection in connections
        if connection.is_configured
        for cost in _costs(connection)
    ]


def _costs(connection: Connection) -> Sequence[Model]:
    """Return the costs that are computed from what a connection fetches."""
    return costs_of([each.row.table for each in endpoints_of(PROVIDERS[connection.provider], connection)])

"""Builds Dagster's definitions: settings -> connections -> assets, checks, jobs, schedules and sensors.

``definitions.py`` is what Dagster loads; tests call ``build_definitions`` with settings of their own.
"""

import gc
import logging
import warnings
from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from functools import cache, partial

import dagster as dg

from usage_assets.assets.accounting import ACCOUNTING, build_accounting_asset, build_invoices_check
from usage_assets.assets.checks import build_checks
from usage_assets.assets.completeness import build_completeness_checks
from usage_assets.assets.io_manager import UsageIOManager
from usage_assets.assets.location import ConnectionAssets, Location, Part
from usage_assets.assets.lookups import build_lookup_asset, build_unknown_ids_check
from usage_assets.assets.models import build_model_asset, costs_of_all_connections
from usage_assets.assets.names import ALONE, IO_MANAGER, WAREHOUSE, Names
from usage_assets.assets.raw import Report, build_raw_asset
from usage_assets.assets.warehouse_resource import WarehouseResource
from usage_assets.automation.due_sensor import build_due_sensor
from usage_assets.automation.jobs import (
    ACCOUNTING_JOB,
    LOOKUPS_JOB,
    USAGE_JOB,
    AssetJob,
    build_jobs,
)
from usage_assets.automation.schedules import build_schedules
from usage_assets.config.settings import Connection, Settings, forget_exported_env_file
from usage_assets.core.features import GRAPH, hooks, not_loaded
from usage_assets.core.private import keep_private
from usage_assets.dagster_internals.executor import one_process
from usage_assets.dagster_internals.run_process import assets_of_this_run
from usage_assets.fetching.archive.store import packed
from usage_assets.fetching.connected import cross_check_connection, lookups_of, provider_client, replay_of
from usage_assets.fetching.shapes import load
from usage_assets.models.comparisons import CrossCheck
from usage_assets.models.connection_graph import cost_assets, graph_of
from usage_assets.models.same_use import refuse_same_use
from usage_assets.providers import LOADED
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.opened import warehouse_at
from usage_assets.warehouse.tables import Table

logger = logging.getLogger(__name__)


@contextmanager
def _while_building() -> Iterator[None]:
    """Collect no garbage: all that is built stays, and collections took a fifth of the time.

    Hide Dagster's warnings of backfill policies, which are used on purpose.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*`backfill_policy`", category=Warning)
            yield
    finally:
        if was_enabled:
            gc.enable()


@_while_building()
def build_definitions(
    settings: Settings,
    *,
    names: Names = ALONE,
    only: AbstractSet[str] | None = None,
    patience: Mapping[str, float] | None = None,
    warehouse: Warehouse | None = None,
    without: Collection[str] = (),
) -> dg.Definitions:
    """Build the graph of this code location's connections.

    Opens no file and no network: without any key the whole graph loads, so that a newcomer sees it. With ``only``, it
    is what runs of these connections need: no schedules and no sensors. ``patience`` (attempts, base_delay, ...)
    replaces what the HTTP clients wait. Where ``warehouse`` is stated, it is a command's: runs store there, publish
    nothing, and leave entries of the connections file that are stored as they are.
    ``names``: what Dagster calls all of it. ``without``: features that are left out.
    """
    location = Location(settings, only, patience, names, "first" if warehouse else "always")
    for line in settings.unread_sections:
        logger.warning("%s", line)
    refuse_same_use(location.everywhere)
    chosen = [each for each in settings.own_connections() if only is None or each.name in only]
    location.connections = [build_connection(each, location) for each in chosen]
    parts = [_usage(location), _accounting(location), *(build(location) for build in hooks(GRAPH, without))]
    jobs = build_jobs(parts, names)
    parts += [_automation(location, jobs)] if only is None else []
    opened = WarehouseResource.of(warehouse or warehouse_at(settings.warehouse), names, publishes=warehouse is None)
    stored = UsageIOManager(database=opened.database, resource=names.own(WAREHOUSE))
    return dg.Definitions(
        assets=[asset for part in parts for asset in part.assets],
        asset_checks=[check for part in parts for check in part.checks],
        jobs=[*jobs.values()],
        schedules=[schedule for part in parts for schedule in part.schedules],
        sensors=[sensor for part in parts for sensor in part.sensors],
        resources={names.own(IO_MANAGER): stored, names.own(WAREHOUSE): opened},
        executor=None if names.is_guest else one_process,
    )


def _usage(location: Location) -> Part:
    """What is fetched, computed and looked up, and the node in which the lineage of all costs ends."""
    assets: list[dg.AssetsDefinition | dg.AssetSpec] = [asset for each in location.connections for asset in each.assets]
    if location.is_main and location.only is None:
        costs = cost_assets(location.everywhere)
        joined = [f"{each.name}/{lookup.name}" for each in location.everywhere for lookup in lookups_of(each)]
        stated = [ACCOUNTING] if location.settings.states_connections else []
        assets.append(costs_of_all_connections(costs, [*joined, *stated], location))
        assets += broken_plugins(location.names)
    return Part(
        assets=assets,
        checks=[check for each in location.connections for check in each.checks],
        jobs={
            USAGE_JOB: [key for each in location.connections for key in each.usage],
            LOOKUPS_JOB: [key for each in location.connections for key in each.lookups],
        },
        described={
            USAGE_JOB: "Fetches days and computes costs and entities of them: select one connection's assets. Each "
            "asset says how many requests a run makes; days are replaced whole, and sensors request what depends on "
            "them, in Port too.",
            LOOKUPS_JOB: "Lists what ids stand for, with a request for each page of a list. Views show new names at "
            "once, and sensors request the days whose entities have them.",
        },
    )


def broken_plugins(names: Names) -> Iterator[dg.AssetSpec]:
    """Yield what the UI shows of providers and features that are not loaded, and log it: everything else is there."""
    broken = [("provider", each.name, each.text) for each in LOADED.not_loaded]
    broken += [("feature", each.name, each.text) for each in not_loaded()]
    for kind, name, text in broken:
        logger.warning("%s %s: %s", kind, name, text)
        key = names.key(f"not_loaded/{name}")
        yield dg.AssetSpec(key, description=text, group_name=names.group("not_loaded"))


def _accounting(location: Location) -> Part:
    """What the connections file states about money. It belongs to the main code location."""
    if not location.settings.states_connections or not location.is_main:
        return Part()
    asset, invoices = build_accounting_asset(location), build_invoices_check(location)
    described = {
        ACCOUNTING_JOB: "Stores what the connections file says about money, without a request. Sensors request the "
        "days that a changed rate covers."
    }
    return Part(assets=[asset], checks=[invoices], jobs={ACCOUNTING_JOB: [asset.key]}, described=described)


def _automation(location: Location, jobs: Mapping[str, AssetJob]) -> Part:
    """The schedules, and the sensor that requests what is due."""
    completeness = build_completeness_checks(location) if location.watched else None
    schedules = build_schedules(location, completeness)
    sensors = [build_due_sensor(location, jobs)]
    return Part(checks=[completeness] if completeness else [], schedules=schedules, sensors=sensors)


def build_connection(connection: Connection, location: Location) -> ConnectionAssets:
    """Build the assets and checks of one connection: fetched, computed, looked up. Raises SettingsError."""
    settings, names, archive = location.settings, location.names, location.archive
    graph = graph_of(connection, location.money, location.entities)
    keep = packed if archive else None
    client = cache(partial(provider_client, connection, settings, keep=keep, **location.patience))
    replay, shapes = partial(replay_of, connection, settings, archive), partial(load, settings.shapes_path)
    assets: list[dg.AssetsDefinition] = []
    checks: list[dg.AssetChecksDefinition] = []
    for endpoint in graph.endpoints:
        report = Report(endpoint, graph.provider, connection, client, replay, archive, shapes)
        raw = build_raw_asset(report, location)
        assets.append(raw)
        other = cross_check_connection(endpoint, connection, location.everywhere)
        cross_check = CrossCheck(Table(endpoint.cross_check), other.name) if endpoint.cross_check and other else None
        checks.append(
            build_checks(
                raw,
                endpoint.row,
                connection.name,
                control=endpoint.control,
                cross_check=cross_check,
                names=names,
            )
        )
    for model, query in graph.models:
        asset = build_model_asset(model, connection, query, graph.sources, location)
        assets.append(asset)
        file = f"{model.folder}/{model.file}"
        checks.append(build_checks(asset, model.row, connection.name, query, file=file, names=names))
    lookups = lookups_of(connection)
    assets += [build_lookup_asset(lookup, connection, client, location) for lookup in lookups]
    checks += [build_unknown_ids_check(lookup, connection, names) for lookup in lookups if lookup.known_as]
    looked_up = names.keys([f"{connection.name}/{each.name}" for each in lookups])
    return ConnectionAssets(graph, location.of_connection(connection, assets), checks, looked_up, names)


def build_from_environment() -> dg.Definitions:
    """Build the graph of the environment's configuration; in the process of a run, of its connections only.

    Raises SettingsError.
    """
    assets = assets_of_this_run()
    if assets is not None:
        return _of_run(frozenset(map(ALONE.connection, assets)))
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

"""The product as a component: one instance of it in a Dagster project that has other things, too.

Everything that Dagster knows by a name begins with the instance's prefix (``assets/names.py``), so a project may have
several instances, each with a warehouse of its own.
"""

import logging
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import dagster as dg

from usage_assets.assets.io_manager import CONNECTION
from usage_assets.assets.names import Names
from usage_assets.build import build_definitions
from usage_assets.config.days import daily_cron
from usage_assets.config.settings import KeyReference, Settings, SettingsError
from usage_assets.config.toml_file import GivenTables
from usage_assets.providers import PROVIDERS

logger = logging.getLogger(__name__)
AUTOMATED_BY = Literal["schedules", "declarative", "none"]
READ_DAILY = ("daily_usage_schedule", "daily_lookups_schedule")
"""Schedules that conditions on assets stand for."""
PART = re.compile("[A-Za-z0-9]+(_[A-Za-z0-9]+)*")
LAKE = re.compile("[a-z]+:")
OURS = (dg.AssetsDefinition, dg.AssetSpec)
PORT_OF_ENVIRONMENT = {"client_id": "env:PORT_CLIENT_ID", "client_secret": "env:PORT_CLIENT_SECRET"}


def follows_restatements() -> dg.AutomationCondition[Any]:
    """Return a condition for assets that depend on ours: it requests each day whose source has changed.

    ``AutomationCondition.eager`` requests the newest day alone, and nothing while one day of all is missing. A day that
    the asset lacks is requested only if it is new: else history that is fetched would request a run for each day. An
    asset without partitions is first requested once no day of its sources is missing. Costs with a rate request all
    days of their run.
    """
    condition = dg.AutomationCondition
    changed = condition.data_version_changed() & ~condition.executed_with_root_target()
    is_there = condition.in_latest_time_window() | ~condition.missing()
    followed = condition.any_deps_match(changed | condition.will_be_requested()) & is_there
    lacks_source = condition.missing() & condition.any_deps_missing()
    eager = condition.eager().without(condition.in_latest_time_window())
    follows = eager.replace("any_deps_updated", followed).replace("any_deps_missing", lacks_source)
    return follows.with_label("follows_restatements")


@dataclass
class Load:
    """The latest time that a project was loaded: a process may load it again after its files were edited."""

    tree: dg.ComponentTree | None = None
    taken: dict[str, str] = field(default_factory=dict)
    """What only one instance may have -> which one has it. Two would mix what they store or push."""

    def taken_in(self, tree: dg.ComponentTree) -> dict[str, str]:
        """Return what instances of this load have. Equal trees may be of two loads."""
        if tree is not self.tree:
            self.tree, self.taken = tree, {}
        return self.taken


LATEST = Load()


class Scaffolder(dg.Scaffolder[Any]):
    """Writes a ``defs.yaml`` that loads without any key and names what to fill in."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write the file."""
        name = request.target_path.name
        attributes = {
            "connections": [
                {"name": each, "provider": each, "key": f"env:{provider.key_variable}"}
                for each, provider in PROVIDERS.items()
                if provider.key_variable and not provider.needed_ids({})
            ],
            "warehouse": f"data/{name}/usage.duckdb",
            "key_prefix": name,
            "start_date": f"{datetime.now(UTC):%Y}-01-01",
        }
        dg.scaffold_component(request, attributes)


@dg.scaffold_with(Scaffolder)
class UsageAssetsComponent(dg.Component, dg.Model, dg.Resolvable):
    """Usage and cost of AI providers: an asset per endpoint, costs, a report, and entities in Port.

    Paths are those of the project's folder. Settings that are no attribute are environment variables (``USAGE_...``).
    """

    connections: str | list[dict[str, Any]] | dict[str, Any]
    """The path of a connections file, or its ``[[connection]]`` tables. A key is ``env:NAME`` or ``file:PATH``.

    A single table (a forgotten dash) is accepted here and refused in ``_settings``: Dagster's own error would print it,
    with any key in it."""
    warehouse: str | None = None
    """As USAGE_WAREHOUSE: a database file, in a folder of its own, or a lake. By default
    ``data/<key_prefix>/usage.duckdb``."""
    warehouse_data: str | None = None
    """Of a lake, as USAGE_WAREHOUSE_DATA. By default what that says, and a folder of the instance in it."""
    key_prefix: str | list[str] | None = None
    """Begins all asset keys, and the names of jobs, schedules, sensors and resources. By default the folder's name."""
    group_prefix: str | None = None
    """Begins the names of all asset groups. By default the key prefix and ``_``."""
    owners: list[str] = []
    """Of assets that have none of their connection: ``team:NAME`` or an email address."""
    tags: dict[str, str] = {}
    """Of all assets."""
    port: bool | dict[str, Any] = False
    """Whether entities are pushed to Port: ``true`` reads PORT_CLIENT_ID and PORT_CLIENT_SECRET. Or ``client_id``,
    ``client_secret`` (``env:NAME`` or ``file:PATH``) and ``base_url``."""
    report: bool = True
    """Whether there are assets of the report, forecasts, anomalies and budgets."""
    automation: AUTOMATED_BY = "schedules"
    """``schedules`` and sensors; ``declarative``: conditions on assets in place of the daily schedules; ``none``."""
    start_date: str | None = None
    """As USAGE_START_DATE: the first day, such as 2026-01-01."""

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """Return what `dg` shows of the component."""
        return dg.ComponentTypeSpec(description=(cls.__doc__ or "").splitlines()[0], tags=["costs", "ai"])

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build the definitions. Raises SettingsError, one line for the first thing that is wrong."""
        place = context.path if context.path.suffix else context.path / "defs.yaml"
        names = self._names(context.path.stem if context.path.stem != "component" else context.path.parent.name)
        settings = self._settings(names, context.project_root, place)
        self._refuse_shared(names, settings, LATEST.taken_in(context.component_tree))
        built = build_definitions(settings, names=names, without=() if self.report else ("report",))
        cron = daily_cron(settings) if self.automation == "declarative" else ""
        replaced = {names.own(name) for name in READ_DAILY} if cron else set()
        schedules = [each for each in built.schedules or () if isinstance(each, dg.ScheduleDefinition)]
        assets = [self._described(asset, cron) for asset in built.assets or () if isinstance(asset, OURS)]
        sensors = [*(built.sensors or ())]
        if cron:
            ours = dg.AssetSelection.assets(*(key for each in assets for key in _keys(each)))
            sensors.append(
                dg.AutomationConditionSensorDefinition(
                    names.own("conditions_sensor"), target=ours, default_status=dg.DefaultSensorStatus.RUNNING
                )
            )
        automated, known = self.automation != "none", {each.name for each in built.jobs or ()}
        return dg.Definitions(
            assets=assets,
            asset_checks=built.asset_checks,
            jobs=[*(built.jobs or ()), *(each.job for each in schedules if each.job_name not in known)],
            schedules=[each for each in schedules if automated and each.name not in replaced],
            sensors=sensors if automated else (),
            resources=built.resources,
        )

    def _described(self, asset: dg.AssetsDefinition | dg.AssetSpec, cron: str) -> dg.AssetsDefinition | dg.AssetSpec:
        """Return an asset with its owners, its tags and, where a cron expression is given, its condition."""

        def described(spec: dg.AssetSpec) -> dg.AssetSpec:
            stated = spec.merge_attributes(tags=self.tags, owners=... if spec.owners else self.owners)
            if cron and CONNECTION in spec.metadata:
                condition = follows_restatements() if [*spec.deps] else dg.AutomationCondition.on_cron(cron)
                return stated.replace_attributes(automation_condition=condition)
            return stated

        return asset.map_asset_specs(described) if isinstance(asset, dg.AssetsDefinition) else described(asset)

    def _names(self, folder: str) -> Names:
        stated = [self.key_prefix] if isinstance(self.key_prefix, str) else self.key_prefix
        prefix = stated if stated is not None else [folder]
        if not prefix or not all(PART.fullmatch(part) for part in prefix):
            reason = "letters, digits and single _ in each part, and at least one: it tells our assets from yours"
            raise SettingsError(f"key_prefix: {prefix}: {reason}")
        group = "_".join((*prefix, "")) if self.group_prefix is None else self.group_prefix
        return Names(tuple(prefix), group)

    def _settings(self, names: Names, root: Path, place: Path) -> Settings:
        """Return the settings: the attributes, and environment variables for all others."""
        own = root / "data" / names.instance
        warehouse = self.warehouse or str(own / "usage.duckdb")
        data = self.warehouse_data or os.environ.get("USAGE_WAREHOUSE_DATA")
        is_lake = LAKE.match(warehouse) is not None
        stated: dict[str, Any] = {
            "usage_warehouse": warehouse if is_lake else _below(root, warehouse),
            "usage_connections": _below(root, self.connections) if isinstance(self.connections, str) else None,
            "usage_shard": None,
            "usage_report": None,
            **self._port(root),
        }
        if is_lake and data:
            is_own = self.warehouse_data is not None
            stated["usage_warehouse_data"] = _below(root, data) if is_own else f"{data.rstrip('/')}/{names.instance}"
        if os.environ.get("USAGE_ARCHIVE") != "off":
            stated["usage_archive"] = None
        if self.start_date is not None:
            stated["usage_start_date"] = self.start_date
        tables = None
        if isinstance(self.connections, dict):
            raise SettingsError(f"{place}: connections: write a list: each connection begins with a dash")
        if not isinstance(self.connections, str):
            given = [_placed(each, root) for each in self.connections]
            tables = GivenTables(place, text="", given={"connection": given})
        settings = Settings.load(_env_file=None, **stated)
        return settings.as_guest(tables, own if is_lake else settings.warehouse.folder)

    def _refuse_shared(self, names: Names, settings: Settings, taken: dict[str, str]) -> None:
        """Raise SettingsError for an instance without connections, and for what another instance has taken."""
        connections = settings.connections()
        if not connections:
            raise SettingsError("connections: there is none: state at least one")
        account = settings.port_account
        wanted = [f"the folder {settings.folder.absolute()} (warehouse)"]
        if account and account.name:
            wanted += [f"the connection {each.name} in Port account {account.name}" for each in connections]
        for what in wanted:
            if (other := taken.setdefault(what, names.instance)) != names.instance:
                raise SettingsError(f"{names.instance}: {what} is also that of {other}: give each its own")

    def _port(self, root: Path) -> dict[str, Any]:
        """Return the settings of the Port account; without one, they are empty, whatever the environment says."""
        if not self.port:
            return {"port_client_id": None, "port_client_secret": None}
        stated = PORT_OF_ENVIRONMENT | (self.port if isinstance(self.port, dict) else {})
        if unknown := stated.keys() - {*PORT_OF_ENVIRONMENT, "base_url"}:
            raise SettingsError(f"port: {min(unknown)}: unknown; known: client_id, client_secret, base_url")
        found: dict[str, Any] = {"port_base_url": stated["base_url"]} if "base_url" in stated else {}
        for name in PORT_OF_ENVIRONMENT:
            found[f"port_{name}"] = _secret(f"port: {name}", _reference(root, str(stated[name])))
        missing = [stated[name] for name in PORT_OF_ENVIRONMENT if not found[f"port_{name}"]]
        if len(missing) == 1:
            raise SettingsError(f"port: {missing[0]} is not set, but the other half of Port's credentials is")
        if missing:
            logger.warning("port: %s are not set: nothing is pushed to Port", " and ".join(missing))
        return found


def _secret(place: str, reference: str) -> str | None:
    """Return a secret that is stated by reference; None if its variable is not set. Raises SettingsError."""
    try:
        parsed = KeyReference.parse(reference)
        secret = parsed.read(os.environ)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{place}: {error}") from None
    if secret is None and parsed.scheme == "file":
        raise SettingsError(f"{place}: {parsed} does not exist or is empty")
    return secret


def _placed(connection: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """Return a connection whose files are those of the project."""
    placed = dict(connection)
    key, files = placed.get("key"), placed.get("files")
    if isinstance(key, str):
        placed["key"] = _reference(root, key)
    if isinstance(files, str):
        placed["files"] = _below(root, files)
    return placed


def _reference(root: Path, key: str) -> str:
    """Return the reference to a secret, whose file is one of the project."""
    return f"file:{_below(root, path)}" if key.startswith("file:") and (path := key.removeprefix("file:")) else key


def _below(root: Path, path: str) -> str:
    """Return a path of the project, wherever Dagster was started. The address of an object store stays as it is."""
    return path if "://" in path else str(root / Path(path).expanduser())


def _keys(asset: dg.AssetsDefinition | dg.AssetSpec) -> Iterable[dg.AssetKey]:
    return [asset.key] if isinstance(asset, dg.AssetSpec) else asset.keys

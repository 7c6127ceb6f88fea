"""What Dagster calls the assets, jobs, schedules, sensors and resources of one instance of this product.

A project may have several instances, and things of its own beside them. So what Dagster knows by a name begins with the
instance's prefix. The ledger, commands and messages call assets without it: each instance has a warehouse of its own.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import wraps
from types import CodeType
from typing import Any, TypeVar

import dagster as dg

from usage_assets.assets.failures import explained

REPOSITORY_LABEL_TAG = ".dagster/repository"
"""Tag of a run: its repository and code location (``__repository__@usage_assets``)."""
IO_MANAGER = "io_manager"
"""The resource that stores what assets return."""
WAREHOUSE = "warehouse"
"""The resource that functions of assets, checks and sensors take by this name."""
Function = TypeVar("Function", bound=Callable[..., Any])
_READ: dict[CodeType, inspect.Signature] = {}


@dataclass(frozen=True)
class Names:
    """The names of one instance. Without a prefix, it has its project to itself."""

    key_prefix: Sequence[str] = ()
    group_prefix: str = ""
    _keys: set[dg.AssetKey] = field(default_factory=set, init=False, repr=False, compare=False)
    _jobs: set[str] = field(default_factory=set, init=False, repr=False, compare=False)
    """The keys and job names that this instance made. The prefix alone does not prove that something is ours."""

    @property
    def instance(self) -> str:
        """What tells this instance from others in names; empty if it has its project to itself."""
        return "_".join(self.key_prefix)

    @property
    def is_guest(self) -> bool:
        """Whether the project may have assets and runs that are not ours."""
        return bool(self.key_prefix)

    def key(self, asset: str) -> dg.AssetKey:
        """Return the key of an asset that the ledger calls so (``connection/name``)."""
        key = dg.AssetKey([*self.key_prefix, *asset.split("/")])
        if self.is_guest:
            self._keys.add(key)
        return key

    def keys(self, assets: Sequence[str]) -> list[dg.AssetKey]:
        return [self.key(asset) for asset in assets]

    def asset(self, key: dg.AssetKey) -> str:
        """Return what the ledger calls an asset; empty for an asset of somebody else."""
        return "/".join(key.path[len(self.key_prefix) :]) if self.has(key) else ""

    def connection(self, key: dg.AssetKey) -> str:
        """Return the connection of an asset; of an asset of all connections, its own name."""
        return self.asset(key).partition("/")[0]

    def has(self, key: dg.AssetKey) -> bool:
        """Whether an asset is ours."""
        return not self.is_guest or key in self._keys

    def has_run(self, run: dg.DagsterRun) -> bool:
        """Whether a run is of our assets, checks or jobs. A job of others over our assets is theirs."""
        if not self.is_guest:
            return True
        keys = {*(run.asset_selection or ()), *(check.asset_key for check in run.asset_check_selection or ())}
        return any(map(self.has, keys)) if keys else run.job_name in self._jobs

    def has_runs(self, instance: dg.DagsterInstance, filters: dg.RunsFilter) -> bool:
        """Whether one of the runs that fit is ours."""
        return any(map(self.has_run, instance.get_runs(filters, limit=None if self.is_guest else 1)))

    def job(self, name: str) -> str:
        """Return the name of a job that is ours."""
        self._jobs.add(self.own(name))
        return self.own(name)

    def own(self, name: str) -> str:
        """Return the name of a job, schedule, sensor, op or resource."""
        return f"{self.instance}_{name}" if self.instance else name

    def group(self, name: str) -> str:
        """Return the name of an asset group."""
        return f"{self.group_prefix}{name}"

    def stored_asset(self, asset: str, group: str, **stated: Any) -> Callable[[Function], dg.AssetsDefinition]:
        """Make an asset of a function that takes ``warehouse`` (see ``bound``). Our IO manager stores what it returns.

        ``stated``: what ``dg.asset`` takes.
        """
        make = dg.asset(
            key=self.key(asset), group_name=self.group(group), io_manager_key=self.own(IO_MANAGER), **stated
        )
        return lambda function: make(self.bound(function))

    def bound(self, function: Function) -> Function:
        """Let a function that takes ``warehouse`` be called with the warehouse of this instance's resource.

        Refusals fail it in one line, and other errors are shown without secrets. Dagster reads a signature 16 times per
        asset and check, so it is cached.
        """
        code = function.__code__
        if code not in _READ:
            _READ[code] = inspect.signature(function)
        signature, resource = _READ[code], self.own(WAREHOUSE)

        def arguments(named: dict[str, Any]) -> dict[str, Any]:
            opened = named.pop(resource, None)
            return {**named, WAREHOUSE: opened.warehouse} if opened else named

        def called(*given: Any, **named: Any) -> Any:
            with explained():
                return function(*given, **arguments(named))

        def generator(*given: Any, **named: Any) -> Any:
            with explained():
                yield from function(*given, **arguments(named))

        # Dagster asks whether the function itself is a generator
        renamed = wraps(function)(generator if inspect.isgeneratorfunction(function) else called)
        parameters = [
            each.replace(name=resource) if each.name == WAREHOUSE else each for each in signature.parameters.values()
        ]
        vars(renamed)["__signature__"] = signature.replace(parameters=parameters)
        return renamed  # type: ignore[return-value]  # of the same parameters and result


ALONE = Names()
"""Those of a project without anything else."""

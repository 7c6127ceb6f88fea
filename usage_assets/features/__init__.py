"""What stands on the engine, a room each. The engine imports none, so any may be left out.

A room has its own SQL (``sql/views/`` are views of the warehouse), and says with ``FEATURE`` what it adds.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pkgutil import iter_modules, resolve_name
from typing import Any

GRAPH = "graph:build"
"""``(location) -> Part``: what a feature adds to a code location of Dagster."""
DOCTOR = "doctor:findings"
"""``(settings, warehouse) -> findings``: what `usage-assets doctor` says of what is stored for it."""
DEEP = "doctor:deep"
"""``(settings, warehouse) -> findings``: what `usage-assets doctor --deep` says of all that is stored."""
SERVICES = "doctor:services"
"""``(settings) -> findings``: what it says of the services that it asks. The warehouse is closed meanwhile."""
LAKE = "warehouse:lake_at"
"""``(address, wait_seconds) -> Warehouse``: a warehouse that is no file."""
MODELS = "models:of_settings"
"""``(settings) -> models``: what else is computed of each day, and pushed."""
BEFORE_PUSH = "needed:prepare"
"""``(settings, connections) -> None``: what must be there before a backfill pushes."""
IN_PORT = "command:in_port"
"""A click command that becomes one of `usage-assets port`."""


@dataclass(frozen=True, kw_only=True)
class Feature:
    """What a room adds. Each part is loaded when it is needed."""

    commands: Mapping[str, str] = field(default_factory=dict)
    """Command -> first line of its help. The click command of that name is in the room's ``command.py``."""
    hooks: Collection[str] = ()
    """Those of the above that it has."""
    declares: Collection[str] = ()
    """Its modules that declare tables."""
    needs: Collection[str] = ()
    """Features that it imports. Where one of them is left out, so is this one."""


@cache
def features() -> Mapping[str, Feature]:
    """Return what each room adds, by the room's package. Loads no command and no hook."""
    found: dict[str, Feature] = {
        room.name: import_module(f"{__name__}.{room.name}").FEATURE for room in iter_modules(__path__)
    }
    return {f"{__name__}.{name}": each for name, each in found.items() if found.keys() >= {*each.needs}}


def hooks(hook: str, without: Collection[str] = ()) -> Iterator[Any]:
    """Yield the function of each feature that has this hook, but of some features."""
    for package, feature in features().items():
        if hook in feature.hooks and package.rpartition(".")[2] not in without:
            yield resolve_name(f"{package}.{hook}")

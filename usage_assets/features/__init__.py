"""What stands on the engine, a room each. Any may be left out: no other room imports one.

A room has its own SQL (``sql/views/`` are views of the warehouse), and says with ``FEATURE`` what it adds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pkgutil import iter_modules


@dataclass(frozen=True, kw_only=True)
class Feature:
    """What a room adds to the command line and to the graph. Each part is loaded when it is needed."""

    commands: Mapping[str, str] = field(default_factory=dict)
    """Command -> first line of its help. The click command of that name is in the room's ``command.py``."""
    adds_to_graph: bool = False
    """Whether the room has ``graph``, whose ``build`` returns what it adds to a code location."""


@cache
def features() -> Mapping[str, Feature]:
    """Return what each room adds, by the room's package. Loads no command and no part of the graph."""
    packages = [f"{__name__}.{room.name}" for room in iter_modules(__path__)]
    return {package: import_module(package).FEATURE for package in packages}

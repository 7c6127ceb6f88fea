"""Finds what packages add, by entry points: the lines of pyproject.toml where this package is run from its tree, and
what is installed of all others. Which packages are our extensions stands here, too.
"""

import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import Path

OURS = "usage-assets"
TREE = Path(__file__).parents[2]
"""Where pyproject.toml is, unless this package was installed as a wheel."""
PLUGINS = "USAGE_PLUGINS"
"""The variable that says which packages are asked: ``off`` for this one and our extensions, or names with commas
between them (``core`` is this one alone). Without it, all are."""


@dataclass(frozen=True, kw_only=True)
class Extension:
    """What a package of ours adds that is named where it is missing."""

    sections: Collection[str] = ()
    """Arrays of tables in the connections file."""
    sending: Collection[str] = ()
    """Those of them that say what a connection sends to Port."""
    blueprints: Collection[str] = ()
    """Blueprints in Port of what has no days and only it computes."""
    commands: Collection[str] = ()
    """Commands, as they are typed after `usage-assets`."""
    names: Collection[str] = ()
    """What else it adds to the package ``usage_assets``."""
    providers: Collection[str] = ()
    """Providers, as a connection names them."""


EXTENSIONS: Mapping[str, Extension] = {
    "assistant": Extension(commands=["dbt", "explain", "mcp", "query"], names=["open"]),
    "finance": Extension(commands=["bills", "export", "statement"], providers=["focus"]),
    "lake": Extension(commands=["move", "repair"]),
    "mapping": Extension(sections=["mapping"], sending=["mapping"], commands=["port mapping"]),
    "report": Extension(
        sections=["guardrail", "metric", "note", "what_if"],
        commands=["report", "what-if"],
        blueprints=["ai_anomaly", "ai_budget", "ai_cost_center", "ai_tag_cost"],
    ),
    "vendors": Extension(providers=["cursor", "github_copilot", "litellm", "openrouter"]),
}
"""By name. The package is called the same: ``usage-assets-mapping``. So is its feature, if it has one."""


def package_of(extension: str) -> str:
    """Return the package of one of our extensions."""
    return f"{OURS}-{extension}"


def install(extension: str) -> str:
    """Return what to do where one of our extensions is missing."""
    package = package_of(extension)
    return f"the package {package} is missing: pip install {package}"


@dataclass(frozen=True)
class Package:
    """An installed package."""

    name: str
    version: str

    @property
    def is_core(self) -> bool:
        return self.name == OURS

    @property
    def is_ours(self) -> bool:
        """Whether it is this one or one of our extensions."""
        return self.is_core or self.name in map(package_of, EXTENSIONS)

    @property
    def is_wanted(self) -> bool:
        """Whether ``USAGE_PLUGINS`` lets it add something."""
        chosen = os.environ.get(PLUGINS) or "on"  # empty, as compose files set it: as if it were not there
        is_chosen = self.is_ours if chosen == "off" else self.name in chosen.split(",")
        return chosen == "on" or self.is_core or is_chosen

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


@dataclass(frozen=True)
class Found:
    """An entry point of a package."""

    package: Package
    entry: EntryPoint


@dataclass(frozen=True)
class NotLoaded:
    """What is installed and cannot be used."""

    name: str
    package: Package
    reason: str
    """In one line."""

    @property
    def text(self) -> str:
        """Why, in one line."""
        return f"not loaded from the package {self.package}: {self.reason}"


def found_in(group: str) -> Iterator[Found]:
    """Yield the entry points of a group: those of this package, then those of others."""
    installed = {package: [each for each in entries if each.group == group] for package, entries in _installed()}
    ours = [entry for package, entries in installed.items() if package.is_core for entry in entries]
    if (written := _written(group)) is not None:  # what was installed may be another tree's, or this one as it was then
        ours = written
    yield from (Found(Package(OURS, ""), entry) for entry in ours)
    for package, entries in sorted(installed.items(), key=lambda pair: pair[0].name):
        if not package.is_core and package.is_wanted:
            yield from (Found(package, entry) for entry in entries)


def _written(group: str) -> list[EntryPoint] | None:
    """Return the entry points in the pyproject.toml of the tree that this package is run from, if it is.

    Only their table is parsed: all of the file takes as long as everything else here.
    """
    try:
        text = (TREE / "pyproject.toml").read_text(encoding="utf-8")
    except OSError:
        return None
    if f'name = "{OURS}"' not in text:
        return None
    _, _, table = text.partition(f'[project.entry-points."{group}"]\n')
    return [EntryPoint(name, value, group) for name, value in tomllib.loads(table.partition("\n[")[0]).items()]


@cache
def _installed() -> tuple[tuple[Package, tuple[EntryPoint, ...]], ...]:
    """Return the packages that have entry points of ours. Of a name that is there twice, the first one counts.

    To read all entry points of all packages would take three times as long.
    """
    found: dict[str, tuple[Package, tuple[EntryPoint, ...]]] = {}
    for distribution in distributions():
        if "[usage_assets." in (distribution.read_text("entry_points.txt") or ""):
            package = _package(distribution)
            found.setdefault(package.name, (package, tuple(distribution.entry_points)))
    return tuple(found.values())


def _package(distribution: Distribution) -> Package:
    return Package(re.sub(r"[-_.]+", "-", distribution.name).lower(), distribution.version)

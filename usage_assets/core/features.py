"""Finds what stands on the core: the core imports none of it, so any may be left out.

A feature is a folder in ``features/``, or a package of its own: an entry point of the group ``usage_assets.features``.
It has its own SQL (``sql/views/`` are views of the warehouse), and says with ``FEATURE`` what it adds. A package that
cannot be used is no error: it is ``NotLoaded``, and all others are there.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules, resolve_name
from typing import Any

from usage_assets.core.errors import one_line
from usage_assets.core.installed import EXTENSIONS, Found, NotLoaded, Package, found_in, install

GROUP = "usage_assets.features"
"""Of entry points. The package of this name has the folders."""

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
FILES = "models:files"
"""``(settings) -> paths``: files of the users' own that rows are computed with."""
BEFORE_PUSH = "needed:prepare"
"""``(settings, connections) -> None``: what must be there before a backfill pushes."""
UNDATED = "in_port:build"
"""``(location, client) -> Part``: the asset that shows in Port what has no days, where Port is configured."""
PREVIEW = "in_port:previewed"
"""``(settings, blueprint) -> entities``: those that a push would compute, because no table has them."""
IN_PORT = "command:in_port"
"""A click command that becomes one of `usage-assets port`."""


@dataclass(frozen=True, kw_only=True)
class Feature:
    """What a feature adds. Each part is loaded when it is needed."""

    commands: Mapping[str, str] = field(default_factory=dict)
    """Command -> first line of its help. The click command of that name is in the feature's ``command.py``, or in that
    of its folder of the same name."""
    hooks: Collection[str] = ()
    """Those of the above that it has."""
    declares: Collection[str] = ()
    """Its modules that declare tables."""
    needs: Collection[str] = ()
    """Features that it imports. Where one of them is left out, so is this one."""
    sections: Mapping[str, str] = field(default_factory=dict)
    """Array of tables in the connections file -> the pydantic model of a table (``entries:Entry``)."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What else the package ``usage_assets`` has because of it -> where that is (``module:object``)."""


@dataclass(frozen=True)
class Loaded:
    """A feature that can be used."""

    package: str
    """What is imported."""
    feature: Feature

    @property
    def sql(self) -> Path:
        """Its folder of SQL files, if it has any."""
        return Path(str(import_module(self.package).__file__)).with_name("sql")

    def part(self, name: str) -> Any:
        """Load ``module:object`` of it."""
        return resolve_name(f"{self.package}.{name}")


def features() -> Mapping[str, Loaded]:
    """Return the features that can be used, by name. Loads no command and no hook."""
    return _found()[0]


def not_loaded() -> Sequence[NotLoaded]:
    """Return those of other packages that cannot be used."""
    return _found()[1]


@cache
def _found() -> tuple[Mapping[str, Loaded], Sequence[NotLoaded]]:
    """Return both. A folder that is left out takes those with it that need it; a package says that it does."""
    found_here = iter_modules([str(Path(__file__).parents[1] / "features")])
    folders = {each.name: f"{GROUP}.{each.name}" for each in found_here}
    loaded = {name: Loaded(package, import_module(package).FEATURE) for name, package in folders.items()}
    loaded = {name: each for name, each in loaded.items() if folders.keys() >= {*each.feature.needs}}
    refused: list[NotLoaded] = []
    packages: dict[str, Package] = {}
    for found in found_in(GROUP):
        name = found.entry.name
        try:
            loaded[name] = _loaded(found, loaded)
            packages[name] = found.package
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's module may raise anything
            refused.append(NotLoaded(name, found.package, one_line(f"{type(error).__name__}: {error}")))
    while unmet := [name for name in packages if {*loaded[name].feature.needs} - loaded.keys()]:
        for name in unmet:
            missing = ", ".join(sorted({*loaded.pop(name).feature.needs} - loaded.keys()))
            refused.append(NotLoaded(name, packages.pop(name), f"it needs {missing}"))
    return loaded, refused


def _loaded(found: Found, others: Mapping[str, Loaded]) -> Loaded:
    """Return the feature of an entry point. Raises whatever its module raises."""
    feature = found.entry.load()
    if not isinstance(feature, Feature):
        raise TypeError(f"{found.entry.value} is no {__name__}.Feature")
    if found.entry.name in others:
        raise ValueError("there is another feature of that name")
    return Loaded(found.entry.module, feature)


def hooks(hook: str, without: Collection[str] = ()) -> Iterator[Any]:
    """Yield the function of each feature that has this hook, but of some features."""
    for name, each in features().items():
        if hook in each.feature.hooks and name not in without:
            yield each.part(hook)


def sections() -> Mapping[str, Any]:
    """Return the sections that features add to the connections file, with the model of a table of each."""
    return {name: each.part(part) for each in features().values() for name, part in each.feature.sections.items()}


def given() -> Collection[str]:
    """Return what features add to the package ``usage_assets``."""
    return {name for each in features().values() for name in each.feature.names}


def named(name: str) -> Any:
    """Return what a feature adds to the package ``usage_assets``. Raises ImportError where its package is missing."""
    for each in features().values():
        if name in each.feature.names:
            return each.part(each.feature.names[name])
    raise ImportError(next(install(extension) for extension in _missing() if name in EXTENSIONS[extension].names))


def missing_sections() -> Mapping[str, str]:
    """Return the sections of the connections file that a missing extension would read, with what to do about it."""
    return {section: reason(name) for name in _missing() for section in EXTENSIONS[name].sections}


def sending_sections() -> Collection[str]:
    """Return the sections of extensions that say what a connection sends to Port."""
    return {section for each in EXTENSIONS.values() for section in each.sending}


def missing_blueprints() -> Mapping[str, str]:
    """Return the blueprints whose entities only a missing extension computes, with what to do about it."""
    return {blueprint: install(name) for name in _missing() for blueprint in EXTENSIONS[name].blueprints}


def missing_commands() -> Mapping[str, str]:
    """Return the commands of missing extensions, with what to do about it."""
    return {command: reason(name) for name in _missing() for command in EXTENSIONS[name].commands}


def _missing() -> Iterator[str]:
    yield from (name for name in EXTENSIONS if name not in features())


def reason(extension: str) -> str:
    """Return why an extension of ours is missing, and what to do."""
    return next((each.text for each in not_loaded() if each.name == extension), None) or install(extension)

"""Finds the providers: entry points of the group ``usage_assets.providers``, of this package as of any other.

What cannot be used is no error: it is ``NotLoaded``, and all others are there.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from usage_assets.core.errors import UserError, one_line
from usage_assets.core.installed import EXTENSIONS, OURS, TREE, Found, NotLoaded, Package, found_in, install
from usage_assets.core.schema import declarations, restore_declarations
from usage_assets.providers.endpoint import SURFACE, Provider

GROUP = "usage_assets.providers"
CORE_SQL = Path(__file__).parents[1] / "models" / "sql"
_NAME = re.compile("[a-z][a-z0-9_]*")
OUR_SCHEMAS = frozenset(
    ("accounting", "costs", "information_schema", "insights", "ledger", "main", "models", "pg_catalog", "port_entities")
) | {"mapping"}
_OUR_VARIABLES = ("DAGSTER_", "PORT_", "USAGE_")
_OUR_BLUEPRINTS = "ai_"
OF_CHECKS = r"(?:says|do)(?:_\w+)?: "
OF_WARNINGS = rf"(?:{OF_CHECKS}|(?:reads|settled): |severity: error$|shown: only$)"
"""What their comments may declare (warehouse/values.py)."""


@dataclass(frozen=True)
class Loaded:
    """All providers of this installation."""

    providers: Mapping[str, Provider]
    """By name: ours first. ``Provider.position`` and the name decide the order."""
    packages: Mapping[str, Package]
    """Provider -> the package that it is of."""
    not_loaded: tuple[NotLoaded, ...]
    missing: Mapping[str, str]
    """Provider of an extension of ours that is not installed -> what to do about it."""

    @property
    def known(self) -> Collection[str]:
        """The names of all providers that are installed or that an extension of ours has."""
        return list(dict.fromkeys((*self.providers, *(each.name for each in self.not_loaded), *self.missing)))


class DeclarationError(Exception):
    """What is wrong with a provider, in one line."""


def load(found: Iterable[Found] | None = None) -> Loaded:
    """Load the providers of all packages. Raises UserError if this package has none."""
    usable: list[tuple[Found, Provider]] = []
    refused: list[NotLoaded] = []
    for each in entry_points() if found is None else found:
        declared = declarations()
        try:
            usable.append((each, _usable(each)))
        except DeclarationError as error:
            restore_declarations(declared)
            refused.append(NotLoaded(each.entry.name, each.package, one_line(str(error))))
    alone, clashing = _without_clashes(usable)
    alone.sort(
        key=lambda pair: (not pair[0].package.is_ours, pair[1].position if pair[0].package.is_ours else 0, pair[1].name)
    )
    return Loaded(
        {provider.name: provider for _, provider in alone},
        {provider.name: each.package for each, provider in alone},
        (*refused, *clashing),
        _missing({*(provider.name for _, provider in usable), *(each.name for each in refused)}),
    )


def _missing(installed: Collection[str]) -> Mapping[str, str]:
    """Return the providers of our extensions that are not installed, with what to do about it."""
    providers = ((name, extension) for extension, each in EXTENSIONS.items() for name in each.providers)
    return {name: install(extension) for name, extension in providers if name not in installed}


# --- Finding ----------------------------------------------------------------------------------------------------------


def entry_points() -> Iterator[Found]:
    """Yield the entry points of this package, then those of others. Raises UserError if this package has none."""
    found = [*found_in(GROUP)]
    if not any(each.package.is_core for each in found):
        what = f"no entry points of the group {GROUP} are installed"
        raise UserError(f"usage-assets has no providers: {what}, and there is no {TREE / 'pyproject.toml'}: install it")
    yield from found


# --- Checking ---------------------------------------------------------------------------------------------------------


def _usable(found: Found) -> Provider:
    """Return the provider of an entry point. Raises DeclarationError."""
    try:
        provider = found.entry.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's module may raise anything
        known = f" (this release has version {SURFACE} of usage_assets.provider)"
        raise DeclarationError(f"{type(error).__name__}: {one_line(str(error))}{known}") from None
    if not isinstance(provider, Provider):
        raise DeclarationError(f"{found.entry.value} is no usage_assets.provider.Provider")
    if provider.surface != SURFACE:
        what = f"it is written for version {provider.surface} of usage_assets.provider, and this release has {SURFACE}"
        newer = "usage-assets" if provider.surface > SURFACE else found.package.name
        raise DeclarationError(f"{what}: upgrade {newer}")
    if not found.package.is_ours:  # a test checks ours
        for fault in faults_of(provider, found.entry.name):
            raise DeclarationError(fault)
    return provider


def faults_of(provider: Provider, entry: str) -> Iterator[str]:
    """Yield what is wrong with a declaration: names that are not its own, and files that are missing."""
    name = provider.name
    if name != entry:
        yield f"its name is {name!r}, and the entry point is called {entry!r}"
    if not _NAME.fullmatch(name) or name in OUR_SCHEMAS:
        yield f"{name!r} cannot be a provider's name: it is the schema of its tables"
    if provider.module not in sys.modules:
        yield f"module={provider.module!r} is not imported: write module=__name__"
        return
    yield from (
        f"the table {table} is not in the schema {name}"
        for table in _tables(provider)
        if not table.startswith((f"{name}.", "port_entities."))
    )
    yield from (
        f"the blueprint {each.name} begins with {_OUR_BLUEPRINTS}, as those of usage-assets do"
        for each in provider.entities
        if each.name.startswith(_OUR_BLUEPRINTS)
    )
    yield from (
        f"the variable {variable} begins with one of {', '.join(_OUR_VARIABLES)}"
        for variable in _variables(provider)
        if variable.startswith(_OUR_VARIABLES)
    )
    yield from (f"{file} is missing" for file in needed_files(provider) if not file.is_file())
    yield from (
        f"nothing says what the costs of {source.table} add up to: name native_amount in the columns of its CostSource"
        for source in provider.costs
        if not source.columns.get("native_amount")
    )
    queries = sorted({query.stem for query in needed_files(provider)})
    for file in sorted(provider.sql.glob("checks/*.sql")):
        yield from _faults_of_check(file, file.relative_to(provider.sql), queries)
    for file in sorted(provider.sql.glob("warnings/**/*.sql")):
        yield from unread(file, file.relative_to(provider.sql), OF_WARNINGS)


def _faults_of_check(file: Path, place: Path, queries: Collection[str]) -> Iterator[str]:
    if "\n-- says" not in f"\n{file.read_text()}":
        yield f"sql/{place} has no line '-- says: ...'; sums are declared in CostSource and Entities (columns)"
    if file.name.partition(".")[0] not in queries:
        yield f"sql/{place} checks nothing: its name must begin with that of a query ({', '.join(queries)})"
    yield from unread(file, place, OF_CHECKS)


def unread(file: Path, place: Path, known: str) -> Iterator[str]:
    """Yield the comments that look as if they declared something and do not: a misspelled name, for example."""
    for line in re.findall(rf"^-- (?!{known})\w+:.*", file.read_text(), re.M):
        yield f"sql/{place}: nothing reads {line!r}. Misspelled? Text for people must not begin with a word and a colon"


def needed_files(provider: Provider) -> Iterator[Path]:
    """Yield the files that a declaration names."""
    for source in provider.costs:
        file = f"{source.table.replace('.', '_')}.sql"
        yield provider.sql / "daily_costs" / file
        if source.is_focus:
            yield provider.sql / "focus_rows" / file
    if provider.allocations:
        yield provider.sql / "allocated_costs" / f"{provider.name}_allocated_costs.sql"
    if provider.tags:
        yield provider.sql / "tags" / f"{provider.name}.sql"
    for entities in provider.entities:
        yield provider.sql / "entities" / f"{entities.file or entities.name}.sql"


def _tables(provider: Provider) -> Iterator[str]:
    for endpoint in provider.endpoints:
        yield from endpoint.tables
    yield from (lookup.row.table for lookup in provider.lookups)
    yield from (entities.row.table for entities in provider.entities)


def _variables(provider: Provider) -> Iterator[str]:
    names = (provider.key_variable, provider.base_url_variable, *provider.id_variables.values())
    yield from (name for name in names if name)


# --- Clashes ----------------------------------------------------------------------------------------------------------


def _claims(provider: Provider) -> Iterator[str]:
    """Yield what no other package may have."""
    yield f"the provider {provider.name}"
    yield from (f"the table {table}" for table in _tables(provider))
    yield from (f"the variable {variable}" for variable in _variables(provider))


def _files(provider: Provider) -> Iterator[str]:
    """Yield its SQL files: of two with one name, the queries would be those of one."""
    yield from (str(path.relative_to(provider.sql)) for path in provider.sql.rglob("*.sql"))


def _without_clashes(usable: list[tuple[Found, Provider]]) -> tuple[list[tuple[Found, Provider]], list[NotLoaded]]:
    """Return the providers that claim nothing of another package, and why the others are refused.

    Of two packages that claim the same, neither is taken: who has sorted first must not get the other's key. Ours stay.
    """
    if all(found.package.is_ours for found, _ in usable):
        return usable, []
    owners: dict[str, set[str]] = defaultdict(set)
    ours = [CORE_SQL, *(provider.sql for found, provider in usable if found.package.is_ours)]
    claims: list[tuple[Found, Provider, list[str]]] = []
    for found, provider in usable:
        files = [] if found.package.is_ours else [*_files(provider)]
        claimed = [*_claims(provider), *(f"the file sql/{file}" for file in files)]
        claims.append((found, provider, claimed))
        for claim in claimed:
            owners[claim].add(found.package.name)
        for file in files:
            if any((folder / file).is_file() for folder in ours):
                owners[f"the file sql/{file}"].add(OURS)
    alone: list[tuple[Found, Provider]] = []
    refused: list[NotLoaded] = []
    for found, provider, claimed in claims:
        clash = next((claim for claim in claimed if len(owners[claim]) > 1), None)
        if clash is None or found.package.is_ours:
            alone.append((found, provider))
            continue
        others = ", ".join(sorted(owners[clash] - {found.package.name}))
        reason = f"{clash} is also of {others}: uninstall one of the two packages"
        refused.append(NotLoaded(found.entry.name, found.package, reason))
    return alone, refused

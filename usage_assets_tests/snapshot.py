"""What there is, one line each: providers, endpoints, lookups, and the graph that a newcomer sees, with its checks.

`make snapshot` writes it into snapshot.txt. A test compares both, so that a change of it is seen and meant.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from usage_assets.build import build_definitions
from usage_assets.config.settings import Settings
from usage_assets.providers import PROVIDERS
from usage_assets.providers.endpoint import Endpoint
from usage_assets.providers.lookup import Lookup
from usage_assets_tests.alone import alone_with

FILE = Path(__file__).with_name("snapshot.txt")
TO_PORT = ("port_sync", "port_connection", "port_reconcile")


def settings_of(**values: Any) -> Settings:
    """Settings of these values and of nothing that this machine has set."""
    fields = {name: field.get_default() for name, field in Settings.model_fields.items()}
    return Settings.load(_env_file=None, **fields | values)


def providers() -> Iterator[str]:
    """Yield each provider with how far back it looks and how long a day changes, and what it is asked for."""
    for name, provider in PROVIDERS.items():
        back = "all days" if provider.lookback_days is None else f"{provider.lookback_days} days"
        yield f"{name}  serves {back}, changes a day for {provider.settling_days} days"
        asked: Sequence[Endpoint | Lookup] = (*provider.endpoints, *provider.lookups)
        for each in asked:
            method = "POST" if each.post else "GET"
            yield f"{each.row.table}  {method}{'' if each.default_on else '  off by default'}"
        yield from (f"{source.table}  costs, billed: {source.billed_totals}" for source in provider.costs)
        yield from (f"{entities.row.table}  blueprint" for entities in provider.entities)


def graph(definitions: dg.Definitions) -> Iterator[str]:
    """Yield each asset with days that stores something: key, group, table, and what it is computed from."""
    for spec in sorted(definitions.resolve_all_asset_specs(), key=lambda spec: spec.key):
        if spec.partitions_def and spec.key.path[-1] not in TO_PORT:
            reads = sorted(dependency.asset_key.to_user_string() for dependency in spec.deps)
            key, table = spec.key.to_user_string(), spec.metadata["dagster/table_name"]
            yield "  ".join((key, str(spec.group_name), str(table), *reads))


def others(definitions: dg.Definitions) -> Iterator[str]:
    """Yield each other asset: key, group, and what it is computed from."""
    for spec in sorted(definitions.resolve_all_asset_specs(), key=lambda spec: spec.key):
        if not spec.partitions_def or spec.key.path[-1] in TO_PORT:
            reads = sorted(dependency.asset_key.to_user_string() for dependency in spec.deps)
            yield "  ".join((spec.key.to_user_string(), str(spec.group_name), *reads))


def checks(definitions: dg.Definitions) -> Iterator[str]:
    """Yield each asset's kinds and checks."""
    keys = definitions.get_repository_def().asset_graph.asset_check_keys
    for spec in sorted(definitions.resolve_all_asset_specs(), key=lambda spec: spec.key):
        names = sorted(check.name for check in keys if check.asset_key == spec.key)
        yield "  ".join((spec.key.to_user_string(), "+".join(sorted(spec.kinds)), *names))


def snapshot(definitions: dg.Definitions) -> str:
    """Return the whole text."""
    parts = {
        "# Providers": providers(),
        "# Graph": graph(definitions),
        "# Other assets": others(definitions),
        "# Kinds and checks": checks(definitions),
    }
    return "\n".join("\n".join((title, *lines, "")) for title, lines in parts.items())


def stored_graph() -> list[str]:
    """Return the lines of the graph in the file."""
    return FILE.read_text().partition("# Graph\n")[2].partition("\n\n")[0].splitlines()


def snapshot_with(*extensions: str) -> str:
    """Return the text of the graph of the core and these extensions."""
    with alone_with(*extensions):
        return snapshot(build_definitions(settings_of()))


def added_by(extension: str, *needs: str) -> str:
    """Return the lines that an extension adds."""
    known = {*snapshot_with(*needs).splitlines()}
    return "\n".join(line for line in snapshot_with(extension, *needs).splitlines() if line not in known) + "\n"


if __name__ == "__main__":
    FILE.write_text(snapshot_with())

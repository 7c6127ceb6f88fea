"""All tables that this release declares, whatever else a process has imported."""

from collections.abc import Mapping
from importlib import import_module

from usage_assets.core.features import features
from usage_assets.core.schema import TableRow
from usage_assets.core.schema import declarations as imported

MODULES = ("models.costs", "models.due", "models.entities", "models.insights")
"""Modules of the engine that declare tables, or import what does: providers, the ledger and the connections file."""


def declarations() -> Mapping[str, type[TableRow]]:
    """Return the row models of all tables, by name. Whoever deletes, moves or describes what is stored asks here."""
    for module in MODULES:
        import_module(f"usage_assets.{module}")
    for each in features().values():
        for module in each.feature.declares:
            import_module(f"{each.package}.{module}")
    return imported()

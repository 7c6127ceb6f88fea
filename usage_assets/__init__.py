"""Usage and cost of AI providers as Dagster assets."""

from pkgutil import resolve_name
from typing import Any

LAZY = {
    "UsageAssetsComponent": "usage_assets.component:UsageAssetsComponent",
    "table_metadata": "usage_assets.assets.io_manager:table_metadata",
}
"""What this package has besides its modules. Each is imported when it is used: most commands need no Dagster."""
OF_FEATURES = ("open",)
"""What features add to it."""


def __getattr__(name: str) -> Any:
    if name in OF_FEATURES:
        return resolve_name("usage_assets.core.features:named")(name)
    if name not in LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return resolve_name(LAZY[name])


def __dir__() -> list[str]:
    """List what can be had: Dagster asks for each, and would not load where one is of a missing package."""
    given = resolve_name("usage_assets.core.features:given")()
    return [*globals(), *LAZY, *(name for name in OF_FEATURES if name in given)]

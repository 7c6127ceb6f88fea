"""Each provider's API: endpoints, bodies, refusals. Only declarations, in one folder per provider.

``PROVIDERS`` are those of all installed packages (``registry``). They are loaded when somebody asks for them: a
provider's module may be imported before.
"""

from collections.abc import Mapping
from typing import Any

from usage_assets.providers.endpoint import Provider
from usage_assets.providers.lookup import Lookup
from usage_assets.providers.registry import Loaded, load

PROVIDERS: Mapping[str, Provider]
LOOKUPS: tuple[Lookup, ...]
LOADED: Loaded


def __getattr__(name: str) -> Any:
    if name not in ("PROVIDERS", "LOOKUPS", "LOADED"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    loaded = load()
    lookups = tuple(lookup for provider in loaded.providers.values() for lookup in provider.lookups)
    globals().update(LOADED=loaded, PROVIDERS=loaded.providers, LOOKUPS=lookups)
    return globals()[name]

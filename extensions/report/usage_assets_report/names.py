"""What people call things: a provider's product by its name, not by the id that tables have."""

from collections.abc import Mapping
from functools import cache

from usage_assets.providers import PROVIDERS

CHARGES: Mapping[str, str] = {
    "usage": "usage",
    "seats": "seats, subscriptions and purchases",
    "other": "taxes, credits and adjustments",
}
"""Kind of a charge -> what people call it."""


@cache
def _services() -> Mapping[str, str]:
    """Provider -> what people call its product. The second provider of a product has its own name behind it.

    Who writes a bill in files is named by the bill (costs.names).
    """
    names: dict[str, str] = {}
    for name, provider in PROVIDERS.items():
        if any(source.is_focus for source in provider.costs):
            continue
        names[name] = f"{provider.service} ({name})" if provider.service in names.values() else provider.service
    return names


def service(provider: str) -> str:
    """Return what people call a provider's product."""
    return _services().get(provider, provider)

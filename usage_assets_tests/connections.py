"""Connections without a connections file."""

from datetime import date
from typing import Any

from usage_assets.config.settings import Connection
from usage_assets.providers import PROVIDERS


def connection(provider: str, **options: Any) -> Connection:
    base_url = PROVIDERS[provider].base_url
    stated: dict[str, Any] = {"key_reference": None, "key": None, "base_url": base_url, "start_date": date(2025, 1, 1)}
    return Connection(name=provider, provider=provider, **stated | options)

"""Connections without a connections file."""

from datetime import date
from typing import Any

from pydantic import SecretStr

from usage_assets.config.settings import Connection, KeyReference
from usage_assets.providers import PROVIDERS

EMEA = Connection(
    name="emea",
    provider="openai",
    key_reference=KeyReference("env", "EMEA_KEY"),
    key=SecretStr("k"),
    base_url="https://api.example/v1",
    start_date=date(2026, 1, 1),
)


def connection(provider: str, **options: Any) -> Connection:
    base_url = PROVIDERS[provider].base_url
    stated: dict[str, Any] = {"key_reference": None, "key": None, "base_url": base_url, "start_date": date(2025, 1, 1)}
    return Connection(name=provider, provider=provider, **stated | options)

"""What a connection's settings come to when its provider is asked."""

from dataclasses import replace
from datetime import date
from typing import Any

import httpx
import pytest
import time_machine
from pydantic import SecretStr

from usage_assets.config.settings import Connection, KeyReference
from usage_assets.fetching.client import Client
from usage_assets.fetching.connected import earliest_day, provider_client
from usage_assets.fetching.transport import Transport
from usage_assets.providers import PROVIDERS
from usage_assets_tests.snapshot import settings_of

CONNECTION = Connection(
    name="emea",
    provider="openai",
    key_reference=KeyReference("env", "EMEA_KEY"),
    key=SecretStr("k"),
    base_url="https://api.example/v1",
    start_date=date(2026, 1, 1),
)


def headers_of(**changes: Any) -> httpx.Headers:
    """What stands in the headers of every request."""
    with provider_client(replace(CONNECTION, **changes), settings_of()) as client:
        return asked(client)._client.headers


def asked(client: Client) -> Transport:
    assert isinstance(client.transport, Transport)
    return client.transport


def test_organization_and_project_are_sent_where_they_are_configured() -> None:
    headers = headers_of(ids={"organization": "org-1", "project": "proj_1"})
    assert (headers["OpenAI-Organization"], headers["OpenAI-Project"]) == ("org-1", "proj_1")
    assert not {"OpenAI-Organization", "OpenAI-Project"} & headers_of().keys()


@pytest.mark.parametrize(
    ("today", "earliest"),
    [("2026-01-15", date(2026, 1, 1)), ("2026-12-31", date(2026, 1, 1)), ("2027-03-01", date(2026, 3, 2))],
)
def test_nothing_is_asked_for_before_a_provider_s_first_day_or_look_back(today: str, earliest: date) -> None:
    connection = replace(CONNECTION, provider="anthropic_analytics", start_date=date(2025, 6, 1))
    provider = PROVIDERS["anthropic_analytics"]
    with time_machine.travel(f"{today}T08:00:00Z"):
        assert earliest_day(connection, provider) == earliest
        assert earliest_day(connection, provider, from_archive=True) == date(2025, 6, 1)
        assert earliest_day(replace(connection, start_date=date(2027, 4, 1)), provider) == date(2027, 4, 1)

"""What a connection's settings come to when its provider is asked."""

from dataclasses import replace
from datetime import date
from typing import Any

import httpx
import pytest
import time_machine

from usage_assets.core.people import People
from usage_assets.fetching.client import Client
from usage_assets.fetching.connected import cross_check_connection, earliest_day, provider_client, settling_days
from usage_assets.fetching.transport import Transport
from usage_assets.providers import PROVIDERS
from usage_assets_tests.alone import needs
from usage_assets_tests.connections import EMEA
from usage_assets_tests.fetching.conftest import EVERY_ENDPOINT
from usage_assets_tests.snapshot import settings_of


def headers_of(**changes: Any) -> httpx.Headers:
    """What stands in the headers of every request."""
    with provider_client(replace(EMEA, **changes), settings_of()) as client:
        return asked(client)._client.headers


def asked(client: Client) -> Transport:
    assert isinstance(client.transport, Transport)
    return client.transport


def test_organization_and_project_are_sent_where_they_are_configured() -> None:
    headers = headers_of(ids={"organization": "org-1", "project": "proj_1"})
    assert (headers["OpenAI-Organization"], headers["OpenAI-Project"]) == ("org-1", "proj_1")
    assert not {"OpenAI-Organization", "OpenAI-Project"} & headers_of().keys()


@pytest.mark.parametrize(
    ("provider", "rate", "seconds"),
    [
        ("openai", None, 1 / 50),
        ("openai", 0.5, 2),
        pytest.param("cursor", None, 3, marks=needs("vendors")),
        pytest.param("cursor", 4, 0.25, marks=needs("vendors")),
    ],
)
def test_each_connection_has_a_pace_of_its_own_or_that_of_its_provider(
    provider: str, rate: float | None, seconds: float
) -> None:
    connection = replace(EMEA, provider=provider, requests_per_second=rate)
    other = replace(connection, name="other")
    with provider_client(connection, settings_of()) as client, provider_client(other, settings_of()) as another:
        assert asked(client)._pace._configured == pytest.approx(seconds)
        assert asked(client)._pace is not asked(another)._pace


def test_each_connection_has_filters_and_a_policy_of_its_own() -> None:
    connection = replace(EMEA, filters={"models": ("gpt-5",)}, people="hash")
    with provider_client(connection, settings_of(usage_hash_key="secret")) as client:
        assert client.scope.filters == {"models": ("gpt-5",)}
        assert client.scope.people == People("hash", "secret")


def test_a_connection_settles_as_its_provider_does_or_as_it_says() -> None:
    assert settling_days(EMEA, PROVIDERS["openai"]) == 7
    assert settling_days(replace(EMEA, settling_days=0), PROVIDERS["openai"]) == 0


def test_nothing_is_asked_for_before_a_provider_s_first_day_or_look_back() -> None:
    for today, earliest in (
        ("2026-01-15", date(2026, 1, 1)),
        ("2026-12-31", date(2026, 1, 1)),
        ("2027-03-01", date(2026, 3, 2)),
    ):
        connection = replace(EMEA, provider="anthropic_analytics", start_date=date(2025, 6, 1))
        provider = PROVIDERS["anthropic_analytics"]
        with time_machine.travel(f"{today}T08:00:00Z"):
            assert earliest_day(connection, provider) == earliest
            assert earliest_day(connection, provider, from_archive=True) == date(2025, 6, 1)
            assert earliest_day(replace(connection, start_date=date(2027, 4, 1)), provider) == date(2027, 4, 1)


ANALYTICS = replace(EMEA, name="analytics", provider="anthropic_analytics")
ADMIN = replace(EMEA, name="admin", provider="anthropic")


def test_a_report_is_checked_against_the_only_connection_of_its_organization() -> None:
    for others, found in (
        ((ADMIN,), "admin"),
        ((replace(ADMIN, endpoints={"cost_report": False}),), None),
        ((replace(ADMIN, key=None),), None),
        ((replace(ADMIN, ids={"organization": "org-2"}),), None),
        ((ADMIN, replace(ADMIN, name="second")), None),
        ((ADMIN, replace(ANALYTICS, name="second")), None),
        ((ADMIN, EMEA), "admin"),
        ((), None),
    ):
        other = cross_check_connection(EVERY_ENDPOINT["anthropic_analytics/cost"][1], ANALYTICS, (ANALYTICS, *others))
        assert (other and other.name) == found


def test_a_report_is_checked_against_another_of_its_own_connection() -> None:
    provider = PROVIDERS["anthropic_analytics"]
    [endpoint] = [each for each in provider.endpoints if each.name == "cost_report"]
    first = replace(ANALYTICS, endpoints={each.name: True for each in provider.endpoints})
    assert cross_check_connection(endpoint, first, (first, replace(first, name="second"))) == first
    assert cross_check_connection(PROVIDERS["openai"].endpoints[0], EMEA, (EMEA, ADMIN)) is None

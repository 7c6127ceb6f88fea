"""Clients of the sandbox's providers, and the bodies that it answers with, to be spoilt."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from threading import Event
from typing import Any

import msgspec
import pytest

from usage_assets.core.days import Window
from usage_assets.fetching.client import Client
from usage_assets.fetching.scope import Scope
from usage_assets.fetching.transport import HttpOptions, Request
from usage_assets.providers import PROVIDERS
from usage_assets.providers.anthropic_analytics.cuts import CUT_ENDPOINTS
from usage_assets.providers.anthropic_analytics.engagement import ENGAGEMENT_ENDPOINTS
from usage_assets.providers.endpoint import Endpoint, Provider
from usage_assets_sandbox.providers import EMULATED
from usage_assets_sandbox.providers.github_copilot import REPORTS
from usage_assets_tests.end_to_end.conftest import ONE_PLAN_PER_ASSET
from usage_assets_tests.ephemeral import ephemeral_instances_keep_their_connection
from usage_assets_tests.fixtures import Sandbox

__all__ = ["ephemeral_instances_keep_their_connection"]

KEYS = {name: emulated.key for name, emulated in EMULATED.items() if emulated.key}
PATHS = {name: EMULATED[name].path for name in KEYS}
IDS = {name: EMULATED[name].ids for name in KEYS}
"""Provider -> what its paths need of a connection."""
EVERY_ENDPOINT = {
    f"{provider.name}/{endpoint.name}": (provider, endpoint)
    for provider in PROVIDERS.values()
    for endpoint in provider.endpoints
}
OVER_HTTP = {
    name: pair
    for name, pair in EVERY_ENDPOINT.items()
    if not (pair[1].files or pair[1].each) and pair[1] not in (*CUT_ENDPOINTS[2:], *ENGAGEMENT_ENDPOINTS[1:])
}
"""Those that are asked; test_files.py has the others. Of the cuts of a report, which differ in dimensions alone, the
first one, and one engagement report: test_anthropic_analytics.py and test_anthropic_engagement.py have all.
What is asked of one model after the other is in test_litellm.py."""
ENDPOINTS = {
    name: pair for name, pair in OVER_HTTP.items() if "limit" in pair[1].params and pair[1] not in ENGAGEMENT_ENDPOINTS
}
"""Those that answer in pages with tokens, today's as well; test_conformance.py and test_refusals.py have the others."""
DAY = date(2026, 11, 12)
"""A day on which every endpoint has something."""

every_endpoint = pytest.mark.parametrize(("provider", "endpoint"), ENDPOINTS.values(), ids=ENDPOINTS)

NewClient = Callable[..., Client]


def error_body(provider: Provider, words: str) -> dict[str, Any]:
    """An error as the provider words it."""
    worded = {
        "chatgpt": {"detail": words},
        "github_copilot": {"message": words},
        "cursor": {"error": "Error", "message": words},
    }
    return worded.get(provider.name, {"error": {"message": words}})


def client_of(provider: Provider, *, key: str, base_url: str | None = None, **options: Any) -> Client:
    """A client whose scope, HTTP options and archive are given by their names."""
    named = {field.name: options.pop(field.name, None) for field in fields(Scope)}
    scope = {name: value for name, value in named.items() if value is not None}
    keep = options.pop("keep", None)
    scope.setdefault("connection", provider.name)
    return Client(provider, Scope(**scope), key=key, base_url=base_url, http=HttpOptions(**options), keep=keep)


@pytest.fixture
def new_client(sandbox: Sandbox) -> Iterator[NewClient]:
    """Makes clients of the sandbox that try twice, without pauses; closes them."""
    with ExitStack() as opened:

        def make(provider: Provider, **options: Any) -> Client:
            settings: dict[str, Any] = {
                "connection": provider.name,
                "key": KEYS[provider.name],
                "base_url": f"{sandbox.base_url}/{PATHS[provider.name]}",
                "ids": IDS.get(provider.name, {}),
                "attempts": 2,
                "base_delay": 0.001,
                "requests_per_second": 1000,
            }
            return opened.enter_context(client_of(provider, **settings | options))

        yield make


@pytest.fixture(autouse=True)
def one_plan_per_asset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of many days plan them in one event."""
    monkeypatch.setenv(*ONE_PLAN_PER_ASSET)


@dataclass(frozen=True)
class Answers:
    """What the sandbox answers, and how to make it answer otherwise."""

    sandbox: Sandbox
    new_client: NewClient

    def route(self, provider: Provider, endpoint: Endpoint) -> str:
        """The fault route of an endpoint: where it is asked, be it for the report or for links to it."""
        path = endpoint.path_in(IDS.get(provider.name, {}))
        return f"{'POST' if endpoint.post else 'GET'} /{PATHS[provider.name]}/{path}"

    def real(self, provider: Provider, endpoint: Endpoint, day: date = DAY) -> dict[str, Any]:
        """The true first page of one day, decoded exactly."""
        params = [
            *endpoint.window_params(Window(day, day)).items(),
            *endpoint.params.items(),
            *(("group_by[]", dimension) for dimension in endpoint.group_by),
        ]
        content = self.new_client(provider).transport.get(
            endpoint.path_in(IDS.get(provider.name, {})),
            params,
            Request(read=bytes, place="test", stop=Event(), on_retry=lambda: None),
            headers=endpoint.headers,
            post=endpoint.post,
        )
        body: dict[str, Any] = msgspec.json.Decoder(float_hook=Decimal).decode(content)
        return body

    def replace(self, provider: Provider, endpoint: Endpoint, *bodies: dict[str, Any]) -> None:
        """Let the next calls be answered with these bodies, in order."""
        encode = msgspec.json.Encoder(decimal_format="number").encode
        self.faults(
            provider,
            endpoint,
            *({"fault": "replace", "text": encode(body).decode(), "calls": [n]} for n, body in enumerate(bodies, 1)),
        )

    def faults(self, provider: Provider, endpoint: Endpoint, *faults: dict[str, Any]) -> None:
        """Script faults of an endpoint. What is edited is the report, of files the first."""
        route = self.route(provider, endpoint)
        edited = f"GET {REPORTS}/{endpoint.name}/*/1" if endpoint.links else route
        self.sandbox.faults(*({"route": edited if fault["fault"] == "edit" else route, **fault} for fault in faults))


@pytest.fixture
def answers(sandbox: Sandbox, new_client: NewClient) -> Answers:
    """The sandbox's answers."""
    return Answers(sandbox, new_client)

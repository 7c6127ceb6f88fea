"""Lookups of the sandbox's providers, and how to spoil what it lists."""

from collections.abc import Callable
from typing import Any

import pytest

from usage_assets.core.people import People
from usage_assets.fetching.listing import Listed, fetch_lookup
from usage_assets.providers import PROVIDERS
from usage_assets.providers.lookup import Lookup
from usage_assets_tests.fetching.conftest import IDS, PATHS, NewClient
from usage_assets_tests.fixtures import NOW, Sandbox

EVERY_LOOKUP = {
    f"{name}/{lookup.name}": (name, lookup) for name, provider in PROVIDERS.items() for lookup in provider.lookups
}
Fetch = Callable[..., Listed]


@pytest.fixture
def fetch(new_client: NewClient) -> Fetch:
    """Fetches a lookup with a client of its own."""

    def fetch(provider: str, lookup: Lookup, policy: Any = "ids") -> Listed:
        client = new_client(PROVIDERS[provider], people=People(policy, "key"))
        return fetch_lookup(client, lookup, NOW)

    return fetch


def route(provider: str, lookup: Lookup, id_: str = "") -> str:
    """The fault route of a lookup, of all projects where it has several."""
    return f"{lookup.method} /{PATHS[provider]}/{lookup.path.format(id=id_ or '*', **IDS.get(provider, {}))}"


def listed_ids(sandbox: Sandbox, provider: str, lookup: Lookup) -> set[str]:
    """The ids that the sandbox's directory has."""
    spelled = dict(zip(lookup.row.__struct_fields__, lookup.row.__struct_encode_fields__, strict=True))
    return {item.get(spelled["id"], item["id"]) for item in sandbox.control("GET", "directory")[provider][lookup.name]}


def edit(provider: str, lookup: Lookup, *operations: dict[str, Any], of: str = "") -> dict[str, Any]:
    """A fault that changes every answer, or those of a project."""
    return {"route": route(provider, lookup, of), "fault": "edit", "operations": list(operations)}

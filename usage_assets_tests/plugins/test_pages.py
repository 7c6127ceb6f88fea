"""A package's pages: a lookup has those of an endpoint."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Annotated, Any

import pytest
from starlette.requests import Request

from usage_assets.fetching.client import Client
from usage_assets.fetching.listing import fetch_lookup
from usage_assets.provider import ChosenName, Cursors, Lookup, LookupRow, Numbers, column
from usage_assets.providers import PROVIDERS
from usage_assets.testing import Emulator
from usage_assets.testing.product import client_of
from usage_assets_tests.fixtures import NOW


class Workspaces(LookupRow, kw_only=True, rename={"id": "uid", "name": "label"}):
    """One row per connection, workspace and version of its attributes."""

    table = "kite.workspaces"

    id: Annotated[str, column("Id")]
    name: ChosenName = None


WORKSPACES = Lookup(
    name="workspaces",
    path="workspaces",
    row=Workspaces,
    items="workspaces",
    params={"page": "1"},
    page=Numbers(number="page", pages="pages"),
    known_as="workspace_id",
)


class Kite(Emulator):
    """Three workspaces. Each page has one item, and must be asked for by its number."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def rows_of(self, day: date) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """It has no endpoints."""
        return {}

    def answers(self) -> Mapping[str, Callable[[Request], object]]:
        """Numbered pages, and pages with tokens."""
        return {"/workspaces": self.workspaces, "/tokens": self.tokens}

    def workspaces(self, request: Request) -> object:
        """A numbered page: the one number that is asked for."""
        [number] = request.query_params.getlist("page")
        self.asked.append(number)
        return {"workspaces": [{"uid": f"w{number}", "label": f"Workspace {number}"}], "page": int(number), "pages": 3}

    def tokens(self, request: Request) -> object:
        """A page with a token."""
        n = int(request.query_params.get("after", "t1")[1:])
        return {"workspaces": [{"uid": f"w{n}"}], "next": f"t{n + 1}" if n < 3 else None}


@pytest.fixture
def kite() -> Iterator[Kite]:
    """The API, served."""
    with Kite().serving() as account:
        yield account


@pytest.fixture
def client(kite: Kite) -> Iterator[Client]:
    """A client of it."""
    with client_of(PROVIDERS["openai"], kite, kite.base_url) as client:
        yield client


def test_a_lookup_has_the_pages_of_an_endpoint(kite: Kite, client: Client) -> None:
    listed = fetch_lookup(client, WORKSPACES, NOW)
    assert [(item.id, getattr(item, "name", "")) for item in listed.items] == [
        (f"w{n}", f"Workspace {n}") for n in (1, 2, 3)
    ]
    assert (kite.asked, dict(listed.unknown_fields)) == (["1", "2", "3"], {}), "each number once, the first one, too"


def test_a_lookup_has_pages_with_tokens(client: Client) -> None:
    tokens = replace(WORKSPACES, path="tokens", params={}, page=Cursors(cursor="next", parameter="after"))
    assert [item.id for item in fetch_lookup(client, tokens, NOW).items] == ["w1", "w2", "w3"]

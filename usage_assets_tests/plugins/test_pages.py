"""A package's pages: a lookup has those of an endpoint."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Annotated, Any

import pytest
from starlette.requests import Request

from usage_assets.fetching.client import Client
from usage_assets.fetching.listing import fetch_lookup
from usage_assets.provider import (
    ChosenName,
    Cursors,
    Endpoint,
    Item,
    Json,
    Lookup,
    LookupRow,
    Numbers,
    OtherFields,
    Parser,
    Provider,
    Row,
    Window,
    column,
)
from usage_assets.testing import Emulator
from usage_assets.testing.product import client_of
from usage_assets_tests.fixtures import NOW


class Calls(Row, kw_only=True, rename={"workspace_id": "workspace.id"}):
    """One row per connection, day and workspace."""

    table = "kite.calls"
    grain = ("workspace_id",)

    workspace_id: Annotated[str | None, column("Workspace; null: none")]
    calls: Annotated[int | None, column("Calls", unit="calls")]
    other_fields: OtherFields = None


class Workspaces(LookupRow, kw_only=True, rename={"id": "uid", "name": "label"}):
    """One row per connection, workspace and version of its attributes."""

    table = "kite.workspaces"

    id: Annotated[str, column("Id")]
    name: ChosenName = None


def one_row(item: Json, path: str, _parser: Parser) -> Iterator[tuple[str, Json]]:
    """An item is a row."""
    yield path, {name: value for name, value in item.items() if name != "start"}


def days(window: Window) -> Mapping[str, str]:
    """Window parameters."""
    return {"from": str(window.first), "to": str(window.last)}


CALLS = Endpoint(
    name="calls",
    group="usage",
    path="calls",
    items="items",
    row=Calls,
    item=Item,
    records=one_row,
    page=Numbers(number="page", pages="pages"),
    params={"page": "1"},
    window_days=31,
    window_params=days,
    bucket_per_day=False,
)
WORKSPACES = Lookup(
    name="workspaces",
    path="workspaces",
    row=Workspaces,
    items="workspaces",
    params={"page": "1"},
    page=Numbers(number="page", pages="pages"),
    known_as="workspace_id",
)
KITE = Provider(
    name="kite",
    surface=2,
    module=__name__,
    company="Kite",
    service="Kite",
    sub_account_type="Workspace",
    advice={},
    endpoints=(CALLS,),
    lookups=(WORKSPACES,),
    settling_days=1,
)


class Kite(Emulator):
    """Three workspaces. Each page has one item, and must be asked for by its number."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.workspace: Json | None = {"id": "w1"}

    def rows_of(self, day: date) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """One row a day."""
        return {"calls": [{"start": f"{day}T00:00:00Z", "calls": day.day}]}

    def answers(self) -> Mapping[str, Callable[[Request], object]]:
        """Numbered pages, and pages with tokens."""
        return {"/calls": self.calls, "/workspaces": self.workspaces, "/tokens": self.tokens}

    def calls(self, request: Request) -> object:
        """A numbered page."""
        items = [row | {"workspace": self.workspace} for rows in self.rows["calls"].values() for row in rows]
        number = self.number(request)
        return {"items": items[number - 1 : number], "page": number, "pages": len(items)}

    def workspaces(self, request: Request) -> object:
        """A numbered page."""
        number = self.number(request)
        return {"workspaces": [{"uid": f"w{number}", "label": f"Workspace {number}"}], "page": number, "pages": 3}

    def tokens(self, request: Request) -> object:
        """A page with a token."""
        n = int(request.query_params.get("after", "t1")[1:])
        return {"workspaces": [{"uid": f"w{n}"}], "next": f"t{n + 1}" if n < 3 else None}

    def number(self, request: Request) -> int:
        """The one number that is asked for."""
        self.asked += request.query_params.getlist("page")
        [number] = request.query_params.getlist("page")
        return int(number)


@pytest.fixture
def kite() -> Iterator[Kite]:
    """The API, served."""
    with Kite().serving() as account:
        yield account


@pytest.fixture
def client(kite: Kite) -> Iterator[Client]:
    """A client of it."""
    with client_of(KITE, kite, kite.base_url) as client:
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

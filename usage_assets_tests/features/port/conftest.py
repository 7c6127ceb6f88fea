"""A catalog to test against: the sandbox's Port, a client of it, and a ledger that can die like a process."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import pytest

from usage_assets.features.port.catalog.client import PortClient
from usage_assets.features.port.catalog.sync import Acknowledged, Entity, PushReport, diff, push
from usage_assets_tests.fixtures import Sandbox
from usage_assets_tests.models.conftest import warehouse
from usage_assets_tests.port_user import PortUser, port_user

__all__ = ["warehouse"]
SECRET = "sandbox-client-secret"


class KilledError(Exception):
    """The process ended before it could write an acknowledgement down."""


@dataclass
class Ledger:
    """What the warehouse would hold. ``writes_left`` = 1 lets one write happen and then kills."""

    lines: dict[tuple[str, str], Acknowledged] = field(default_factory=dict)
    writes_left: int | None = None

    def mark(self, lines: Sequence[Acknowledged], push: str) -> None:
        """Write the marks, in one transaction."""
        self._survive()
        self.lines |= {(line.blueprint, line.identifier): replace(line, content_hash=push) for line in lines}

    def acknowledge(self, held: Sequence[Acknowledged], gone: Sequence[Acknowledged], push: str) -> None:
        """Write what Port took, in one transaction. Nobody else pushes here."""
        self._survive()
        assert {self.lines[line.blueprint, line.identifier].content_hash for line in (*held, *gone)} <= {push}
        self.lines |= {(line.blueprint, line.identifier): line for line in held}
        for line in gone:
            del self.lines[line.blueprint, line.identifier]

    def _survive(self) -> None:
        if self.writes_left is not None:
            if self.writes_left == 0:
                raise KilledError
            self.writes_left -= 1


@dataclass
class Catalog:
    """The emulated Port, seen as we see it (``push``), as a user does (``as_user``) and as it is (``stored``)."""

    sandbox: Sandbox
    client: PortClient
    ledger: Ledger = field(default_factory=Ledger)

    def push(self, entities: Iterable[Entity], client: PortClient | None = None) -> PushReport:
        """Make Port hold exactly these entities of ours."""
        return push(client or self.client, diff(entities, self.ledger.lines.values()), self.ledger)

    def stored(self, blueprint: str = "claude_cost_record") -> dict[str, Any]:
        """Identifier -> properties of every entity that Port has."""
        return {entity["identifier"]: entity["properties"] for entity in self.client.search(blueprint)}

    def as_user(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """A call that somebody else makes."""
        return self.client._call(method, path, dict[str, Any], body=body)

    def add_users_blueprint(self, identifier: str, *entities: str) -> None:
        """Make a blueprint of the users' own, with these entities."""
        schema: dict[str, Any] = {"properties": {}, "required": []}
        self.as_user("POST", "/blueprints", {"identifier": identifier, "title": "Theirs", "schema": schema})
        self.add_users_entities(identifier, *entities)

    def add_users_entities(self, blueprint: str, *identifiers: str) -> None:
        """Make entities of the users' own."""
        for identifier in identifiers:
            self.as_user(
                "POST", f"/blueprints/{quote(blueprint, safe='')}/entities?upsert=true", {"identifier": identifier}
            )

    def forget_requests(self) -> None:
        """Start counting requests anew."""
        self.sandbox.control("POST", "requests/clear")

    def asked(self, route: str = "") -> list[int]:
        """Statuses of the requests whose ``METHOD path`` contains ``route``."""
        log = self.sandbox.requests()
        return [entry["status"] for entry in log if route in f"{entry['method']} {entry['path']}"]


@pytest.fixture
def new_client(sandbox: Sandbox) -> Iterator[Callable[..., PortClient]]:
    """Makes clients of the sandbox's Port that retry without pauses; closes them."""
    with ExitStack() as opened:

        def make(**options: Any) -> PortClient:
            settings: dict[str, Any] = {"attempts": 3, "base_delay": 0.001, "client_secret": SECRET} | options
            return opened.enter_context(PortClient(f"{sandbox.base_url}/port", "sandbox-client-id", **settings))

        yield make


@pytest.fixture
def user(sandbox: Sandbox) -> Iterator[PortUser]:
    """Somebody else in the same Port."""
    with port_user(sandbox) as signed_in:
        yield signed_in


@pytest.fixture
def catalog(sandbox: Sandbox, new_client: Callable[..., PortClient]) -> Catalog:
    """An empty catalog."""
    return Catalog(sandbox, new_client())

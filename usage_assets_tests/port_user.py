"""Somebody else in the same Port: a person in its UI, or an Ocean integration. Port knows them by their User-Agent."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import httpx

from usage_assets.features.port.catalog.client import PortClient
from usage_assets_tests.fixtures import Sandbox

OCEAN = "port-ocean/custom/0.6.108/claude-ai/exporter"


@dataclass(frozen=True)
class PortUser:
    """Calls that are not ours."""

    port: httpx.Client

    def call(self, method: str, path: str, body: object = None, **query: str) -> Any:
        """Make a call and return the decoded answer, decimals exact."""
        answer = self.port.request(method, path, json=body, params=query).raise_for_status()
        return answer.json(parse_float=Decimal)

    def repeat(self, calls: Iterable[httpx.Request]) -> None:
        """Make calls of somebody else once more: what has filled one catalog fills another."""
        for call in calls:
            headers = {**call.headers, "authorization": self.port.headers["authorization"]}
            self.port.request(call.method, call.url, content=call.content, headers=headers).raise_for_status()

    def entity(self, blueprint: str, identifier: str) -> dict[str, Any]:
        """One entity."""
        found: dict[str, Any] = self.call("GET", _path(blueprint, identifier))["entity"]
        return found

    def search(self, blueprint: str) -> Iterator[dict[str, Any]]:
        """Yield all entities of a blueprint."""
        body: dict[str, Any] = {"query": {"combinator": "and", "rules": []}, "limit": 1000}
        while body.get("from", True):
            page = self.call("POST", f"/blueprints/{blueprint}/entities/search", body)
            yield from page["entities"]
            body["from"] = page.get("next")

    def identifiers(self, blueprint: str) -> set[str]:
        """All entities of a blueprint."""
        return {entity["identifier"] for entity in self.search(blueprint)}

    def create(self, blueprint: str, identifier: str, properties: Mapping[str, object], **others: object) -> None:
        """Create an entity, or write over it."""
        body = {"identifier": identifier, "properties": properties, **others}
        self.call("POST", f"/blueprints/{blueprint}/entities", body, upsert="true")

    def edit(self, blueprint: str, identifier: str, changes: Mapping[str, object]) -> None:
        """Change an entity."""
        self.call("PATCH", _path(blueprint, identifier), changes)

    def delete(self, blueprint: str, identifier: str) -> None:
        """Delete an entity."""
        self.call("DELETE", _path(blueprint, identifier), delete_dependents="false")

    def add_property(self, blueprint: str, name: str, definition: Mapping[str, object]) -> None:
        """Give a blueprint a property of their own."""
        schema = self.call("GET", f"/blueprints/{blueprint}")["blueprint"]["schema"]
        properties = {**schema["properties"], name: definition}
        self.call("PATCH", f"/blueprints/{blueprint}", {"schema": {**schema, "properties": properties}})


def _path(blueprint: str, identifier: str) -> str:
    return f"/blueprints/{blueprint}/entities/{quote(identifier, safe='')}"


@contextmanager
def port_user(sandbox: Sandbox, user_agent: str = "Mozilla/5.0") -> Iterator[PortUser]:
    """Sign in to the sandbox's Port."""
    with httpx.Client(base_url=f"{sandbox.base_url}/port/v1", headers={"User-Agent": user_agent}) as port:
        credentials = {"clientId": "sandbox-client-id", "clientSecret": "sandbox-client-secret"}
        token = port.post("/auth/access_token", json=credentials).raise_for_status().json()["accessToken"]
        port.headers["Authorization"] = f"Bearer {token}"
        yield PortUser(port)


def port_of(sandbox: Sandbox) -> PortClient:
    """The sandbox's Port as we see it."""
    return PortClient(f"{sandbox.base_url}/port", "sandbox-client-id", "sandbox-client-secret")

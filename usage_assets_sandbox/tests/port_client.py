"""A client of the emulated Port in this process, and the blueprints that its tests write to."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx2
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from usage_assets_sandbox.port import PortStore, port_control, port_routes

CREDENTIALS = {"clientId": "sandbox-client-id", "clientSecret": "sandbox-client-secret"}
NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
DAY = "2026-11-01T00:00:00Z"
UPSERT = {"upsert": "true"}

TEAM: dict[str, Any] = {"identifier": "squad", "title": "Squad", "schema": {"properties": {}}}
USAGE: dict[str, Any] = json.loads("""{
    "identifier": "usage",
    "title": "Usage",
    "icon": "OpenAI",
    "schema": {
        "properties": {
            "day": {"type": "string", "format": "date-time", "title": "Day"},
            "model": {"type": "string"},
            "cost": {"type": "number"},
            "open": {"type": "boolean"},
            "tags": {"type": "array"},
            "extra": {"type": "object"},
            "link": {"type": "string", "format": "url"},
            "note": {"type": "string", "format": "markdown"},
            "basis": {"type": "string", "enum": ["billed", "estimated"]},
            "days": {"type": "array", "items": {"type": "string", "format": "date-time"}}
        },
        "required": ["day"]
    },
    "calculationProperties": {"double": {"title": "Double", "calculation": ".properties.cost * 2", "type": "number"}},
    "relations": {
        "squad": {"target": "squad", "required": false, "many": false},
        "peers": {"target": "usage", "required": false, "many": true}
    }
}""")


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class Port:
    """A signed-in client of the emulated Port."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        answer = client.post("/port/v1/auth/access_token", json=CREDENTIALS)
        self.headers = {"authorization": f"Bearer {answer.json()['accessToken']}"}

    def call(
        self, method: str, path: str, body: object = None, query: Mapping[str, Any] | None = None
    ) -> httpx2.Response:
        answer: httpx2.Response = self.client.request(
            method, f"/port/v1/{path}", json=body, params=query, headers=self.headers
        )
        return answer

    def send(self, method: str, path: str, content: bytes, media_type: str = "application/json") -> httpx2.Response:
        headers = {**self.headers, "content-type": media_type}
        answer: httpx2.Response = self.client.request(method, f"/port/v1/{path}", content=content, headers=headers)
        return answer

    def upsert(self, *entities: object, query: Mapping[str, str] = UPSERT, blueprint: str = "usage") -> httpx2.Response:
        return self.call("POST", f"blueprints/{blueprint}/entities/bulk", {"entities": entities}, query)

    def entity(self, identifier: str, blueprint: str = "usage") -> dict[str, Any]:
        answer = self.call("GET", f"blueprints/{blueprint}/entities/{quote(identifier, safe='')}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["entity"]
        return found

    def count(self, blueprint: str = "usage") -> int:
        counted: int = self.call("GET", f"blueprints/{blueprint}/entities-count").json()["count"]
        return counted


def client_of(store: PortStore) -> TestClient:
    """Port below /port/v1, its switches below /control."""
    routes = [Mount("/port/v1", routes=port_routes(store)), Mount("/control", routes=port_control(store))]
    return TestClient(Starlette(routes=routes))


def provisioned(client: TestClient) -> Port:
    """Port with the blueprints `squad` and `usage`, and no entities."""
    port = Port(client)
    for blueprint in (TEAM, USAGE):
        assert port.call("POST", "blueprints", blueprint).status_code == 201
    return port


def entity(identifier: str = "a", /, **properties: object) -> dict[str, Any]:
    return {"identifier": identifier, "properties": {"day": DAY, **properties}}


def assert_refused(answer: httpx2.Response, status: int, fragment: str = "") -> None:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body.keys() == {"ok", "error", "message"}
    assert body["ok"] is False
    assert fragment in body["message"]

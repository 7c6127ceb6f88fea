"""A year of every endpoint at a provider's latency: one request after the other, and as the product asks.

Both sides are the product's own client on the sandbox, over real HTTP, under the product's rate limit. Only the number
of requests in flight differs.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from time import monotonic
from typing import Any

import httpx

from benchmarks.figures import ROUNDS, Figure
from benchmarks.server import running
from usage_assets.fetching.client import Client
from usage_assets.fetching.control_totals import fetch_with_totals
from usage_assets.fetching.scope import Scope
from usage_assets.fetching.transport import HttpOptions
from usage_assets.providers import PROVIDERS

LATENCY = 0.2
"""Seconds until an answer begins."""
CONNECTIONS: dict[str, dict[str, Any]] = {
    "openai": {"path": "openai/v1", "key": "sk-admin-sandbox"},
    "anthropic": {"path": "anthropic", "key": "sk-ant-admin-sandbox"},
    "chatgpt": {"path": "chatgpt", "key": "chatgpt-sandbox-key", "ids": {"workspace_id": "ws-sandbox"}},
}


def figures(days: int) -> Iterator[Figure]:
    """How long the last ``days`` days of all endpoints take, side by side and in turn."""
    with running("usage_assets_sandbox") as url:
        yield figure(url, days, LATENCY)


def figure(url: str, days: int, latency: float, rounds: int = ROUNDS) -> Figure:
    """The figure of a running sandbox, whose answers are slowed down for good."""
    requests = fetch_side_by_side(url, days)  # at no latency: from now on the sandbox knows its books
    fault = {"route": "GET /", "fault": "delay", "seconds": latency}
    httpx.post(f"{url}/control/faults", json={"faults": [fault]}).raise_for_status()
    sides: list[tuple[float, float]] = []
    for _ in range(rounds):
        began = monotonic()
        fetch_side_by_side(url, days)
        turned = monotonic()
        fetch_in_turn(url, days)
        sides.append((turned - began, monotonic() - turned))
    return Figure.of_rounds(
        sides,
        name=f"{requests} requests of {days} days, {latency * 1000:g} ms each",
        unit="s",
        demanded=8,
        note="wall time; theirs: one at a time",
    )


def fetch_side_by_side(url: str, days: int) -> int:
    """As scheduled runs do: connections at once, the endpoints of each in turn, windows at once; counts requests."""
    with ThreadPoolExecutor(len(CONNECTIONS)) as runs:
        return sum(runs.map(lambda name: _fetch(url, name, days), CONNECTIONS))


def fetch_in_turn(url: str, days: int) -> None:
    """One request at a time."""
    for name in CONNECTIONS:
        _fetch(url, name, days, concurrency=1)


def _fetch(url: str, name: str, days: int, **options: Any) -> int:
    provider, connection = PROVIDERS[name], dict(CONNECTIONS[name])
    asked_for = _last_days(min(days, provider.lookback_days or days))
    base_url = f"{url}/{connection.pop('path')}"
    scope = Scope(connection=name, ids=connection.get("ids", {}))
    with Client(provider, scope, key=connection["key"], base_url=base_url, http=HttpOptions(**options)) as client:
        endpoints = [replace(endpoint, newer=None) for endpoint in provider.endpoints]  # the sandbox's key may not
        answers = [fetch_with_totals(client, endpoint, asked_for) for endpoint in endpoints]
    return sum(each.requests + each.refused + each.split_windows + each.control_requests for each in answers)


def _last_days(count: int) -> Sequence[date]:
    today = datetime.now(UTC).date()
    return [today - timedelta(days=n) for n in range(count, 0, -1)]

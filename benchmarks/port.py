"""A year of Port's seven published blueprints: the first push, one without a change, one after a day was restated.

Ours runs here, from entity tables in a DuckDB file to the emulated Port in a process of its own. Theirs is recorded:
the published route (Ocean's custom integration, repaired) was measured once on two shared cores and is not run here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import httpx

from benchmarks.figures import Figure
from benchmarks.server import running
from usage_assets.core.blueprints import CONNECTION, blueprint
from usage_assets.core.days import utc_today
from usage_assets.core.schema import Row, columns, to_arrow
from usage_assets.features.port.catalog.client import PortClient
from usage_assets.features.port.catalog.sync import Entity, PushReport
from usage_assets.features.port.ledger import PortLedger
from usage_assets.features.port.push import push_until_equal
from usage_assets.models.entities import ENTITIES
from usage_assets.models.model import Model
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch

RECORDED = {0.0: 13.5, 0.1: 67.2}
"""Latency of Port in seconds -> seconds of the published route's first sync of 9,405 entities: the fastest of three
runs (13.5, 15.7, 22.5), and the one run with latency, which had 200 ms more for each of its 50 upstream requests."""
RECORDED_REQUESTS, RECORDED_RESYNC = 742, 256
"""Its requests to Port: first sync, second sync without a change."""
ALLOWED_REQUESTS = 500

WORKSPACES, MODELS, ACTORS = 20, 4, 50
REST = 14
"""A workspace has no usage on one day of so many: about 9,400 entities a year."""
BLUEPRINTS: Mapping[str, Sequence[str]] = {
    "openai": ("openai_daily_usage", "openai_model_usage"),
    "anthropic": (
        "claude_usage_record",
        "claude_cost_record",
        "claude_workspace_usage",
        "claude_model_usage",
        "claude_code_analytics",
    ),
}
RESTATED = BLUEPRINTS["anthropic"][:4]
"""Of Claude Code there are more entities a day than fit into a call."""


def figures(days: int) -> Iterator[Figure]:
    """The figures without and with a latency of Port; each on a Port and a warehouse of its own."""
    for latency, recorded in RECORDED.items():
        with running("usage_assets_sandbox") as url, TemporaryDirectory() as folder:
            yield from figures_of(url, Path(folder, "usage.duckdb"), days, latency, recorded)


def figures_of(url: str, warehouse: Path, days: int, latency: float, recorded: float) -> Iterator[Figure]:
    """The figures of one running sandbox. Raises RuntimeError where Port does not end up with what the tables have."""
    catalog = Catalog(url, Warehouse(database=str(warehouse)), last=utc_today() - timedelta(days=1), days=days)
    catalog.store_year()
    if latency:
        fault = {"route": "* /port", "fault": "delay", "seconds": latency}
        httpx.post(f"{url}/control/faults", json={"faults": [fault]}).raise_for_status()
    began = monotonic()
    first = catalog.push()
    seconds = monotonic() - began
    again = catalog.push()
    touched = catalog.restate()
    restated = catalog.push()
    catalog.compare()
    published = "theirs: the published route, recorded, not run here"
    yield Figure(
        name=f"{first.upserted:,} entities, {latency * 1000:g} ms a request",
        ours=seconds,
        theirs=recorded,
        unit="s",
        demanded=1,
        is_at_factor_1=True,
        note=f"wall time; {published}",
    )
    yield Figure(
        name="the same first push",
        ours=first.requests,
        theirs=ALLOWED_REQUESTS,
        unit="req",
        demanded=1,
        note=f"requests; theirs: what is allowed; the published route: {RECORDED_REQUESTS}, recorded",
    )
    yield Figure(
        name="a push without a change",
        ours=again.requests,
        theirs=RECORDED_RESYNC,
        unit="req",
        demanded=inf,
        note=f"requests; {published}",
    )
    yield Figure(
        name="a restated day",
        ours=restated.requests,
        theirs=touched + 4,
        unit="req",
        demanded=1,
        note=f"requests; theirs: allowed: {touched} touched blueprints, deletes, token, look at the last push, its id",
    )


@dataclass
class Catalog:
    """Entity tables of some days, and the Port that is to hold the same."""

    url: str
    warehouse: Warehouse
    last: date
    days: int
    rows: dict[str, list[Row]] = field(default_factory=dict)
    """Blueprint -> what is stored of it."""

    def store_year(self) -> None:
        """Write the tables."""
        for connection, names in BLUEPRINTS.items():
            for name in names:
                self.rows[name] = [row for day in self._slice(connection).days for row in _rows(connection, name, day)]
                self._store(connection, name)

    def restate(self) -> int:
        """Change what Anthropic reports of the last day; one workspace vanishes. Returns how many blueprints change."""
        for name in RESTATED:
            rest = [row for row in self.rows[name] if row.usage_date != self.last]
            restated = list(_rows("anthropic", name, self.last, factor=2))
            self.rows[name] = rest + (restated[1:] if name == "claude_workspace_usage" else restated)
            self._store("anthropic", name)
        return len(RESTATED)

    def push(self) -> PushReport:
        """Push all connections in turn, each with a new client, as runs do; with what their entities relate to."""
        total = PushReport()
        for connection, names in BLUEPRINTS.items():
            with self._client() as client:
                ledger = PortLedger(
                    self.warehouse,
                    client.account,
                    self._slice(connection),
                    [*map(_derived, names)],
                    state=partial(self._state, connection),
                )
                total.add(push_until_equal(client, ledger)[0])
        return total

    def compare(self) -> None:
        """Raise RuntimeError unless Port has each entity of the tables, and no other."""
        with self._client() as client:
            for name, rows in self.rows.items():
                found = {entity["identifier"]: entity["properties"] for entity in client.search(name)}
                numbers = [
                    key for key, kind in blueprint(name)["schema"]["properties"].items() if kind["type"] == "number"
                ]
                wanted = {row.identifier: {key: getattr(row, key) for key in numbers} for row in rows}  # type: ignore[attr-defined]
                if {key: {name: entity[name] for name in numbers} for key, entity in found.items()} != wanted:
                    raise RuntimeError(f"Port holds other entities of {name} than the table")

    def _client(self) -> PortClient:
        return PortClient(f"{self.url}/port", "sandbox-client-id", "sandbox-client-secret")

    def _slice(self, connection: str) -> Slice:
        return Slice(connection, self.last - timedelta(days=self.days - 1), self.last)

    def _store(self, connection: str, name: str) -> None:
        row = _derived(name).row
        answer = Batch(rows=to_arrow(row, self.rows[name]), began=datetime.now(UTC))
        self.warehouse.replace(Table(row), answer, self._slice(connection), "benchmark")

    def _state(self, connection: str) -> Entity:
        properties = dict.fromkeys(blueprint(CONNECTION)["schema"]["properties"]) | {
            "provider": connection,
            "state": "ok",
        }
        return Entity(CONNECTION, connection, connection, properties, self.last)


def _derived(name: str) -> Model:
    return next(derived for derived in ENTITIES if derived.name == name)


def _rows(connection: str, name: str, day: date, factor: int = 1) -> Iterator[Row]:
    row = _derived(name).row
    for position, key in enumerate(_keys(name, day)):
        yield row(
            **{
                column.name: _value(column.name, column.type, key, day, factor * (position + 1))
                for column in columns(row)
                if column.name not in ("connection", "usage_date")
            },
            connection=connection,
            usage_date=day,
        )


def _keys(name: str, day: date) -> list[str]:
    """What a day has one entity for each of: as many as in the recorded measurement, models of both providers."""
    match name:
        case "claude_workspace_usage":
            return [f"wrkspc_{n:02}" for n in range(WORKSPACES) if (day.toordinal() + n) % REST]
        case "openai_model_usage" | "claude_model_usage":
            return [f"model-{n}" for n in range(MODELS // 2)]
        case "claude_code_analytics":
            is_measured = day == utc_today() - timedelta(days=1)  # the published mapping can sync one fixed day
            return [f"person{n}@example.com" for n in range(ACTORS)] if is_measured else []
    return [name]


def _value(name: str, kind: type, key: str, day: date, number: int) -> Any:
    named = {
        "identifier": f"{key}-{day}",
        "title": f"{key} - {day}",
        "record_date": datetime.combine(day, time()).isoformat() + "Z",
        "date": str(day),
        "model_breakdown": f'[{{"model": "model-0", "tokens": {{"input": {number}, "output": 5}}}}]',
    }
    if name in named:
        return named[name]
    return {int: number * 1000, Decimal: number * Decimal("0.13080438340307526")}.get(kind, key)

"""Our entities beside those of Port's published mapping, which is run here with jq over a whole answer."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jq
import msgspec
import pyarrow as pa
import pytest

from usage_assets.core.days import Window
from usage_assets.features.port.ledger import PortLedger
from usage_assets.fetching.page_parser import PageParser
from usage_assets.fetching.scope import Scope
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch
from usage_assets_mapping.reading import Resource, read
from usage_assets_tests.models.conftest import warehouse
from usage_assets_tests.models.days import DERIVED, emptied
from usage_assets_tests.providers.bodies import FIXTURES

__all__ = ["warehouse"]

Json = dict[str, Any]


@dataclass(frozen=True)
class PublishedMapping:
    """A published mapping, as one jq program."""

    resource: Resource

    def entities(self, body: Any) -> list[Json]:
        """The entities that it makes of an answer, in its order; numbers as the digits they show."""
        made = self.resource
        properties = ", ".join(f"{name}: ({expression})" for name, expression in made.properties.items())
        program = (
            f"[{made.data_path or '.'} | {{identifier: ({made.identifier}), title: ({made.title}), "
            f"properties: {{{properties}}}}}]"
        )
        entities: list[Json] = json.loads(jq.compile(program).input_value(body).text(), parse_float=Decimal)
        return entities


MAPPING = Path(__file__).parent / "official/codex.yml"
PUBLISHED = {json.loads(each.blueprint.text): PublishedMapping(each) for each in read(MAPPING, requote=True).resources}


@dataclass(frozen=True)
class Pipeline:
    """Ours, from a provider's answer to the entities that are pushed."""

    warehouse: Warehouse

    def entities(self, name: str, bodies: Mapping[str, Json]) -> list[Json]:
        """The entities of a blueprint, sorted, of answers by ``<provider>/<endpoint>``."""
        provider = next(iter(bodies)).partition("/")[0]
        days: set[date] = set()
        for source, body in bodies.items():
            days |= self._fetched(source, body)
        derived = DERIVED[name]
        target = Slice(provider, min(days), max(days))
        self.warehouse.replace(Table(derived.row), derived.query, target, "run")
        pushed = PortLedger(self.warehouse, "account", target, [derived]).read()[0]
        return sorted(
            (
                {"identifier": entity.identifier, "title": entity.title, "properties": dict(entity.properties)}
                for entity in pushed
            ),
            key=lambda entity: str(entity["identifier"]),
        )

    def _fetched(self, source: str, body: Json) -> set[date]:
        provider, _, name = source.partition("/")
        [endpoint] = [endpoint for endpoint in PROVIDERS[provider].endpoints if endpoint.name == name]
        page = msgspec.json.Decoder(float_hook=Decimal).decode(json.dumps(body))
        window = Window(date(2020, 1, 1), date(2039, 12, 31))
        parser = PageParser(Scope(connection=provider), window, {}, endpoint.group_by)
        parser.read(endpoint.row, endpoint.item, endpoint.records, page["data"])
        days = parser.days_seen
        target = Slice(provider, min(days), max(days))
        answer = Batch(rows=pa.concat_tables(parser.tables), began=datetime.now(UTC))
        self.warehouse.replace(Table(endpoint.row), answer, target, "run")
        return days


@pytest.fixture
def ours(warehouse: Warehouse) -> Iterator[Pipeline]:
    with emptied(warehouse):
        yield Pipeline(warehouse)


def official(source: str) -> Json:
    """The body that the provider's reference prints."""
    body: Json = json.loads((FIXTURES / source / "official.json").read_text())
    return body


def completions(*results: Json) -> Json:
    """The official completions body, with its result changed: once for each of ``results``."""
    page = official("openai/usage_completions")
    [day] = page["data"]
    [original] = day["results"]
    return page | {"data": [day | {"results": [original | result for result in results]}]}


def test_openai_days_keep_identifier_properties_and_meaning(ours: Pipeline) -> None:
    """The published mapping on the answer that it describes, which no endpoint gives: a day with its totals."""
    described = {"timestamp": "2024-11-01", "total_requests": 5, "total_tokens": 1500, "total_usage": 6}
    found = ours.entities(
        "openai_daily_usage", {"openai/costs": official("openai/costs"), "openai/usage_completions": completions({})}
    )
    assert found == PUBLISHED["openai_daily_usage"].entities(described)

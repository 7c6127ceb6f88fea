"""Our entities beside those of Port's published mappings, which are run here with jq over whole answers.

On clean input (one result a bucket, one row an actor, dollars for cents) they are the same. What departs is tested in
models/test_entities.py, and each departure is a line of docs/port-parity.md.
"""

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import jq
import msgspec
import pyarrow as pa
import pytest

from usage_assets.core.blueprints import blueprint
from usage_assets.core.days import Window
from usage_assets.core.people import People, Policy
from usage_assets.features.mapping.reading import Resource, read
from usage_assets.features.port.ledger import PortLedger
from usage_assets.fetching.page_parser import PageParser
from usage_assets.fetching.scope import Scope
from usage_assets.providers import PROVIDERS
from usage_assets.providers.records import page_of_lines
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch
from usage_assets_tests.models.days import DERIVED, emptied

LEGACY_DAY = Window(date(2024, 11, 1), date(2024, 11, 1))
"""What was asked for where an answer states no day to trust."""
COPILOT_DAY = Window(date(2026, 11, 14), date(2026, 11, 14))
FIXTURES = Path(__file__).parents[3] / "fixtures"
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


HERE = Path(__file__).parent
FILES = (HERE / "published.yml", *(HERE.parent / "mapping/official" / f"{name}.yml" for name in ("claude", "codex")))
PUBLISHED = {
    json.loads(each.blueprint.text): PublishedMapping(each)
    for file in FILES
    for each in read(file, requote=True).resources
}
OF_OPENAI = PUBLISHED["openai_model_usage"].resource
OPENAI_MODELS = PublishedMapping(replace(OF_OPENAI, data_path=replace(OF_OPENAI.identifier, text=".data[]")))
"""The page gives no data_path, though an answer is a list."""
SOURCE = {
    "claude_usage_record": "anthropic/usage_messages",
    "claude_cost_record": "anthropic/cost_report",
    "claude_workspace_usage": "anthropic/usage_messages",
    "claude_model_usage": "anthropic/usage_messages",
    "claude_code_analytics": "anthropic/claude_code",
}


@dataclass(frozen=True)
class Pipeline:
    """Ours, from a provider's answer to the entities that are pushed."""

    warehouse: Warehouse

    def entities(
        self, name: str, bodies: Mapping[str, Json], connection: str | None = None, people: People | None = None
    ) -> list[Json]:
        """The entities of a blueprint, sorted, of answers by ``<provider>/<endpoint>``."""
        provider = next(iter(bodies)).partition("/")[0]
        owner = connection or provider
        days: set[date] = set()
        for source, body in bodies.items():
            days |= self._fetched(source, body, owner, people or People())
        derived = DERIVED[name]
        target = Slice(owner, min(days), max(days))
        self.warehouse.replace(Table(derived.row), derived.query, target, "run")
        pushed = PortLedger(self.warehouse, "account", target, [derived]).read()[0]
        return sorted(
            (
                {"identifier": entity.identifier, "title": entity.title, "properties": dict(entity.properties)}
                for entity in pushed
            ),
            key=lambda entity: str(entity["identifier"]),
        )

    def _fetched(self, source: str, body: Json, connection: str, people: People) -> set[date]:
        provider, _, name = source.partition("/")
        [endpoint] = [endpoint for endpoint in PROVIDERS[provider].endpoints if endpoint.name == name]
        always = Window(date(2020, 1, 1), date(2039, 12, 31))
        exact = msgspec.json.Decoder(float_hook=Decimal).decode(json.dumps(body))
        window, page = (LEGACY_DAY, endpoint.page(exact, LEGACY_DAY)) if endpoint.page else (always, exact)
        if endpoint.links:
            window = COPILOT_DAY
            page = msgspec.json.Decoder(float_hook=Decimal).decode(page_of_lines(json.dumps(body).encode(), window))
        parser = PageParser(
            Scope(connection=connection, ids={"workspace_id": "ws", "organization": "acme"}, people=people),
            window,
            {},
            endpoint.group_by,
        )
        parser.read(endpoint.row, endpoint.item, endpoint.records, page["data"])
        days = parser.days_seen
        target = Slice(connection, min(days), max(days))
        answer = Batch(rows=pa.concat_tables(parser.tables), began=datetime.now(UTC))
        self.warehouse.replace(Table(endpoint.row), answer, target, "run")
        return days

    def both(self, name: str, body: Json) -> tuple[list[Json], list[Json]]:
        """The published mapping's entities and ours, of one answer."""
        published = sorted(PUBLISHED[name].entities(body), key=lambda entity: str(entity["identifier"]))
        return published, self.entities(name, {SOURCE[name]: body})


@pytest.fixture
def ours(warehouse: Warehouse) -> Iterator[Pipeline]:
    with emptied(warehouse):
        yield Pipeline(warehouse)


def official(source: str) -> Json:
    """The body that the provider's reference prints."""
    body: Json = json.loads((FIXTURES / source / "official.json").read_text())
    return body


def bucket(source: str, *results: Json, day: int = 0) -> Json:
    """A bucket of the official body, ``day`` days later, with its result changed: once for each of ``results``."""
    original = official(source)["data"][0]
    start = datetime.fromisoformat(original["starting_at"]) + timedelta(days=day)
    return {
        "starting_at": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "ending_at": f"{start + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
        "results": [{**copy.deepcopy(original["results"][0]), **result} for result in results],
    }


def body(*data: Json) -> Json:
    return {"data": list(data), "has_more": False, "next_page": None}


def scaled(entities: Sequence[Json], change: Callable[[Json], Json]) -> list[Json]:
    """The entities with their properties changed."""
    return [{**entity, "properties": entity["properties"] | change(entity["properties"])} for entity in entities]


# Clean input: the same


@pytest.mark.parametrize(
    ("name", "source", "fixture"),
    [
        ("githubCopilotUserUsage", "users_1_day", "composed_array"),
        ("githubCopilotOrganizationUsage", "organization_1_day", "composed_object_with_days"),
    ],
)
def test_copilot_metrics_give_the_same_entities(name: str, source: str, fixture: str, ours: Pipeline) -> None:
    body = json.loads((FIXTURES / f"github_copilot/{source}/{fixture}.json").read_text())
    rows = body["day_totals"] if isinstance(body, dict) else body
    published = PUBLISHED[name].entities([{**row, "__organization": {"login": "acme"}} for row in rows])
    found = ours.entities(name, {f"github_copilot/{source}": body})
    prefixed = [{**each, "identifier": f"github_copilot:{each['identifier']}"} for each in published]
    assert found == sorted(prefixed, key=lambda entity: str(entity["identifier"]))


@pytest.mark.parametrize("policy", ["ids", "hash"])
def test_a_person_s_day_in_cursor_gives_the_same_entity_without_an_address_that_is_not_kept(
    policy: Policy, ours: Pipeline
) -> None:
    people = People(policy, "key")
    body = json.loads((FIXTURES / "cursor/daily_usage/composed_active_and_idle.json").read_text())
    for row in body["data"]:
        row["day"] = str(LEGACY_DAY.first)
        row["userId"] = str(row["userId"])  # the published mapping expects a text, Cursor's page shows a number
    found = ours.entities("cursorDailyUsage", {"cursor/daily_usage": body}, people=people)
    published = PUBLISHED["cursorDailyUsage"].entities(body)
    for entity in published:
        address = entity["properties"]["email"]
        entity["identifier"] = f"cursor:{entity['identifier']}"
        entity["title"] = entity["title"].replace(address, people.only_id(address))
        entity["properties"]["email"] = address if policy == "ids" else None
    assert found == sorted(published, key=lambda entity: str(entity["identifier"]))


def test_the_mappings_fill_exactly_the_blueprints_properties() -> None:
    for name, mapping in PUBLISHED.items():
        assert list(mapping.resource.properties) == list(blueprint(name)["schema"]["properties"]), name


@pytest.mark.parametrize(
    ("name", "dimension"), [("claude_workspace_usage", "workspace_id"), ("claude_model_usage", "model")]
)
def test_one_result_a_workspace_or_model_gives_the_same_entities(name: str, dimension: str, ours: Pipeline) -> None:
    source = "anthropic/usage_messages"
    published, found = ours.both(
        name,
        body(
            bucket(source, {dimension: "a"}, {dimension: "b", "output_tokens": 7}),
            bucket(source, day=1),
            bucket(source, {dimension: "a"}, day=2),
        ),
    )
    assert len(found) == 3
    assert found == published


def test_days_of_one_cost_and_days_of_none_give_the_same_cost_records_in_dollars(ours: Pipeline) -> None:
    source = "anthropic/cost_report"
    published, found = ours.both(
        "claude_cost_record", body(bucket(source, {}), bucket(source, day=1), bucket(source, {"amount": "7"}, day=2))
    )
    assert [entity["properties"]["amount"] for entity in found] == [Decimal("1.2378912"), 0, Decimal("0.07")]
    assert found == scaled(published, lambda properties: {"amount": Decimal(properties["amount"]) / 100})


MIDNIGHT = int(datetime(2024, 11, 1, tzinfo=UTC).timestamp())


def legacy_usage(*rows: tuple[str, int, int, int]) -> Json:
    """An answer of the closed endpoint: model, requests, context and generated tokens of each row."""
    return {
        "data": [
            {
                "snapshot_id": model,
                "aggregation_timestamp": MIDNIGHT,
                "n_requests": requests,
                "n_context_tokens_total": context,
                "n_generated_tokens_total": generated,
                "operation": "completion",
            }
            for model, requests, context, generated in rows
        ]
    }


# Departures that are seen beside the published entities alone


def test_departure_rows_of_five_minutes_of_the_old_endpoint_are_added_up(ours: Pipeline) -> None:
    used = legacy_usage(*[("gpt-4o", 1, 10, 5)] * 3)
    used["data"][2]["aggregation_timestamp"] += 300
    published = OPENAI_MODELS.entities(used)
    assert len({entity["identifier"] for entity in published}) == 2, "of three rows, two collide"
    [found] = ours.entities("openai_legacy_model_usage", {"openai_legacy/usage": used}, connection="openai")
    assert found["identifier"] == f"gpt-4o-{MIDNIGHT}"
    assert found["properties"] == published[0]["properties"] | {"requests": 3, "tokens": 45}


# Codex: ours, Port publishes none

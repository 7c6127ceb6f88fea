"""Our entities beside those of Port's published mappings, which are run here with jq over whole answers.

On clean input (one result a bucket, one row an actor, dollars for cents) they are the same; each departure is a test
of its own and a line of docs/port-parity.md.
"""

import copy
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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

# The published mappings: what an answer is split into, and the expressions that make an entity of each part.

TOKENS = {
    "uncached_input_tokens": "({0}.uncached_input_tokens // 0)",
    "output_tokens": "({0}.output_tokens // 0)",
    "cache_read_input_tokens": "({0}.cache_read_input_tokens // 0)",
    "cache_creation_5m_tokens": "({0}.cache_creation.ephemeral_5m_input_tokens // 0)",
    "cache_creation_1h_tokens": "({0}.cache_creation.ephemeral_1h_input_tokens // 0)",
    "web_search_requests": "({0}.server_tool_use.web_search_requests // 0)",
}
FIRST_RESULT = {name: expression.format(".results[0]") for name, expression in TOKENS.items()}
THIS_RESULT = {name: expression.format("") for name, expression in TOKENS.items()}
EVERY_RESULT = (
    ".data[] | select(.results | length > 0) | . as $bucket | .results[] | . + {bucket_date: $bucket.starting_at}"
)
ACTOR = '(.actor.api_key_name // .actor.email // "unknown")'


@dataclass(frozen=True)
class PublishedMapping:
    """A published mapping, as one jq program."""

    data_path: str
    identifier: str
    title: str
    properties: Mapping[str, str]

    def entities(self, body: Any) -> list[Json]:
        """The entities that it makes of an answer, in its order; numbers as the digits they show."""
        properties = ", ".join(f"{name}: ({expression})" for name, expression in self.properties.items())
        program = (
            f"[{self.data_path} | {{identifier: ({self.identifier}), title: ({self.title}), "
            f"properties: {{{properties}}}}}]"
        )
        entities: list[Json] = json.loads(jq.compile(program).input_value(body).text(), parse_float=Decimal)
        return entities


def _same(*names: str) -> dict[str, str]:
    return {name: f".{name}" for name in names}


PUBLISHED = {
    "claude_usage_record": PublishedMapping(
        ".data[]",
        '.starting_at[:10] + "-usage"',
        '"Claude Usage - " + .starting_at[:10]',
        {"record_date": ".starting_at", **FIRST_RESULT},
    ),
    "claude_cost_record": PublishedMapping(
        ".data[]",
        '.starting_at[:10] + "-cost"',
        '"Claude Cost - " + .starting_at[:10]',
        {
            "record_date": ".starting_at",
            "amount": '((.results[0].amount // "0") | tonumber)',
            "currency": '(.results[0].currency // "USD")',
        },
    ),
    "claude_workspace_usage": PublishedMapping(
        EVERY_RESULT,
        '(.workspace_id // "default") + "-" + .bucket_date[:10]',
        '(.workspace_id // "default") + " - " + .bucket_date[:10]',
        {"record_date": ".bucket_date", "workspace_id": '(.workspace_id // "default")', **THIS_RESULT},
    ),
    "claude_model_usage": PublishedMapping(
        EVERY_RESULT,
        '.model + "-" + .bucket_date[:10]',
        '.model + " - " + .bucket_date[:10]',
        {"record_date": ".bucket_date", "model": ".model", **THIS_RESULT},
    ),
    "claude_code_analytics": PublishedMapping(
        ".data[]",
        f'.organization_id + "-" + {ACTOR} + "-" + .date[:10]',
        f'{ACTOR} + " - " + .date[:10]',
        {
            "record_date": ".date",
            "organization_id": ".organization_id",
            "actor_type": ".actor.type",
            "actor_name": ACTOR,
            "terminal_type": ".terminal_type",
            "num_sessions": "(.core_metrics.num_sessions // 0)",
            "lines_added": "(.core_metrics.lines_of_code.added // 0)",
            "lines_removed": "(.core_metrics.lines_of_code.removed // 0)",
            "commits": "(.core_metrics.commits_by_claude_code // 0)",
            "pull_requests": "(.core_metrics.pull_requests_by_claude_code // 0)",
            "edit_tool_accepted": "(.tool_actions.edit_tool.accepted // 0)",
            "edit_tool_rejected": "(.tool_actions.edit_tool.rejected // 0)",
            "write_tool_accepted": "(.tool_actions.write_tool.accepted // 0)",
            "write_tool_rejected": "(.tool_actions.write_tool.rejected // 0)",
            "model_breakdown": ".model_breakdown",
        },
    ),
    "openai_daily_usage": PublishedMapping(
        ".",
        '"daily-" + (.timestamp // .aggregation_timestamp // "unknown")',
        '"OpenAI Usage " + (.timestamp // .aggregation_timestamp // "unknown")',
        {
            "date": '(.timestamp // .aggregation_timestamp // "" | split("T")[0])',
            "total_requests": ".total_requests // 0",
            "total_tokens": ".total_tokens // 0",
            "total_cost": "(.total_usage // 0) / 100",
        },
    ),
    "openai_model_usage": PublishedMapping(
        ".data[]",
        '.snapshot_id + "-" + ((.aggregation_timestamp // 0) | tostring)',
        '.snapshot_id + " usage"',
        {
            "model": ".snapshot_id",
            "date": '(.aggregation_timestamp // 0 | strftime("%Y-%m-%d"))',
            "requests": ".n_requests // 0",
            "tokens": "(.n_context_tokens_total // 0) + (.n_generated_tokens_total // 0)",
        },
    ),
    "cursorDailyUsage": PublishedMapping(
        ".data[]",
        '(.userId + "-" + .day)',
        '(.email + " " + .day)',
        {
            "day": '(if .day then (.day + "T00:00:00Z") else null end)',
            "user_id": ".userId",
            "email": ".email",
            "is_active": ".isActive",
            "total_lines_added": ".totalLinesAdded",
            "total_lines_deleted": ".totalLinesDeleted",
            "accepted_lines_added": ".acceptedLinesAdded",
            "accepted_lines_deleted": ".acceptedLinesDeleted",
            "total_applies": ".totalApplies",
            "total_accepts": ".totalAccepts",
            "total_rejects": ".totalRejects",
            "composer_requests": ".composerRequests",
            "chat_requests": ".chatRequests",
            "agent_requests": ".agentRequests",
            "most_used_model": ".mostUsedModel",
            "total_tabs_shown": ".totalTabsShown",
            "total_tabs_accepted": ".totalTabsAccepted",
            "subscription_included_reqs": ".subscriptionIncludedReqs",
            "api_key_reqs": ".apiKeyReqs",
            "usage_based_reqs": ".usageBasedReqs",
            "bugbot_usages": ".bugbotUsages",
        },
    ),
    "githubCopilotOrganizationUsage": PublishedMapping(
        ".[]",
        '(.__organization.login + "@" + .day)',
        '(.__organization.login + " copilot-metrics " + .day)',
        {
            "record_date": '.day + "T00:00:00Z"',
            **_same(
                "daily_active_users",
                "code_generation_activity_count",
                "code_acceptance_activity_count",
                "loc_suggested_to_add_sum",
                "loc_added_sum",
                "user_initiated_interaction_count",
            ),
            "git_hub_org": ".__organization.login",
            **_same(
                "weekly_active_users",
                "monthly_active_chat_users",
                "monthly_active_agent_users",
                "loc_suggested_to_delete_sum",
                "loc_deleted_sum",
            ),
            "prs_created_by_copilot": ".pull_requests.total_created_by_copilot",
            "prs_reviewed_by_copilot": ".pull_requests.total_reviewed_by_copilot",
            "prs_merged_by_copilot": ".pull_requests.total_merged_created_by_copilot",
            "total_copilot_applied_suggestions": ".pull_requests.total_copilot_applied_suggestions",
        },
    ),
    "githubCopilotUserUsage": PublishedMapping(
        ".[]",
        '(.user_login + "@" + .__organization.login + "@" + .day)',
        '(.user_login + "@" + .__organization.login + "@" + .day)',
        {
            "record_date": '.day + "T00:00:00Z"',
            **_same(
                "user_initiated_interaction_count",
                "code_generation_activity_count",
                "code_acceptance_activity_count",
                "loc_suggested_to_add_sum",
                "loc_suggested_to_delete_sum",
                "loc_added_sum",
                "loc_deleted_sum",
            ),
            "git_hub_org": ".__organization.login",
            "username": ".user_login",
            **_same("used_agent", "used_chat"),
        },
    ),
}
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

    def both(self, name: str, body: Json, **options: Any) -> tuple[list[Json], list[Json]]:
        """The published mapping's entities and ours, of one answer."""
        published = sorted(PUBLISHED[name].entities(body), key=lambda entity: str(entity["identifier"]))
        return published, self.entities(name, {SOURCE[name]: body}, **options)


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


def code(**changes: Any) -> Json:
    """The official Claude Code record, changed; used by an API key unless stated."""
    record: Json = official("anthropic/claude_code")["data"][0]
    return record | {"actor": {"type": "api_actor", "api_key_name": "ci-key"}} | changes


def body(*data: Json) -> Json:
    return {"data": list(data), "has_more": False, "next_page": None}


def scaled(entities: Sequence[Json], change: Callable[[Json], Json]) -> list[Json]:
    """The entities with their properties changed."""
    return [{**entity, "properties": entity["properties"] | change(entity["properties"])} for entity in entities]


def in_dollars(breakdown: Sequence[Json]) -> list[Json]:
    """A model_breakdown whose amounts are cents."""
    return [
        use
        | {"estimated_cost": use["estimated_cost"] | {"amount": Decimal(str(use["estimated_cost"]["amount"])) / 100}}
        for use in breakdown
    ]


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
        assert list(mapping.properties) == list(blueprint(name)["schema"]["properties"]), name


def test_days_of_one_result_and_days_of_none_give_the_same_usage_records(ours: Pipeline) -> None:
    source = "anthropic/usage_messages"
    published, found = ours.both(
        "claude_usage_record",
        body(bucket(source, {}), bucket(source, day=1), bucket(source, {"output_tokens": 7}, day=2)),
    )
    assert [entity["properties"]["output_tokens"] for entity in found] == [500, 0, 7]
    assert found == published


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


def test_the_default_workspace_is_called_the_same(ours: Pipeline) -> None:
    published, found = ours.both(
        "claude_workspace_usage", body(bucket("anthropic/usage_messages", {"workspace_id": None}))
    )
    assert found[0]["identifier"] == "default-2025-08-01"
    assert found == published


def test_days_of_one_cost_and_days_of_none_give_the_same_cost_records_in_dollars(ours: Pipeline) -> None:
    source = "anthropic/cost_report"
    published, found = ours.both(
        "claude_cost_record", body(bucket(source, {}), bucket(source, day=1), bucket(source, {"amount": "7"}, day=2))
    )
    assert [entity["properties"]["amount"] for entity in found] == [Decimal("1.2378912"), 0, Decimal("0.07")]
    assert found == scaled(published, lambda properties: {"amount": Decimal(properties["amount"]) / 100})


def test_one_record_an_api_key_gives_the_same_entities_with_estimates_in_dollars(ours: Pipeline) -> None:
    published, found = ours.both(
        "claude_code_analytics",
        body(code(), code(actor={"type": "api_actor", "api_key_name": "other-key"}), code(organization_id="another")),
    )
    assert len(found) == 3
    assert found == scaled(published, lambda p: {"model_breakdown": in_dollars(p["model_breakdown"])})


def completions(*results: Json) -> Json:
    """The official completions body, with its result changed: once for each of ``results``."""
    page = official("openai/usage_completions")
    [day] = page["data"]
    [original] = day["results"]
    return page | {"data": [day | {"results": [original | result for result in results]}]}


def costs(*results: Json) -> Json:
    page = official("openai/costs")
    [day] = page["data"]
    [original] = day["results"]
    return page | {"data": [day | {"results": [original | result for result in results]}]}


def dollars(value: str, currency: str | None = "usd") -> Json:
    return {"amount": {"value": value, "currency": currency}}


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


def test_openai_models_keep_identifier_properties_and_meaning(ours: Pipeline) -> None:
    """The published endpoint is closed to API keys: the same day in its shape, and in the shape of its successor."""
    legacy = legacy_usage(("gpt-4o", 5, 1000, 500), ("gpt-5", 1, 10, 3))
    of_gpt_5 = {"num_model_requests": 1, "input_tokens": 10, "output_tokens": 3}
    successor = completions({"model": "gpt-4o"}, {"model": "gpt-5", **of_gpt_5})
    found = ours.entities("openai_model_usage", {"openai/usage_completions": successor})
    assert found == PUBLISHED["openai_model_usage"].entities(legacy)


def test_openai_days_keep_identifier_properties_and_meaning(ours: Pipeline) -> None:
    """The published mapping on the answer that it describes, which no endpoint gives: a day with its totals."""
    described = {"timestamp": "2024-11-01", "total_requests": 5, "total_tokens": 1500, "total_usage": 6}
    found = ours.entities(
        "openai_daily_usage", {"openai/costs": official("openai/costs"), "openai/usage_completions": completions({})}
    )
    assert found == PUBLISHED["openai_daily_usage"].entities(described)


def test_the_old_endpoints_keep_identifier_properties_and_meaning(ours: Pipeline) -> None:
    """The published mappings on the answers that they were written for: a day of one line, a row a snapshot."""
    used = legacy_usage(("gpt-4o", 5, 1000, 500), ("gpt-5", 1, 10, 3))
    line = {"name": "GPT-4o", "cost": 6.0}
    billed = {"daily_costs": [{"timestamp": float(MIDNIGHT), "line_items": [line]}], "total_usage": 6.0}
    bodies: dict[str, Json] = {"openai_legacy/billing_usage": billed, "openai_legacy/usage": used}
    found = ours.entities("openai_legacy_model_usage", bodies, connection="openai")
    assert found == PUBLISHED["openai_model_usage"].entities(used)
    [published] = PUBLISHED["openai_daily_usage"].entities(billed)
    [day] = ours.entities("openai_legacy_daily_usage", bodies, connection="openai")
    assert (published["identifier"], day["identifier"]) == ("daily-unknown", "daily-2024-11-01"), "a departure"
    assert day["properties"]["total_cost"] == published["properties"]["total_cost"] == Decimal("0.06")
    assert (day["properties"]["total_requests"], day["properties"]["total_tokens"]) == (6, 1513)


# Departures, in the order of docs/port-parity.md


def test_departure_every_row_of_a_day_counts_and_not_the_first(ours: Pipeline) -> None:
    grouped = [{"output_tokens": 1, "api_key_id": "a"}, {"output_tokens": 2, "api_key_id": "b"}]
    [published], [found] = ours.both("claude_usage_record", body(bucket("anthropic/usage_messages", *grouped)))
    assert published["properties"]["output_tokens"] == 1
    assert found["properties"]["output_tokens"] == 3
    assert found["identifier"] == published["identifier"]


@pytest.mark.parametrize("name", ["claude_workspace_usage", "claude_model_usage"])
def test_departure_rows_of_one_workspace_or_model_are_added_and_the_last_does_not_win(
    name: str, ours: Pipeline
) -> None:
    grouped = [{"output_tokens": 1, "api_key_id": "a"}, {"output_tokens": 2, "api_key_id": "b"}]
    published, [found] = ours.both(name, body(bucket("anthropic/usage_messages", *grouped)))
    assert {entity["identifier"] for entity in published} == {found["identifier"]}
    assert [entity["properties"]["output_tokens"] for entity in published] == [1, 2]
    assert found["properties"]["output_tokens"] == 3


def test_departure_claude_costs_are_dollars_of_all_of_the_days_rows(ours: Pipeline) -> None:
    rows = [{"amount": "123.78912", "description": "a"}, {"amount": "0.21088", "description": "b"}]
    [published], [found] = ours.both("claude_cost_record", body(bucket("anthropic/cost_report", *rows)))
    assert published["properties"]["amount"] == Decimal("123.78912")
    assert found["properties"]["amount"] == Decimal("1.24")


def test_departure_a_record_date_is_always_spelled_the_same(ours: Pipeline) -> None:
    [published], [found] = ours.both("claude_code_analytics", body(code(date="2025-08-08T00:00:00.000+00:00")))
    assert published["properties"]["record_date"] == "2025-08-08T00:00:00.000+00:00"
    assert found["properties"]["record_date"] == "2025-08-08T00:00:00Z"
    assert found["identifier"] == published["identifier"]


def test_departure_an_identifier_that_port_would_refuse_is_made_valid(ours: Pipeline) -> None:
    key = {"type": "api_actor", "api_key_name": "Laptop key (Bob)"}
    [published], [found] = ours.both("claude_code_analytics", body(code(actor=key, organization_id="org")))
    assert published["identifier"] == "org-Laptop key (Bob)-2025-08-08"
    digest = hashlib.sha256(b"org-Laptop key (Bob)-2025-08-08").hexdigest()[:8]
    assert found["identifier"] == f"org-Laptop_key__Bob_-2025-08-08-{digest}"
    assert found["title"] == published["title"]
    assert found["properties"]["actor_name"] == published["properties"]["actor_name"]


@pytest.mark.parametrize("name", SOURCE)
def test_departure_entities_of_a_named_connection_have_its_name_before_them(name: str, ours: Pipeline) -> None:
    _, [default] = ours.both(name, official(SOURCE[name]))
    _, [named] = ours.both(name, official(SOURCE[name]), connection="emea")
    assert named == default | {"identifier": f"emea:{default['identifier']}"}


@pytest.mark.parametrize("currency", ["eur", None])
def test_departure_an_openai_day_with_another_currency_has_no_total(ours: Pipeline, currency: str | None) -> None:
    amounts = costs(dollars("5") | {"line_item": "a"}, dollars("1", currency) | {"line_item": "b"})
    [found] = ours.entities(
        "openai_daily_usage", {"openai/costs": amounts, "openai/usage_completions": completions({})}
    )
    assert found["properties"]["total_cost"] is None
    assert found["properties"]["total_requests"] == 5


def test_departure_an_openai_day_that_was_fetched_and_is_empty_has_zeros(ours: Pipeline) -> None:
    [found] = ours.entities("openai_daily_usage", {"openai/costs": costs(), "openai/usage_completions": completions()})
    assert found["properties"] == {"date": "2024-11-01", "total_requests": 0, "total_tokens": 0, "total_cost": 0}


def test_departure_rows_of_an_openai_model_are_added_and_not_overwritten(ours: Pipeline) -> None:
    """The published rows are of five minutes, and differ by key, project, user and operation, too."""
    legacy = [
        {"snapshot_id": "gpt-4o", "aggregation_timestamp": MIDNIGHT + 300 * n, "n_requests": 1} for n in (0, 0, 1)
    ]
    published = PUBLISHED["openai_model_usage"].entities({"data": legacy})
    assert [entity["identifier"] for entity in published] == [f"gpt-4o-{MIDNIGHT + 300 * n}" for n in (0, 0, 1)]
    rows = completions(*({"model": "gpt-4o", "project_id": project} for project in "abc"))
    [found] = ours.entities("openai_model_usage", {"openai/usage_completions": rows})
    assert (found["identifier"], found["properties"]["requests"]) == (f"gpt-4o-{MIDNIGHT}", 15)


def test_departure_rows_of_five_minutes_of_the_old_endpoint_are_added_up(ours: Pipeline) -> None:
    used = legacy_usage(*[("gpt-4o", 1, 10, 5)] * 3)
    used["data"][2]["aggregation_timestamp"] += 300
    published = PUBLISHED["openai_model_usage"].entities(used)
    assert len({entity["identifier"] for entity in published}) == 2, "of three rows, two collide"
    [found] = ours.entities("openai_legacy_model_usage", {"openai_legacy/usage": used}, connection="openai")
    assert found["identifier"] == f"gpt-4o-{MIDNIGHT}"
    assert found["properties"] == published[0]["properties"] | {"requests": 3, "tokens": 45}


def test_departure_openai_usage_without_a_model_is_unknown(ours: Pipeline) -> None:
    [found] = ours.entities("openai_model_usage", {"openai/usage_completions": completions({"model": None})})
    assert found["identifier"] == f"unknown-{MIDNIGHT}"
    assert found["properties"]["model"] == "unknown"


def test_departure_claude_usage_without_a_model_is_unknown(ours: Pipeline) -> None:
    [published], [found] = ours.both("claude_model_usage", body(bucket("anthropic/usage_messages", {"model": None})))
    assert (published["identifier"], published["properties"]["model"]) == ("-2025-08-01", None)
    assert (found["identifier"], found["title"]) == ("unknown-2025-08-01", "unknown - 2025-08-01")
    assert found["properties"] == published["properties"] | {"model": "unknown"}


def test_departure_costs_in_another_currency_are_an_entity_of_their_own_beside_zero_dollars(ours: Pipeline) -> None:
    [published], found = ours.both("claude_cost_record", body(bucket("anthropic/cost_report", {"currency": "eur"})))
    assert published["properties"]["currency"] == "eur"
    assert [(each["identifier"], each["title"], each["properties"]["amount"]) for each in found] == [
        ("2025-08-01-cost", "Claude Cost - 2025-08-01", 0),
        ("2025-08-01-cost-EUR", "Claude Cost - 2025-08-01 (EUR)", Decimal("1.2378912")),
    ]
    assert found[1]["properties"]["currency"] == "EUR"


def test_departure_a_person_is_known_by_address_and_not_unknown(ours: Pipeline) -> None:
    [published], [found] = ours.both("claude_code_analytics", official("anthropic/claude_code"))
    organization = "12345678-1234-5678-1234-567812345678"
    assert published["identifier"] == f"{organization}-unknown-2025-08-08"
    assert published["properties"]["actor_name"] == "unknown"
    assert found == {
        "identifier": f"{organization}-user@emaildomain.com-2025-08-08",
        "title": "user@emaildomain.com - 2025-08-08",
        "properties": published["properties"]
        | {
            "actor_name": "user@emaildomain.com",
            "model_breakdown": in_dollars(published["properties"]["model_breakdown"]),
        },
    }


def test_departure_a_persons_address_is_hashed_where_that_is_asked_for(ours: Pipeline) -> None:
    people = People("hash", "any long text")
    _, [found] = ours.both("claude_code_analytics", official("anthropic/claude_code"), people=people)
    name = people.only_id("user@emaildomain.com")
    assert name.startswith("person-")
    assert found["properties"]["actor_name"] == name
    assert found["title"] == f"{name} - 2025-08-08"
    assert "emaildomain" not in str(found)


def test_departure_rows_of_an_actor_and_its_models_are_added_and_terminals_listed(ours: Pipeline) -> None:
    records = [code(), code(terminal_type="vscode"), code(customer_type="subscription"), code(is_remote=True)]
    published, [found] = ours.both("claude_code_analytics", body(*records))
    assert [entity["identifier"] for entity in published] == [found["identifier"]] * 4
    assert found["properties"]["num_sessions"] == 4 * published[0]["properties"]["num_sessions"]
    assert found["properties"]["terminal_type"] == "iTerm.app, vscode"
    [opus, sonnet] = published[0]["properties"]["model_breakdown"]
    merged_opus, merged_sonnet = found["properties"]["model_breakdown"]
    assert merged_opus["tokens"] == {name: 4 * count for name, count in opus["tokens"].items()}
    assert merged_opus["estimated_cost"] == {"currency": "USD", "amount": Decimal("7.44")}
    assert merged_sonnet["estimated_cost"]["amount"] == Decimal(sonnet["estimated_cost"]["amount"]) * 4 / 100


def test_departure_a_key_that_is_named_like_a_person_stays_an_actor_of_its_own(ours: Pipeline) -> None:
    actors = [
        {"type": "api_actor", "api_key_name": "bob@example.com"},
        {"type": "user_actor", "email_address": "bob@example.com"},
    ]
    _, found = ours.both("claude_code_analytics", body(*(code(actor=actor, organization_id="org") for actor in actors)))
    assert [(entity["identifier"], entity["properties"]["actor_type"]) for entity in found] == [
        ("org-bob@example.com-2025-08-08", "api_actor"),
        ("org-bob@example.com:user_actor-2025-08-08", "user_actor"),
    ]


# Codex: ours, Port publishes none


def codex(**changes: Any) -> Json:
    """The documented row of a user with all that it can state, changed."""
    row: Json = json.loads((FIXTURES / "chatgpt/codex_usage/composed_user_rows.json").read_text())["data"][0]
    return row | changes


def test_a_codex_usage_record_has_the_providers_id_and_no_address(ours: Pipeline) -> None:
    [found] = ours.entities("codex_usage_record", {"chatgpt/codex_usage": body(codex())}, people=People("names"))
    assert found == {
        "identifier": "ws-user-abc-2026-11-02",
        "title": "user-abc - 2026-11-02",
        "properties": {
            "record_date": "2026-11-02T00:00:00Z",
            "workspace_id": "ws",
            "user_id": "user-abc",
            "scope": "user",
            "credits": Decimal("12.375"),
            "threads": 3,
            "turns": 12,
            "uncached_text_input_tokens": 20000,
            "cached_text_input_tokens": 50000,
            "text_output_tokens": 12500,
            "text_total_tokens": 82500,
            "cost_usd": None,
            "estimated_cost_usd": Decimal("0.495"),
        },
    }


def test_every_property_of_the_codex_blueprint_is_told_to_port_also_where_it_is_unknown(ours: Pipeline) -> None:
    [found] = ours.entities("codex_usage_record", {"chatgpt/codex_usage": body(codex(totals={}))})
    properties = blueprint("codex_usage_record")["schema"]["properties"]
    assert list(found["properties"]) == list(properties)
    assert {name for name, value in found["properties"].items() if value is not None} == {
        "record_date",
        "workspace_id",
        "user_id",
        "scope",
    }

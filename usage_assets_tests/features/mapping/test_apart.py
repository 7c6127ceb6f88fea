"""The script that computes a mapping's entities apart from the product, against a few that are computed by hand."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from usage_assets_sandbox.credentials import ANTHROPIC_ADMIN_KEY, OPENAI_ADMIN_KEY, PORT_CLIENT_ID, PORT_CLIENT_SECRET
from usage_assets_tests.conftest import Sandbox
from usage_assets_tests.features.mapping.apart import Entity, Key, entities_of, port_name, resources_in
from usage_assets_tests.features.mapping.blueprints import CHANGED_RELATIONS, blueprints_for

HERE = Path(__file__).parent
FILES = sorted((*HERE.glob("mended/*.yml"), *HERE.glob("changed/*.yml")), key=lambda path: path.name)
WEDNESDAY, THURSDAY = date(2026, 11, 18), date(2026, 11, 19)
CODE = "/v1/organizations/usage_report/claude_code"


def mapping(path: str) -> str:
    return (HERE / path).read_text()


def of_code(item: str, selector: str = "{query: 'true', data_path: '.data'}", **port: str) -> str:
    """A mapping of Claude Code's records: the lines of an entity, a selector and other keys of ``port``."""
    others = "".join(f"      {key}: {value}\n" for key, value in port.items())
    entity = f"      entity: {{mappings: {{blueprint: '\"b\"', {item}}}}}\n"
    return f"resources:\n  - kind: {CODE}\n    selector: {selector}\n    port:\n{others}{entity}"


def anthropic(sandbox: Sandbox, path: str, day: date, *more: tuple[str, str]) -> list[dict[str, Any]]:
    """What the emulator answers about a day: its results, or its records of Claude Code."""
    is_code, following = path == CODE, day + timedelta(days=1)
    bounds = [("starting_at", f"{day}T00:00:00Z"), ("ending_at", f"{following}T00:00:00Z")]
    asked = [("starting_at", f"{day}"), ("limit", "1000")] if is_code else bounds
    answer = httpx.get(
        f"{sandbox.base_url}/anthropic{path}",
        params=[*asked, *more],
        headers={"x-api-key": ANTHROPIC_ADMIN_KEY, "anthropic-version": "2023-06-01"},
    )
    data: list[dict[str, Any]] = answer.raise_for_status().json()["data"]
    return data if is_code else [result for bucket in data for result in bucket["results"]]


def of_blueprint(entities: dict[Key, Entity], blueprint: str) -> dict[str, Entity]:
    return {identifier: entity for (of, identifier), entity in entities.items() if of == blueprint}


def test_all_blocks_of_the_page_count() -> None:
    kinds = [resource["kind"].rsplit("/", 1)[1] for resource in resources_in(mapping("official/claude.yml"))]
    assert kinds == ["messages", "cost_report", "messages", "messages", "claude_code"]


def test_the_page_s_entities(sandbox: Sandbox) -> None:
    entities = entities_of(sandbox.base_url, mapping("mended/claude.yml"), [THURSDAY])
    fine = anthropic(
        sandbox,
        "/v1/organizations/usage_report/messages",
        THURSDAY,
        *(("group_by[]", name) for name in ("workspace_id", "model", "service_tier", "context_window")),
    )
    assert len(fine) > len({row["model"] for row in fine}) > 1
    day = entities["claude_usage_record", "2026-11-19-usage"]
    assert day["title"] == "Claude Usage - 2026-11-19"
    assert day["properties"]["output_tokens"] == sum(row["output_tokens"] for row in fine)
    default = entities["claude_workspace_usage", "default-2026-11-19"]["properties"]
    assert default == {
        "record_date": "2026-11-19T00:00:00Z",
        "workspace_id": "default",
        "uncached_input_tokens": sum(row["uncached_input_tokens"] for row in fine if row["workspace_id"] is None),
        "output_tokens": 13262,
        "cache_read_input_tokens": 45120,
        "cache_creation_5m_tokens": 1240,
        "cache_creation_1h_tokens": 328,
        "web_search_requests": 0,
    }
    assert {*of_blueprint(entities, "claude_model_usage")} == {f"{row['model']}-2026-11-19" for row in fine}
    cents = [Decimal(row["amount"]) for row in anthropic(sandbox, "/v1/organizations/cost_report", THURSDAY)]
    amount = entities["claude_cost_record", "2026-11-19-cost"]["properties"]["amount"]
    assert amount == pytest.approx(float(sum(cents) / 100), rel=1e-14)


def test_the_last_of_a_person_s_records_wins(sandbox: Sandbox) -> None:
    entities = entities_of(sandbox.base_url, mapping("mended/claude.yml"), [THURSDAY])
    records = anthropic(sandbox, CODE, THURSDAY)
    of_alice = [record for record in records if record["actor"].get("email_address", "").startswith("alice@")]
    assert len(of_alice) > 1
    organization = of_alice[-1]["organization_id"]
    alice = entities["claude_code_analytics", f"{organization}-alice@acme-robotics.example-2026-11-19"]["properties"]
    assert alice["terminal_type"] == of_alice[-1]["terminal_type"]
    assert alice["lines_added"] == of_alice[-1]["core_metrics"]["lines_of_code"]["added"]
    assert alice["model_breakdown"] == of_alice[-1]["model_breakdown"]


def test_filters_are_the_mapping_s_own(sandbox: Sandbox) -> None:
    entities = entities_of(sandbox.base_url, mapping("changed/filters.yml"), [THURSDAY])
    groups = [("group_by[]", "workspace_id"), ("group_by[]", "model")]
    fine = anthropic(sandbox, "/v1/organizations/usage_report/messages", THURSDAY, *groups)
    products = {"wrkspc_01a7ac48cd79a342f01f39e352", "wrkspc_0159665371dc5f63169f5649e0"}
    sonnet = [row for row in fine if row["model"] == "claude-sonnet-5"]
    chosen = [row["output_tokens"] for row in sonnet if row["workspace_id"] in products]
    assert len(sonnet) > len(chosen) == 2
    entity = entities["my_product_model_usage", "claude-sonnet-5-2026-11-19"]["properties"]
    assert (entity["output_tokens"], entity["workspace"]) == (sum(chosen), None)
    lines = of_blueprint(entities, "my_cost_line").values()
    total = entities_of(sandbox.base_url, mapping("mended/claude.yml"), [THURSDAY])
    whole = total["claude_cost_record", "2026-11-19-cost"]["properties"]["amount"]
    assert sum(line["properties"]["dollars"] for line in lines) == pytest.approx(whole, rel=1e-12)


def test_openai_s_projects_and_models(sandbox: Sandbox) -> None:
    entities = entities_of(sandbox.base_url, mapping("changed/openai.yml"), [THURSDAY])
    start = int(datetime(2026, 11, 19, tzinfo=UTC).timestamp())
    answer = httpx.get(
        f"{sandbox.base_url}/openai/v1/organization/costs",
        params={"start_time": start, "end_time": start + 86_400},
        headers={"Authorization": f"Bearer {OPENAI_ADMIN_KEY}"},
    )
    (result,) = answer.json()["data"][0]["results"]
    projects = of_blueprint(entities, "my_project_cost").values()
    assert len(projects) > 1
    assert sum(project["properties"]["dollars"] for project in projects) == pytest.approx(
        float(result["amount"]["value"]), rel=1e-12
    )
    day = entities["my_openai_day", "completions-2026-11-19"]["properties"]
    models = of_blueprint(entities, "my_openai_model_usage").values()
    assert sum(model["properties"]["requests"] for model in models) == day["requests"] > 0


def test_each_element_of_a_list_is_an_item(sandbox: Sandbox) -> None:
    entities = entities_of(sandbox.base_url, mapping("changed/items.yml"), [THURSDAY])
    records = anthropic(sandbox, CODE, THURSDAY)
    used = [model for record in records for model in record["model_breakdown"]]
    by_model = of_blueprint(entities, "my_code_by_model")
    assert len(by_model) == len(used)
    assert {entity["properties"]["list_left"] for entity in by_model.values()} == {None}
    cents = sum(Decimal(str(model["estimated_cost"]["amount"])) for model in used)
    dollars = sum(entity["properties"]["cost"] for entity in by_model.values())
    assert dollars == pytest.approx(float(cents / 100), rel=1e-12)
    shares = of_blueprint(entities, "my_share_of_a_model").values()
    assert {share["properties"]["models_in_record"] for share in shares} == {1, 2}


def test_the_newest_day_of_an_identifier_wins(sandbox: Sandbox) -> None:
    def last_used() -> str:
        entities = entities_of(sandbox.base_url, mapping("changed/identifiers.yml"), [THURSDAY, WEDNESDAY])
        moment: str = entities["my_workspace_today", "default"]["properties"]["last_used"]
        return moment

    assert last_used() == "2026-11-19T00:00:00Z"
    cleared = {"provider": "anthropic", "endpoint": "usage_messages", "days": [str(THURSDAY)], "change": "clear"}
    sandbox.control("POST", "restate", cleared)
    assert last_used() == "2026-11-18T00:00:00Z"


def test_relations_lead_to_the_entities_of_other_resources(sandbox: Sandbox) -> None:
    entities = entities_of(sandbox.base_url, mapping("changed/relations.yml"), [THURSDAY])
    workspaces, models = (of_blueprint(entities, name) for name in ("my_workspace", "my_model"))
    related = [entity["relations"] for entity in of_blueprint(entities, "my_workspace_usage").values()]
    assert {each["workspace"] for each in related} == {None, *workspaces}
    assert {model for each in related for model in each["models"]} == {*models}
    assert all(name.startswith("Model__claude-") for name in models)


def test_names_that_port_takes() -> None:
    assert port_name("wrkspc_01:a/b\\c=d@e.f+é") == "wrkspc_01:a/b\\c=d@e.f+é"
    assert port_name("Laptop key (Bob)") == "Laptop_key__Bob_-cf3bff09"
    assert port_name("a" * 1000) == "a" * 1000
    assert len(port_name("a" * 1001)) == len(port_name("(" * 2000)) == 1000


def test_all_pages_are_one_body(sandbox: Sandbox) -> None:
    counted = of_code(
        "identifier: '\"all\"', properties: {count: .data | length, more: .has_more, next: .next_page}",
        "{query: 'true'}",
    )
    sandbox.faults({"route": f"GET /anthropic{CODE}", "fault": "short_page", "size": 10})
    entities = entities_of(sandbox.base_url, counted, [THURSDAY])
    asked = [each for each in sandbox.requests() if each["path"].endswith("claude_code")]
    assert entities["b", "all"]["properties"] == {"count": 26, "more": False, "next": None}
    assert len(asked) == 3


@pytest.mark.parametrize("failing", ['"no " + 1', "error", "empty", "null"])
def test_what_fails(sandbox: Sandbox, failing: str) -> None:
    day = [THURSDAY]
    null = entities_of(sandbox.base_url, of_code(f"identifier: '\"one\"', properties: {{p: '{failing}'}}"), day)
    assert null == {("b", "one"): {"title": None, "properties": {"p": None}, "relations": {}}}
    with pytest.raises(ValueError, match="no"):
        entities_of(sandbox.base_url, of_code(f"identifier: '{failing}'"), day)


def test_now_is_when_the_answer_was_stored(sandbox: Sandbox) -> None:
    stamped = of_code("identifier: '\"one\"', properties: {at: now | todate}")
    entities = entities_of(sandbox.base_url, stamped, [THURSDAY], stored_at=1_000_000_000)
    assert entities["b", "one"]["properties"] == {"at": "2001-09-09T01:46:40Z"}


def test_two_resources_may_not_make_one_entity(sandbox: Sandbox) -> None:
    one = of_code("identifier: '\"one\"'")
    with pytest.raises(ValueError, match="two resources"):
        entities_of(sandbox.base_url, one + one, [THURSDAY])


@pytest.mark.parametrize("path", FILES, ids=[f"{path.parent.name}-{path.stem}" for path in FILES])
def test_port_takes_the_entities(sandbox: Sandbox, path: Path) -> None:
    entities = entities_of(sandbox.base_url, path.read_text(), [THURSDAY])
    with httpx.Client(base_url=f"{sandbox.base_url}/port/v1") as port:
        credentials = {"clientId": PORT_CLIENT_ID, "clientSecret": PORT_CLIENT_SECRET}
        token = port.post("/auth/access_token", json=credentials).json()["accessToken"]
        port.headers["Authorization"] = f"Bearer {token}"
        for blueprint in blueprints_for(entities, CHANGED_RELATIONS):
            name = blueprint["identifier"]
            assert port.post("/blueprints", json=blueprint).is_success
            bodies = [{"identifier": own, **entity} for own, entity in of_blueprint(entities, name).items()]
            for first in range(0, len(bodies), 20):
                answer = port.post(
                    f"/blueprints/{name}/entities/bulk",
                    params={"upsert": "true"},
                    json={"entities": bodies[first : first + 20]},
                )
                assert answer.json()["errors"] == []
            stored = port.get(f"/blueprints/{name}/entities-count").json()
            assert stored["count"] == len(bodies)

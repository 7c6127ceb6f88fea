"""Bodies of the world through mappings: what a careful reader expects of each, worked out by hand.

The bodies are those of ``fixtures/recorded``, whose ``meaning.toml`` says where each is from, and those below. What is
expected was written down before the product had computed it.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from usage_assets.config.settings import Connection
from usage_assets.core.days import Window
from usage_assets.core.people import People
from usage_assets.providers import PROVIDERS
from usage_assets_mapping.answering import Answers, answers_for
from usage_assets_mapping.entities import entities_of
from usage_assets_mapping.evaluating import Evaluator
from usage_assets_mapping.questions import answer_to
from usage_assets_mapping.reading import Resource, read
from usage_assets_mapping_tests.test_answering import archived, resource
from usage_assets_tests.connections import connection as connection_of
from usage_assets_tests.models.days import lines
from usage_assets_tests.providers.recorded import RECORDED

MENDED = Path(__file__).parent / "mended"
[OF_DAY, COSTS, OF_WORKSPACES, OF_MODELS, CODE] = read(MENDED / "claude.yml").resources
[LEGACY_COSTS, LEGACY_USE] = read(MENDED / "codex.yml").resources
CLAUDE, USE, BILL = "anthropic", "/v1/organizations/usage_report/messages", "/v1/organizations/cost_report"
OPENAI, COMPLETIONS, SPENT = "openai", "/organization/usage/completions", "/organization/costs"
JSON = Mapping[str, Any]

# Bodies that are not in fixtures/recorded -----------------------------------------------------------------------------

LIVE_COSTS = json.loads("""
{"starting_at": "2025-09-17T00:00:00Z", "ending_at": "2025-09-18T00:00:00Z", "results": [
  {"currency": "USD", "amount": "83391.52823", "workspace_id": null, "description": null, "cost_type": null,
    "context_window": null, "model": null, "service_tier": null, "token_type": null}
]}
""")
"""Observed: a live cost report of October 2025 without groups (find_string "Claude Admin API - ALL Metadata Fields are
NULL"). It has no ``inference_geo``. The source reads cents as dollars."""
TEXT_AMOUNTS = json.loads("""
{"start_time": 1785283200, "end_time": 1785369600, "results": [
  {"amount": {"value": "0.0042", "currency": "usd"}, "line_item": "gpt-5, input", "project_id": "proj_1"},
  {"amount": {"value": "12.50", "currency": "usd"}, "line_item": "Text tokens", "project_id": "proj_1"},
  {"amount": {"value": "0E-10", "currency": "usd"}, "line_item": "gpt-5, output", "project_id": "proj_2"}
]}
""")
"""Composed of amounts that were observed as texts: "0.0042", and zeros with an exponent, in mozilla/bigquery-etl pull
request 9739 of 2026-07-29, and "12.50" in steipete/CodexBar issue 999."""


# From a body to entities ----------------------------------------------------------------------------------------------


def body_of(name: str) -> bytes:
    return (RECORDED / f"{name}.json").read_bytes()


def page(bucket: JSON) -> JSON:
    return {"data": [bucket], "has_more": False, "next_page": None}


def between(first: str, last: str | None = None) -> Window:
    return Window(date.fromisoformat(first), date.fromisoformat(last or first))


def answered(folder: Path, asked: Resource, by: Connection, pages: Sequence[object], window: Window) -> Answers:
    """What an archive with these pages answers to a resource."""
    answer = answer_to(asked, by)
    assert answer
    is_whole = answer.how == "archived" and not answer.groups
    endpoint = answer.endpoint.ungrouped if is_whole else answer.endpoint
    return answers_for(archived(folder, by.provider, endpoint, pages, People(), window), answer, window.days)


def entities(
    folder: Path, asked: Resource, provider: str, pages: Sequence[object], window: Window
) -> dict[str, Mapping[str, Any]]:
    """Identifier -> properties of all days."""
    found = answered(folder, asked, connection_of(provider), pages, window)
    assert found.refused == {}
    made: dict[str, Mapping[str, Any]] = {}
    with Evaluator() as evaluator:
        for each in found.found.values():
            mapped = entities_of(evaluator, asked, each.body)
            assert mapped.failures == {}
            assert not {entity.identifier for entity in mapped.entities} & made.keys()
            made |= {entity.identifier: entity.properties for entity in mapped.entities}
            assert len({entity.identifier for entity in mapped.entities}) == len(mapped.entities)
    return made


def results(folder: Path, provider: str, kind: str, pages: Sequence[object], day: str, **asked: object) -> list[Any]:
    """The results of a day's only bucket, as JQ gets them. Amounts are as they are written."""
    params = {name.replace("__", "[]"): value for name, value in asked.items()}
    found = answered(folder, resource(folder, kind, params), connection_of(provider), pages, between(day))
    [body] = [each.body for each in found.found.values()]
    [bucket] = json.loads(body, parse_float=str)["data"]
    kept: list[Any] = bucket["results"]
    return kept


def tokens(uncached: int, output: int, read: int = 0, write_5m: int = 0, write_1h: int = 0, searches: int = 0) -> JSON:
    """The counters of an entity of Claude's usage."""
    return {
        "uncached_input_tokens": uncached,
        "output_tokens": output,
        "cache_read_input_tokens": read,
        "cache_creation_5m_tokens": write_5m,
        "cache_creation_1h_tokens": write_1h,
        "web_search_requests": searches,
    }


def counters(properties: JSON) -> JSON:
    return {name: value for name, value in properties.items() if name in tokens(0, 0)}


# The two pages as they are mended -------------------------------------------------------------------------------------

MESSAGES = {
    # 1500 + 100 and 500 + 50; the second row states no cache counters
    "row_without_cache_counters": """
        2023-11-14-usage                            1600 550 200 500 1000
        2023-11-15-usage                            200 100 300
        default-2023-11-14                          1600 550 200 500 1000
        default-2023-11-15                          200 100 300
        claude-sonnet-4-20250514-2023-11-14         1500 500 200 500 1000
        claude-opus-4-20250514-2023-11-14           100 50
        claude-sonnet-4-20250514-2023-11-15         200 100 300
    """,
    # 1,000,000 + 10 and 100,000 + 5; cache_creation of the second row is {}
    "empty_cache_creation": """
        2026-06-01-usage                            1000010 100005 2000000 1000000 500000
        default-2026-06-01                          1000010 100005 2000000 1000000 500000
        claude-sonnet-4-6-2026-06-01                1000000 100000 2000000 1000000 500000
        claude-3-opus-20240229-2026-06-01           10 5
    """,
    # standard and batch: 100,000 + 50,000; 30,000 + 20,000; 3000 + 3000; 2000 + 2000; 20,000 + 15,000
    "standard_and_batch_hour": """
        2025-01-08-usage                            150000 35000 50000 6000 4000
        wrkspc_01ExampleWorkspace01-2025-01-08      150000 35000 50000 6000 4000
        claude-sonnet-4-20250514-2025-01-08         150000 35000 50000 6000 4000
    """,
}
"""Fixture -> the counters of each entity of days, workspaces and models."""


def test_usage_of_claude_is_what_a_careful_reader_expects(tmp_path: Path) -> None:
    for name, text in MESSAGES.items():
        expected = {identifier: tokens(*map(int, counts.split())) for identifier, counts in lines(text)}
        window = between(
            *(identifier.removesuffix("-usage") for identifier in expected if identifier.endswith("usage"))
        )
        made: dict[str, JSON] = {}
        for asked in (OF_DAY, OF_WORKSPACES, OF_MODELS):
            found = entities(tmp_path / name, asked, CLAUDE, [body_of(f"{CLAUDE}/usage_messages_{name}")], window)
            assert {properties["record_date"] for properties in found.values()} == {
                f"{day}T00:00:00Z" for day in window.days
            }
            made |= {each: counters(properties) for each, properties in found.items()}
        assert made == expected, name


# Mappings that are changed --------------------------------------------------------------------------------------------


def test_amounts_of_thirty_decimals_are_added_exactly(tmp_path: Path) -> None:
    """Composed: amounts of OpenAI have had 30 decimals (costs_dashboard_export_30_decimals)."""
    of_first = {"amount": "12345.000000000000000000000000000001", "currency": "USD", "workspace_id": "w"}
    of_second = {"amount": "0.25", "currency": "USD", "workspace_id": "w", "description": "other"}
    bucket = {**LIVE_COSTS, "results": [of_first, of_second]}
    [added] = results(tmp_path, CLAUDE, BILL, [page(bucket)], "2025-09-17", group_by__="workspace_id")
    assert added["amount"] == "12345.250000000000000000000000000001"


def test_costs_of_openai_stay_numbers_or_texts(tmp_path: Path) -> None:
    lines = body_of(f"{OPENAI}/costs_line_items_two_days")
    window = between("2025-08-01", "2025-08-02")
    asked = resource(tmp_path, SPENT, {"group_by": "project_id"})
    found = answered(tmp_path, asked, connection_of(OPENAI), [lines], window)
    amounts = [json.loads(found.found[day].body)["data"][0]["results"][0]["amount"] for day in window.days]
    assert amounts == [{"value": 2.0, "currency": "usd"}, {"value": 2.5, "currency": "usd"}]  # 1.50 + 0.50
    texts = results(tmp_path, OPENAI, SPENT, [page(TEXT_AMOUNTS)], "2026-07-29", group_by="project_id")
    assert [each["amount"]["value"] for each in texts] == ["12.5042", "0.0000000000"]


def test_a_line_item_of_several_units_is_one_result(tmp_path: Path) -> None:
    """Composed by the official schema: a unit is null if no single one applies to the result."""
    projects = {"proj_a": ("0.06", 10_000, "tokens"), "proj_b": ("2", None, None), "proj_c": ("3", 5, "tokens")}
    rows = [
        {
            "amount": {"value": value, "currency": "usd"},
            "line_item": "input_tokens",
            "project_id": project,
            "quantity": quantity,
            "quantity_unit": unit,
        }
        for project, (value, quantity, unit) in projects.items()
    ]
    for left, expected in ((rows, ("5.06", None, None)), (rows[::2], ("3.06", 10_005, "tokens"))):
        bucket = {**TEXT_AMOUNTS, "results": left}
        folder = tmp_path / str(len(left))
        folder.mkdir()
        [line] = results(folder, OPENAI, SPENT, [page(bucket)], "2026-07-29", group_by="line_item")
        assert (line["amount"]["value"], line["quantity"], line["quantity_unit"]) == expected


def test_an_official_answer_that_calls_its_rows_otherwise_is_refused(tmp_path: Path) -> None:
    body = body_of(f"{OPENAI}/costs_official_result_instead_of_results")
    asked = resource(tmp_path, SPENT, {"group_by": "project_id"})
    found = answered(tmp_path, asked, connection_of(OPENAI), [body], between("1970-01-01"))
    assert found.found == {}
    [why] = found.refused.values()
    assert "results (1970-01-01): the field is missing" in why


def test_a_day_that_was_not_grouped_so_is_refused_by_name(tmp_path: Path) -> None:
    endpoint = next(each for each in PROVIDERS[CLAUDE].endpoints if each.name == "usage_messages")
    pages, window = [body_of(f"{CLAUDE}/usage_messages_standard_and_batch_hour")], between("2025-01-08")
    replay = archived(tmp_path, CLAUDE, endpoint, pages, People(), window, ["workspace_id"])
    for asked, reason in ((OF_WORKSPACES, {}), (OF_MODELS, {window.first: "group 2025-01-08 by model"})):
        answer = answer_to(asked, connection_of(CLAUDE))
        assert answer
        found = answers_for(replay, answer, window.days)
        assert found.found.keys() == {*window.days} - reason.keys()
        assert [*found.refused] == [*reason]
        assert all(reason[day] in said for day, said in found.refused.items())

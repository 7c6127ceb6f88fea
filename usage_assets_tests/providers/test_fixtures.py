"""Recorded bodies of every provider and endpoint become rows: the official ones with exactly these values."""

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from usage_assets.core.people import People
from usage_assets.fetching.page_parser import PageParser
from usage_assets.fetching.scope import Scope
from usage_assets.providers.records import ShapeError
from usage_assets_tests.fetching.conftest import EVERY_ENDPOINT
from usage_assets_tests.providers.bodies import ALWAYS, ASKED_FOR, BODIES, SOUND, SPOILT, WINDOWS, page_in


def read(name: str) -> list[dict[str, Any]]:
    """The rows of a fixture."""
    file = BODIES[name]
    provider, endpoint = EVERY_ENDPOINT[f"{file.parts[-3]}/{file.parts[-2]}"]
    window = WINDOWS.get(provider.name, ALWAYS)
    query = {"group": "workspace"} if "workspace" in file.name else {}
    parser = PageParser(
        Scope(connection="fixture", ids={"workspace_id": "ws-fixture", "organization": "acme"}, people=People("names")),
        window,
        query,
        endpoint.group_by,
    )
    body = msgspec.json.Decoder(float_hook=Decimal).decode(page_in(name))
    body = endpoint.page(body, window) if endpoint.page else body
    found = parser.read(endpoint.row, endpoint.item, endpoint.records, body["data"], endpoint.items)
    assert found == len(parser.tables[0])
    assert bool(parser.unknown_fields) == ("unknown" in file.name)
    rows: list[dict[str, Any]] = pa.concat_tables(parser.tables).to_pylist()
    return rows


def test_a_sound_body_becomes_rows(subtests: pytest.Subtests) -> None:
    for name in sorted(SOUND):
        with subtests.test(name):
            rows = read(name)
            assert all(row["connection"] == "fixture" and row["usage_date"] in ALWAYS for row in rows)
            assert rows or "no_data" in name or "empty_tail" in name


def test_a_spoilt_body_is_refused(subtests: pytest.Subtests) -> None:
    for name in sorted(SPOILT):
        with subtests.test(name), pytest.raises(ShapeError, match=r"\$\.(data|usageEvents)\[0\]"):
            read(name)


def known(row: dict[str, Any]) -> dict[str, Any]:
    """What a row says beside connection and grouping."""
    return {
        name: value for name, value in row.items() if value is not None and name not in ("connection", "grouped_by")
    }


def test_official_anthropic_costs_are_cents() -> None:
    assert list(map(known, read("anthropic/cost_report/official.json"))) == [
        {
            "usage_date": date(2025, 8, 1),
            "workspace_id": "wrkspc_01JwQvzr7rXLA5AGx3HKfFUJ",
            "description": "Claude Opus 5 Usage - Input Tokens",
            "cost_type": "tokens",
            "model": "claude-opus-5",
            "service_tier": "standard",
            "token_type": "uncached_input_tokens",
            "context_window": "0-200k",
            "inference_geo": "global",
            "amount_cents": Decimal("123.78912"),
            "currency": "USD",
        }
    ]


def test_official_claude_code() -> None:
    assert list(map(known, read("anthropic/claude_code/official.json"))) == [
        {
            "usage_date": date(2025, 8, 8),
            "organization_id": "12345678-1234-5678-1234-567812345678",
            "actor_type": "user_actor",
            "actor_email": "user@emaildomain.com",
            "terminal_type": "iTerm.app",
            "customer_type": "api",
            "subscription_type": "enterprise",
            "is_remote": False,
            "occurrence": 1,
            "num_sessions": 15,
            "lines_added": 342,
            "lines_removed": 128,
            "commits": 8,
            "pull_requests": 2,
            "edit_tool_accepted": 25,
            "edit_tool_rejected": 3,
            "multi_edit_tool_accepted": 12,
            "multi_edit_tool_rejected": 1,
            "write_tool_accepted": 8,
            "write_tool_rejected": 0,
            "notebook_edit_tool_accepted": 5,
            "notebook_edit_tool_rejected": 2,
            "model_breakdown": (
                '[{"cache_creation":2340,"cache_read":8790,"currency":"USD","estimated_cost_cents":"186",'
                '"input":45230,"model":"claude-opus-5","output":12450},'
                '{"cache_creation":890,"cache_read":3420,"currency":"USD","estimated_cost_cents":"42",'
                '"input":23100,"model":"claude-sonnet-5","output":5680}]'
            ),
            "estimated_cost_usd_cents": Decimal(228),
        }
    ]


def test_amounts_that_are_strings_are_amounts() -> None:
    rows = read("openai/costs/observed_string_amounts.json")
    assert {type(row["amount_value"]) for row in rows} == {Decimal}
    assert Decimal("12.50") in {row["amount_value"] for row in rows}


def test_the_illustrative_codex_row_is_tagged_and_states_no_dollars() -> None:
    assert list(map(known, read("chatgpt/codex_usage/composed_illustrative.json"))) == [
        {
            "usage_date": date(2026, 5, 1),
            "cut": "user",
            "workspace_id": "ws-fixture",
            "user_id": "wsu_abc",
            "user_email": "someone@example.com",
            "shape": "illustrative",
            "occurrence": 1,
            "threads": 12,
            "turns": 48,
            "credits": Decimal(1234),
            "cached_text_input_tokens": 20000,
            "text_output_tokens": 5000,
            "text_input_tokens": 100000,
        }
    ]


def test_a_legacy_day_is_its_lines_and_its_stated_total() -> None:
    rows = list(map(known, read("openai_legacy/billing_usage/composed_daily_lines.json")))
    assert {row.pop("usage_date") for row in rows} == {ASKED_FOR.first}
    assert rows == [
        {"total_usage_cents": Decimal("1234.86")},
        {"name": "GPT-4", "cost_cents": Decimal("1234.5600000000002")},
        {"name": "Chat models", "cost_cents": Decimal("0.30000000000000004")},
        {"name": "Fine-tuning models", "cost_cents": Decimal(0)},
    ]


def test_ai_credits_keep_three_amounts_and_three_quantities() -> None:
    first, second = map(known, read("github_copilot/ai_credits/composed_two_models.json"))
    assert first == {
        "usage_date": ASKED_FOR.first,
        "product": "Copilot",
        "sku": "Copilot AI Credits",
        "model": "Claude Sonnet 4.5",
        "unit_type": "ai-credits",
        "unit": "ai-credits",
        "price_per_unit": Decimal("0.01"),
        "gross_quantity": Decimal("812.5"),
        "discount_quantity": Decimal(300),
        "net_quantity": Decimal("512.5"),
        "gross_amount": Decimal("8.125"),
        "discount_amount": Decimal(3),
        "net_amount": Decimal("5.125"),
    }
    assert second["net_amount"] == 0


def test_all_products_are_kept_and_a_day_may_be_a_moment() -> None:
    rows = {row["product"]: row for row in read("github_copilot/billing_usage/composed_seats_and_other_products.json")}
    assert rows["Copilot"]["quantity"] == Decimal("0.466666667")
    assert rows["Actions"]["repository"] == "acme/checkout"


def test_a_person_of_a_gateway_is_known_by_a_name_and_a_tool_has_no_model() -> None:
    rows = [known(row) for row in read("litellm/user_activity/composed_person_and_tool.json")]
    cuts = {row["cut"]: row for row in rows if row.get("custom_llm_provider") != "unknown"}
    assert {cut: row["spend"] for cut, row in cuts.items()} == {
        "total": Decimal("0.0163"),
        "model": Decimal("0.0123"),
        "provider": Decimal("0.0123"),
        "user": Decimal("0.0163"),
    }
    assert cuts["user"]["user_id"] == "anna@corp.example"
    assert (cuts["model"]["model"], cuts["model"]["api_key"]) == ("gpt-5.4-mini", "hash1")
    assert cuts["model"]["api_key_alias"] == "anna@corp.example's laptop"
    assert "other_fields" not in cuts["user"], "the address that is sent besides is not kept"


def test_own_keys_are_beside_what_a_router_bills_and_a_cache_may_hold_more_than_was_read() -> None:
    [row] = map(known, read("openrouter/activity/composed_own_key_and_cache.json"))
    assert (row["usage"], row["byok_usage_inference"]) == (Decimal("0.015"), Decimal("0.3"))
    assert row["cached_tokens"] > row["prompt_tokens"]
    [row] = read("openrouter/activity/composed_unknown_fields.json")
    assert msgspec.json.decode(row["other_fields"]) == {"answer.cursor": None, "upstream_region": "eu"}
    assert row["cached_tokens"] is None

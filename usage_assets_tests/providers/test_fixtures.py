"""Recorded bodies of every provider and endpoint become rows: the official ones with exactly these values."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from usage_assets.core.days import Window
from usage_assets.core.people import People
from usage_assets.fetching.page_parser import PageParser
from usage_assets.fetching.scope import Scope
from usage_assets.providers.records import ShapeError, page_of_lines
from usage_assets_tests.fetching.conftest import EVERY_ENDPOINT

FIXTURES = Path(__file__).parents[2] / "fixtures"
ALWAYS = Window(date(2020, 1, 1), date(2039, 12, 31))
BODIES = {
    str(file.relative_to(FIXTURES)): file
    for name in EVERY_ENDPOINT
    for file in sorted((FIXTURES / name).glob("*.*json"))
    if "_error_" not in file.name
}
SPOILT = {name: file for name, file in BODIES.items() if "_bad_" in name}
ASKED_FOR = Window(date(2026, 11, 14), date(2026, 11, 14))
"""The day of all answers that state none themselves."""
WINDOWS = {
    "openai_legacy": ASKED_FOR,
    "litellm": ASKED_FOR,
    "openrouter": ASKED_FOR,
    "github_copilot": ASKED_FOR,
    "cursor": ASKED_FOR,
    "anthropic_analytics": Window(date(2026, 1, 1), date(2026, 11, 19)),
}
"""What was asked for where it is not ALWAYS: the newer reports say until when their figures reach."""
SOUND = BODIES.keys() - SPOILT.keys()


def page_in(name: str) -> bytes:
    """A fixture as a page: that of a report behind links is a file of it."""
    file = BODIES[name]
    provider, endpoint = EVERY_ENDPOINT[f"{file.parts[-3]}/{file.parts[-2]}"]
    return page_of_lines(file.read_bytes(), WINDOWS[provider.name]) if endpoint.links else file.read_bytes()


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


def test_an_event_of_a_service_account_is_no_person_s_and_one_that_failed_costs_nothing() -> None:
    account, unnamed, person, nobody = read("cursor/usage_events/composed_service_accounts.json")
    names = ("user_id", "service_account_id", "service_account_name", "service_account_email", "team_id")
    runner = "ci-runner@example.com"
    assert [account[name] for name in names] == [None, "sa_1", "Nightly CI", runner, "7"]
    assert [unnamed[name] for name in names] == [None, "Docs bot", "Docs bot", runner, None]
    assert [person[name] for name in names] == ["dana@example.com", None, None, None, None]
    assert [nobody[name] for name in names] == [None] * 5
    assert [row["is_cloud_agent"] for row in (account, unnamed, person)] == [True, None, True]
    assert [row["charge"] for row in (account, unnamed, person)] == ["billed", "included", "not_charged"]
    assert [row["is_chargeable"] for row in (account, unnamed, person)] == [True, True, True]


def test_an_event_of_2025_costs_what_its_model_costs_and_the_fee() -> None:
    plain, with_fee, included = read("cursor/usage_events/composed_prices_of_2025.json")
    assert [row["charged_cents"] for row in (plain, with_fee)] == [Decimal("20.18232"), Decimal("21.36232")]
    assert (included["charged_cents"], included["events_without_price"]) == (None, 1)
    assert plain["events_without_price"] is None


def test_official_anthropic_messages() -> None:
    assert list(map(known, read("anthropic/usage_messages/official.json"))) == [
        {
            "usage_date": date(2025, 8, 1),
            "workspace_id": "wrkspc_01JwQvzr7rXLA5AGx3HKfFUJ",
            "api_key_id": "apikey_01Rj2N8SVvo6BePZj99NhmiT",
            "account_id": "user_01WCz1FkmYMm4gnmykNKUu3Q",
            "model": "claude-opus-5",
            "service_tier": "standard",
            "service_account_id": "svac_01Hk3R9TWxq7CfQak00OiVw4",
            "context_window": "0-200k",
            "inference_geo": "global",
            "uncached_input_tokens": 1500,
            "cache_read_input_tokens": 200,
            "cache_creation_5m_input_tokens": 500,
            "cache_creation_1h_input_tokens": 1000,
            "output_tokens": 500,
            "web_search_requests": 10,
        }
    ]


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


def test_official_codex_row_knows_only_what_it_is_told() -> None:
    assert list(map(known, read("chatgpt/codex_usage/official_workspace_usage.json"))) == [
        {
            "usage_date": date(2025, 10, 1),
            "cut": "workspace",
            "workspace_id": "ws-fixture",
            "shape": "documented",
            "occurrence": 1,
            "uncached_text_input_tokens": 110,
            "cached_text_input_tokens": 220,
            "text_output_tokens": 55,
            "text_total_tokens": 385,
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


def test_legacy_rows_are_added_up_per_list_and_model() -> None:
    rows = list(map(known, read("openai_legacy/usage/composed_rows.json")))
    assert {row.pop("usage_date") for row in rows} == {ASKED_FOR.first}
    assert rows == [
        {
            "list_name": "data",
            "model": "gpt-4o-2024-08-06",
            "requests": 8,
            "context_tokens": 2065,
            "generated_tokens": 46,
            "cached_context_tokens": 1200,
        },
        {
            "list_name": "data",
            "model": "text-embedding-ada-002",
            "requests": 4,
            "context_tokens": 400,
            "generated_tokens": 0,
        },
        {"list_name": "dalle_api_data", "model": "dall-e-3", "requests": 3, "images": 6},
        {"list_name": "whisper_api_data", "model": "whisper-1", "requests": 2, "seconds": 21},
        {"list_name": "tts_api_data", "model": "tts-1", "requests": 3, "characters": 1200},
    ]


def test_legacy_lists_and_fields_that_we_do_not_know_are_kept() -> None:
    rows = read("openai_legacy/usage/composed_unknown_lists.json")
    assert {row["list_name"]: json.loads(row["other_fields"]) for row in rows} == {
        "data": {"row.n_audio_tokens_total": [7]},
        "ft_data": {"answer.ft_data": [{"timestamp": 1794614400, "num_tokens": 9, "email": "someone@example.com"}]},
        "current_usage_usd": {"answer.current_usage_usd": "1.25"},
    }
    assert (rows[0]["model"], rows[0]["requests"]) == (None, 2)


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


def test_composed_copilot_metrics() -> None:
    users = {row["user_login"]: row for row in read("github_copilot/users_1_day/composed_array.json")}
    assert users["octocat"]["ai_credits_used"] == Decimal("12.5")
    assert users["octocat"]["user_id"] == "583231"
    assert users["octocat"]["loc_added_sum"] == 41, "and not once more for each cut"
    assert json.loads(users["octocat"]["breakdown"]).keys() == {"totals_by_cli", "totals_by_feature"}
    assert users["hubot"]["ai_credits_used"] is None, "not stated is not zero"
    [day] = read("github_copilot/organization_1_day/composed_object_with_days.json")
    assert (day["organization_id"], day["daily_active_users"], day["monthly_active_users"]) == ("9919", 2, 4)
    assert (day["prs_created_by_copilot"], day["copilot_applied_suggestions"]) == (2, 0)
    assert json.loads(day["breakdown"])["pull_requests"]["total_created"] == 5


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


def test_events_say_what_their_amount_is_and_keep_the_spelling_of_their_kind() -> None:
    billed, other_spelling, covered = map(known, read("cursor/usage_events/composed_two_spellings.json"))
    assert billed == {
        "usage_date": ASKED_FOR.first,
        "user_id": "dana@example.com",
        "model": "claude-4.5-sonnet",
        "kind": "usage_based",
        "kind_as_sent": "Usage-based",
        "charge": "billed",
        "is_chargeable": True,
        "max_mode": True,
        "is_headless": False,
        "events": 1,
        "request_units": Decimal(5),
        "input_tokens": 130,
        "output_tokens": 440,
        "cache_read_tokens": 12000,
        "cache_write_tokens": 6100,
        "model_cents": Decimal("20.18232"),
        "token_fee_cents": Decimal("1.18"),
        "charged_cents": Decimal("21.36232"),
    }
    assert (other_spelling["kind"], other_spelling["kind_as_sent"]) == ("usage_based", "USAGE_EVENT_KIND_USAGE_BASED")
    assert other_spelling["charged_cents"] == Decimal("37.3303"), (
        "as sent: neither the fee nor the discount is computed"
    )
    assert (covered["charge"], covered["charged_cents"], covered.get("input_tokens")) == ("included", 8, None)
    own_key, failed = read("cursor/usage_events/composed_own_key_and_failed.json")
    assert (own_key["charge"], failed["charge"], failed["charged_cents"]) == ("own_key", "not_charged", None)

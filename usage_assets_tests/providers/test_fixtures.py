"""Recorded bodies of every provider and endpoint become rows: the official ones with exactly these values."""

from datetime import date
from decimal import Decimal

import pytest

from usage_assets.providers.records import ShapeError
from usage_assets_tests.providers.bodies import ALWAYS, ASKED_FOR, SOUND, SPOILT, known, read


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

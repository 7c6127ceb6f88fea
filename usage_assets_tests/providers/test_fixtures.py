"""Recorded bodies of every provider and endpoint become rows: the official ones with exactly these values."""

from decimal import Decimal

import pytest

from usage_assets.providers.records import ShapeError
from usage_assets_tests.models.days import lines
from usage_assets_tests.providers.bodies import ALWAYS, ASKED_FOR, SOUND, SPOILT, fields_of, known, read


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
    [row] = read("anthropic/cost_report/official.json")
    assert fields_of(row) == lines("""
        amount_cents    123.78912
        context_window  0-200k
        cost_type       tokens
        currency        USD
        description     Claude Opus 5 Usage - Input Tokens
        inference_geo   global
        model           claude-opus-5
        service_tier    standard
        token_type      uncached_input_tokens
        usage_date      2025-08-01
        workspace_id    wrkspc_01JwQvzr7rXLA5AGx3HKfFUJ
    """)


def test_official_claude_code() -> None:
    [row] = read("anthropic/claude_code/official.json")
    assert row["model_breakdown"] == (
        '[{"cache_creation":2340,"cache_read":8790,"currency":"USD","estimated_cost_cents":"186",'
        '"input":45230,"model":"claude-opus-5","output":12450},'
        '{"cache_creation":890,"cache_read":3420,"currency":"USD","estimated_cost_cents":"42",'
        '"input":23100,"model":"claude-sonnet-5","output":5680}]'
    )
    assert fields_of(row | {"model_breakdown": None}) == lines("""
        actor_email                  user@emaildomain.com
        actor_type                   user_actor
        commits                      8
        customer_type                api
        edit_tool_accepted           25
        edit_tool_rejected           3
        estimated_cost_usd_cents     228
        is_remote                    False
        lines_added                  342
        lines_removed                128
        multi_edit_tool_accepted     12
        multi_edit_tool_rejected     1
        notebook_edit_tool_accepted  5
        notebook_edit_tool_rejected  2
        num_sessions                 15
        occurrence                   1
        organization_id              12345678-1234-5678-1234-567812345678
        pull_requests                2
        subscription_type            enterprise
        terminal_type                iTerm.app
        usage_date                   2025-08-08
        write_tool_accepted          8
        write_tool_rejected          0
    """)


def test_amounts_that_are_strings_are_amounts() -> None:
    rows = read("openai/costs/observed_string_amounts.json")
    assert {type(row["amount_value"]) for row in rows} == {Decimal}
    assert Decimal("12.50") in {row["amount_value"] for row in rows}


def test_the_illustrative_codex_row_is_tagged_and_states_no_dollars() -> None:
    [row] = read("chatgpt/codex_usage/composed_illustrative.json")
    assert fields_of(row) == lines("""
        cached_text_input_tokens  20000
        credits                   1234
        cut                       user
        occurrence                1
        shape                     illustrative
        text_input_tokens         100000
        text_output_tokens        5000
        threads                   12
        turns                     48
        usage_date                2026-05-01
        user_email                someone@example.com
        user_id                   wsu_abc
        workspace_id              ws-fixture
    """)


def test_a_legacy_day_is_its_lines_and_its_stated_total() -> None:
    rows = list(map(known, read("openai_legacy/billing_usage/composed_daily_lines.json")))
    assert {row.pop("usage_date") for row in rows} == {ASKED_FOR.first}
    assert rows == [
        {"total_usage_cents": Decimal("1234.86")},
        {"name": "GPT-4", "cost_cents": Decimal("1234.5600000000002")},
        {"name": "Chat models", "cost_cents": Decimal("0.30000000000000004")},
        {"name": "Fine-tuning models", "cost_cents": Decimal(0)},
    ]

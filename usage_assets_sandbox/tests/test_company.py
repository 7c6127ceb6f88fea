"""The company is plausible: its rows are unique, its week has a rhythm, and what it uses is what it pays for."""

from datetime import timedelta
from decimal import Decimal
from statistics import mean
from typing import Any

import pytest

from usage_assets_sandbox.company import CLAUDE_CODE_WORKSPACE, Company, Row
from usage_assets_sandbox.ledger import BOOKS, Clock, Ledger, group
from usage_assets_sandbox.tests.calling import NOW, TODAY, days

ENDPOINTS = [(provider, endpoint) for provider, books in BOOKS.items() for endpoint in books]
FIRST = TODAY - timedelta(days=400)
HISTORY = days(FIRST, TODAY + timedelta(days=1))
# Reports of what only a few people or projects do.
SMALL = {f"usage_{name}" for name in (
    "embeddings", "moderations", "audio_speeches", "audio_transcriptions", "code_interpreter_sessions",
    "file_search_calls", "decisions",
)}  # fmt: skip


# What tells of the use of another provider's books once more.
ONCE_MORE = ("openai_legacy", "anthropic_analytics", "litellm")
# A bill with seats, which cost something every day, and a list of members.
EVERY_DAY = ("github_copilot", "daily_usage")


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    return Ledger(7, Clock(NOW))


def test_rows_are_unique_at_the_finest_grain(ledger: Ledger) -> None:
    for provider, endpoint in ENDPOINTS:
        dimensions = BOOKS[provider][endpoint].dimensions
        for day in HISTORY[-60:]:
            rows = ledger.rows(provider, endpoint, day)
            assert len({tuple(row[name] for name in dimensions) for row in rows}) == len(rows), (endpoint, day)


@pytest.mark.parametrize(
    ("provider", "endpoint"),
    [
        source
        for source in ENDPOINTS
        if source != ("openai", "usage_vector_stores") and {*source}.isdisjoint((*ONCE_MORE, *EVERY_DAY, "focus"))
    ],
)
def test_some_days_are_quiet_and_weekends_are_slow(ledger: Ledger, provider: str, endpoint: str) -> None:
    sizes = {day: len(ledger.rows(provider, endpoint, day)) for day in HISTORY}
    assert 10 <= sum(size == 0 for size in sizes.values()) <= 40
    for last_30 in (HISTORY[-30:], HISTORY[-60:-30]):
        assert any(sizes[day] == 0 for day in last_30)
    if endpoint != "codex_usage":  # its workspace-only days are one row
        working = mean(size for day, size in sizes.items() if size and day.weekday() < 5)
        weekend = mean(size for day, size in sizes.items() if size and day.weekday() >= 5)
        assert weekend < 0.7 * working
        assert (2 if endpoint in (*SMALL, "activity") else 15) <= working <= 70


def test_who_used_openai_is_who_pays(ledger: Ledger) -> None:
    for day in HISTORY[-60:]:
        usage = ledger.rows("openai", "usage_completions", day)
        costs = [row for row in ledger.rows("openai", "costs", day) if row["quantity_unit"] == "tokens"]
        who = ("project_id", "user_id", "api_key_id")
        used = {(*(row[name] for name in who), row["model"]) for row in usage}
        paid = {(*(row[name] for name in who), row["line_item"].split(", ")[0]) for row in costs}
        assert used == paid
        assert sum(row["quantity"] for row in costs) == sum(row["input_tokens"] + row["output_tokens"] for row in usage)


def test_claude_code_on_api_billing_is_inside_messages_and_costs(ledger: Ledger) -> None:
    workspace = Company(7).identifier("wrkspc_01", CLAUDE_CODE_WORKSPACE)
    seen = 0
    for day in HISTORY[-60:]:
        records = [row for row in ledger.rows("anthropic", "claude_code", day) if row["customer_type"] == "api"]
        models = [used for row in records for used in row["model_breakdown"]]
        messages = [row for row in ledger.rows("anthropic", "usage_messages", day) if row["workspace_id"] == workspace]
        for tokens in ("uncached_input_tokens", "cache_read_input_tokens", "output_tokens"):
            assert sum(row[tokens] for row in messages) == sum(used[tokens] for used in models)
        estimated = sum((used["estimated_cents"] for used in models), Decimal(0))
        billed = [
            row["amount"] for row in ledger.rows("anthropic", "cost_report", day) if row["workspace_id"] == workspace
        ]
        assert estimated <= sum(billed, Decimal(0)) * Decimal("1.001") + len(models)
        seen += len(models)
    assert seen > 100


@pytest.mark.parametrize(
    ("provider", "endpoint", "amounts"),
    [
        ("openai", "costs", lambda row: [row["amount"]]),
        ("anthropic", "cost_report", lambda row: [row["amount"]]),
        ("anthropic", "claude_code", lambda row: [used["estimated_cents"] for used in row["model_breakdown"]]),
        (
            "chatgpt",
            "codex_usage",
            lambda row: [value for value in row["totals"].values() if isinstance(value, Decimal)],
        ),
    ],
)
def test_amounts_have_17_digits_and_22_places_at_most(
    ledger: Ledger, provider: str, endpoint: str, amounts: Any
) -> None:
    values = [value for day in HISTORY for row in ledger.rows(provider, endpoint, day) for value in amounts(row)]
    assert len(values) > 500
    assert max(len(value.normalize().as_tuple().digits) for value in values) <= 17
    assert min(value.as_tuple().exponent for value in values) >= -22
    assert min(values) >= 0


def test_grouping_adds_up_what_it_drops_and_keeps_unknown_unknown() -> None:
    rows: list[Row] = [
        {"user": "a", "model": "x", "amount": Decimal("0.1"), "note": None},
        {"user": "a", "model": "y", "amount": Decimal("1E-22"), "note": None},
        {"user": None, "model": "x", "amount": Decimal(5), "note": 1},
    ]
    assert group(rows, ("user", "model"), ("user",)) == [
        {"user": "a", "model": None, "amount": Decimal("0.1000000000000000000001"), "note": None},
        {"user": None, "model": None, "amount": Decimal(5), "note": 1},
    ]
    assert group([], ("user", "model"), ()) == []

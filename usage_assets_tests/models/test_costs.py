"""Three moneys in one table: what each source gives, in which unit and currency, and what is never added to what."""

from decimal import Decimal
from typing import Any

import pytest

from usage_assets.core.schema import Row
from usage_assets.models.costs import DailyCost
from usage_assets.providers.anthropic.reports import ClaudeCode
from usage_assets.providers.chatgpt.analytics import CodexUsage
from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import WarehouseError
from usage_assets_tests.models.days import Days, days_from, models, raw

PAID: dict[type[Row], dict[str, Any]] = {
    ClaudeCode: {"model_breakdown": models(("opus", "100"))},
    CodexUsage: {"credits": Decimal(1)},
}
"""What makes a default row one that costs something."""


def paid(row: type[Row], **values: Any) -> Row:
    return raw(row, **{**PAID.get(row, {}), **values})


# Every source


def test_the_daily_totals_keep_the_moneys_apart(days: Days) -> None:
    days.fetched(Costs, raw(Costs))
    days.fetched(
        ClaudeCode,
        paid(ClaudeCode, customer_type="api"),
        paid(ClaudeCode, customer_type="subscription", model_breakdown=models(("opus", "300"))),
    )
    days.fetched(CodexUsage, raw(CodexUsage, credits=7, cost_usd=2, estimated_cost_usd="0.28"))
    totals = [
        {name: total and Decimal(total) for name, total in days.derive(file)[0].totals.items()}
        for file in ("openai_costs", "anthropic_claude_code", "chatgpt_codex_usage")
    ]
    nothing = dict.fromkeys(("billed_usd", "estimated_usd", "notional_usd", "credits", "line_items_unparsed"))
    assert totals == [
        {**nothing, "billed_usd": 1, "line_items_unparsed": 0},
        {**nothing, "estimated_usd": 1, "notional_usd": 3},
        {**nothing, "billed_usd": 2, "estimated_usd": Decimal("0.28"), "credits": 7},
    ]
    assert "amount_usd" not in Table(DailyCost).totals


# OpenAI


# Anthropic


def test_an_estimate_that_is_no_number_is_refused(days: Days) -> None:
    for amount in ('"much"', "null"):
        breakdown = models(("opus", "1"), ("haiku", "2")).replace(
            '"estimated_cost_cents":"1"', f'"estimated_cost_cents":{amount}'
        )
        days.fetched(ClaudeCode, raw(ClaudeCode, model_breakdown=breakdown))
        with pytest.raises(WarehouseError, match=r"Failed to cast value to decimal|NOT NULL constraint failed"):
            days.derive("anthropic_claude_code")


# ChatGPT


def test_the_three_moneys_of_codex_are_three_rows_where_they_are_known(days: Days) -> None:
    """The workspace's row counts only on days without rows of users, and other cuts never."""
    first, second, third = days_from(3)
    stated = {"credits": Decimal("12.5"), "cost_usd": Decimal("0.75"), "estimated_cost_usd": Decimal("0.5")}
    workspace = {"cut": "workspace", "user_id": None, "credits": Decimal(100)}
    of_second = {"usage_date": second}
    days.fetched(
        CodexUsage,
        raw(CodexUsage, **stated),
        raw(CodexUsage, user_id="unknown"),
        raw(CodexUsage, user_id="zero", credits=0),
        *(raw(CodexUsage, user_id=None, actor_user_id=actor, credits=1, **of_second) for actor in ("a", "b")),
        raw(CodexUsage, user_id="user-2", **of_second),
        raw(CodexUsage, cut="client", client_id="cli", credits=2, **of_second),
        raw(CodexUsage, cut="model", model="gpt-5", speed="fast", credits=2, **of_second),
        raw(CodexUsage, **workspace, **of_second),
        raw(CodexUsage, **workspace, usage_date=third),
        last=third,
    )
    of_emea = raw(CodexUsage, connection="emea", usage_date=third, credits=1)
    days.fetched(CodexUsage, of_emea, connection="emea", first=third)
    rows = days.rows("chatgpt_codex_usage", last=third)
    names = ("user_id", "cost_basis", "native_amount", "native_unit", "currency", "amount_usd")
    assert {tuple(row[name] for name in names) for row in rows if row["usage_date"] == first} == {
        ("user-1", "credits", Decimal("12.5"), "credits", None, None),
        ("user-1", "billed", Decimal("0.75"), "dollars", "USD", Decimal("0.75")),
        ("user-1", "estimated", Decimal("0.5"), "dollars", "USD", Decimal("0.5")),
        ("zero", "credits", 0, "credits", None, None),
    }
    assert {row["workspace_id"] for row in rows} == {"ws"}
    assert [(row["usage_date"], row["user_id"], row["native_amount"]) for row in rows if row["usage_date"] > first] == [
        (second, None, 2),
        (third, None, 100),
    ]


# OpenAI's old endpoints

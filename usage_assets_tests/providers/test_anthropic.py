"""Claude Code records: one row each, whatever models, tools and currencies they bring."""

import json
from decimal import Decimal
from typing import Any

import pytest

from usage_assets_tests.providers.conftest import DAY, ENDPOINTS, Answers

USE = {"model": "claude-a", "tokens": {"input": 1, "output": 2, "cache_read": 3, "cache_creation": 4}}


def cost(amount: Decimal | int, currency: str = "USD") -> dict[str, Any]:
    """An estimate."""
    return {"estimated_cost": {"amount": amount, "currency": currency}}


def first_row(answers: Answers, **changes: Any) -> dict[str, Any]:
    """The row of the day's first record, with some of its fields changed."""
    provider, endpoint = ENDPOINTS["anthropic/claude_code"]
    body = answers.real(provider, endpoint)
    body["data"][0] |= changes
    answers.replace(provider, endpoint, body)
    row: dict[str, Any] = answers.new_client(provider).fetch(endpoint, [DAY]).rows.to_pylist()[0]
    return row


def test_estimates_of_other_currencies_are_kept_but_not_added(answers: Answers) -> None:
    row = first_row(answers, model_breakdown=[USE | cost(186), USE | cost(Decimal("0.1"), "EUR"), USE | cost(4, "usd")])
    assert row["estimated_cost_usd_cents"] == 190
    assert [(use["currency"], use["estimated_cost_cents"]) for use in json.loads(row["model_breakdown"])] == [
        *(("EUR", "0.1"), ("USD", "186"), ("usd", "4"))
    ]


def test_the_order_of_models_is_no_difference(answers: Answers) -> None:
    uses = [USE | {"model": model} | cost(1) for model in ("b", "a", "c")]
    assert first_row(answers, model_breakdown=uses) == first_row(answers, model_breakdown=uses[::-1])


def test_a_record_without_models_costs_nothing(answers: Answers) -> None:
    row = first_row(answers, model_breakdown=[])
    assert (row["model_breakdown"], row["estimated_cost_usd_cents"]) == ("[]", 0)


def test_tools_that_are_new_are_kept_and_tools_that_are_absent_did_nothing(answers: Answers) -> None:
    new = {"accepted": 3, "rejected": 1}
    row = first_row(answers, tool_actions={"write_tool": {"accepted": 5, "rejected": 2}, "browser_tool": new})
    assert (row["write_tool_accepted"], row["write_tool_rejected"]) == (5, 2)
    assert (row["edit_tool_accepted"], row["edit_tool_rejected"]) == (0, 0)
    assert json.loads(row["other_tool_actions"]) == {"browser_tool": new}
    assert row["other_fields"] is None


@pytest.mark.parametrize("absent", ["is_remote", "subscription_type"])
def test_old_records_may_say_less(answers: Answers, absent: str) -> None:
    assert first_row(answers, **{absent: None})[absent] is None


def test_a_field_that_is_new_in_a_model_is_kept_with_it(answers: Answers) -> None:
    row = first_row(answers, model_breakdown=[USE | cost(1) | {"speed": "fast"}])
    assert json.loads(json.loads(row["model_breakdown"])[0]["other_fields"]) == {"speed": "fast"}

"""The old OpenAI endpoints: one answer a day, no pages, cents, a stated total, and a refusal that says what to do."""

from decimal import Decimal
from typing import Any

import pytest

from usage_assets.fetching.transport import PermanentError
from usage_assets.providers.openai_legacy.billing import OPENAI_LEGACY
from usage_assets_tests.fetching.conftest import DAY, Answers, NewClient

BILLING, USAGE = OPENAI_LEGACY.endpoints
MIDNIGHT = 1794441600
LINE = {"name": "GPT-4", "cost": Decimal("95")}


def billed(**changes: Any) -> dict[str, Any]:
    """An answer of one line of 95 cents, changed."""
    day = {"timestamp": Decimal(f"{MIDNIGHT}.0"), "line_items": [LINE]}
    return {"object": "list", "daily_costs": [day], "total_usage": Decimal("95"), **changes}


def used(**changes: Any) -> dict[str, Any]:
    """An answer of one row of text, changed."""
    row = {"snapshot_id": "gpt-4o", "n_requests": 1, "n_context_tokens_total": 10, "n_generated_tokens_total": 5}
    return {"object": "list", "data": [row], **changes}


def entry(**changes: Any) -> list[dict[str, Any]]:
    return [billed()["daily_costs"][0] | changes]


def row(**changes: Any) -> list[dict[str, Any]]:
    return [used()["data"][0] | changes]


def test_a_refused_api_key_names_what_replaces_the_endpoint(new_client: NewClient) -> None:
    said = "403.* must be made with a session key.* use a connection of provider openai with an admin key"
    with pytest.raises(PermanentError, match=said):
        new_client(OPENAI_LEGACY, key="sk-admin-sandbox").fetch(BILLING, [DAY])


def test_a_total_that_the_lines_do_not_add_up_to_changes_no_line(answers: Answers) -> None:
    answers.replace(OPENAI_LEGACY, BILLING, billed(total_usage=Decimal("100.5")))
    rows = answers.new_client(OPENAI_LEGACY).fetch(BILLING, [DAY]).rows.to_pylist()
    assert {(row["name"], row["cost_cents"], row["total_usage_cents"]) for row in rows} == {
        ("GPT-4", 95, None),
        (None, None, Decimal("100.5")),
    }


@pytest.mark.parametrize(
    ("endpoint", "body", "place"),
    [
        (BILLING, {}, "answer.daily_costs"),
        (BILLING, billed(total_usage=None), "answer.total_usage"),
        (BILLING, billed(daily_costs=entry(timestamp=MIDNIGHT + 300)), "answer.daily_costs[0]"),
        (BILLING, billed(daily_costs=entry(line_items=None)), "answer.daily_costs[0].line_items"),
        (BILLING, billed(daily_costs=entry(line_items=[{"cost": 1}])), "answer.daily_costs[0].line_items[0].name"),
        (USAGE, used(data={}), "answer.data"),
        (USAGE, used(data=row(n_generated_tokens_total=Decimal("7.5"))), "answer.data[0].n_generated_tokens_total"),
        (USAGE, used(dalle_api_data=[{"num_requests": 1}]), "answer.dalle_api_data[0].num_images"),
    ],
)
def test_another_shape_is_refused_with_the_field_and_the_day(
    answers: Answers, endpoint: Any, body: dict[str, Any], place: str
) -> None:
    answers.replace(OPENAI_LEGACY, endpoint, body)
    with pytest.raises(PermanentError) as raised:
        answers.new_client(OPENAI_LEGACY).fetch(endpoint, [DAY])
    assert f"$.data[0].{place} ({DAY}): " in raised.value.message

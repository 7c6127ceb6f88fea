"""The old OpenAI endpoints: one answer a day, no pages, cents, a stated total, and a refusal that says what to do."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from usage_assets.fetching.transport import PermanentError
from usage_assets.providers.openai_legacy.billing import OPENAI_LEGACY
from usage_assets_tests.conftest import Sandbox, last_days
from usage_assets_tests.fetching.conftest import DAY, Answers, NewClient
from usage_assets_tests.providers.test_truth import daily_total

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


def test_the_stated_total_of_every_day_is_stored_beside_the_lines(new_client: NewClient) -> None:
    rows = new_client(OPENAI_LEGACY).fetch(BILLING, last_days(10)).rows
    assert daily_total(BILLING, rows, "total_usage_cents") == daily_total(BILLING, rows, "cost_cents")
    assert sum(row["name"] is None for row in rows.to_pylist()) == 10
    assert any(row["cost_cents"] == 0 for row in rows.to_pylist()), "a line that costs nothing stays"


def test_each_day_is_asked_for_alone_and_the_end_is_exclusive(sandbox: Sandbox, new_client: NewClient) -> None:
    client, days = new_client(OPENAI_LEGACY), [DAY, DAY + timedelta(days=1)]
    assert client.fetch(BILLING, days).requests == client.fetch(USAGE, days).requests == 2
    asked = sorted((request["method"], request["path"], request["query"]) for request in sandbox.requests())
    billing, usage = "/openai/v1/dashboard/billing/usage", "/openai/v1/usage"
    assert asked == [
        ("GET", billing, [["start_date", "2026-11-12"], ["end_date", "2026-11-13"]]),
        ("GET", billing, [["start_date", "2026-11-13"], ["end_date", "2026-11-14"]]),
        ("GET", usage, [["date", "2026-11-12"]]),
        ("GET", usage, [["date", "2026-11-13"]]),
    ]


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
        (BILLING, billed(total_usage="NaN"), "answer.total_usage"),
        (BILLING, billed(daily_costs=entry(timestamp=MIDNIGHT + 86_400)), "answer.daily_costs[0]"),
        (BILLING, billed(daily_costs=entry(timestamp=MIDNIGHT + 300)), "answer.daily_costs[0]"),
        (BILLING, billed(daily_costs=entry(line_items=None)), "answer.daily_costs[0].line_items"),
        (
            BILLING,
            billed(daily_costs=entry(line_items=[LINE, {"name": "x"}])),
            "answer.daily_costs[0].line_items[1].cost",
        ),
        (BILLING, billed(daily_costs=entry(line_items=[{"cost": 1}])), "answer.daily_costs[0].line_items[0].name"),
        (USAGE, {}, "answer.data"),
        (USAGE, used(data={}), "answer.data"),
        (USAGE, used(data=["x"]), "answer.data[0]"),
        (USAGE, used(data=row(n_requests=None)), "answer.data[0].n_requests"),
        (USAGE, used(data=row(n_context_tokens_total="7")), "answer.data[0].n_context_tokens_total"),
        (USAGE, used(data=row(n_generated_tokens_total=Decimal("7.5"))), "answer.data[0].n_generated_tokens_total"),
        (USAGE, used(dalle_api_data=[{"num_requests": 1}]), "answer.dalle_api_data[0].num_images"),
        (USAGE, used(tts_api_data={}), "answer.tts_api_data"),
    ],
)
def test_another_shape_is_refused_with_the_field_and_the_day(
    answers: Answers, endpoint: Any, body: dict[str, Any], place: str
) -> None:
    answers.replace(OPENAI_LEGACY, endpoint, body)
    with pytest.raises(PermanentError) as raised:
        answers.new_client(OPENAI_LEGACY).fetch(endpoint, [DAY])
    assert f"$.data[0].{place} ({DAY}): " in raised.value.message


def test_unknown_fields_of_an_answer_a_day_and_a_line_are_kept_and_counted(answers: Answers) -> None:
    line = LINE | {"discount": Decimal("0.10")}
    answers.replace(
        OPENAI_LEGACY, BILLING, billed(daily_costs=entry(line_items=[line], region="eu"), owner="a@example.com")
    )
    fetched = answers.new_client(OPENAI_LEGACY).fetch(BILLING, [DAY])
    assert {row["name"]: json.loads(row["other_fields"]) for row in fetched.rows.to_pylist()} == {
        None: {"answer.owner": "address-dropped"},
        "GPT-4": {"line.discount": "0.10", "day.region": "eu"},
    }
    assert fetched.unknown_fields == {"answer.owner": 1, "line.discount": 1, "day.region": 1}


def test_unknown_fields_of_rows_that_are_added_up_are_kept_one_by_one(answers: Answers) -> None:
    rows = [*row(flavour="a"), *row(), *row(flavour="b")]
    answers.replace(OPENAI_LEGACY, USAGE, used(data=rows, realtime_api_data=[{"n": 1}], other_data=[]))
    fetched = answers.new_client(OPENAI_LEGACY).fetch(USAGE, [DAY])
    text, realtime = fetched.rows.to_pylist()
    assert (text["requests"], json.loads(text["other_fields"])) == (3, {"row.flavour": ["a", None, "b"]})
    assert (realtime["list_name"], realtime["requests"]) == ("realtime_api_data", None)
    assert json.loads(realtime["other_fields"]) == {"answer.realtime_api_data": [{"n": 1}]}
    assert fetched.unknown_fields == {"row.flavour": 1, "answer.realtime_api_data": 1}


def test_a_measure_that_no_row_states_is_unknown_and_not_zero(answers: Answers) -> None:
    answers.replace(OPENAI_LEGACY, USAGE, used(data=row() + row(snapshot_id="b", n_cached_context_tokens_total=0)))
    rows = answers.new_client(OPENAI_LEGACY).fetch(USAGE, [DAY]).rows.to_pylist()
    assert {row["model"]: row["cached_context_tokens"] for row in rows} == {"gpt-4o": None, "b": 0}

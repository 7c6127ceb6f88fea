"""What a spoilt answer does: nothing of it is used, and the message names the field and the day.

What every endpoint does with an amount or counter that is wrong, null or absent: test_refusals.py.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from usage_assets.core.people import People
from usage_assets.fetching.transport import PermanentError
from usage_assets_tests.fetching.conftest import DAY, ENDPOINTS, Answers
from usage_assets_tests.models.days import lines

ABSENT = object()
BESIDE_MONEY = (
    ("openai/costs", "results[0].quantity", "quantity", "quantity"),
    ("anthropic/claude_code", "core_metrics.lines_of_code.added", "lines_added", "core_metrics.lines_of_code.added"),
)
"""Fields of rows with money that are not money themselves: endpoint, place in an item, column, and name."""


def spoil(item: dict[str, Any], path: str, value: object) -> None:
    """Put ``value`` at ``path`` (``results[0].amount``), or remove what is there."""
    *way, last = (int(step) if step.isdigit() else step for step in re.split(r"\W+", path) if step)
    place: Any = item
    for step in way:
        place = place[step]
    if value is ABSENT:
        del place[last]
    else:
        place[last] = value


def fetch_spoilt(answers: Answers, name: str, path: str, value: object) -> Any:
    """Fetch DAY from an answer whose first item has ``value`` at ``path``."""
    provider, endpoint = ENDPOINTS[name]
    body = answers.real(provider, endpoint)
    spoil(body["data"][0], path, value)
    answers.replace(provider, endpoint, body)
    return answers.new_client(provider, concurrency=1).fetch(endpoint, [DAY])


REFUSED = lines("""
    openai/costs               results[0].amount.value                    "-Infinity"
    openai/costs               results[0].amount.value                    100000000000000.5
    openai/costs               results                                    absent
    openai/costs               results[0]                                 "text"
    openai/costs               start_time                                 null
    openai/usage_completions   start_time                                 "yesterday"
    openai/usage_completions   results[0].input_tokens                    "7"
    openai/usage_completions   results[0].input_tokens                    7.5
    anthropic/usage_messages   starting_at                                "2026-11-12T00:00:00"
    anthropic/usage_messages   results[0].cache_creation                  []
    anthropic/claude_code      date                                       absent
    anthropic/claude_code      actor                                      null
    anthropic/claude_code      model_breakdown                            null
    anthropic_analytics/usage  usage.server_tool_use.web_search_requests  7.5
    chatgpt/codex_usage        totals                                     absent
    chatgpt/codex_usage        clients[0]                                 "CODEX_CLI"
    chatgpt/codex_usage        models                                     {}
    chatgpt/codex_usage        user_id                                    7
""")
"""Endpoint, place in an item, and what it cannot be, in JSON."""


def test_what_is_not_as_declared_is_refused_with_its_place_and_day(answers: Answers, subtests: pytest.Subtests) -> None:
    for name, path, text in REFUSED:
        with subtests.test(f"{name} {path}: {text}"):
            value = ABSENT if text == "absent" else json.loads(text, parse_float=Decimal)
            with pytest.raises(PermanentError, match="does not know an answer of this shape") as raised:
                fetch_spoilt(answers, name, path, value)
            assert "$.data[0]" in raised.value.message
            if value is not ABSENT and name != "anthropic/claude_code" and re.search(r"\w\.\w", path):
                assert f"$.data[0].{path} ({DAY}): " in raised.value.message


def test_what_is_no_money_stops_no_money(answers: Answers) -> None:
    """It is null, and kept with the fields that are unknown, of which a check warns."""
    for name, path, column, field in BESIDE_MONEY:
        provider, endpoint = ENDPOINTS[name]
        expected = answers.new_client(provider).fetch(endpoint, [DAY]).rows.to_pylist()
        values: Sequence[object] = ("free", Decimal("1e400"), True, [], 2**80, {"of": 1})
        for value in values:
            fetched = fetch_spoilt(answers, name, path, value)
            rows = fetched.rows.to_pylist()
            assert json.loads(rows[0].pop("other_fields")).keys() == {field}, value
            assert fetched.unknown_fields == {field: 1}, value
            rows[0] |= {"other_fields": expected[0]["other_fields"]}
            assert rows == [expected[0] | {column: None}, *expected[1:]], value


def test_a_count_that_no_column_can_hold_is_refused(answers: Answers) -> None:
    with pytest.raises(PermanentError, match="does not fit"):
        fetch_spoilt(answers, "openai/usage_completions", "results[0].input_tokens", 2**63)


def test_a_bucket_that_is_not_one_utc_day_is_refused(answers: Answers) -> None:
    for name, path, value in (
        ("openai/costs", "start_time", 1794441600 + 3600),
        ("openai/costs", "end_time", 1794441600 + 7 * 86400),
        ("openai/usage_completions", "end_time", 1794441600),
        ("anthropic/cost_report", "ending_at", "2026-11-19T00:00:00Z"),
    ):
        with pytest.raises(PermanentError, match="is not within one UTC day") as raised:
            fetch_spoilt(answers, name, path, value)
        assert str(DAY) in raised.value.message


def test_unknown_fields_inside_objects_and_of_buckets_are_kept_and_counted(answers: Answers) -> None:
    for policy in (
        "ids",
        "names",
    ):
        provider, endpoint = ENDPOINTS["openai/costs"]
        body = answers.real(provider, endpoint)
        share = "0.1234567890123456789012345"
        news = {"contact": "new\nsomeone@example.com", "share": Decimal(share)}
        spoil(body["data"][0], "results[0].amount.tax", news)
        spoil(body["data"][0], "revision", 3)
        body["later"] = True
        answers.replace(provider, endpoint, body)
        fetched = answers.new_client(provider, people=People(policy)).fetch(endpoint, [DAY])
        kept = [json.loads(row["other_fields"]) for row in fetched.rows.to_pylist()]
        contact = f"new\n{'someone@example.com' if policy == 'names' else 'address-dropped'}"
        assert kept[0] == {"amount.tax": {"contact": contact, "share": share}, "bucket.revision": 3}
        assert all(others == {"bucket.revision": 3} for others in kept[1:])
        assert fetched.unknown_fields == {"amount.tax": 1, "bucket.revision": len(kept), "page.later": 1}


def test_fields_that_are_named_like_our_own_columns_cannot_replace_them(answers: Answers) -> None:
    provider, endpoint = ENDPOINTS["openai/costs"]
    body = answers.real(provider, endpoint)
    body["data"][0]["results"][0] |= {"connection": "theirs", "usage_date": "2020-01-01", "grouped_by": "x"}
    answers.replace(provider, endpoint, body)
    row = answers.new_client(provider).fetch(endpoint, [DAY]).rows.to_pylist()[0]
    assert (row["connection"], row["usage_date"]) == ("openai", DAY)
    assert json.loads(row["other_fields"]) == {"connection": "theirs", "usage_date": "2020-01-01", "grouped_by": "x"}
    row = fetch_spoilt(answers, "anthropic/claude_code", "occurrence", 7).rows.to_pylist()[0]
    assert (row["occurrence"], json.loads(row["other_fields"])) == (1, {"occurrence": 7})


@pytest.mark.parametrize(
    ("pages", "numbers"),
    [
        ([[1, 1, 2, 1]], [(1, 1), (1, 2), (1, 3), (2, 4)]),
        ([[2, 1], [1, 1]], [(1, 1), (1, 1), (1, 2), (2, 3)]),
    ],
    ids=["one page: different users", "two pages: one of them may be a repetition"],
)
def test_equal_codex_rows_without_a_user_are_numbered_on_their_page(
    answers: Answers, pages: list[list[int]], numbers: list[tuple[int, int]]
) -> None:
    provider, endpoint = ENDPOINTS["chatgpt/codex_usage"]
    body = answers.real(provider, endpoint)
    nobody = body["data"][0] | {"user_id": None, "actor": None, "clients": [], "models": []}
    sent = [
        body
        | {"data": [nobody | {"totals": {"turns": turns}} for turns in page], "has_more": n < len(pages)}
        | {"next_page": str(n)}
        for n, page in enumerate(pages, 1)
    ]
    answers.replace(provider, endpoint, *sent)
    rows = answers.new_client(provider).fetch(replace(endpoint, queries=({},)), [DAY]).rows.to_pylist()
    assert sorted((row["turns"], row["occurrence"]) for row in rows) == numbers

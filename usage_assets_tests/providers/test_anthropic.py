"""Claude Code records: one row each, whatever models, tools and currencies they bring."""

import json
from decimal import Decimal
from typing import Any

from usage_assets.fetching.client import FetchResult
from usage_assets_tests.fetching.conftest import DAY, ENDPOINTS, Answers

TOKENS = {"input": 1, "output": 2, "cache_read": 3, "cache_creation": 4}
USE = {"model": "claude-a", "tokens": TOKENS}


def cost(amount: Decimal | int, currency: str = "USD") -> dict[str, Any]:
    """An estimate."""
    return {"estimated_cost": {"amount": amount, "currency": currency}}


def fetched(answers: Answers, *records: dict[str, Any]) -> FetchResult:
    """What a day is whose records are the day's first one, each with some of its fields changed."""
    provider, endpoint = ENDPOINTS["anthropic/claude_code"]
    body = answers.real(provider, endpoint)
    answers.replace(provider, endpoint, body | {"data": [body["data"][0] | changes for changes in records]})
    return answers.new_client(provider).fetch(endpoint, [DAY])


def first_row(answers: Answers, **changes: Any) -> dict[str, Any]:
    """The row of the day's first record, with some of its fields changed."""
    [row] = fetched(answers, changes).rows.to_pylist()
    assert isinstance(row, dict)
    return row


def test_estimates_of_other_currencies_are_kept_but_not_added(answers: Answers) -> None:
    row = first_row(answers, model_breakdown=[USE | cost(186), USE | cost(Decimal("0.1"), "EUR"), USE | cost(4, "usd")])
    assert row["estimated_cost_usd_cents"] == 190
    assert [(use["currency"], use["estimated_cost_cents"]) for use in json.loads(row["model_breakdown"])] == [
        *(("EUR", "0.1"), ("USD", "186"), ("usd", "4"))
    ]


def test_keys_of_one_name_are_numbered_whatever_the_order_of_their_records(answers: Answers) -> None:
    key = {"actor": {"type": "api_actor", "api_key_name": "ci"}}
    records = [key | {"core_metrics": metrics(sessions)} for sessions in (5, 3, 4)]
    records.append({"actor": {"type": "api_actor", "api_key_name": "another"}})
    rows = fetched(answers, *records).rows.to_pylist()
    numbers = {(row["api_key_name"], row["occurrence"]): row["num_sessions"] for row in rows}
    assert numbers.keys() == {("another", 1), ("ci", 1), ("ci", 2), ("ci", 3)}
    assert [numbers["ci", n] for n in (1, 2, 3)] == [3, 4, 5]
    assert sorted(map(str, rows)) == sorted(map(str, fetched(answers, *records[::-1]).rows.to_pylist()))


def test_equal_records_are_told_apart_of_keys_and_not_of_a_person(answers: Answers) -> None:
    for actor, numbers in (
        ({"type": "api_actor", "api_key_name": "ci"}, [1, 2]),
        ({"type": "user_actor", "email_address": "ann@example.com"}, [1, 1]),  # the warehouse refuses them
    ):
        rows = fetched(answers, {"actor": actor}, {"actor": actor}).rows.to_pylist()
        assert [row["occurrence"] for row in rows] == numbers


def metrics(sessions: int) -> dict[str, Any]:
    """Core metrics of so many sessions."""
    counts = ("commits_by_claude_code", "pull_requests_by_claude_code")
    return {"num_sessions": sessions, "lines_of_code": {"added": 1, "removed": 1}, **dict.fromkeys(counts, 0)}


def test_rows_of_equal_dimensions_are_as_many_rows(answers: Answers) -> None:
    """Web searches come in a row of their own, and a report is the sum of its rows."""
    for name in (
        "usage_messages",
        "cost_report",
    ):
        provider, endpoint = ENDPOINTS[f"anthropic/{name}"]
        body = answers.real(provider, endpoint)
        [first, *_] = results = body["data"][0]["results"]
        body["data"][0]["results"] = [*results, first]
        answers.replace(provider, endpoint, body)
        rows = answers.new_client(provider).fetch(endpoint, [DAY]).rows.to_pylist()
        assert sorted(row["occurrence"] or 1 for row in rows) == [*[1] * len(results), 2]
        [second] = [row for row in rows if row["occurrence"]]
        assert {**second, "occurrence": None} in rows

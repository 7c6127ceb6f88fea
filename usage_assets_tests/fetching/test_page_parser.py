"""What a spoilt answer does: nothing of it is used, and the message names the field and the day."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from usage_assets.core.people import People
from usage_assets.core.schema import columns, packed_schema
from usage_assets.fetching.transport import PermanentError
from usage_assets.providers.endpoint import Endpoint, Provider
from usage_assets_tests.fetching.conftest import DAY, ENDPOINTS, Answers, NewClient, every_endpoint

ABSENT = object()
REQUIRED_AMOUNTS = {
    "openai/costs": "results[0].amount.value",
    "anthropic/cost_report": "results[0].amount",
    "anthropic/claude_code": "model_breakdown[0].estimated_cost.amount",
    "anthropic_analytics/cost": "cost.amount",
}
OPTIONAL_AMOUNTS = {
    "openai/costs": "results[0].quantity",
    "chatgpt/codex_usage": "totals.credits",
}
BESIDE_MONEY = {
    "openai/costs": "results[0].quantity",
    "anthropic/claude_code": "core_metrics.lines_of_code.added",
}
"""Fields of rows with money that are not money themselves."""
CODEX_CUTS = ("totals.cost_usd", "clients[0].estimated_cost_usd", "models[0].credits")
EXPECTED_COUNTERS = {
    "openai/usage_completions": "results[0].input_tokens",
    "anthropic/usage_messages": "results[0].cache_creation.ephemeral_5m_input_tokens",
    "anthropic/claude_code": "core_metrics.lines_of_code.added",
    "anthropic_analytics/usage": "usage.server_tool_use.web_search_requests",
}
NO_AMOUNTS = {
    "text": "free",
    "NaN": "NaN",
    "infinity": "-Infinity",
    "too large": Decimal("1e400"),
    "15 digits before the point": Decimal("100000000000000.5"),
    "true": True,
    "list": [],
}
NO_COUNTERS = {"text": "7", "fraction": Decimal("7.5"), "true": True}


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


@pytest.mark.parametrize("value", NO_AMOUNTS.values(), ids=NO_AMOUNTS)
@pytest.mark.parametrize(
    ("name", "path"),
    [
        *REQUIRED_AMOUNTS.items(),
        *sorted(OPTIONAL_AMOUNTS.items() - BESIDE_MONEY.items()),
        *(("chatgpt/codex_usage", path) for path in CODEX_CUTS),
    ],
)
def test_what_is_no_amount_names_the_field_and_the_day(answers: Answers, name: str, path: str, value: object) -> None:
    with pytest.raises(PermanentError) as raised:
        fetch_spoilt(answers, name, path, value)
    assert f"$.data[0].{path} ({DAY}): " in raised.value.message


@pytest.mark.parametrize("value", [None, ABSENT], ids=["null", "absent"])
@pytest.mark.parametrize(("name", "path"), REQUIRED_AMOUNTS.items())
def test_a_missing_amount_is_never_zero(answers: Answers, name: str, path: str, value: object) -> None:
    with pytest.raises(PermanentError) as raised:
        fetch_spoilt(answers, name, path, value)
    assert f"$.data[0].{path} ({DAY}): " in raised.value.message


@pytest.mark.parametrize("value", [None, ABSENT], ids=["null", "absent"])
@pytest.mark.parametrize(("name", "path"), OPTIONAL_AMOUNTS.items())
def test_an_unknown_amount_stays_unknown(answers: Answers, name: str, path: str, value: object) -> None:
    rows = fetch_spoilt(answers, name, path, value).rows.to_pylist()
    assert rows[0][path.rpartition(".")[2]] is None


@pytest.mark.parametrize("value", [*NO_AMOUNTS.values(), *NO_COUNTERS.values(), 2**80, {"of": 1}])
@pytest.mark.parametrize(("name", "path"), BESIDE_MONEY.items())
def test_what_is_no_money_stops_no_money(answers: Answers, name: str, path: str, value: object) -> None:
    """It is null, and kept with the fields that are unknown, of which a check warns."""
    provider, endpoint = ENDPOINTS[name]
    whole = answers.new_client(provider).fetch(endpoint, [DAY]).rows.to_pylist()
    fetched = fetch_spoilt(answers, name, path, value)
    column = "quantity" if name == "openai/costs" else "lines_added"
    if value == "7" or (column == "quantity" and value == Decimal("7.5")):
        assert fetched.rows.to_pylist() == [{**whole[0], column: Decimal(str(value))}, *whole[1:]]
        return
    field = "quantity" if name == "openai/costs" else "core_metrics.lines_of_code.added"
    row = fetched.rows.to_pylist()[0]
    assert (row[column], json.loads(row["other_fields"]).keys()) == (None, {field})
    assert fetched.unknown_fields == {field: 1}
    assert [{**each, column: None, "other_fields": None} for each in fetched.rows.to_pylist()] == [
        {**each, column: None, "other_fields": None} for each in whole
    ]


@pytest.mark.parametrize("value", NO_COUNTERS.values(), ids=NO_COUNTERS)
@pytest.mark.parametrize(("name", "path"), sorted(EXPECTED_COUNTERS.items() - BESIDE_MONEY.items()))
def test_what_is_no_count_names_the_field_and_the_day(answers: Answers, name: str, path: str, value: object) -> None:
    with pytest.raises(PermanentError) as raised:
        fetch_spoilt(answers, name, path, value)
    assert f"$.data[0].{path} ({DAY}): " in raised.value.message


@pytest.mark.parametrize("value", [None, ABSENT], ids=["null", "absent"])
@pytest.mark.parametrize(
    ("name", "path", "columns"),
    [
        *((name, path, 1) for name, path in EXPECTED_COUNTERS.items()),
        ("anthropic/usage_messages", "results[0].cache_creation", 2),
        ("anthropic/usage_messages", "results[0].server_tool_use", 1),
        ("anthropic/claude_code", "core_metrics", 5),
    ],
)
def test_a_counter_that_is_left_out_is_unknown_and_the_rest_is_kept(
    answers: Answers, name: str, path: str, columns: int, value: object
) -> None:
    endpoint = ENDPOINTS[name][1]
    whole = answers.new_client(ENDPOINTS[name][0]).fetch(endpoint, [DAY]).rows.to_pylist()[0]
    row = fetch_spoilt(answers, name, path, value).rows.to_pylist()[0]
    differing = [column for column in row if row[column] != whole[column]]
    assert [row[column] for column in differing] == [None] * columns


@pytest.mark.parametrize(("name", "path"), sorted(EXPECTED_COUNTERS.items() - BESIDE_MONEY.items()))
def test_a_count_that_no_column_can_hold_is_refused(answers: Answers, name: str, path: str) -> None:
    with pytest.raises(PermanentError, match="does not fit"):
        fetch_spoilt(answers, name, path, 2**63)


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("openai/costs", "results", ABSENT),
        ("openai/costs", "results", None),
        ("openai/costs", "results[0]", "text"),
        ("openai/costs", "results[0].amount", []),
        ("openai/costs", "start_time", None),
        ("openai/costs", "end_time", ABSENT),
        ("openai/usage_completions", "start_time", "yesterday"),
        ("anthropic/usage_messages", "starting_at", "2026-11-12T00:00:00"),
        ("anthropic/usage_messages", "results[0].cache_creation", []),
        ("anthropic/claude_code", "date", ABSENT),
        ("anthropic/claude_code", "actor", None),
        ("anthropic/claude_code", "model_breakdown", None),
        ("anthropic/claude_code", "tool_actions", ABSENT),
        ("anthropic/claude_code", "tool_actions.edit_tool.accepted", "many"),
        ("chatgpt/codex_usage", "totals", ABSENT),
        ("chatgpt/codex_usage", "clients[0]", "CODEX_CLI"),
        ("chatgpt/codex_usage", "models", {}),
        ("chatgpt/codex_usage", "user_id", 7),
    ],
)
def test_another_shape_is_refused(answers: Answers, name: str, path: str, value: object) -> None:
    with pytest.raises(PermanentError, match="does not know an answer of this shape") as raised:
        fetch_spoilt(answers, name, path, value)
    assert "$.data[0]" in raised.value.message


def test_a_result_that_is_no_object_is_called_that(answers: Answers) -> None:
    with pytest.raises(PermanentError, match=r"\$\.data\[0\]\.results\[0\].*Expected `object`"):
        fetch_spoilt(answers, "openai/costs", "results[0]", "all of it")


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("openai/costs", "start_time", 1794441600 + 3600),
        ("openai/costs", "end_time", 1794441600 + 7 * 86400),
        ("openai/usage_completions", "end_time", 1794441600),
        ("anthropic/cost_report", "ending_at", "2026-11-19T00:00:00Z"),
        ("chatgpt/codex_usage", "end_time", 1794441600 + 7 * 86400),
    ],
)
def test_a_bucket_that_is_not_one_utc_day_is_refused(answers: Answers, name: str, path: str, value: object) -> None:
    with pytest.raises(PermanentError, match="is not within one UTC day") as raised:
        fetch_spoilt(answers, name, path, value)
    assert str(DAY) in raised.value.message


RESULT = {"anthropic/claude_code": "", "chatgpt/codex_usage": "totals."} | {
    name: ""
    for name, (provider, endpoint) in ENDPOINTS.items()
    if provider.name == "anthropic_analytics" and not endpoint.bucket_per_day
}
"""Where a result stands in an item; ``results[0].`` where nothing else is said."""


@pytest.mark.parametrize("policy", ["ids", "names"])
@pytest.mark.parametrize("name", ENDPOINTS)
def test_unknown_fields_are_kept_and_counted(answers: Answers, name: str, policy: Any) -> None:
    provider, endpoint = ENDPOINTS[name]
    body = answers.real(provider, endpoint)
    news = {"contact": "new\nsomeone@example.com", "share": Decimal("0.1234567890123456789012345")}
    spoil(body["data"][0], f"{RESULT.get(name, 'results[0].')}brand_new", news)
    body["later"] = True
    answers.replace(provider, endpoint, body)
    fetched = answers.new_client(provider, people=People(policy), concurrency=1).fetch(endpoint, [DAY])
    kept = json.loads(fetched.rows.to_pylist()[0]["other_fields"])
    address = "someone@example.com" if policy == "names" else "address-dropped"
    assert kept == {"brand_new": {"contact": f"new\n{address}", "share": "0.1234567890123456789012345"}}
    assert fetched.unknown_fields == {"brand_new": 1, "page.later": 1}


def test_unknown_fields_inside_objects_and_of_buckets_are_kept(answers: Answers) -> None:
    provider, endpoint = ENDPOINTS["openai/costs"]
    body = answers.real(provider, endpoint)
    spoil(body["data"][0], "results[0].amount.tax", "0.01")
    spoil(body["data"][0], "revision", 3)
    answers.replace(provider, endpoint, body)
    fetched = answers.new_client(provider).fetch(endpoint, [DAY])
    kept = [json.loads(row["other_fields"]) for row in fetched.rows.to_pylist()]
    assert kept[0] == {"amount.tax": "0.01", "bucket.revision": 3}
    assert all(others == {"bucket.revision": 3} for others in kept[1:])
    assert fetched.unknown_fields == {"amount.tax": 1, "bucket.revision": len(kept)}


def test_fields_that_are_named_like_our_own_columns_cannot_replace_them(answers: Answers) -> None:
    provider, endpoint = ENDPOINTS["openai/costs"]
    body = answers.real(provider, endpoint)
    body["data"][0]["results"][0] |= {"connection": "theirs", "usage_date": "2020-01-01", "grouped_by": "x"}
    answers.replace(provider, endpoint, body)
    row = answers.new_client(provider).fetch(endpoint, [DAY]).rows.to_pylist()[0]
    assert (row["connection"], row["usage_date"]) == ("openai", DAY)
    assert json.loads(row["other_fields"]) == {"connection": "theirs", "usage_date": "2020-01-01", "grouped_by": "x"}


def test_codex_rows_without_a_user_are_numbered_over_all_pages(answers: Answers) -> None:
    provider, endpoint = ENDPOINTS["chatgpt/codex_usage"]
    body = answers.real(provider, endpoint)
    nobody = body["data"][0] | {"user_id": None, "actor": None, "clients": [], "models": []}
    pages = [
        body | {"data": [nobody | {"totals": {"turns": turns}}], "has_more": turns == 2, "next_page": "2"}
        for turns in (2, 1)
    ]
    user_cut = replace(endpoint, queries=({},))
    for order in (pages, [pages[1] | {"has_more": True}, pages[0] | {"has_more": False}]):
        answers.replace(provider, endpoint, *order)
        rows = answers.new_client(provider).fetch(user_cut, [DAY]).rows.to_pylist()
        assert {row["occurrence"]: row["turns"] for row in rows} == {1: 1, 2: 2}


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


def test_equal_codex_rows_of_a_user_or_of_the_workspace_keep_one_number(answers: Answers) -> None:
    provider, endpoint = ENDPOINTS["chatgpt/codex_usage"]
    body = answers.real(provider, endpoint)
    user = body["data"][0] | {"user_id": "wsu_1", "clients": [], "models": []}
    answers.replace(provider, endpoint, body | {"data": [user, user]}, body | {"data": [user, user]})
    rows = answers.new_client(provider, concurrency=1).fetch(endpoint, [DAY]).rows.to_pylist()
    assert [(row["cut"], row["occurrence"]) for row in rows] == [("user", 1)] * 2 + [("workspace", 1)] * 2


@pytest.mark.parametrize("name", ["anthropic/claude_code", "chatgpt/codex_usage", "anthropic_analytics/cost"])
def test_a_field_that_is_named_like_our_number_is_only_kept(answers: Answers, name: str) -> None:
    row = fetch_spoilt(answers, name, f"{RESULT[name]}occurrence", 7).rows.to_pylist()[0]
    assert (row["occurrence"], json.loads(row["other_fields"])) == (1, {"occurrence": 7})


@pytest.mark.parametrize(
    ("sent", "stored", "rounded"),
    [
        ("12.50", "12.5", 0),
        (Decimal("0.13080438340307526"), "0.13080438340307526", 0),
        (Decimal("0.0000012345678901234567"), "0.0000012345678901234567", 0),
        (Decimal("0.0000000000000000000000015"), "0.000000000000000000000002", 1),
        (Decimal("0.0000000000000000000000025"), "0.000000000000000000000002", 1),
        (Decimal("-3"), "-3", 0),
        (Decimal("9999999999999.999999999999999999999999"), "9999999999999.999999999999999999999999", 0),
        (0, "0", 0),
    ],
)
@pytest.mark.parametrize("name", REQUIRED_AMOUNTS)
def test_amounts_keep_every_digit(answers: Answers, name: str, sent: Any, stored: str, rounded: int) -> None:
    fetched = fetch_spoilt(answers, name, REQUIRED_AMOUNTS[name], sent)
    row = fetched.rows.to_pylist()[0]
    columns_of_amount = {"openai/costs": "amount_value", "anthropic/cost_report": "amount_cents"}
    columns_of_amount["anthropic_analytics/cost"] = "amount_cents"
    if name in columns_of_amount:
        assert row[columns_of_amount[name]] == Decimal(stored)
    else:
        assert Decimal(stored) in {Decimal(use["estimated_cost_cents"]) for use in json.loads(row["model_breakdown"])}
    assert fetched.rounded == rounded


def test_each_amount_that_is_rounded_counts(answers: Answers) -> None:
    provider, endpoint = ENDPOINTS["openai/costs"]
    body = answers.real(provider, endpoint)
    for result in body["data"][0]["results"][:3]:
        result["amount"]["value"] = Decimal("0.0000000000000000000000015")
    answers.replace(provider, endpoint, body)
    assert answers.new_client(provider).fetch(endpoint, [DAY]).rounded == 3


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("ids", lambda address: None),
        ("names", lambda address: address),
        ("hash", lambda address: People("hash", "key").only_id(address)),
    ],
    ids=["ids", "names", "hash"],
)
@pytest.mark.parametrize("name", ["openai/costs", "chatgpt/codex_usage"])
def test_addresses_that_are_sent_unasked_follow_the_policy(
    answers: Answers, name: str, policy: Any, expected: Callable[[str], str | None]
) -> None:
    provider, endpoint = ENDPOINTS[name]
    people = People(policy, "key")
    rows = answers.new_client(provider, people=people).fetch(endpoint, [DAY]).rows.to_pylist()
    named = answers.new_client(provider, people=People("names")).fetch(endpoint, [DAY]).rows.to_pylist()
    addresses = [row["user_email"] for row in named]
    assert any(addresses)
    assert [row["user_email"] for row in rows] == [address and expected(address) for address in addresses]
    assert [row["user_id"] for row in rows] == [row["user_id"] for row in named]
    if policy != "names":
        assert "@" not in str(rows)


@pytest.mark.parametrize("policy", ["ids", "hash", "names"])
def test_claude_code_actors_have_only_their_address(answers: Answers, policy: Any) -> None:
    provider, endpoint = ENDPOINTS["anthropic/claude_code"]
    people = People(policy, "key")
    rows = answers.new_client(provider, people=people).fetch(endpoint, [DAY]).rows.to_pylist()
    assert {row["actor_type"] for row in rows} == {"user_actor", "api_actor"}
    for row in rows:
        is_person = row["actor_type"] == "user_actor"
        assert (row["actor_email"] is None, row["api_key_name"] is None) == (not is_person, is_person)
        assert not is_person or ("@" in row["actor_email"]) == (policy != "hash")


@every_endpoint
def test_a_personal_column_is_empty_unless_it_is_the_only_id(
    new_client: NewClient, provider: Provider, endpoint: Endpoint
) -> None:
    rows = new_client(provider).fetch(endpoint, [DAY]).rows.to_pylist()
    for column in columns(endpoint.row):
        if column.address == "sent_unasked":
            assert {row[column.name] for row in rows} == {None}


@every_endpoint
def test_the_arrow_table_has_exactly_the_declared_schema(
    new_client: NewClient, provider: Provider, endpoint: Endpoint
) -> None:
    fetched = new_client(provider).fetch(endpoint, [DAY, DAY + timedelta(days=1)])
    assert fetched.rows.schema.equals(packed_schema(endpoint.row))
    for column in columns(endpoint.row):
        assert column.nullable or not fetched.rows[column.name].null_count


def test_dimensions_that_are_not_grouped_are_null(new_client: NewClient) -> None:
    provider, endpoint = ENDPOINTS["openai/costs"]
    rows = new_client(provider).fetch(replace(endpoint, group_by=()), [DAY]).rows.to_pylist()
    assert len(rows) == 1
    assert rows[0]["grouped_by"] == ""
    assert {rows[0][name] for name in endpoint.group_by} == {None}

"""The emulated Anthropic Admin API refuses what the real one refuses and adds up what it groups."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import combinations
from typing import Any

import pytest

from usage_assets_sandbox.tests.calling import (
    ENDPOINTS,
    FIXTURES,
    KEYS,
    TODAY,
    SandboxCaller,
    days,
    exact,
    midnight,
    rfc3339_window,
)

MESSAGES = ENDPOINTS["anthropic", "usage_messages"]
COSTS = ENDPOINTS["anthropic", "cost_report"]
CODE = ENDPOINTS["anthropic", "claude_code"]
START, END = TODAY - timedelta(days=10), TODAY
WINDOW = rfc3339_window(START, END)
FAST_MODE = {**KEYS["anthropic"], "anthropic-beta": "fast-mode-2026-02-01"}
CODE_DAY = {"starting_at": str(TODAY - timedelta(days=3))}
VALID = {MESSAGES: WINDOW, COSTS: WINDOW, CODE: CODE_DAY}


def name(endpoint: Any) -> str:
    return str(endpoint.name)


def results(sandbox: SandboxCaller, path: str, **params: Any) -> Iterator[dict[str, Any]]:
    for page in sandbox.pages(path, {**WINDOW, **params}):
        for bucket in page["data"]:
            yield from bucket["results"]


@pytest.mark.parametrize("endpoint", VALID, ids=name)
@pytest.mark.parametrize(
    ("headers", "status", "kind"),
    [
        ({"anthropic-version": "2023-06-01"}, 401, "authentication_error"),
        ({"x-api-key": KEYS["anthropic"]["x-api-key"]}, 400, "invalid_request_error"),
        ({**KEYS["anthropic"], "anthropic-version": "2026-01-01"}, 400, "invalid_request_error"),
    ],
)
def test_a_call_without_key_or_version_is_refused(
    sandbox: SandboxCaller, endpoint: Any, headers: dict[str, str], status: int, kind: str
) -> None:
    answer = sandbox.get(endpoint.path, VALID[endpoint], headers)
    assert (answer.status_code, answer.json()["type"], answer.json()["error"]["type"]) == (status, "error", kind)
    assert answer.json()["request_id"].startswith("req_")
    assert "other-secret" not in answer.text


@pytest.mark.parametrize(
    ("endpoint", "change", "message"),
    [
        *(
            (endpoint, change, message)
            for endpoint in (MESSAGES, COSTS)
            for change, message in (
                ({"starting_at": None}, "starting_at: Field required"),
                ({"starting_at": 1793491200}, "starting_at: Input should be a valid RFC 3339 datetime"),
                ({"ending_at": "2026-11-19T23:00:00Z"}, "ending_at: Input should be the start of a 1d bucket (UTC)"),
                ({"start_time": 1793491200}, "start_time: Extra inputs are not permitted"),
                ({"limit": 32}, "limit: Input should be less than or equal to 31"),
                ({"page": "page_AAAA"}, "page: Invalid page token for these query parameters"),
            )
        ),
        (MESSAGES, {"group_by[]": "description"}, "group_by[]: Input should be 'account_id', "),
        (MESSAGES, {"group_by[]": "speed"}, "speed requires the anthropic-beta header"),
        (MESSAGES, {"ending_at": WINDOW["starting_at"]}, "ending_at: Input should be after starting_at"),
        (
            MESSAGES,
            {"group_by[]": ["workspace_id", "api_key_id", "account_id", "model", "service_tier", "context_window"]},
            "group_by[]: At most 5 dimensions are supported",
        ),
        (COSTS, {"group_by[]": "model"}, "group_by[]: Input should be 'description', 'workspace_id'"),
        (CODE, {"starting_at": "2026-11-01T00:00:00Z"}, "starting_at: Input should be a valid date"),
        (CODE, {"limit": 1001}, "limit: Input should be less than or equal to 1000"),
    ],
)
def test_a_bad_parameter_is_refused(
    sandbox: SandboxCaller, endpoint: Any, change: dict[str, Any], message: str
) -> None:
    answer = sandbox.get(endpoint.path, {**VALID[endpoint], **change})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert answer.json()["error"]["message"].startswith(message)


@pytest.mark.parametrize(
    ("starting_at", "ending_at"),
    [
        (midnight(TODAY), midnight(TODAY)),
        (f"{START}T06:00:00Z", f"{START}T18:00:00Z"),
    ],
)
def test_costs_of_less_than_a_whole_day_are_refused_for_good(
    sandbox: SandboxCaller, starting_at: str, ending_at: str
) -> None:
    answer = sandbox.get(COSTS.path, {"starting_at": starting_at, "ending_at": ending_at})
    observed = exact((FIXTURES / "anthropic/cost_report/observed_error_400_same_day.json").read_bytes())
    assert (answer.status_code, answer.json()) == (400, observed)
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("endpoint", [MESSAGES, COSTS], ids=name)
@pytest.mark.parametrize(("limit", "days", "sizes"), [(None, 10, [7, 3]), (31, 90, [31, 31, 28])])
def test_every_day_has_one_bucket_and_pages_hold_the_limit(
    sandbox: SandboxCaller, endpoint: Any, limit: int | None, days: int, sizes: list[int]
) -> None:
    start = END - timedelta(days=days)
    pages = list(sandbox.pages(endpoint.path, {**rfc3339_window(start, END), "limit": limit}))
    assert [len(page["data"]) for page in pages] == sizes
    buckets = [bucket for page in pages for bucket in page["data"]]
    expected = [(midnight(start + timedelta(days=n)), midnight(start + timedelta(days=n + 1))) for n in range(days)]
    assert [(bucket["starting_at"], bucket["ending_at"]) for bucket in buckets] == expected
    assert any(not bucket["results"] for bucket in buckets) == (days >= 90)


@pytest.mark.parametrize("endpoint", VALID, ids=name)
@pytest.mark.parametrize("change", [{"limit": 4}, {"starting_at": "next"}, {"group_by[]": "workspace_id"}])
def test_a_page_token_is_bound_to_its_query(sandbox: SandboxCaller, endpoint: Any, change: dict[str, Any]) -> None:
    query = {**VALID[endpoint], "limit": 3}
    token = sandbox.get(endpoint.path, query).json()["next_page"]
    assert sandbox.get(endpoint.path, {**query, "page": token}).status_code == 200
    if change.get("starting_at"):
        later = TODAY - timedelta(days=2)
        change = {"starting_at": str(later) if endpoint is CODE else midnight(later)}
    assert sandbox.get(endpoint.path, {**query, "page": token, **change}).status_code == 400


def message_sums(rows: list[dict[str, Any]]) -> list[int]:
    return [
        sum(sum(row[field].values()) if isinstance(row[field], dict) else row[field] for row in rows)
        for field in (
            "uncached_input_tokens",
            "cache_read_input_tokens",
            "cache_creation",
            "output_tokens",
            "server_tool_use",
        )
    ]


def test_grouping_never_changes_the_tokens(sandbox: SandboxCaller) -> None:
    dimensions = (
        "account_id",
        "api_key_id",
        "context_window",
        "inference_geo",
        "model",
        "service_account_id",
        "service_tier",
        "workspace_id",
    )
    ungrouped = list(results(sandbox, MESSAGES.path, limit=31))
    assert len(ungrouped) == 10
    for size in (1, 3, 5):
        for chosen in combinations(dimensions, size):
            rows = list(results(sandbox, MESSAGES.path, limit=31, **{"group_by[]": list(chosen)}))
            assert message_sums(rows) == message_sums(ungrouped)
            assert all(row[field] is None for row in rows for field in dimensions if field not in chosen)


def test_speed_is_a_dimension_behind_its_beta_header(sandbox: SandboxCaller) -> None:
    plain = sandbox.get(MESSAGES.path, {**WINDOW, "group_by[]": "model"}).json()
    fast = sandbox.get(MESSAGES.path, {**WINDOW, "group_by[]": ["model", "speed"]}, FAST_MODE).json()
    assert all("speed" not in row for bucket in plain["data"] for row in bucket["results"])
    assert {row["speed"] for bucket in fast["data"] for row in bucket["results"]} == {"standard", "fast"}


def test_grouping_never_changes_the_cents(sandbox: SandboxCaller) -> None:
    groupings: list[list[str]] = [[], ["workspace_id"], ["description"], ["workspace_id", "description"]]
    sums = []
    for grouping in groupings:
        rows = list(results(sandbox, COSTS.path, **{"group_by[]": grouping}))
        sums.append(sum((Decimal(row["amount"]) for row in rows), Decimal(0)))
        for field in set(rows[0]) - {"amount", "currency", "workspace_id"}:
            assert "description" in grouping or {row[field] for row in rows} == {None}
    assert len(set(sums)) == 1
    assert sums[0] > 0


@pytest.mark.parametrize(
    ("parameter", "dimension"),
    [("models[]", "model"), ("workspace_ids[]", "workspace_id"), ("service_tiers[]", "service_tier")],
)
def test_a_filter_keeps_the_rows_of_its_values(sandbox: SandboxCaller, parameter: str, dimension: str) -> None:
    everything = list(results(sandbox, MESSAGES.path, **MESSAGES.finest))
    wanted = sorted({row[dimension] for row in everything if row[dimension]})[:2]
    filtered = list(results(sandbox, MESSAGES.path, **MESSAGES.finest, **{parameter: wanted}))
    assert filtered == [row for row in everything if row[dimension] in wanted]


def test_claude_code_serves_one_day_in_pages_of_records(sandbox: SandboxCaller) -> None:
    busiest = max(
        days(START, END), key=lambda day: len(sandbox.days(CODE, day, day + timedelta(days=1), limit=1000)[day])
    )
    by_default = list(sandbox.pages(CODE.path, {"starting_at": str(busiest)}))
    assert len(by_default[0]["data"]) == 20
    assert len(by_default) == 2
    whole = sandbox.get(CODE.path, {"starting_at": str(busiest), "limit": 1000})
    assert exact(whole.content)["data"] == [record for page in by_default for record in page["data"]]
    assert {record["date"] for page in by_default for record in page["data"]} == {midnight(busiest)}


def test_claude_code_records_are_told_apart_by_all_their_dimensions(sandbox: SandboxCaller) -> None:
    records = [record for rows in sandbox.days(CODE, START, END).values() for record in rows]

    def values(field: str) -> set[Any]:
        return {record[field] for record in records}

    assert values("customer_type") == {"api", "subscription"}
    assert values("subscription_type") == {None, "team", "enterprise"}
    assert values("is_remote") == {True, False}
    assert len(values("terminal_type")) > 5
    names = {record["actor"].get("api_key_name") for record in records}
    assert "Laptop key (Bob)" in names
    amounts = [used["estimated_cost"]["amount"] for record in records for used in record["model_breakdown"]]
    assert {type(amount) for amount in amounts} == {int, Decimal}
    terminals = defaultdict(set)
    for record in records:
        terminals[record["date"], tuple(record["actor"].values())].add(record["terminal_type"])
    assert max(map(len, terminals.values())) > 1

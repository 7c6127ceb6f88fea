"""The emulated OpenAI organization API refuses what the real one refuses and adds up what it groups."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from itertools import combinations
from typing import Any

import pytest

from usage_assets_sandbox.tests.calling import (
    ENDPOINTS,
    FIXTURES,
    TODAY,
    SandboxCaller,
    day_of,
    exact,
    unix,
    unix_window,
)

COSTS = ENDPOINTS["openai", "costs"]
COMPLETIONS = ENDPOINTS["openai", "usage_completions"]
START, END = TODAY - timedelta(days=10), TODAY
WINDOW = unix_window(START, END)
DAY = 86_400
COST_DIMENSIONS = ("project_id", "user_id", "line_item", "api_key_id", "api_source")


def results(sandbox: SandboxCaller, path: str, **params: Any) -> Iterator[dict[str, Any]]:
    for page in sandbox.pages(path, {**WINDOW, **params}):
        for bucket in page["data"]:
            yield from bucket["results"]


@pytest.mark.parametrize("endpoint", [COSTS, COMPLETIONS], ids=lambda endpoint: endpoint.name)
@pytest.mark.parametrize(
    ("headers", "message", "code"),
    [
        ({}, "You didn't provide an API key", None),
        (
            {"authorization": "Bearer sk-admin-other-secret"},
            "Incorrect API key provided: sk-********cret.",
            "invalid_api_key",
        ),
    ],
)
def test_a_call_without_the_key_is_refused(
    sandbox: SandboxCaller, endpoint: Any, headers: dict[str, str], message: str, code: str | None
) -> None:
    answer = sandbox.get(endpoint.path, WINDOW, headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["message"].startswith(message)
    assert answer.json()["error"]["code"] == code
    assert "sk-admin-other-secret" not in answer.text


@pytest.mark.parametrize(
    ("endpoint", "change", "message", "param"),
    [
        (COSTS, {"start_time": None}, "Missing required parameter: 'start_time'.", "start_time"),
        (COSTS, {"starting_at": "2026-11-01T00:00:00Z"}, "Unknown parameter: 'starting_at'.", "starting_at"),
        (COSTS, {"start_time": unix(START) + 1}, "Invalid value for 'start_time'", "start_time"),
        (COSTS, {"end_time": unix(START)}, "Invalid value for 'end_time': end_time must be after", "end_time"),
        (COSTS, {"bucket_width": "1h"}, "Invalid value: '1h'. Supported values are: '1d'.", "bucket_width"),
        (COSTS, {"limit": 181}, "Limit must be less than or equal to 180.", "limit"),
        (COSTS, {"limit": [7, 8]}, "Parameter 'limit' was given more than once.", "limit"),
        (COSTS, {"group_by[]": "project_id,user_id"}, "Invalid value: 'project_id,user_id'.", "group_by[]"),
        (COMPLETIONS, {"group_by": "line_item"}, "Invalid value: 'line_item'.", "group_by"),
        (COMPLETIONS, {"limit": 32}, "Limit must be less than or equal to 31.", "limit"),
    ],
)
def test_a_bad_parameter_is_refused(
    sandbox: SandboxCaller, endpoint: Any, change: dict[str, Any], message: str, param: str
) -> None:
    answer = sandbox.get(endpoint.path, {**WINDOW, **change})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["message"].startswith(message)
    assert (error["type"], error["param"]) == ("invalid_request_error", param)


@pytest.mark.parametrize("endpoint", [COSTS, COMPLETIONS], ids=lambda endpoint: endpoint.name)
def test_history_ends_365_days_ago(sandbox: SandboxCaller, endpoint: Any) -> None:
    first = TODAY - timedelta(days=365)
    assert sandbox.get(endpoint.path, unix_window(first, END)).status_code == 200
    refused = sandbox.get(endpoint.path, unix_window(first - timedelta(days=1), END))
    observed = (FIXTURES / "openai/costs/observed_error_400_lookback.json").read_text()
    assert (refused.status_code, refused.json()) == (400, exact(observed.replace("2030-01-01", str(first))))


@pytest.mark.parametrize("spelling", ["group_by", "group_by[]"])
def test_grouping_costs_by_key_is_refused_before_its_first_day(sandbox: SandboxCaller, spelling: str) -> None:
    floor = date(2025, 12, 6)
    early = unix_window(floor - timedelta(days=1), END)
    refused = sandbox.get(COSTS.path, {**early, spelling: ["project_id", "api_key_id"]})
    observed = exact((FIXTURES / "openai/costs/observed_error_400_api_key_floor.json").read_bytes())
    assert (refused.status_code, refused.json()) == (400, observed)
    assert sandbox.get(COSTS.path, {**early, spelling: ["project_id"]}).status_code == 200
    assert sandbox.get(COSTS.path, {**unix_window(floor, END), spelling: ["api_key_id"]}).status_code == 200
    assert sandbox.get(COMPLETIONS.path, {**early, spelling: ["api_key_id"]}).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"start_time": unix(START) + DAY},
        {"limit": 4},
        {"group_by[]": ["project_id", "user_id"]},
        {"project_ids": "proj_a"},
    ],
)
def test_a_page_token_is_bound_to_its_query(sandbox: SandboxCaller, change: dict[str, Any]) -> None:
    query = {**WINDOW, "limit": 3, "group_by[]": ["project_id"]}
    token = sandbox.get(COSTS.path, query).json()["next_page"]
    assert sandbox.get(COSTS.path, {**query, "page": token}).status_code == 200
    refused = sandbox.get(COSTS.path, {**query, "page": token, **change})
    observed = exact((FIXTURES / "openai/costs/observed_error_400_page_token.json").read_bytes())
    assert (refused.status_code, refused.json()) == (400, observed)


@pytest.mark.parametrize("token", ["", "page_AAAA", "page_AAAAAGdGxdEiJdKOAAAAAGcqsYA="])
def test_a_token_that_was_never_issued_is_refused(sandbox: SandboxCaller, token: str) -> None:
    assert sandbox.get(COSTS.path, {**WINDOW, "page": token}).status_code == 400


def test_a_token_of_the_other_endpoint_is_refused(sandbox: SandboxCaller) -> None:
    token = sandbox.get(COSTS.path, WINDOW).json()["next_page"]
    assert sandbox.get(COMPLETIONS.path, {**WINDOW, "page": token}).status_code == 400


@pytest.mark.parametrize(("endpoint", "limit", "days", "sizes"), [
    (COSTS, None, 10, [7, 3]),
    (COSTS, 180, 365, [180, 180, 5]),
    (COMPLETIONS, 31, 90, [31, 31, 28]),
])  # fmt: skip
def test_every_day_has_one_bucket_and_pages_hold_the_limit(
    sandbox: SandboxCaller, endpoint: Any, limit: int | None, days: int, sizes: list[int]
) -> None:
    start = END - timedelta(days=days)
    pages = list(sandbox.pages(endpoint.path, {**unix_window(start, END), "limit": limit}))
    assert [len(page["data"]) for page in pages] == sizes
    buckets = [bucket for page in pages for bucket in page["data"]]
    assert [bucket["start_time"] for bucket in buckets] == [unix(start) + DAY * n for n in range(days)]
    assert all(bucket["end_time"] - bucket["start_time"] == DAY for bucket in buckets)
    assert all((page["object"], page["data"][0]["object"]) == ("page", "bucket") for page in pages)


def test_quiet_days_and_the_future_are_empty_buckets(sandbox: SandboxCaller) -> None:
    window = unix_window(TODAY - timedelta(days=60), TODAY + timedelta(days=3))
    buckets = sandbox.get(COSTS.path, {**window, "limit": 180}).json()["data"]
    empty = [day_of(bucket) for bucket in buckets if not bucket["results"]]
    assert empty[-2:] == [TODAY + timedelta(days=1), TODAY + timedelta(days=2)]
    assert len([day for day in empty if day <= TODAY]) == 2
    assert buckets[-3]["results"]


def test_grouping_never_changes_a_sum(sandbox: SandboxCaller) -> None:
    rows_of = {
        chosen: list(results(sandbox, COSTS.path, limit=31, **{"group_by[]": list(chosen)}))
        for size in range(len(COST_DIMENSIONS) + 1)
        for chosen in combinations(COST_DIMENSIONS, size)
    }
    sums = {chosen: sum(Decimal(row["amount"]["value"]) for row in rows) for chosen, rows in rows_of.items()}
    assert {*sums.values()} == {sums[()]}
    assert sums[()] > 0
    for chosen, rows in rows_of.items():
        assert all(row[name] is None for row in rows for name in COST_DIMENSIONS if name not in chosen)
    assert len(rows_of[()]) == 10
    assert len(rows_of[COST_DIMENSIONS]) > 100


def test_amounts_are_exact_numbers_or_now_and_then_strings(sandbox: SandboxCaller) -> None:
    values = [row["amount"]["value"] for row in results(sandbox, COSTS.path, **COSTS.finest)]
    strings = [value for value in values if isinstance(value, str)]
    assert 0.1 < len(strings) / len(values) < 0.3
    digits = [len(Decimal(value).normalize().as_tuple().digits) for value in values]
    assert max(digits) == 17
    assert min(digits) < 8
    assert all(Decimal(value) > 0 for value in values)


@pytest.mark.parametrize(
    ("endpoint", "parameter", "dimension"),
    [
        (COSTS, "project_ids", "project_id"),
        (COSTS, "line_items", "line_item"),
        (COMPLETIONS, "models[]", "model"),
    ],
)
def test_a_filter_keeps_the_rows_of_its_values(
    sandbox: SandboxCaller, endpoint: Any, parameter: str, dimension: str
) -> None:
    everything = list(results(sandbox, endpoint.path, **endpoint.finest))
    wanted = sorted({row[dimension] for row in everything if row[dimension]})[:2]
    filtered = list(results(sandbox, endpoint.path, **endpoint.finest, **{parameter: wanted}))
    assert filtered == [row for row in everything if row[dimension] in wanted]


@pytest.mark.parametrize(
    ("report", "change", "message"),
    [
        ("embeddings", {"batch": "true"}, "Unknown parameter: 'batch'."),
        ("images", {"sizes": "2x2"}, "Invalid value: '2x2'."),
        ("vector_stores", {"group_by[]": "user_id"}, "Invalid value: 'user_id'. Supported values are: 'project_id'."),
        ("web_search_calls", {"context_levels": "huge"}, "Invalid value: 'huge'."),
    ],
)
def test_a_report_refuses_what_belongs_to_others(
    sandbox: SandboxCaller, report: str, change: dict[str, Any], message: str
) -> None:
    answer = sandbox.get(ENDPOINTS["openai", f"usage_{report}"].path, {**WINDOW, **change})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert answer.json()["error"]["message"].startswith(message)


@pytest.mark.parametrize("name", [name for provider, name in ENDPOINTS if provider == "openai" and name != "costs"])
def test_every_dimension_of_a_report_adds_up_to_the_same(sandbox: SandboxCaller, name: str) -> None:
    endpoint = ENDPOINTS["openai", name]
    dimensions: list[str] = endpoint.finest["group_by[]"]

    def sums(group_by: list[str]) -> dict[str, int]:
        rows = list(results(sandbox, endpoint.path, limit=31, **{"group_by[]": group_by}))
        assert all(row[dimension] is None for row in rows for dimension in dimensions if dimension not in group_by)
        assert {row["object"] for row in rows} == {rows[0]["object"]}
        measures = rows[0].keys() - {"object", *dimensions}
        return {measure: sum(row[measure] for row in rows) for measure in measures}

    ungrouped = sums([])
    assert max(ungrouped.values()) > 0
    assert all(sums(group_by) == ungrouped for group_by in (dimensions, *([dimension] for dimension in dimensions)))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_url_is_refused_in_the_provider_s_envelope(sandbox: SandboxCaller, method: str) -> None:
    answer = sandbox.client.request(method, "/openai/v1/organization/usage/responses")
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "invalid_request_error")

"""The emulated Anthropic Admin API refuses what the real one refuses, and has a bucket a day."""

from datetime import timedelta
from typing import Any

import pytest

from usage_assets_sandbox.tests.calling import (
    ENDPOINTS,
    FIXTURES,
    KEYS,
    TODAY,
    SandboxCaller,
    changes,
    exact,
    midnight,
    rfc3339_window,
)

MESSAGES = ENDPOINTS["anthropic", "usage_messages"]
COSTS = ENDPOINTS["anthropic", "cost_report"]
CODE = ENDPOINTS["anthropic", "claude_code"]
START, END = TODAY - timedelta(days=10), TODAY
WINDOW = rfc3339_window(START, END)
CODE_DAY = {"starting_at": str(TODAY - timedelta(days=3))}
VALID = {MESSAGES: WINDOW, COSTS: WINDOW, CODE: CODE_DAY}


def name(endpoint: Any) -> str:
    return str(endpoint.name)


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


def test_a_bad_parameter_is_refused(sandbox: SandboxCaller) -> None:
    both, six = "usage_messages,cost_report", "workspace_id api_key_id account_id model service_tier context_window"
    for names, change, message in changes(f"""
        {both}  starting_at                        starting_at: Field required
        {both}  starting_at=1793491200             starting_at: Input should be a valid RFC 3339 datetime
        {both}  ending_at=2026-11-19T23:00:00Z     ending_at: Input should be the start of a 1d bucket (UTC)
        {both}  start_time=1793491200              start_time: Extra inputs are not permitted
        {both}  limit=32                           limit: Input should be less than or equal to 31
        {both}  page=page_AAAA                     page: Invalid page token for these query parameters
        usage_messages  group_by[]=description     group_by[]: Input should be 'account_id',
        usage_messages  group_by[]=speed           speed requires the anthropic-beta header
        usage_messages  ending_at={WINDOW["starting_at"]}  ending_at: Input should be after starting_at
        usage_messages  {"&".join(f"group_by[]={each}" for each in six.split())}  group_by[]: At most 5 dimensions
        cost_report  group_by[]=model              group_by[]: Input should be 'description', 'workspace_id'
        claude_code  starting_at=2026-11-01T00:00:00Z  starting_at: Input should be a valid date
        claude_code  limit=1001                    limit: Input should be less than or equal to 1000
    """):
        for name in names:
            endpoint = ENDPOINTS["anthropic", name]
            answer = sandbox.get(endpoint.path, {**VALID[endpoint], **change})
            error = answer.json()["error"]
            assert (answer.status_code, error["type"]) == (400, "invalid_request_error"), (name, change)
            assert error["message"].startswith(message), (name, change)


def test_costs_of_less_than_a_whole_day_are_refused_for_good(sandbox: SandboxCaller) -> None:
    for starting_at, ending_at in (
        (midnight(TODAY), midnight(TODAY)),
        (f"{START}T06:00:00Z", f"{START}T18:00:00Z"),
    ):
        answer = sandbox.get(COSTS.path, {"starting_at": starting_at, "ending_at": ending_at})
        observed = exact((FIXTURES / "anthropic/cost_report/observed_error_400_same_day.json").read_bytes())
        assert (answer.status_code, answer.json()) == (400, observed)
        assert answer.headers["x-should-retry"] == "false"


def test_every_day_has_one_bucket_and_pages_hold_the_limit(sandbox: SandboxCaller) -> None:
    for endpoint in (
        MESSAGES,
        COSTS,
    ):
        for limit, days, sizes in (
            (None, 10, [7, 3]),
            (31, 90, [31, 31, 28]),
        ):
            start = END - timedelta(days=days)
            pages = list(sandbox.pages(endpoint.path, {**rfc3339_window(start, END), "limit": limit}))
            assert [len(page["data"]) for page in pages] == sizes
            buckets = [bucket for page in pages for bucket in page["data"]]
            expected = [
                (midnight(start + timedelta(days=n)), midnight(start + timedelta(days=n + 1))) for n in range(days)
            ]
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

"""The emulated newer reports of Anthropic refuse what is documented."""

from datetime import timedelta
from typing import Any

import pytest

from usage_assets_sandbox.tests.calling import (
    ANALYTICS_ENDPOINTS,
    FIXTURES,
    KEYS,
    TODAY,
    SandboxCaller,
    changes,
    exact,
    midnight,
)

NAMED = {name: endpoint for (_, name), endpoint in ANALYTICS_ENDPOINTS.items()}
USAGE, COST = NAMED["usage"], NAMED["cost"]
COST_REPORT = NAMED["cost_report"]
USER_COST = NAMED["user_cost_report"]
START, END = TODAY - timedelta(days=3), TODAY
HEADERS = KEYS["anthropic_analytics"]
ADMIN = {**HEADERS, "authorization": "Bearer sk-ant-admin-sandbox"}


def query(endpoint: Any, **change: Any) -> dict[str, Any]:
    """A valid query, changed."""
    return {**endpoint.window(START, END), **endpoint.finest, **change}


def test_a_bad_parameter_is_refused(sandbox: SandboxCaller) -> None:
    every, six = "cost,cost_report,user_cost_report", "workspace_id actor api_key_id model service_tier product"
    for names, change, message in changes(f"""
        {every}  starting_at=2025-12-31T00:00:00Z  starting_at: must be no earlier than 2026-01-01T00:00:00Z
        {every}  starting_at={midnight(TODAY - timedelta(days=32))}  ending_at: the range may span at most 31 days
        {every}  ending_at={midnight(START)}      ending_at: Input should be after starting_at
        {every}  ending_at                        ending_at: Field required
        {every}  page=page_AAAA                   page: Invalid page token
        {every}  group_by[]=account_id            group_by[]: Input should be
        cost,usage  {"&".join(f"group_by[]={each}" for each in six.split())}  group_by[]: At most 5 dimensions
        usage  group_by[]=cost_type               group_by[]: Input should be
        cost  limit=1001                          limit: Input should be less than or equal to 1000
        cost_report  limit=32                     limit: Input should be less than or equal to 31
        user_cost_report  limit=0                 limit: Input should be greater than or equal to 1
        cost  time_bucket_width=1h                time_bucket_width: Input should be '1d'
        cost  bucket_width=1d                     bucket_width: Extra inputs are not permitted
        cost_report  order_by=time                order_by: Extra inputs are not permitted
        user_cost_report  order_by=time           order_by: Input should be 'amount', 'list_amount'
    """):
        for name in names:
            answer = sandbox.get(NAMED[name].path, query(NAMED[name], **change))
            error = answer.json()["error"]
            assert (answer.status_code, error["type"]) == (400, "invalid_request_error"), (name, change)
            assert error["message"].startswith(message), (name, change)


def test_no_more_than_365_days_are_served(sandbox: SandboxCaller) -> None:
    sandbox.control("/clock", {"now": "2027-03-01T08:00:00Z"})
    for start, status in (("2026-03-01", 400), ("2026-03-02", 200)):
        window = {"starting_at": f"{start}T00:00:00Z", "ending_at": "2026-03-05T00:00:00Z"}
        assert sandbox.get(COST.path, query(COST, **window)).status_code == status


def test_each_report_wants_its_key_and_header(sandbox: SandboxCaller) -> None:
    for headers, by_identity, enterprise in (
        ({}, 401, 401),
        (HEADERS | {"authorization": "Bearer other"}, 401, 401),
        (HEADERS | {"anthropic-version": "2020-01-01"}, 400, 400),
        (ADMIN, 200, 403),
        (HEADERS | {"anthropic-beta": ""}, 400, 200),
        (HEADERS, 200, 200),
    ):
        sandbox.control("/shape", {"anthropic_costs": "newer"})
        for name, endpoint in NAMED.items():
            expected = enterprise if "report" in name else by_identity
            assert sandbox.get(endpoint.path, query(endpoint), headers).status_code == expected


@pytest.mark.parametrize("endpoint", [COST, USER_COST], ids=lambda endpoint: endpoint.name)
def test_a_cursor_expires_when_the_data_is_refreshed_and_is_bound_to_its_query(
    sandbox: SandboxCaller, endpoint: Any
) -> None:
    page = exact(sandbox.get(endpoint.path, query(endpoint, limit=1)).content)
    assert page["has_more"]
    assert page["data_refreshed_at"] == f"{TODAY}T08:00:00Z"
    rest = query(endpoint, limit=1, page=page["next_page"])
    sandbox.control("/clock", {"now": f"{TODAY}T11:59:59Z"})
    assert sandbox.get(endpoint.path, rest).status_code == 200
    assert sandbox.get(endpoint.path, {**rest, "limit": 2}).status_code == 400
    sandbox.control("/clock", {"now": f"{TODAY}T12:00:00Z"})
    answer = sandbox.get(endpoint.path, rest)
    composed = FIXTURES / "anthropic_analytics/cost/composed_error_410_cursor.json"
    assert (answer.status_code, answer.json()) == (410, exact(composed.read_bytes()))

"""Costs grouped by user and project are refused for some windows, in words that nobody knows: only those lose users."""

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from usage_assets import money
from usage_assets.providers import Fetched
from usage_assets.providers.openai import USER_BY_PROJECT
from usage_assets_tests.conftest import last_days
from usage_assets_tests.providers.conftest import DAY, ENDPOINTS, Answers, NewClient

PROVIDER, COSTS = ENDPOINTS["openai/costs"]
FIXTURES = Path(__file__).parents[2] / "fixtures" / "openai" / "costs"
WITHOUT_USERS = "api_key_id,api_source,line_item,project_id"
WITH_USERS = f"{WITHOUT_USERS},user_id"


def body(name: str) -> Any:
    """An error body of costs."""
    return json.loads((FIXTURES / f"{name}.json").read_text())


def refuse_users(answers: Answers, call: int) -> None:
    """Let the n-th request be refused for its grouping by user and project."""
    refusal = {"fault": "status", "status": 400, "body": body("composed_error_400_user_by_project"), "calls": [call]}
    answers.faults(PROVIDER, COSTS, refusal)


def groupings(fetched: Fetched) -> dict[date, set[str]]:
    """Which dimensions the rows of each day say they were grouped by."""
    found: dict[date, set[str]] = {}
    for row in fetched.rows.to_pylist():
        found.setdefault(row["usage_date"], set()).add(row["grouped_by"])
        assert row["user_id"] is None or "user_id" in row["grouped_by"]
    return found


def dollars(fetched: Fetched) -> dict[date, Decimal]:
    """What each day adds up to."""
    amounts: dict[date, list[Decimal]] = {}
    for row in fetched.rows.to_pylist():
        amounts.setdefault(row["usage_date"], []).append(row["amount_value"])
    return {day: money.total(values) for day, values in amounts.items()}


def test_exactly_the_window_that_refuses_users_is_without_them(answers: Answers, new_client: NewClient) -> None:
    days, thirds = last_days(9), replace(COSTS, window_days=3)
    whole = new_client(PROVIDER).fetch(thirds, days)
    client = new_client(PROVIDER, concurrency=1)
    refuse_users(answers, call=2)
    fetched = client.fetch(thirds, days)
    assert groupings(fetched) == {day: {WITHOUT_USERS if day in days[3:6] else WITH_USERS} for day in days}
    assert fetched.groupings == {WITH_USERS: 6, WITHOUT_USERS: 3}
    assert dollars(fetched) == dollars(whole)
    assert (fetched.requests, fetched.refused, fetched.split_windows, fetched.retries) == (3, 1, 0, 0)

    again = client.fetch(thirds, days)
    assert again.rows.equals(fetched.rows)
    assert again.refused == 0, "what was learnt is not asked again"


def test_a_window_may_be_refused_for_users_and_in_part_for_keys(answers: Answers, new_client: NewClient) -> None:
    floor = date(2025, 12, 6)
    days = [floor + timedelta(days=n) for n in range(-2, 2)]
    whole = new_client(PROVIDER).fetch(COSTS, days)
    refuse_users(answers, call=1)
    fetched = new_client(PROVIDER, concurrency=1).fetch(COSTS, days)
    without_keys = WITHOUT_USERS.removeprefix("api_key_id,")
    assert groupings(fetched) == {day: {without_keys if day < floor else WITHOUT_USERS} for day in days}
    assert dollars(fetched) == dollars(whole)
    assert fetched.refused == 2


@pytest.mark.parametrize(
    ("message", "drops_users"),
    [
        ("Grouping by user_id and project_id is not available for this time range.", True),
        ("Grouping by user_id is not supported together with the project_ids filter.", True),
        ("This organization cannot group costs by project_id, user_id, line_item, api_key_id.", True),
        ("Unsupported group_by combination for the requested time range.", True),
        ("Invalid value: 'user_id'. Supported values are: 'project_id', 'line_item', and 'api_key_id'.", True),
        ("Invalid value: 'api_source'. Supported values are: 'project_id', 'user_id', and 'line_item'.", False),
        ("Unknown parameter: 'user_ids'.", False),
        ("You have insufficient permissions for this operation. Missing scopes: api.usage.read.", False),
        *(
            (body(f"observed_error_400_{refusal}")["error"]["message"], False)
            for refusal in ("api_key_floor", "page_token", "lookback")
        ),
    ],
)
def test_what_refuses_users_by_project_is_no_other_refusal(message: str, drops_users: bool) -> None:
    assert bool(USER_BY_PROJECT.pattern.search(message)) is drops_users


@pytest.mark.parametrize("name", [name for name, (_, each) in ENDPOINTS.items() if "api_source" in each.group_by])
def test_an_api_that_does_not_know_api_source_is_asked_without(
    answers: Answers, new_client: NewClient, name: str
) -> None:
    provider, endpoint = ENDPOINTS[name]
    words = "Invalid value: 'api_source'. Supported values are: 'api_key_id', 'project_id', 'user_id'."
    answers.faults(
        provider, endpoint, {"fault": "status", "status": 400, "body": {"error": {"message": words}}, "calls": [1]}
    )
    fetched = new_client(provider).fetch(endpoint, [DAY])
    assert fetched.refused == 1
    without = sorted(set(endpoint.group_by) - {"api_source"})
    assert set(fetched.rows["grouped_by"].to_pylist()) == {",".join(without)}

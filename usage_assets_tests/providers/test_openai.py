"""Costs grouped by user and project are refused for some days, in words that nobody knows: only those lose users.

Rows of one bucket that agree in every dimension both count, if they differ.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from usage_assets.core import money
from usage_assets.fetching.client import FetchResult
from usage_assets.providers.openai.costs import USER_BY_PROJECT
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch, WarehouseError
from usage_assets_tests.fetching.conftest import DAY, ENDPOINTS, Answers, NewClient
from usage_assets_tests.fixtures import ROOT, last_days
from usage_assets_tests.models.days import lines, one_a_line, seen

PROVIDER, COSTS = ENDPOINTS["openai/costs"]
FIXTURES = ROOT / "fixtures" / "openai" / "costs"
WITHOUT_USERS = "api_key_id,api_source,line_item,project_id"
WITH_USERS = f"{WITHOUT_USERS},user_id"


def body(name: str) -> Any:
    """An error body of costs."""
    return json.loads((FIXTURES / f"{name}.json").read_text())


def refuse_users(answers: Answers, days: Sequence[date]) -> None:
    """Let windows with one of these days be refused for their grouping by user and project."""
    message = body("composed_error_400_user_by_project")["error"]["message"]
    fault = {"fault": "ungroupable", "dimension": "user_id", "message": message, "days": [*map(str, days)]}
    answers.faults(PROVIDER, COSTS, fault)


def groupings(fetched: FetchResult) -> dict[date, set[str]]:
    """Which dimensions the rows of each day say they were grouped by."""
    found: dict[date, set[str]] = {}
    for row in fetched.rows.to_pylist():
        found.setdefault(row["usage_date"], set()).add(row["grouped_by"])
        assert row["user_id"] is None or "user_id" in row["grouped_by"]
    return found


def dollars(fetched: FetchResult) -> dict[date, Decimal]:
    """What each day adds up to."""
    amounts: dict[date, list[Decimal]] = {}
    for row in fetched.rows.to_pylist():
        amounts.setdefault(row["usage_date"], []).append(row["amount_value"])
    return {day: money.total(values) for day, values in amounts.items()}


def rows(fetched: FetchResult) -> list[str]:
    """Rows in an order of their own: that of windows means nothing."""
    return sorted(map(str, fetched.rows.to_pylist()))


@pytest.mark.parametrize(
    ("refused", "refusals"),
    [
        ([3, 4, 17], 12),
        ([*range(31)], 61),
    ],
)
def test_exactly_the_days_that_refuse_users_are_without_them(
    answers: Answers, new_client: NewClient, refused: list[int], refusals: int
) -> None:
    days = last_days(31)
    whole = new_client(PROVIDER).fetch(COSTS, days)
    refuse_users(answers, [days[n] for n in refused])
    one_by_one = [row for day in days for row in rows(new_client(PROVIDER).fetch(COSTS, [day]))]
    client = new_client(PROVIDER)
    fetched = client.fetch(COSTS, days)
    assert rows(fetched) == sorted(one_by_one), "a range equals its single days"
    assert fetched.groupings == Counter({WITH_USERS: 31 - len(refused), WITHOUT_USERS: len(refused)})
    assert dollars(fetched) == dollars(whole)
    assert (fetched.requests, fetched.refused, fetched.retries) == (1, refusals, 0)

    again = client.fetch(COSTS, days)
    assert rows(again) == rows(fetched)
    assert again.refused == 0, "what was learnt is not asked again"


def test_an_api_that_does_not_know_users_is_asked_once(answers: Answers, new_client: NewClient) -> None:
    """What the API cannot do on any day is not looked for day by day."""
    words = "Invalid value: 'user_id'. Supported values are: 'project_id', 'line_item', and 'api_key_id'."
    fault = {"fault": "status", "status": 400, "body": {"error": {"message": words}}, "calls": [1]}
    answers.faults(PROVIDER, COSTS, fault)
    days = last_days(9)
    fetched = new_client(PROVIDER, concurrency=1).fetch(replace(COSTS, window_days=3), days)
    assert (fetched.requests, fetched.refused) == (3, 1)
    assert groupings(fetched) == {day: {WITHOUT_USERS} for day in days}


def test_a_window_may_be_refused_for_users_and_in_part_for_keys(answers: Answers, new_client: NewClient) -> None:
    floor = date(2025, 12, 6)
    days = [floor + timedelta(days=n) for n in range(-2, 2)]
    whole = new_client(PROVIDER).fetch(COSTS, days)
    refuse_users(answers, days[1:3])
    fetched = new_client(PROVIDER).fetch(COSTS, days)
    expected = {days[0]: WITH_USERS, days[1]: WITHOUT_USERS, days[2]: WITHOUT_USERS, days[3]: WITH_USERS}
    assert groupings(fetched) == {
        day: {dimensions.removeprefix("api_key_id,") if day < floor else dimensions}
        for day, dimensions in expected.items()
    }
    assert dollars(fetched) == dollars(whole)


def test_what_refuses_users_by_project_is_no_other_refusal() -> None:
    refusing, others = (
        one_a_line("""
            Grouping by user_id and project_id is not available for this time range.
            Grouping by user_id is not supported together with the project_ids filter.
            This organization cannot group costs by project_id, user_id, line_item, api_key_id.
            Unsupported group_by combination for the requested time range.
            Invalid value: 'user_id'. Supported values are: 'project_id', 'line_item', and 'api_key_id'.
        """),
        one_a_line("""
            Invalid value: 'api_source'. Supported values are: 'project_id', 'user_id', and 'line_item'.
            Unknown parameter: 'user_ids'.
            You have insufficient permissions for this operation. Missing scopes: api.usage.read.
        """),
    )
    for refusal in ("api_key_floor", "page_token", "lookback"):
        others.append(body(f"observed_error_400_{refusal}")["error"]["message"])
    assert [message for message in (*refusing, *others) if USER_BY_PROJECT.pattern.search(message)] == refusing


def test_an_api_that_does_not_know_api_source_is_asked_without(answers: Answers, new_client: NewClient) -> None:
    words = "Invalid value: 'api_source'. Supported values are: 'api_key_id', 'project_id', 'user_id'."
    fault = {"fault": "status", "status": 400, "body": {"error": {"message": words}}, "calls": [1]}
    answers.faults(PROVIDER, COMPLETIONS, fault)
    fetched = new_client(PROVIDER).fetch(COMPLETIONS, [DAY])
    assert fetched.refused == 1
    assert {*fetched.rows["grouped_by"].to_pylist()} == {",".join(sorted({*COMPLETIONS.group_by} - {"api_source"}))}


COMPLETIONS = ENDPOINTS["openai/usage_completions"][1]
USE = {"project_id": "proj_1", "model": "gpt-5-mini", "input_tokens": 1000, "output_tokens": 0}
"""A row of a bucket, as the dashboard's exports repeat it: once with 8 requests, and once with 1."""


def bucket(answers: Answers, *results: dict[str, Any]) -> FetchResult:
    """What a day is whose bucket has these rows."""
    answer = answers.real(PROVIDER, COMPLETIONS)
    answer["data"][0]["results"] = [USE | result for result in results]
    answers.replace(PROVIDER, COMPLETIONS, answer)
    return answers.new_client(PROVIDER).fetch(COMPLETIONS, [DAY])


def stored(fetched: FetchResult, tmp_path: Path) -> int:
    """How many requests the warehouse holds of the day."""
    warehouse, name = Warehouse(database=str(tmp_path / "usage.duckdb")), fetched.rows["connection"][0].as_py()
    batch = Batch(rows=fetched.rows, began=datetime.now(UTC))
    warehouse.replace(Table(COMPLETIONS.row), batch, Slice(name, DAY, DAY), "run")
    [[requests]] = warehouse.read("select sum(num_model_requests)::bigint from openai.usage_completions").columns
    return int(requests.as_py())


def test_rows_that_differ_in_their_counters_alone_both_count(answers: Answers, tmp_path: Path) -> None:
    eight, one, other = (
        {"num_model_requests": 8},
        {"num_model_requests": 1},
        {"model": "gpt-5", "num_model_requests": 3},
    )
    found = bucket(answers, eight, one, other)
    assert sorted(seen(found.rows.to_pylist(), "model num_model_requests occurrence")) == lines("""
        gpt-5       3  -
        gpt-5-mini  1  -
        gpt-5-mini  8  2
    """)
    assert rows(found) == rows(bucket(answers, other, one, eight))
    assert stored(found, tmp_path) == 12


def test_rows_of_one_page_that_are_equal_in_everything_both_count(answers: Answers, tmp_path: Path) -> None:
    assert stored(bucket(answers, {"num_model_requests": 8}, {"num_model_requests": 8}), tmp_path) == 16


def test_a_row_on_two_pages_is_not_counted_twice(answers: Answers, tmp_path: Path) -> None:
    """Nor one that has changed in between."""
    for second in (
        8,
        9,
    ):
        pages = []
        for requests, more in ((8, True), (second, False)):
            page = answers.real(PROVIDER, COMPLETIONS)
            page["data"][0]["results"] = [USE | {"num_model_requests": requests}]
            pages.append(page | {"has_more": more, "next_page": "page_2" if more else None})
        answers.replace(PROVIDER, COMPLETIONS, *pages)
        with pytest.raises(WarehouseError, match=r"2 rows for one .*occurrence"):
            stored(answers.new_client(PROVIDER).fetch(COMPLETIONS, [DAY]), tmp_path)

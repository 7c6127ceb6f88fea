"""Allocated costs against the sandbox's own books, which know of every cent whose it is and tell it to no API."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from usage_assets.core import money
from usage_assets_sandbox.company import claude_lines
from usage_assets_sandbox.company_openai import OPENAI_EXTRAS
from usage_assets_sandbox.control import DEFAULT_SEED
from usage_assets_tests.conftest import NOW, last_days
from usage_assets_tests.end_to_end.conftest import Project
from usage_assets_tests.stateful.books import API_KEY_FLOOR, Books

ROUNDED = Decimal("1e-6")
"""The sandbox reports amounts as doubles that are off by up to a ten-millionth, as providers do."""
Amounts = dict[tuple[Any, ...], Decimal]


@pytest.fixture
def books() -> Books:
    """What the company really used and paid."""
    return Books(DEFAULT_SEED, NOW)


def summed(amounts: Iterable[tuple[tuple[Any, ...], Decimal]]) -> Amounts:
    by_key: defaultdict[tuple[Any, ...], list[Decimal]] = defaultdict(list)
    for key, amount in amounts:
        by_key[key].append(amount)
    return {key: money.total(amounts) for key, amounts in by_key.items()}


def allocated(project: Project, *names: str) -> Amounts:
    """What is allocated, by these columns."""
    rows = [row for row in project.rows("costs.allocated_costs") if row["allocation"] != "unattributed"]
    return summed((tuple(row[name] for name in names), row["native_amount"]) for row in rows)


def used_at_list_price(messages: Iterable[tuple[date, dict[str, Any]]]) -> tuple[Amounts, set[tuple[Any, ...]]]:
    """Cents by day, workspace, model, key and account, where all use of a workspace's model has one price; and where
    that is (usage cannot be grouped by context window and region, too)."""
    messages = list(messages)
    prices = defaultdict(set)
    for day, row in messages:
        prices[day, row["workspace_id"], row["model"]].add((row["context_window"], row["inference_geo"]))
    # what was searched is not told by model
    one_price = {priced for priced, kinds in prices.items() if len(kinds) == 1} | {(*key[:2], None) for key in prices}
    truth = summed(
        ((day, row["workspace_id"], model, row["api_key_id"], row["account_id"]), cents)
        for day, row in messages
        if row["service_tier"] != "priority"
        for (_, _, _, model, *_), cents in claude_lines(row)
        if (day, row["workspace_id"], model) in one_price
    )
    return truth, one_price


def test_anthropics_bill_by_key_and_account_is_what_each_of_them_used_at_list_price(
    small_project: Project, books: Books
) -> None:
    """Where all use of a workspace's model has one price: it cannot be grouped by context window and region, too."""
    days = last_days(3)
    assets = ("cost_report", "usage_messages", "cost_report/daily_costs", "cost_report/allocated_costs")
    assert small_project.fetch("anthropic", days, *assets).success
    messages = [(day, row) for day in days for row in books.rows("anthropic/usage_messages", day)]
    truth, one_price = used_at_list_price(messages)
    ours = allocated(small_project, "usage_date", "workspace_id", "model", "api_key_id", "user_id")
    ours = {key: amount for key, amount in ours.items() if key[:3] in one_price}
    assert ours.keys() == truth.keys()
    assert {model for _, _, model, *_ in truth} > {None, "claude-haiku-4-5"}
    assert min(len({key for *_, key, _ in truth}), len({account for *_, account in truth})) > 3
    for key, cents in truth.items():
        assert abs(ours[key] - cents) < cents * ROUNDED


def test_openais_bill_by_key_is_the_books_own_also_where_keys_were_refused(
    small_project: Project, books: Books
) -> None:
    """To the last digit: in the sandbox each person has one key for a project, and so has each service."""
    days = [API_KEY_FLOOR + timedelta(days=n) for n in (-2, -1, 0)]
    assert small_project.fetch("openai", days).success
    names = ("project_id", "user_id", "api_key_id", "line_item")
    truth = summed(
        ((day, *(row[name] for name in names)), row["amount"])
        for day in days
        for row in books.rows("openai/costs", day)
    )
    by_the_piece = {line_item for line_item, *_ in OPENAI_EXTRAS}
    unknown = {key for key in truth if key[0] < API_KEY_FLOOR and key[-1] in by_the_piece}
    assert unknown
    ours = allocated(small_project, "usage_date", *names)
    assert ours == {key: amount for key, amount in truth.items() if key not in unknown}
    rows = small_project.rows("costs.allocated_costs")
    assert {row["allocation"] for row in rows if row["usage_date"] == API_KEY_FLOOR} == {"stated"}
    assert money.total(row["native_amount"] for row in rows if row["allocation"] == "tokens") > 0


def test_where_openai_refuses_users_and_keys_the_parts_are_still_the_whole_bill(small_project: Project) -> None:
    days = [API_KEY_FLOOR - timedelta(days=1)]
    error = {"message": "user_id cannot be combined with project_id", "type": "invalid_request_error"}
    refusal = {"fault": "status", "status": 400, "body": {"error": error}, "calls": [1]}
    small_project.sandbox.faults({"route": "GET /openai/v1/organization/costs", **refusal})
    assert small_project.fetch("openai", days).success
    rows = small_project.rows("costs.allocated_costs")
    assert {row["grouped_by"] for row in small_project.rows("openai.costs")} == {"api_source,line_item,project_id"}
    assert money.total(row["native_amount"] for row in rows) == small_project.truth(days)["openai usd"]
    assert {row["allocation"] for row in rows} == {"tokens", "unattributed"}
    assert min(len({row[name] for row in rows}) for name in ("user_id", "api_key_id")) > 3

"""Checks that warn of what is stored as the provider says it, and looks wrong all the same; each on a planted error."""

from decimal import Decimal
from typing import Any

import pytest

from usage_assets.models.model import sql_files
from usage_assets.models.prices import unit_errors
from usage_assets.providers.anthropic.reports import CostReport, UsageMessages
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.usage import UsageCompletions
from usage_assets.warehouse.checks import differences
from usage_assets.warehouse.slices import Slice
from usage_assets_tests.models.days import DAY, Days, raw

TOKENS = {"model": "claude-sonnet-4-5", "service_tier": "standard"}
MILLION = {
    "uncached_input_tokens": 1_000_000,
    "output_tokens": 0,
    "cache_read_input_tokens": 0,
    "cache_creation_5m_input_tokens": 0,
    "cache_creation_1h_input_tokens": 0,
}
BILL = {**TOKENS, "cost_type": "tokens", "token_type": "uncached_input_tokens"}


def warned(days: Days, file: str, connection: str) -> list[str]:
    """What a warning says of DAY."""
    [path] = sql_files(f"warnings/{file}.sql")
    query = path.read_text()
    with days.warehouse.get_connection() as database:
        return [found.text for found in differences(database, query, Slice(connection, DAY, DAY))]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({}, []),
        ({"amount_cents": Decimal(0), "currency": "EUR"}, []),
        ({"amount_cents": Decimal(-5)}, ["the smallest amount of anthropic.cost_report cents USD is -5.0"]),
        (
            {"currency": "EUR"},
            ["what has dollars of anthropic.cost_report minor units EUR (no exchange rate is configured for EUR)"],
        ),
    ],
)
def test_a_refund_and_an_unknown_currency_are_told_of(days: Days, row: dict[str, Any], said: list[str]) -> None:
    days.fetched(CostReport, raw(CostReport, **row))
    days.derive("anthropic_cost_report")
    found = warned(days, "costs_daily_costs.amounts", "anthropic")
    assert [text.startswith(start) for text, start in zip(found, said, strict=True)] == [True] * len(said)


@pytest.mark.parametrize(
    ("bills", "uses", "said"),
    [
        ([BILL], [TOKENS], []),
        ([], [{**TOKENS, "service_tier": "priority"}], []),
        ([{"cost_type": "web_search"}], [], []),
        ([], [TOKENS], ["billed tokens of claude-sonnet-4-5 is 0"]),
        ([BILL], [], ["tokens that were used of the billed claude-sonnet-4-5 is 0"]),
        ([BILL], [{**TOKENS, "model": "another"}], ["billed tokens of another is", "tokens that were used of the bil"]),
    ],
)
def test_a_model_that_is_billed_and_not_used_or_used_and_not_billed_is_told_of_anthropic(
    days: Days, bills: list[dict[str, Any]], uses: list[dict[str, Any]], said: list[str]
) -> None:
    days.fetched(CostReport, *(raw(CostReport, **bill) for bill in bills))
    days.fetched(UsageMessages, *(raw(UsageMessages, **MILLION, **use) for use in uses))
    days.derive("anthropic_cost_report")
    found = sorted(warned(days, "allocated_costs/anthropic_allocated_costs.usage", "anthropic"))
    assert [text.startswith(start) for text, start in zip(found, said, strict=True)] == [True] * len(said)


@pytest.mark.parametrize(
    ("bills", "uses", "said"),
    [
        ([{"project_id": "p", "line_item": "gpt-5, input"}], [{"project_id": "p"}], []),
        ([{"project_id": "p", "line_item": "web search tool calls"}], [], []),
        ([{"line_item": "gpt-5, cached input"}], [{}], []),
        ([], [{"project_id": "p"}], ["what is billed for tokens of project p is 0"]),
        ([{"project_id": "p", "line_item": "gpt-5, input"}], [], ["tokens that were used of project p is 0"]),
        ([{"line_item": "gpt-5, output"}], [], ["tokens that were used of project none is 0"]),
    ],
)
def test_a_project_that_is_billed_and_not_used_or_used_and_not_billed_is_told_of_openai(
    days: Days, bills: list[dict[str, Any]], uses: list[dict[str, Any]], said: list[str]
) -> None:
    days.fetched(Costs, *(raw(Costs, **bill) for bill in bills))
    days.fetched(UsageCompletions, *(raw(UsageCompletions, **use) for use in uses))
    days.derive("openai_costs")
    found = warned(days, "allocated_costs/openai_allocated_costs.usage", "openai")
    assert [text.startswith(start) for text, start in zip(found, said, strict=True)] == [True] * len(said)


@pytest.mark.parametrize(
    ("cents", "said"),
    [
        ("300", None),
        ("30", None),
        ("3000", None),
        ("30000", "$300.00 is billed, 100 times the list price of $3.00: cents taken for dollars?"),
        ("3", "$0.03 is billed, 0.0100 times the list price of $3.00: dollars taken for cents?"),
    ],
)
def test_a_bill_of_a_hundred_times_the_list_price_is_an_error_of_units_and_a_rebate_is_not(
    days: Days, cents: str, said: str | None
) -> None:
    days.fetched(CostReport, raw(CostReport, amount_cents=Decimal(cents), **BILL))
    days.fetched(UsageMessages, raw(UsageMessages, **MILLION, **TOKENS), raw(UsageMessages, model="unheard of"))
    days.derive("anthropic_cost_report")
    with days.warehouse.get_connection() as database:
        found = list(unit_errors(database, "anthropic.cost_report", Slice("anthropic", DAY, DAY)))
    assert [contradiction.text for contradiction in found] == ([said] if said else [])


def test_cached_tokens_of_openai_are_priced_once(days: Days) -> None:
    days.fetched(Costs, raw(Costs, amount_value=Decimal("15.625"), line_item="gpt-5, input"))
    tokens = {"input_tokens": 1_000_000, "input_cached_tokens": 1_000_000, "output_tokens": 0}
    days.fetched(UsageCompletions, raw(UsageCompletions, model="gpt-5", **tokens))
    days.derive("openai_costs")
    with days.warehouse.get_connection() as database:
        (found,) = unit_errors(database, "openai.costs", Slice("openai", DAY, DAY))
    assert found.text == "$15.62 is billed, 125 times the list price of $0.12: cents taken for dollars?"

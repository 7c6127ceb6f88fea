"""Checks that warn of what is stored as the provider says it, and looks wrong all the same; each on a planted error."""

from decimal import Decimal
from typing import Any

import pytest

from usage_assets.core.schema import Row
from usage_assets.models.model import sql_files
from usage_assets.models.prices import unit_errors
from usage_assets.providers.anthropic.reports import CostReport, UsageMessages
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.usage import (
    UsageAudioSpeeches,
    UsageAudioTranscriptions,
    UsageCompletions,
    UsageEmbeddings,
    UsageImages,
    UsageModerations,
)
from usage_assets.warehouse.checks import differences
from usage_assets.warehouse.slices import Slice
from usage_assets_tests.models.days import DAY, Days, days_from, raw

TOKENS = {"model": "claude-sonnet-4-5", "service_tier": "standard"}
MILLION = {
    "uncached_input_tokens": 1_000_000,
    "output_tokens": 0,
    "cache_read_input_tokens": 0,
    "cache_creation_5m_input_tokens": 0,
    "cache_creation_1h_input_tokens": 0,
}
BILL = {**TOKENS, "cost_type": "tokens", "token_type": "uncached_input_tokens"}
OTHER_REPORTS = (UsageEmbeddings, UsageModerations, UsageImages, UsageAudioSpeeches, UsageAudioTranscriptions)


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
        ({"amount_cents": Decimal(-5)}, ["amounts below zero in anthropic.cost_report add up to -$0.05"]),
        (
            {"currency": "EUR"},
            ["1.00 EUR of anthropic.cost_report have no dollar value: no exchange rate is configured for EUR"],
        ),
    ],
)
def test_a_refund_and_an_unknown_currency_are_told_of(days: Days, row: dict[str, Any], said: list[str]) -> None:
    days.fetched(CostReport, raw(CostReport, **row))
    days.derive("anthropic_cost_report")
    assert warned(days, "costs_daily_costs.amounts", "anthropic") == said


@pytest.mark.parametrize(
    ("bills", "uses", "said"),
    [
        ([BILL], [TOKENS], []),
        ([], [{**TOKENS, "service_tier": "priority"}], []),
        ([{"cost_type": "web_search"}], [], []),
        ([], [TOKENS], ["claude-sonnet-4-5 used 1,000,000 tokens, and the bill has none of it"]),
        ([BILL], [], ["claude-sonnet-4-5 is billed $1.00 for tokens, and the usage report has none of it"]),
        (
            [BILL],
            [{**TOKENS, "model": "another"}],
            [
                "another used 1,000,000 tokens, and the bill has none of it",
                "claude-sonnet-4-5 is billed $1.00 for tokens, and the usage report has none of it",
            ],
        ),
    ],
)
def test_a_model_that_is_billed_and_not_used_or_used_and_not_billed_is_told_of_anthropic(
    days: Days, bills: list[dict[str, Any]], uses: list[dict[str, Any]], said: list[str]
) -> None:
    days.fetched(CostReport, *(raw(CostReport, **bill) for bill in bills))
    days.fetched(UsageMessages, *(raw(UsageMessages, **MILLION, **use) for use in uses))
    days.derive("anthropic_cost_report")
    assert sorted(warned(days, "allocated_costs/anthropic_allocated_costs.usage", "anthropic")) == said


@pytest.mark.parametrize(
    ("bills", "uses", "said"),
    [
        ([{"project_id": "p", "line_item": "gpt-5, input"}], [{"project_id": "p"}], []),
        ([{"project_id": "p", "line_item": "web search tool calls"}], [], []),
        ([{"line_item": "gpt-5, cached input"}], [{}], []),
        ([], [{"project_id": "p"}], ["Project p used 15 tokens of text models, and nothing is billed to it"]),
        (
            [{"project_id": "p", "line_item": "gpt-5, input"}],
            [],
            ["Project p is billed $1.00 for tokens, and no usage report has anything of it"],
        ),
        (
            [{"line_item": "gpt-5, output"}],
            [],
            ["What has no project is billed $1.00 for tokens, and no usage report has anything of it"],
        ),
    ],
)
def test_a_project_that_is_billed_and_not_used_or_used_and_not_billed_is_told_of_openai(
    days: Days, bills: list[dict[str, Any]], uses: list[dict[str, Any]], said: list[str]
) -> None:
    days.fetched(Costs, *(raw(Costs, **bill) for bill in bills))
    days.fetched(UsageCompletions, *(raw(UsageCompletions, **use) for use in uses))
    for report in OTHER_REPORTS:
        days.fetched(report)
    days.derive("openai_costs")
    assert warned(days, "allocated_costs/openai_allocated_costs.usage", "openai") == said


@pytest.mark.parametrize(("report", "use"), [(UsageImages, {"images": 1}), (UsageAudioSpeeches, {"characters": 9})])
def test_the_output_of_an_image_or_audio_model_is_explained_by_its_own_report(
    days: Days, report: type[Row], use: dict[str, Any]
) -> None:
    """Seen: a project that only made images was "billed for tokens that were not used"."""
    image = {"project_id": "p", "line_item": "gpt-image-2, output", "amount_value": Decimal("0.336000032090999270")}
    days.fetched(Costs, raw(Costs, **image))
    days.fetched(UsageCompletions)
    for other in OTHER_REPORTS:
        days.fetched(other, *([raw(other, project_id="p", **use)] if other is report else []))
    days.derive("openai_costs")
    assert warned(days, "allocated_costs/openai_allocated_costs.usage", "openai") == []


@pytest.mark.parametrize("lacks", [UsageCompletions, UsageImages])
def test_a_project_is_no_warning_where_a_usage_report_is_not_fetched(days: Days, lacks: type[Row]) -> None:
    days.fetched(Costs, raw(Costs, project_id="p", line_item="gpt-5, output"))
    for report in (UsageCompletions, *OTHER_REPORTS):
        if report is not lacks:
            days.fetched(report)
    days.derive("openai_costs")
    assert warned(days, "allocated_costs/openai_allocated_costs.usage", "openai") == []


def test_a_kind_of_cost_that_never_names_anybody_does_not_make_a_small_day_unattributed(days: Days) -> None:
    """Seen: code execution of 30 cents at a weekend, when the rest of the bill is small."""
    stored = days_from(8)
    tokens = {**BILL, "grouped_by": "description,workspace_id"}
    rows = [
        raw(CostReport, usage_date=day, amount_cents=Decimal(cents), **kind)
        for day, bill in zip(stored, (*[10000] * 7, 100), strict=True)
        for cents, kind in ((bill, tokens), (30, {"cost_type": "code_execution"}))
    ]
    days.fetched(CostReport, *rows, last=stored[-1])
    days.fetched(
        UsageMessages,
        *(raw(UsageMessages, usage_date=day, api_key_id="k", **MILLION, **TOKENS) for day in stored),
        last=stored[-1],
    )
    days.derive("anthropic_cost_report", last=stored[-1])
    days.derive("anthropic_allocated_costs", last=stored[-1])
    [path] = sql_files("warnings/costs_allocated_costs.unattributed_share.sql")
    with days.warehouse.get_connection() as database:
        [(share,)] = database.execute(
            "select sum(native_amount) filter (where allocation <> 'unattributed') / sum(native_amount) "
            "from costs.allocated_costs where usage_date = $day",
            {"day": stored[-1]},
        ).fetchall()
        assert differences(database, path.read_text(), Slice("anthropic", DAY, stored[-1])) == []
    assert 0.7 < share < 0.8


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


def test_tokens_written_for_an_hour_are_priced_as_such(days: Days) -> None:
    """A million at 6 dollars, twice the input's 3. At the 3.75 of 5 minutes, 960 dollars would be 256 times the list
    price, which is no error of units any more."""
    hour = MILLION | {"uncached_input_tokens": 0, "cache_creation_1h_input_tokens": 1_000_000}
    days.fetched(CostReport, raw(CostReport, amount_cents=Decimal(96_000), **BILL))
    days.fetched(UsageMessages, raw(UsageMessages, **hour, **TOKENS))
    days.derive("anthropic_cost_report")
    with days.warehouse.get_connection() as database:
        [found] = unit_errors(database, "anthropic.cost_report", Slice("anthropic", DAY, DAY))
    assert found.text == "$960.00 is billed, 160 times the list price of $6.00: cents taken for dollars?"


def test_cached_tokens_of_openai_are_priced_once(days: Days) -> None:
    days.fetched(Costs, raw(Costs, amount_value=Decimal("15.625"), line_item="gpt-5, input"))
    tokens = {"input_tokens": 1_000_000, "input_cached_tokens": 1_000_000, "output_tokens": 0}
    days.fetched(UsageCompletions, raw(UsageCompletions, model="gpt-5", **tokens))
    days.derive("openai_costs")
    with days.warehouse.get_connection() as database:
        (found,) = unit_errors(database, "openai.costs", Slice("openai", DAY, DAY))
    assert found.text == "$15.62 is billed, 125 times the list price of $0.12: cents taken for dollars?"

"""Checks that warn of what is stored as the provider says it, and looks wrong all the same; each on a planted error."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

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


def warned(days: Days, file: str, connection: str, last: date = DAY) -> list[tuple[date, str]]:
    """What a warning says of the days from DAY on."""
    [path] = sql_files(f"warnings/{file}.sql")
    with days.warehouse.get_connection() as database:
        found = differences(database, path.read_text(), Slice(connection, DAY, last))
    return sorted((each.day, each.text) for each in found)


Rows = Sequence[Mapping[str, Any]]


def on(day: date, row: type[Row], rows: Rows) -> list[Row]:
    return [raw(row, usage_date=day, **each) for each in rows]


def test_a_refund_and_an_unknown_currency_are_told_of(days: Days) -> None:
    right, nothing, refund, euros = days_from(4)
    rows: Mapping[date, Mapping[str, Any]] = {
        right: {},
        nothing: {"amount_cents": 0, "currency": "EUR"},
        refund: {"amount_cents": -5},
        euros: {"currency": "EUR"},
    }
    days.spent(CostReport, *(raw(CostReport, usage_date=day, **row) for day, row in rows.items()), last=euros)
    assert warned(days, "costs_daily_costs.amounts", "anthropic", euros) == [
        (refund, "amounts below zero in anthropic.cost_report add up to -$0.05"),
        (euros, "1.00 EUR of anthropic.cost_report have no dollar value: no exchange rate is configured for EUR"),
    ]


def test_a_model_that_is_billed_and_not_used_or_used_and_not_billed_is_told_of_anthropic(days: Days) -> None:
    another = "another used 1,000,000 tokens, and the bill has none of it"
    not_billed = "claude-sonnet-4-5 used 1,000,000 tokens, and the bill has none of it"
    not_used = "claude-sonnet-4-5 is billed $1.00 for tokens, and the usage report has none of it"
    cases: Sequence[tuple[Rows, Rows, Sequence[str]]] = [
        ([BILL], [TOKENS], []),
        ([], [{**TOKENS, "service_tier": "priority"}], []),
        ([{"cost_type": "web_search"}], [], []),
        ([], [TOKENS], [not_billed]),
        ([BILL], [], [not_used]),
        ([BILL], [{**TOKENS, "model": "another"}], [another, not_used]),
    ]
    by_day = dict(zip(days_from(len(cases)), cases, strict=True))
    last = max(by_day)
    bills = [row for day, (billed, *_) in by_day.items() for row in on(day, CostReport, billed)]
    uses = [
        row
        for day, (_, used, _) in by_day.items()
        for row in on(day, UsageMessages, [{**MILLION, **use} for use in used])
    ]
    days.fetched(CostReport, *bills, last=last)
    days.fetched(UsageMessages, *uses, last=last)
    days.derive("anthropic_cost_report", last=last)
    found = warned(days, "allocated_costs/anthropic_allocated_costs.usage", "anthropic", last)
    assert found == [(day, text) for day, (*_, said) in by_day.items() for text in said]


def test_a_project_that_is_billed_and_not_used_or_used_and_not_billed_is_told_of_openai(days: Days) -> None:
    """The output of an image or audio model is explained by its own report. Seen: a project that only made images was
    "billed for tokens that were not used"."""
    of_p = {"project_id": "p"}
    image = {**of_p, "line_item": "gpt-image-2, output", "amount_value": "0.336000032090999270"}
    cases: Sequence[tuple[Rows, Mapping[type[Row], Mapping[str, Any]], str | None]] = [
        ([{**of_p, "line_item": "gpt-5, input"}], {UsageCompletions: of_p}, None),
        ([{**of_p, "line_item": "web search tool calls"}], {}, None),
        ([{"line_item": "gpt-5, cached input"}], {UsageCompletions: {}}, None),
        ([], {UsageCompletions: of_p}, "Project p used 15 tokens of text models, and nothing is billed to it"),
        (
            [{**of_p, "line_item": "gpt-5, input"}],
            {},
            "Project p is billed $1.00 for tokens, and no usage report has anything of it",
        ),
        (
            [{"line_item": "gpt-5, output"}],
            {},
            "What has no project is billed $1.00 for tokens, and no usage report has anything of it",
        ),
        ([image], {UsageImages: {**of_p, "images": 1}}, None),
        ([image], {UsageAudioSpeeches: {**of_p, "characters": 9}}, None),
    ]
    by_day = dict(zip(days_from(len(cases)), cases, strict=True))
    last = max(by_day)
    bills = [row for day, (billed, *_) in by_day.items() for row in on(day, Costs, billed)]
    days.fetched(Costs, *bills, last=last)
    for report in (UsageCompletions, *OTHER_REPORTS):
        uses = [raw(report, usage_date=day, **used[report]) for day, (_, used, _) in by_day.items() if report in used]
        days.fetched(report, *uses, last=last)
    days.derive("openai_costs", last=last)
    found = warned(days, "allocated_costs/openai_allocated_costs.usage", "openai", last)
    assert found == [(day, said) for day, (*_, said) in by_day.items() if said]


def test_a_project_is_no_warning_where_a_usage_report_is_not_fetched(days: Days) -> None:
    """Each day lacks another report."""
    lacking = dict(zip((UsageCompletions, UsageImages), days_from(2), strict=True))
    last = max(lacking.values())
    bill = {"project_id": "p", "line_item": "gpt-5, output"}
    days.fetched(Costs, *(raw(Costs, usage_date=day, **bill) for day in lacking.values()), last=last)
    for report in (UsageCompletions, *OTHER_REPORTS):
        for day in lacking.values():
            if lacking.get(report) != day:
                days.fetched(report, first=day)
    days.derive("openai_costs", last=last)
    assert warned(days, "allocated_costs/openai_allocated_costs.usage", "openai", last) == []


def test_a_kind_of_cost_that_never_names_anybody_does_not_make_a_small_day_unattributed(days: Days) -> None:
    """Seen: code execution of 30 cents at a weekend, when the rest of the bill is small."""
    stored = days_from(8)
    tokens = {**BILL, "grouped_by": "description,workspace_id"}
    rows = [
        raw(CostReport, usage_date=day, amount_cents=cents, **kind)
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


def test_a_bill_of_a_hundred_times_the_list_price_is_an_error_of_units_and_a_rebate_is_not(days: Days) -> None:
    cases = [
        ("300", None),
        ("30", None),
        ("3000", None),
        ("30000", "$300.00 is billed, 100 times the list price of $3.00: cents taken for dollars?"),
        ("3", "$0.03 is billed, 0.0100 times the list price of $3.00: dollars taken for cents?"),
    ]
    by_day = dict(zip(days_from(len(cases)), cases, strict=True))
    last = max(by_day)
    bill = [raw(CostReport, usage_date=day, amount_cents=usd, **BILL) for day, (usd, _) in by_day.items()]
    used = [row for day in by_day for row in on(day, UsageMessages, [{**MILLION, **TOKENS}, {"model": "unheard of"}])]
    days.fetched(CostReport, *bill, last=last)
    days.fetched(UsageMessages, *used, last=last)
    days.derive("anthropic_cost_report", last=last)
    with days.warehouse.get_connection() as database:
        found = list(unit_errors(database, "anthropic.cost_report", Slice("anthropic", DAY, last)))
    assert [(each.day, each.text) for each in found] == [(day, said) for day, (_, said) in by_day.items() if said]


def test_tokens_written_for_an_hour_are_priced_as_such(days: Days) -> None:
    """A million at 6 dollars, twice the input's 3. At the 3.75 of 5 minutes, 960 dollars would be 256 times the list
    price, which is no error of units any more."""
    hour = MILLION | {"uncached_input_tokens": 0, "cache_creation_1h_input_tokens": 1_000_000}
    days.fetched(CostReport, raw(CostReport, amount_cents=96_000, **BILL))
    days.fetched(UsageMessages, raw(UsageMessages, **hour, **TOKENS))
    days.derive("anthropic_cost_report")
    with days.warehouse.get_connection() as database:
        [found] = unit_errors(database, "anthropic.cost_report", Slice("anthropic", DAY, DAY))
    assert found.text == "$960.00 is billed, 160 times the list price of $6.00: cents taken for dollars?"


def test_cached_tokens_of_openai_are_priced_once(days: Days) -> None:
    days.fetched(Costs, raw(Costs, amount_value="15.625", line_item="gpt-5, input"))
    tokens = {"input_tokens": 1_000_000, "input_cached_tokens": 1_000_000, "output_tokens": 0}
    days.fetched(UsageCompletions, raw(UsageCompletions, model="gpt-5", **tokens))
    days.derive("openai_costs")
    with days.warehouse.get_connection() as database:
        (found,) = unit_errors(database, "openai.costs", Slice("openai", DAY, DAY))
    assert found.text == "$15.62 is billed, 125 times the list price of $0.12: cents taken for dollars?"

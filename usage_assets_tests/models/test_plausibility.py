"""Checks that warn of what is stored as the provider says it, and looks wrong all the same; each on a planted error."""

from collections.abc import Iterable, Mapping, Sequence
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
from usage_assets_tests.models.days import DAY, Days, days_from, raw, raws

TOKENS = {"model": "claude-sonnet-4-5", "service_tier": "standard"}
MILLION = {
    "uncached_input_tokens": 1_000_000,
    "output_tokens": 0,
    "cache_read_input_tokens": 0,
    "cache_creation_5m_input_tokens": 0,
    "cache_creation_1h_input_tokens": 0,
}
BILL = {**TOKENS, "cost_type": "tokens", "token_type": "uncached_input_tokens"}
REPORTS = (
    UsageCompletions,
    UsageEmbeddings,
    UsageModerations,
    UsageImages,
    UsageAudioSpeeches,
    UsageAudioTranscriptions,
)


def warned(days: Days, file: str, connection: str, last: date) -> list[tuple[date, str]]:
    """What a warning says of the days from DAY on."""
    [path] = sql_files(f"warnings/{file}.sql")
    with days.warehouse.get_connection() as database:
        found = differences(database, path.read_text(), Slice(connection, DAY, last))
    return sorted((each.day, each.text) for each in found)


def wrong_units(days: Days, table: str, last: date) -> list[tuple[date, str]]:
    with days.warehouse.get_connection() as database:
        found = [*unit_errors(database, table, Slice(table.partition(".")[0], DAY, last))]
    return [(each.day, each.text) for each in found]


Rows = Sequence[Mapping[str, Any]]


def on(days: Iterable[tuple[date, Sequence[Any]]], row: type[Row], **same: Any) -> list[Row]:
    """Rows of each day."""
    return [raw(row, **{**same, "usage_date": day, **each}) for day, rows in days for each in rows]


def test_a_refund_and_an_unknown_currency_are_told_of(days: Days) -> None:
    _, _, refund, euros = days_from(4)
    rows = "usage_date  amount_cents  currency\n0  100  USD\n1  0  EUR\n2  -5  USD\n3  100  EUR"
    days.spent(CostReport, *raws(CostReport, rows), last=euros)
    assert warned(days, "costs_daily_costs.amounts", "anthropic", euros) == [
        (refund, "amounts below zero in anthropic.cost_report add up to -$0.05"),
        (euros, "1.00 EUR of anthropic.cost_report have no dollar value: no exchange rate is configured for EUR"),
    ]


NOT_BILLED = "{} used 1,000,000 tokens, and the bill has none of it"
NOT_USED = "claude-sonnet-4-5 is billed $1.00 for tokens, and the usage report has none of it"
OF_ANTHROPIC: Sequence[tuple[Rows, Rows, Sequence[str]]] = [
    ([BILL], [TOKENS], []),
    ([], [{**TOKENS, "service_tier": "priority"}], []),
    ([{"cost_type": "web_search"}], [], []),
    ([], [TOKENS], [NOT_BILLED.format("claude-sonnet-4-5")]),
    ([BILL], [], [NOT_USED]),
    ([BILL], [{**TOKENS, "model": "another"}], [NOT_BILLED.format("another"), NOT_USED]),
]
"""What is billed and used on a day, and what is said of it."""


def test_a_model_that_is_billed_and_not_used_or_used_and_not_billed_is_told_of_anthropic(days: Days) -> None:
    by_day = dict(zip(days_from(len(OF_ANTHROPIC)), OF_ANTHROPIC, strict=True))
    last = max(by_day)
    used = on(((day, used) for day, (_, used, _) in by_day.items()), UsageMessages, **MILLION)
    days.fetched(UsageMessages, *used, last=last)
    days.spent(CostReport, *on(((day, bill) for day, (bill, *_) in by_day.items()), CostReport), last=last)
    found = warned(days, "allocated_costs/anthropic_allocated_costs.usage", "anthropic", last)
    assert found == [(day, text) for day, (*_, said) in by_day.items() for text in said]


OF_P = {"project_id": "p"}
IMAGE = {**OF_P, "line_item": "gpt-image-2, output", "amount_value": "0.336000032090999270"}
USED_ALONE = "Project p used 15 tokens of text models, and nothing is billed to it"
BILLED_ALONE = "{} is billed $1.00 for tokens, and no usage report has anything of it"
OF_OPENAI: Sequence[tuple[Rows, Mapping[type[Row], Mapping[str, Any]], str | None]] = [
    ([{**OF_P, "line_item": "gpt-5, input"}], {UsageCompletions: OF_P}, None),
    ([{**OF_P, "line_item": "web search tool calls"}], {}, None),
    ([{"line_item": "gpt-5, cached input"}], {UsageCompletions: {}}, None),
    ([], {UsageCompletions: OF_P}, USED_ALONE),
    ([{**OF_P, "line_item": "gpt-5, input"}], {}, BILLED_ALONE.format("Project p")),
    ([{"line_item": "gpt-5, output"}], {}, BILLED_ALONE.format("What has no project")),
    ([IMAGE], {UsageImages: {**OF_P, "images": 1}}, None),
    ([IMAGE], {UsageAudioSpeeches: {**OF_P, "characters": 9}}, None),
]
"""What is billed on a day, what each report has of it, and what is said."""


def test_a_project_that_is_billed_and_not_used_or_used_and_not_billed_is_told_of_openai(days: Days) -> None:
    """The output of an image or audio model is explained by its own report. Seen: a project that only made images was
    "billed for tokens that were not used". Two more days lack a report, and are no warning."""
    *every, no_completions, no_images = days_from(len(OF_OPENAI) + 2)
    lacking: Mapping[type[Row], date] = {UsageCompletions: no_completions, UsageImages: no_images}
    by_day = dict(zip(every, OF_OPENAI, strict=True))
    bill: Rows = [{**OF_P, "line_item": "gpt-5, output"}]
    bills = [*((day, billed) for day, (billed, *_) in by_day.items()), (no_completions, bill), (no_images, bill)]
    for report in REPORTS:
        used = on(((day, [used[report]]) for day, (_, used, _) in by_day.items() if report in used), report)
        days.fetched(report, *used, last=every[-1])
        for day in (no_completions, no_images):
            if lacking.get(report) != day:
                days.fetched(report, first=day)
    days.spent(Costs, *on(bills, Costs), last=no_images)
    found = warned(days, "allocated_costs/openai_allocated_costs.usage", "openai", no_images)
    assert found == [(day, said) for day, (*_, said) in by_day.items() if said]


def test_a_kind_of_cost_that_never_names_anybody_does_not_make_a_small_day_unattributed(days: Days) -> None:
    """Seen: code execution of 30 cents at a weekend, when the rest of the bill is small."""
    stored = days_from(8)
    last = stored[-1]
    tokens = {**BILL, "grouped_by": "description,workspace_id"}
    execution = {"amount_cents": 30, "cost_type": "code_execution"}
    bills = ((day, [{**tokens, "amount_cents": 100 if day == last else 10000}, execution]) for day in stored)
    days.spent(CostReport, *on(bills, CostReport), last=last)
    used = on(((day, [TOKENS]) for day in stored), UsageMessages, api_key_id="k", **MILLION)
    days.fetched(UsageMessages, *used, last=last)
    days.derive("anthropic_allocated_costs", last=last)
    [(share,)] = days.tuples(
        "select sum(native_amount) filter (where allocation <> 'unattributed') / sum(native_amount) "
        "from costs.allocated_costs where usage_date = $day",
        {"day": last},
    )
    assert 0.7 < share < 0.8
    assert warned(days, "costs_allocated_costs.unattributed_share", "anthropic", last) == []


BILLED = {
    "300": None,
    "30": None,
    "3000": None,
    "30000": "$300.00 is billed, 100 times the list price of $3.00: cents taken for dollars?",
    "3": "$0.03 is billed, 0.0100 times the list price of $3.00: dollars taken for cents?",
    "96000": "$960.00 is billed, 160 times the list price of $6.00: cents taken for dollars?",
}
"""Cents of a million tokens of a day, and what is said. Those of the last day are written for an hour: a million at 6
dollars, twice the input's 3. At the 3.75 of 5 minutes, 960 dollars would be 256 times the list price, which is no error
of units any more."""


def test_a_bill_of_a_hundred_times_the_list_price_is_an_error_of_units_and_a_rebate_is_not(days: Days) -> None:
    by_day = dict(zip(days_from(len(BILLED)), BILLED, strict=True))
    last = max(by_day)
    hour = MILLION | {"uncached_input_tokens": 0, "cache_creation_1h_input_tokens": 1_000_000}
    bill = [raw(CostReport, usage_date=day, amount_cents=usd, **BILL) for day, usd in by_day.items()]
    used = [
        each
        for day in by_day
        for each in (
            raw(UsageMessages, usage_date=day, **TOKENS, **(hour if day == last else MILLION)),
            raw(UsageMessages, usage_date=day, model="unheard of"),
        )
    ]
    days.spent(CostReport, *bill, last=last)
    days.fetched(UsageMessages, *used, last=last)
    expected = [(day, said) for day, usd in by_day.items() if (said := BILLED[usd])]
    assert wrong_units(days, "anthropic.cost_report", last) == expected

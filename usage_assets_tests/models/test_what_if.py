"""The same tokens on another model, at dated list prices: exact, and of the same days on both sides."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import genai_prices.types as genai
import pytest
from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot

from usage_assets.config.accounting import ListPriceRow, WhatIf, WhatIfRow
from usage_assets.core.schema import SeedRow, to_arrow
from usage_assets.features.report.insights.list_prices import price_rows, prices_from
from usage_assets.features.report.period import Period
from usage_assets.models.costs import VIEWS
from usage_assets.models.prices import ListPrices
from usage_assets.providers import PROVIDERS
from usage_assets.providers.anthropic.reports import CostReport, UsageMessages
from usage_assets.providers.cursor.usage import UsageEvents
from usage_assets.providers.focus.charges import Charges
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.usage import UsageCompletions, UsageEmbeddings, UsageImages
from usage_assets.warehouse.migrate import write_seed
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Seed
from usage_assets.warehouse.views import make_views
from usage_assets_tests.features.report.one_figure import rows_of_figure
from usage_assets_tests.models.days import DAY, Days, raw

SECOND, THIRD = DAY + timedelta(days=1), DAY + timedelta(days=2)
PERIOD = Period.of_days(DAY, THIRD)
LARGE, SMALL, TINY = ("5", "0.5", "6.25", "25"), ("1", "0.1", "1.25", "5"), ("0.2", "0.02", "0.25", "1.234567")
"""Dollars per million tokens: input, read from the cache, written to it, output."""
TOKENS = (1_000_003, 700, 90, 12_345)
"""The same, on each day of each model."""


def at(prices: Sequence[str], tokens: Sequence[Decimal | int] = TOKENS, days: int = 2) -> Decimal:
    """What the tokens of some days cost, computed in Python."""
    each = sum((Decimal(price) * count for price, count in zip(prices, tokens, strict=True)), Decimal())
    return days * each / 1_000_000


def price(
    model: str, prices: Sequence[str | None], provider: str = "anthropic", tier: str = "standard", **stated: Any
) -> ListPriceRow:
    known = [each and Decimal(each) for each in prices]
    of_kinds = zip(("input", "cache_read", "cache_write", "output"), known, strict=True)
    days = {"valid_from": date(2026, 1, 1), "valid_until": None}
    fields: dict[str, Any] = {"context_window": None, "list_of": provider, **days, **dict(of_kinds), **stated}
    return ListPriceRow(provider=provider, model=model, tier=tier, **fields)


@pytest.fixture
def used(days: Days) -> Days:
    """Two days of three models of Anthropic, of which one has no price, and one model of OpenAI."""
    uncached, read_, written, output = TOKENS
    both = (DAY, SECOND)
    counted = {"cache_creation_5m_input_tokens": written, "cache_creation_1h_input_tokens": 0, "output_tokens": output}
    days.fetched(
        UsageMessages,
        *(
            raw(
                UsageMessages,
                usage_date=day,
                model=model,
                uncached_input_tokens=uncached,
                cache_read_input_tokens=read_,
                **counted,
            )
            for day in both
            for model in ("large", "small", "tiny", "odd")
        ),
        first=DAY,
        last=THIRD,
    )
    cents = {"large": 1000, "small": 200, "tiny": 40, "odd": 10}
    bill = [
        raw(CostReport, usage_date=day, model=model, amount_cents=Decimal(amount))
        for day in both
        for model, amount in cents.items()
    ]
    days.fetched(CostReport, *bill, raw(CostReport, usage_date=THIRD, model="large"), first=DAY, last=THIRD)
    days.derive("anthropic_cost_report", first=DAY, last=THIRD)
    days.fetched(UsageCompletions, raw(UsageCompletions, model="gpt", input_tokens=10, output_tokens=1), first=DAY)
    days.fetched(Costs, raw(Costs, line_item="gpt, input", amount_value=Decimal("0.5")), first=DAY)
    days.derive("openai_costs")
    return days


def what_if(days: Days, prices: Sequence[ListPriceRow], *stated: WhatIf) -> dict[tuple[str, str], dict[str, Any]]:
    """Model and what instead -> row of the report."""
    with days.warehouse.transaction() as database:
        make_views(database, VIEWS)
        what_ifs = [entry.row for entry in stated]
        stored: dict[type[SeedRow], Sequence[SeedRow]] = {ListPriceRow: prices, WhatIfRow: what_ifs}
        tables = {Table(row): to_arrow(row, each) for row, each in stored.items()}
        write_seed(database, Seed("insights", tables, datetime(2026, 11, 9, tzinfo=UTC)))
    rows = rows_of_figure(days.warehouse, "what_if", PERIOD)
    return {(row["model"], row["instead"]): row for row in rows}


EVERY = [price("large", LARGE), price("small", SMALL), price("tiny", TINY), price("gpt", SMALL, "openai")]


def test_a_model_is_set_against_the_next_cheaper_one_that_is_in_use(used: Days) -> None:
    """The change of the model and what the bill has beside list prices add up to the difference, to the last digit."""
    found = what_if(used, EVERY)
    assert [*found] == [
        ("large", "small"),
        ("small", "tiny"),
        ("tiny", "no cheaper model in use"),
        ("gpt", "no cheaper model in use"),
        ("anthropic odd", "no list price"),
    ]
    assert {row["tiers"] for row in found.values()} == {"not stated", None}
    large = found["large", "small"]
    assert large["days"] == 2, "the third one has no tokens"
    assert (large["usd"], large["usd_list"], large["usd_list_instead"]) == (20, at(LARGE), at(SMALL))
    assert large["usd_change"] == at(SMALL) - at(LARGE)
    assert large["usd_bill_less_list"] == 20 - at(LARGE)
    assert large["usd_difference_to_bill"] == large["usd_change"] - large["usd_bill_less_list"]
    assert large["share_of_bill"] == round(20 / (20 + 1 + 4 + 0.8 + 0.2 + 0.5), 4)
    odd = found["anthropic odd", "no list price"]
    assert odd["usd"] == Decimal("0.2")
    assert {odd[name] for name in odd if name.startswith("usd_") and name != "usd"} == {None}


def test_a_price_counts_on_its_days(used: Days) -> None:
    prices = [price("large", LARGE, valid_until=DAY), price("large", SMALL, valid_from=SECOND), price("small", TINY)]
    large = what_if(used, prices)["large", "small"]
    assert large["usd_list"] == at(LARGE, days=1) + at(SMALL, days=1)
    prices = [price("large", LARGE), price("small", TINY, valid_from=SECOND)]
    large = what_if(used, prices)["large", "small"]
    assert (large["days"], large["usd"], large["usd_list"]) == (1, 10, at(LARGE, days=1))


def test_what_was_billed_on_days_that_are_not_compared_is_left_out_and_says_why(used: Days) -> None:
    """A model's two sums of ten days stood beside nothing that said what its other twelve days cost."""
    since: dict[str, Any] = {"valid_from": SECOND}
    later = what_if(used, [price("small", SMALL, **since), price("tiny", TINY)])["small", "tiny"]
    assert (later["usd"], later["days_without_price"], later["usd_left_out"]) == (2, 1, 2)
    assert later["left_out_because"] == "no list price: not stated"
    other = what_if(used, [price("small", SMALL), price("tiny", TINY, **since)])["small", "tiny"]
    assert (other["usd"], other["days_without_price"], other["usd_left_out"]) == (2, 0, 2)
    assert other["left_out_because"] == "no list price of the other: not stated"
    every = what_if(used, EVERY)
    small, large = every["small", "tiny"], every["large", "small"]
    assert (small["usd"], small["usd_left_out"], small["left_out_because"]) == (4, 0, None)
    assert (large["usd"], large["usd_left_out"]) == (20, 1), "the third day has a bill and no tokens"
    assert large["left_out_because"] == "no tokens are reported for the day"


def test_what_the_connections_file_names_is_set_against_it(used: Days) -> None:
    uncached, read_, written, output = TOKENS
    both = uncached + read_
    third = Decimal("0.3333") * (both + written)
    stated = [
        (WhatIf(provider="anthropic", model="large", to_provider="openai", to="gpt"), "openai, gpt", at(SMALL)),
        (WhatIf(provider="anthropic", model="large", tier="batch"), "large, batch", at(TINY)),
        (
            WhatIf(provider="anthropic", model="small", cached_share=Decimal(0)),
            "small, 0% of the input cached",
            at(SMALL, (both, 0, written, output)),
        ),
        (
            WhatIf(provider="anthropic", model="small", to="tiny", cached_share=Decimal("0.3333")),
            "tiny, 33.33% of the input cached",
            at(TINY, (both - third, third, written, output)),
        ),
        (
            WhatIf(provider="anthropic", model="small", cached_share=Decimal(1)),
            "small, 100% of the input cached",
            at(SMALL, (0, both, written, output)),  # what is written to the cache stays
        ),
        (WhatIf(provider="anthropic", model="tiny", to="nothing"), "no list price of the other", None),
        (WhatIf(provider="anthropic", model="lagre", to="tiny"), "nothing is billed for it", None),
    ]
    found = what_if(used, [*EVERY, price("large", TINY, tier="batch")], *(entry for entry, *_ in stated))
    instead = {(entry.model.replace("lagre", "anthropic lagre"), label): usd for entry, label, usd in stated}
    assert {key: row["usd_list_instead"] for key, row in found.items() if key in instead} == instead
    assert not {("large", "small"), ("small", "tiny")} & found.keys(), (
        "the rule is for models that nothing is stated of"
    )


def test_what_is_stated_of_a_family_concerns_each_of_its_names_and_merges_no_variants(days: Days) -> None:
    names = ("claude-opus-4-8", "claude-opus-4-8-20260101", "claude-opus-4-8-fast")
    uncached, read_, written, output = TOKENS
    counted = {"cache_creation_5m_input_tokens": written, "cache_creation_1h_input_tokens": 0, "output_tokens": output}
    used = {"uncached_input_tokens": uncached, "cache_read_input_tokens": read_, **counted}
    days.fetched(UsageMessages, *(raw(UsageMessages, model=name, **used) for name in names))
    days.fetched(CostReport, *(raw(CostReport, model=name) for name in names))
    days.derive("anthropic_cost_report")
    prices = [*(price(name, LARGE) for name in names[:2]), price(names[2], SMALL)]
    prices += [price(name, TINY, tier="batch") for name in names]
    found = what_if(days, prices, WhatIf(provider="anthropic", model="claude-opus-4-8", tier="batch"))
    assert {key: (row["usd"], row["usd_list"], row["usd_list_instead"]) for key, row in found.items()} == {
        (name, f"{name}, batch"): (1, at(SMALL if name == names[2] else LARGE, days=1), at(TINY, days=1))
        for name in names
    }


def test_what_reads_and_writes_no_tokens_is_compared_with_nothing(days: Days) -> None:
    """An image model has requests and no tokens, an embedding model writes none: neither is a cheaper chat model."""
    days.fetched(UsageImages, raw(UsageImages, model="image"))
    days.fetched(UsageEmbeddings, raw(UsageEmbeddings, model="embedding", input_tokens=1000))
    days.fetched(UsageCompletions, raw(UsageCompletions, model="chat", input_tokens=1000, output_tokens=10))
    days.fetched(Costs, *(raw(Costs, line_item=f"{model}, input") for model in ("image", "embedding", "chat")))
    days.derive("openai_costs")
    found = what_if(
        days, [price(model, TINY, "openai") for model in ("image", "embedding")] + [price("chat", SMALL, "openai")]
    )
    assert [*found] == [
        ("chat", "no cheaper model in use"),
        ("openai embedding, openai image", "no tokens are reported for it"),
    ]


def test_tokens_are_set_against_the_bill_of_their_connection_and_only_if_it_is_known(days: Days) -> None:
    tokens = {"model": "gpt", "input_tokens": 1_000_000, "output_tokens": 0}
    for connection in ("a", "b", "c"):
        used = raw(UsageCompletions, connection=connection, **tokens)
        days.fetched(UsageCompletions, used, connection=connection)
    for connection, *currencies in (("b", "usd"), ("c", "usd", "eur")):
        bill = [
            raw(Costs, connection=connection, line_item="gpt, input", amount_value=Decimal(1), amount_currency=currency)
            for currency in currencies
        ]
        days.fetched(Costs, *bill, connection=connection)
        days.derive("openai_costs", connection)
    row = what_if(days, [price("gpt", SMALL, "openai")])["gpt", "no cheaper model in use"]
    assert (row["usd"], row["usd_list"]) == (1, 1)


def test_a_report_that_contradicts_itself_and_a_bill_without_dollars_are_in_no_sum_and_it_says_so(days: Days) -> None:
    counts = {"input_tokens": 10, "output_tokens": 1}
    models = {"odd": {**counts, "input_cached_tokens": 11}, "euros": counts}
    days.fetched(UsageCompletions, *(raw(UsageCompletions, model=model, **each) for model, each in models.items()))
    bills = (("odd", "usd"), ("euros", "eur"))
    days.fetched(
        Costs,
        *(raw(Costs, line_item=f"{model}, input", amount_value=Decimal(1), amount_currency=of) for model, of in bills),
    )
    days.derive("openai_costs")
    found = what_if(days, [price(model, SMALL, "openai") for model in models])
    assert {key: row["usd"] for key, row in found.items()} == {
        ("openai odd", "no list price: not stated"): 1,
        ("openai euros", "its bill has no dollar value"): None,
    }


def test_the_largest_models_are_compared_and_all_that_is_stated(days: Days) -> None:
    names = [f"m-{number:02}" for number in range(15)]
    days.fetched(
        UsageCompletions, *(raw(UsageCompletions, model=name, input_tokens=9, output_tokens=9) for name in names)
    )
    bill = [
        raw(Costs, line_item=f"{name}, input", amount_value=Decimal(100 - number)) for number, name in enumerate(names)
    ]
    days.fetched(Costs, *bill)
    days.derive("openai_costs")
    stated = [WhatIf(provider="openai", model="m-14", to=other) for other in names[:3]]
    found = what_if(days, [price(name, SMALL, "openai") for name in names], *stated)
    assert {model for model, _ in found} == {*names[:12], "m-14"}
    assert len([model for model, _ in found if model == "m-14"]) == 3


def test_without_prices_nothing_is_compared(used: Days, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("usage_assets.features.report.insights.list_prices.has_prices", lambda: False)
    with used.warehouse.transaction() as database:
        make_views(database, VIEWS)
        assert price_rows(database, [], DAY, SECOND) == []
    assert {instead for _, instead in what_if(used, [])} == {"no list price"}


@pytest.fixture
def tiers(days: Days) -> Days:
    """A day of two models: TOKENS at the standard tier, in batches and, of one of them, at a tier without a price."""
    uncached, read_, written, output = TOKENS
    counted = {
        "uncached_input_tokens": uncached,
        "cache_read_input_tokens": read_,
        "cache_creation_5m_input_tokens": written,
        "cache_creation_1h_input_tokens": 0,
        "output_tokens": output,
    }
    used = (("large", "standard"), ("large", "batch"), ("small", "standard"), ("small", "priority"))
    days.fetched(
        UsageMessages, *(raw(UsageMessages, model=model, service_tier=tier, **counted) for model, tier in used)
    )
    days.fetched(
        CostReport, *(raw(CostReport, model=model, amount_cents=Decimal(1000)) for model in ("large", "small"))
    )
    days.derive("anthropic_cost_report")
    return days


def test_each_token_has_the_price_of_its_tier(tiers: Days) -> None:
    """And a model of which a part has none is refused: it is no standard use."""
    prices = [price("large", LARGE), price("large", SMALL, tier="batch"), price("small", SMALL)]
    found = what_if(tiers, prices)
    large = found["large", "no cheaper model in use"]
    assert large["usd_list"] == at(LARGE, days=1) + at(SMALL, days=1)
    assert (large["tiers"], large["days"], large["days_without_price"]) == ("batch, standard", 1, 0)
    refused = found["anthropic small", "no list price: priority"]
    assert (refused["usd"], refused["usd_list"]) == (10, None)
    without_batch = what_if(tiers, [price("large", LARGE)])
    assert ("anthropic large", "no list price: batch") in without_batch


def test_tokens_keep_their_tier_on_another_model_and_all_move_to_a_stated_one(tiers: Days) -> None:
    prices = [
        price("large", LARGE),
        price("large", SMALL, tier="batch"),
        price("tiny", TINY),
        price("tiny", SMALL, tier="batch"),
        price("odd", TINY),
    ]
    stated = [
        (WhatIf(provider="anthropic", model="large", to="tiny"), "tiny", at(TINY, days=1) + at(SMALL, days=1)),
        (WhatIf(provider="anthropic", model="large", tier="batch"), "large, batch", at(SMALL)),
        (WhatIf(provider="anthropic", model="large", tier="standard"), "large, standard", at(LARGE)),
    ]
    found = what_if(tiers, prices, *(entry for entry, *_ in stated))
    assert {label: found["large", label]["usd_list_instead"] for _, label, _ in stated} == {
        label: usd for _, label, usd in stated
    }
    found = what_if(tiers, prices, WhatIf(provider="anthropic", model="large", to="odd"))
    assert found["large", "no list price of the other"]["usd_list_instead"] is None, "it has no price of batches"


def test_a_kind_of_tokens_without_a_price_at_a_tier_is_refused_only_where_it_is_used(days: Days) -> None:
    """OpenAI publishes no price of cache reads in batches of some models."""
    prices = [price(name, ("1", None, None, "5"), "openai", "batch") for name in ("plain", "cached")]
    tokens = {"batch": True, "input_tokens": 1_000_000, "output_tokens": 0}
    used = [raw(UsageCompletions, model="plain", **tokens)]
    used += [raw(UsageCompletions, model="cached", input_cached_tokens=1, **tokens)]
    days.fetched(UsageCompletions, *used)
    days.fetched(
        Costs, *(raw(Costs, line_item=f"{name}, input", amount_value=Decimal(2)) for name in ("plain", "cached"))
    )
    days.derive("openai_costs")
    found = what_if(days, prices)
    assert found["plain", "no cheaper model in use"]["usd_list"] == 1
    assert ("openai cached", "no list price: batch") in found


def test_the_present_cached_share_of_the_report_changes_nothing(days: Days) -> None:
    """One definition: of all input, what is written to the cache included."""
    counted = {"uncached_input_tokens": 500, "cache_read_input_tokens": 400, "output_tokens": 7}
    written = {"cache_creation_5m_input_tokens": 60, "cache_creation_1h_input_tokens": 40}
    days.fetched(UsageMessages, raw(UsageMessages, model="large", **counted, **written))
    days.fetched(CostReport, raw(CostReport, model="large", amount_cents=Decimal(100)))
    days.derive("anthropic_cost_report")
    entry = WhatIf(provider="anthropic", model="large", cached_share=Decimal("0.4"))
    prices = [price("large", LARGE, cache_write_1h=Decimal(10))]
    row = what_if(days, prices, entry)["large", "large, 40% of the input cached"]
    assert row["usd_change"] == 0
    [tokens] = rows_of_figure(days.warehouse, "tokens", PERIOD)
    assert tokens["cached_share"] == 0.4


@pytest.mark.parametrize(
    "lacking",
    [
        ("uncached_input_tokens",),
        ("cache_read_input_tokens",),
        ("cache_creation_5m_input_tokens",),
        ("cache_creation_1h_input_tokens",),
        ("output_tokens",),
        ("uncached_input_tokens", "output_tokens"),
    ],
)
def test_a_day_that_lacks_a_counter_of_one_row_is_not_compared(days: Days, lacking: Sequence[str]) -> None:
    """A sum without it would be too small, and so would its list price."""
    counted = {"uncached_input_tokens": 500, "cache_read_input_tokens": 400, "output_tokens": 7}
    counted |= {"cache_creation_5m_input_tokens": 60, "cache_creation_1h_input_tokens": 40}
    rows = [raw(UsageMessages, usage_date=day, model="large", account_id="a", **counted) for day in (DAY, SECOND)]
    rows.append(
        raw(UsageMessages, usage_date=SECOND, model="large", account_id="b", **{**counted, **dict.fromkeys(lacking)})
    )
    days.fetched(UsageMessages, *rows, first=DAY, last=SECOND)
    bill = [raw(CostReport, usage_date=day, model="large", amount_cents=Decimal(100)) for day in (DAY, SECOND)]
    days.fetched(CostReport, *bill, first=DAY, last=SECOND)
    days.derive("anthropic_cost_report", first=DAY, last=SECOND)
    prices = [price("large", LARGE, cache_write_1h=Decimal(10))]
    row = what_if(days, prices)["large", "no cheaper model in use"]
    assert (row["days"], row["usd"]) == (1, 1)
    assert (row["days_without_price"], row["tiers"]) == (1, "not stated; no price: a counter is missing")


def written(days: Days, model: str, minutes: int, hour: int) -> None:
    """A day of a model: a million tokens of input, and what it wrote to the cache for 5 minutes and for an hour."""
    counted = {"uncached_input_tokens": 1_000_000, "cache_read_input_tokens": 0, "output_tokens": 0}
    writes = {"cache_creation_5m_input_tokens": minutes, "cache_creation_1h_input_tokens": hour}
    days.fetched(UsageMessages, raw(UsageMessages, model=model, **counted, **writes))
    days.fetched(CostReport, raw(CostReport, model=model, amount_cents=Decimal(900)))
    days.derive("anthropic_cost_report")


def test_what_is_written_for_an_hour_has_the_price_of_an_hour(days: Days) -> None:
    """A million of input at 5 dollars, 200,000 tokens at 6.25 and 100,000 at 10: 5 + 1.25 + 1."""
    written(days, "large", 200_000, 100_000)
    tiny = price("tiny", TINY, cache_write_1h=Decimal("0.4"))
    entry = WhatIf(provider="anthropic", model="large", to="tiny")
    row = what_if(days, [price("large", LARGE, cache_write_1h=Decimal(10)), tiny], entry)["large", "tiny"]
    assert row["usd_list"] == Decimal("7.25")
    assert row["usd_list_instead"] == Decimal("0.2") + Decimal("0.05") + Decimal("0.04")
    assert row["usd_bill_less_list"] == Decimal("1.75")


def test_a_price_of_an_hour_is_needed_only_where_something_is_written_for_an_hour(days: Days) -> None:
    """It is never taken to be that of 5 minutes."""
    written(days, "large", 200_000, 100_000)
    assert ("anthropic large", "no list price: not stated") in what_if(days, [price("large", LARGE)])
    written(days, "large", 300_000, 0)
    row = what_if(days, [price("large", LARGE)])["large", "no cheaper model in use"]
    assert row["usd_list"] == Decimal("6.875")


def test_meters_of_a_bill_say_what_is_written_for_an_hour(days: Days) -> None:
    """400,000 tokens at 10 dollars, 800,000 at 6.25, and a million of output at 25: 4 + 5 + 25."""
    kinds = ("cache_creation.ephemeral_1h_input_tokens", "cache_creation.ephemeral_5m_input_tokens", "output_tokens")
    charges = [
        raw(Charges, model="large", sku_id=kind, usage_type=kind, tokens=count, billed_cost=Decimal(10))
        for kind, count in zip(kinds, (400_000, 800_000, 1_000_000), strict=True)
    ]
    days.fetched(Charges, *charges)
    days.derive("focus_charges")
    prices = [price("large", LARGE, "focus", cache_write_1h=Decimal(10))]
    row = what_if(days, prices)["large", "no cheaper model in use"]
    assert (row["usd"], row["usd_list"]) == (30, 34)


def test_meters_of_a_bill_are_added_up_by_account(days: Days) -> None:
    """Each charge counts one class of tokens. No charge of cache is no use of it."""
    counted = [("a", "uncached_input_tokens", 3), ("a", "output_tokens", 1)]
    counted += [("b", "uncached_input_tokens", 5), ("b", "cache_read_input_tokens", 2), ("b", "output_tokens", 1)]
    charges = [
        raw(
            Charges,
            sub_account_id=who,
            model="large",
            sku_id=kind,
            usage_type=kind,
            tokens=count,
            billed_cost=Decimal(1),
        )
        for who, kind, count in counted
    ]
    days.fetched(Charges, *charges)
    days.derive("focus_charges")
    row = what_if(days, [price("large", LARGE, "focus")])["large", "no cheaper model in use"]
    assert (row["usd"], row["usd_list"]) == (5, at(LARGE, (8, 2, 0, 2), days=1))


def test_only_tokens_that_are_billed_count(days: Days) -> None:
    """Cursor's events say who pays for them. The list is that of the model's maker."""
    tokens = {"input_tokens": 1_000_000, "cache_read_tokens": 0, "cache_write_tokens": 0, "output_tokens": 0}
    events = [
        raw(UsageEvents, model="large", charge=charge, charged_cents=Decimal(700), **tokens)
        for charge in ("billed", "included", "own_key")
    ]
    days.fetched(UsageEvents, *events)
    days.derive("cursor_usage_events")
    row = what_if(days, [price("large", LARGE, "cursor", list_of="anthropic")])["large", "no cheaper model in use"]
    assert (row["usd"], row["usd_list"], row["list_of"]) == (7, 5, "anthropic")


# --- Prices -----------------------------------------------------------------------------------------------------------


def prices_of(each: Sequence[str | None]) -> genai.ModelPrice:
    names = ("input_mtok", "cache_read_mtok", "cache_write_mtok", "output_mtok")
    return genai.ModelPrice(**{name: Decimal(usd) for name, usd in zip(names, each, strict=True) if usd})


@pytest.fixture
def published() -> Iterator[None]:
    """Prices of `large`: until the second day higher, for long requests more so. Flex has none of cache reads."""
    since = genai.StartDateConstraint
    long = prices_of(LARGE)
    long.__dict__["input_mtok"] = genai.TieredPrices(base=Decimal(5), tiers=[genai.Tier(200_000, price=Decimal(10))])
    model = genai.ModelInfo(
        id="large",
        match=genai.ClauseEquals("large"),
        prices=[
            genai.ConditionalPrice(prices=long),
            genai.ConditionalPrice(constraint=since(SECOND), prices=prices_of(SMALL)),
        ],
        price_variants=[
            genai.PriceVariant(when={"processing": "batch"}, prices=prices_of(TINY), constraint=since(THIRD)),
            genai.PriceVariant(when={"service_tier": "flex"}, prices=prices_of(("1", None, None, "2"))),
        ],
    )
    makers = [
        genai.Provider(id=name, name=name, api_pattern="x", models=[model], model_match=genai.ClauseEquals("large"))
        for name in ("anthropic", "openai")
    ]
    set_custom_snapshot(DataSnapshot(providers=makers, from_auto_update=False))
    yield
    set_custom_snapshot(None)


HALF = [str(Decimal(each) / 2) for each in LARGE]
HALF_OF_SMALL = [str(Decimal(each) / 2) for each in SMALL]


@pytest.mark.parametrize(
    ("provider", "tier", "window", "expected"),
    [
        ("anthropic", "standard", None, [(DAY, LARGE), (SECOND, SMALL)]),
        ("anthropic", "standard", "0-200k", [(DAY, LARGE), (SECOND, SMALL)]),
        ("anthropic", "standard", "200k-1M", [(DAY, ("10", *LARGE[1:])), (SECOND, SMALL)]),
        ("anthropic", "standard", "100k-300k", [(DAY, (None, *LARGE[1:])), (SECOND, SMALL)]),  # at two prices
        ("anthropic", "standard", "longest", []),
        # what Anthropic publishes, until genai-prices has a price
        ("anthropic", "batch", None, [(DAY, HALF), (SECOND, HALF_OF_SMALL), (THIRD, TINY)]),
        ("openai", "batch", None, [(THIRD, TINY)]),
        ("openai", "flex", None, [(DAY, ("1", None, None, "2"))]),
        ("openai", "priority", None, []),
        ("cursor", "standard", None, [(DAY, LARGE), (SECOND, SMALL)]),  # of the model's maker
        ("nobody", "standard", None, [(DAY, LARGE), (SECOND, SMALL)]),
    ],
)
def test_a_price_that_nobody_publishes_is_not_known(
    published: None,
    provider: str,
    tier: str,
    window: str | None,
    expected: Sequence[tuple[date, Sequence[str | None]]],
) -> None:
    following = [*(day - timedelta(days=1) for day, _ in expected[1:]), None]
    seller = provider if provider == "openai" else "anthropic"
    assert [*prices_from(provider, "large", tier, window, DAY)] == [
        price("large", usd, provider, tier, context_window=window, list_of=seller, valid_from=day, valid_until=last)
        for (day, usd), last in zip(expected, following, strict=False)
    ]


def test_prices_are_those_of_the_tiers_that_a_provider_has_used(tiers: Days, published: None) -> None:
    """Of each of its models, and of what these are compared with."""
    entries = [WhatIf(provider="anthropic", model="small", to="large", to_provider="openai", tier="flex").row]
    with tiers.warehouse.transaction() as database:
        make_views(database, VIEWS)
        rows = price_rows(database, entries, DAY, DAY)
    assert {(row.provider, row.model, row.tier) for row in rows} == {
        ("anthropic", "large", "standard"),
        ("anthropic", "large", "batch"),
        ("openai", "large", "flex"),
    }


def test_what_anthropic_publishes_of_batches_is_what_genai_prices_has() -> None:
    day = date(2026, 11, 1)
    [declared] = PROVIDERS["anthropic"].tier_prices
    found = ListPrices.of("anthropic", "claude-opus-5")
    assert found
    standard, batch = found.on(day), found.on(day, declared.tier)
    assert batch == {kind: usd * declared.multiple for kind, usd in standard.items()}
    assert len(batch) == 5


@pytest.mark.parametrize("model", ["claude-opus-5", "claude-sonnet-5", "claude-haiku-4-5"])
def test_writes_cost_what_anthropic_publishes_of_them(model: str) -> None:
    """1.25 times the input for 5 minutes, twice the input for an hour."""
    [row] = prices_from("anthropic", model, "standard", None, date(2026, 11, 1))
    assert row.input is not None
    assert (row.cache_write, row.cache_write_1h) == (row.input * Decimal("1.25"), row.input * 2)

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
from usage_assets.insights.list_prices import price_rows
from usage_assets.models.costs import VIEWS
from usage_assets.providers.anthropic.reports import CostReport, UsageMessages
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.usage import UsageCompletions, UsageEmbeddings, UsageImages
from usage_assets.report.figures import read
from usage_assets.report.period import Period
from usage_assets.warehouse.migrate import write_seed
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Seed
from usage_assets.warehouse.views import make_views
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


def price(model: str, prices: Sequence[str], provider: str = "anthropic", tier: str = "", **days: date) -> ListPriceRow:
    of_kinds = zip(("input", "cache_read", "cache_write", "output"), map(Decimal, prices), strict=True)
    fields: dict[str, Any] = {"valid_from": date(2026, 1, 1), "valid_until": None, **days, **dict(of_kinds)}
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
        rows = read(database, PERIOD).figures["what_if"].rows.to_pylist()
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


def test_what_the_connections_file_names_is_set_against_it(used: Days) -> None:
    uncached, read_, written, output = TOKENS
    both = uncached + read_
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
            at(TINY, (both * Decimal("0.6667"), both * Decimal("0.3333"), written, output)),
        ),
        (WhatIf(provider="anthropic", model="tiny", to="nothing"), "no list price of the other", None),
    ]
    found = what_if(used, [*EVERY, price("large", TINY, tier="batch")], *(entry for entry, *_ in stated))
    instead = {(entry.model, label): usd for entry, label, usd in stated}
    assert {key: row["usd_list_instead"] for key, row in found.items() if key in instead} == instead
    assert not {("large", "small"), ("small", "tiny")} & found.keys(), (
        "the rule is for models that nothing is stated of"
    )


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
        ("openai embedding, openai image", "no list price"),
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
    monkeypatch.setattr("usage_assets.insights.list_prices.has_prices", lambda: False)
    with used.warehouse.transaction() as database:
        make_views(database, VIEWS)
        assert price_rows(database, [], DAY, SECOND) == []
    assert {instead for _, instead in what_if(used, [])} == {"no list price"}


@pytest.fixture
def published() -> Iterator[None]:
    """Prices of Anthropic's: `large` became cheaper on the second day, and its batches on the third."""
    before, after, batch = (
        genai.ModelPrice(
            input_mtok=Decimal(each[0]),
            cache_read_mtok=Decimal(each[1]),
            cache_write_mtok=Decimal(each[2]),
            output_mtok=Decimal(each[3]),
        )
        for each in (LARGE, SMALL, TINY)
    )
    since = genai.StartDateConstraint
    model = genai.ModelInfo(
        id="large",
        match=genai.ClauseEquals("large"),
        prices=[
            genai.ConditionalPrice(prices=before),
            genai.ConditionalPrice(constraint=since(SECOND), prices=after),
        ],
        price_variants=[genai.PriceVariant(when={"processing": "batch"}, prices=batch, constraint=since(THIRD))],
    )
    provider = genai.Provider(id="anthropic", name="Anthropic", api_pattern="x", models=[model])
    set_custom_snapshot(DataSnapshot(providers=[provider], from_auto_update=False))
    yield
    set_custom_snapshot(None)


def test_list_prices_are_dated_and_a_tier_has_none_before_it_has_a_price(used: Days, published: None) -> None:
    batch = WhatIf(provider="anthropic", model="large", tier="batch").row
    with used.warehouse.transaction() as database:
        make_views(database, VIEWS)
        rows = price_rows(database, [batch], date(2026, 1, 1), THIRD)
    assert rows == [
        price("large", LARGE, valid_until=DAY),
        price("large", SMALL, valid_from=SECOND),
        price("large", TINY, tier="batch", valid_from=THIRD),
    ]

"""The same tokens on another model, at dated list prices: exact, and of the same days on both sides."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import genai_prices.types as genai
import msgspec
import pytest
from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot

from usage_assets.config.accounting import ListPriceRow, WhatIfRow
from usage_assets.models.prices import ListPrices
from usage_assets.providers import PROVIDERS
from usage_assets.providers.anthropic.reports import CostReport, UsageMessages
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.usage import UsageCompletions, UsageEmbeddings, UsageImages
from usage_assets_finance.focus.charges import Charges
from usage_assets_report.entries import WhatIf
from usage_assets_report.insights.list_prices import prices_from
from usage_assets_report.period import Period
from usage_assets_report_tests.computed import store_insights
from usage_assets_report_tests.one_figure import rows_of_figure
from usage_assets_tests.fixtures import NewWarehouse
from usage_assets_tests.models.days import DAY, Days, raw, raws, seen
from usage_assets_vendors.cursor.usage import UsageEvents

SECOND, THIRD = DAY + timedelta(days=1), DAY + timedelta(days=2)
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
    fields = {"context_window": None, "list_of": provider, **days, **dict(of_kinds), **stated}
    return ListPriceRow(provider=provider, model=model, tier=tier, **fields)


@pytest.fixture(scope="module")
def used(warehouse_with_views: NewWarehouse) -> Iterator[Days]:
    """The days of every test here, filled once. A test says which of them it reads, and states prices of its own."""
    days = Days(warehouse_with_views())
    with days.warehouse.get_connection():
        # By Anthropic.
        tiers, family, cached, hour, lacking, last = (
            (day - DAY).days
            for day in (TIERS.first, FAMILY.first, CACHED.first, HOUR.first, LACKING.first, LACKING.last)
        )
        cents = {"large": 1000, "small": 200, "tiny": 40, "odd": 10}
        of_tiers = ("large  standard", "large  batch", "small  standard", "small  flex", "small  priority")
        used = [
            f"usage_date  account_id  model  service_tier  {'  '.join(COUNTERS)}",
            *(f"{day}  .  {model}  .  {COUNTED}" for day in (0, 1) for model in cents),
            *(f"{tiers}  .  {each}  {COUNTED}" for each in of_tiers),
            *(f"{family}  .  {model}  .  {COUNTED}" for model in OPUS),
            f"{cached}  .  large  .  {SHARED}",
            *(f"{hour}  .  {model}  .  1000000  0  {each}" for model, each in WRITES.items()),
            *(f"{day}  a  {model}  .  {SHARED}" for day in (lacking, last) for model in LACKS),
        ]
        for model, names in LACKS.items():
            counters = zip(COUNTERS, SHARED.split(), strict=True)
            used.append(f"{last}  b  {model}  .  {'  '.join('-' if name in names else n for name, n in counters)}")
        billed = [
            "usage_date  model  amount_cents",
            *(f"{day}  {model}  {amount}" for day in (0, 1) for model, amount in cents.items()),
            *("2  large  100", f"{tiers}  large  1000", f"{tiers}  small  1000", f"{cached}  large  100"),
            *(f"{family}  {model}  100" for model in OPUS),
            *(f"{hour}  {model}  900" for model in WRITES),
            *(f"{day}  {model}  100" for day in (lacking, last) for model in LACKS),
        ]
        days.fetched(UsageMessages, *raws(UsageMessages, "\n".join(used)), first=DAY, last=LAST)
        days.spent(CostReport, *raws(CostReport, "\n".join(billed)), first=DAY, last=LAST)
        by_openai(days)
        # By others.
        meters, accounts = ((period.first - DAY).days for period in (METERS, ACCOUNTS))
        charges = f"""
            usage_date  sub_account_id  sku_id                                    tokens   billed_cost
            {meters}    -               cache_creation.ephemeral_1h_input_tokens  400000   10
            {meters}    -               cache_creation.ephemeral_5m_input_tokens  800000   10
            {meters}    -               output_tokens                             1000000  10
            {accounts}  a               uncached_input_tokens                     3        1
            {accounts}  a               output_tokens                             1        1
            {accounts}  b               uncached_input_tokens                     5        1
            {accounts}  b               cache_read_input_tokens                   2        1
            {accounts}  b               output_tokens                             1        1
        """
        charged: list[Any] = raws(Charges, charges, model="large")
        charged = [msgspec.structs.replace(each, usage_type=each.sku_id) for each in charged]
        days.spent(Charges, *charged, first=METERS.first, last=ACCOUNTS.first)
        tokens = {"input_tokens": 1_000_000, "cache_read_tokens": 0, "cache_write_tokens": 0, "output_tokens": 0}
        of = {"usage_date": CHARGES.first, "model": "large", "charged_cents": 700}
        events = [raw(UsageEvents, charge=charge, **of, **tokens) for charge in ("billed", "included", "own_key")]
        days.spent(UsageEvents, *events, first=CHARGES.first)
        yield days


def on(number: int, of_days: int = 1) -> Period:
    """Days of one test: the first after so many others."""
    first = DAY + timedelta(days=number)
    return Period.of_days(first, first + timedelta(days=of_days - 1))


USED = Period.of_days(DAY, THIRD)
"""Two days of models of Anthropic, of which `odd` has no price, and one of a model of OpenAI."""
TIERS = on(4)
"""TOKENS at the standard tier, in batches and, of one of two models, at a tier without a price."""
FAMILY, CACHED, HOUR, BATCHES, KINDS, CONNECTIONS, CONTRADICTING, LARGEST, METERS, ACCOUNTS, CHARGES = map(
    on, range(5, 16)
)
LACKING = on(16, of_days=2)
LAST = LACKING.last
OPUS = ("claude-opus-4-8", "claude-opus-4-8-20260101", "claude-opus-4-8-fast")
COUNTERS = (
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "cache_creation_5m_input_tokens",
    "output_tokens",
    "cache_creation_1h_input_tokens",
)
COUNTED = "  ".join(map(str, (*TOKENS, 0)))
SHARED = "500  400  60  7  40"
"""40 % of the input is read from the cache."""
LACKS = {
    **{f"without {counter}": (counter,) for counter in COUNTERS},
    "without two": ("uncached_input_tokens", "output_tokens"),
}
"""Models -> what one row of their second day does not state."""
WRITES = {"both": "200000  0  100000", "without price": "200000  0  100000", "minutes": "300000  0  0"}
"""Models with a million tokens of input -> what is written for 5 minutes, their output, and what for an hour."""


def by_openai(days: Days) -> None:
    batches, kinds, contradicting, largest = (
        (period.first - DAY).days for period in (BATCHES, KINDS, CONTRADICTING, LARGEST)
    )
    many = [f"m-{n:02}" for n in range(15)]
    usage = f"""
        usage_date       model   batch  input_tokens  input_cached_tokens  output_tokens
        0                gpt     .      10            -                    1
        {batches}        plain   yes    1000000       -                    0
        {batches}        cached  yes    1000000       1                    0
        {kinds}          chat    .      1000          -                    10
        {contradicting}  odd     .      10            11                   1
        {contradicting}  euros   .      10            -                    1
    """
    usage += "\n".join(f"{largest}  {model}  .  9  -  9" for model in many)
    bill = f"""
        usage_date       line_item         amount_value  amount_currency
        0                gpt, input        0.5           usd
        {batches}        plain, input      2             usd
        {batches}        cached, input     2             usd
        {kinds}          chat, input       1             usd
        {kinds}          image, input      1             usd
        {kinds}          embedding, input  1             usd
        {contradicting}  odd, input        1             usd
        {contradicting}  euros, input      1             eur
    """
    bill += "\n".join(f"{largest}  {model}, input  {100 - n}  usd" for n, model in enumerate(many))
    days.fetched(UsageCompletions, *raws(UsageCompletions, usage), first=DAY, last=LAST)
    days.fetched(UsageImages, raw(UsageImages, usage_date=KINDS.first, model="image"), first=KINDS.first)
    embedding = raw(UsageEmbeddings, usage_date=KINDS.first, model="embedding", input_tokens=1000)
    days.fetched(UsageEmbeddings, embedding, first=KINDS.first)
    days.spent(Costs, *raws(Costs, bill), first=DAY, last=LAST)
    day = CONNECTIONS.first
    for name, currencies in (("a", ()), ("b", ("usd",)), ("c", ("usd", "eur"))):
        gpt = {"connection": name, "usage_date": day}
        used = raw(UsageCompletions, model="gpt", input_tokens=1_000_000, output_tokens=0, **gpt)
        days.fetched(UsageCompletions, used, connection=name, first=day)
        bills = [raw(Costs, line_item="gpt, input", amount_value=1, amount_currency=code, **gpt) for code in currencies]
        if bills:
            days.spent(Costs, *bills, connection=name, first=day)


Found = dict[tuple[str, str], dict[str, Any]]
"""Model and what instead -> row of the report."""


def what_if(days: Days, prices: Sequence[ListPriceRow], *stated: WhatIf, period: Period = USED) -> Found:
    """State prices, and compare the days of a period."""
    store_insights(days.warehouse, {ListPriceRow: prices, WhatIfRow: [entry.row for entry in stated]})
    return {(row["model"], row["instead"]): row for row in rows_of_figure(days.warehouse, "what_if", period)}


def amounts(row: Mapping[str, Any], names: str) -> tuple[Any, ...]:
    return tuple(row[name] for name in names.split())


def of(model: str, **values: Any) -> WhatIf:
    """A model of Anthropic that is stated to be set against something."""
    return WhatIf(provider="anthropic", model=model, **values)


EVERY = [price("large", LARGE), price("small", SMALL), price("tiny", TINY), price("gpt", SMALL, "openai")]
ALONE = "no cheaper model in use"


def test_a_model_is_set_against_the_next_cheaper_one_that_is_in_use(used: Days) -> None:
    """The change of the model and what the bill has beside list prices add up to the difference, to the last digit. The
    third day has a bill and no tokens."""
    found = what_if(used, EVERY)
    assert [*found] == [
        *(("large", "small"), ("small", "tiny"), ("tiny", ALONE), ("gpt", ALONE)),
        ("anthropic odd", "no list price"),
    ]
    assert {row["tiers"] for row in found.values()} == {"not stated", None}
    large = found["large", "small"]
    assert amounts(large, "days usd usd_list usd_list_instead") == (2, 20, at(LARGE), at(SMALL))
    assert large["usd_change"] == at(SMALL) - at(LARGE)
    assert large["usd_bill_less_list"] == 20 - at(LARGE)
    assert large["usd_difference_to_bill"] == large["usd_change"] - large["usd_bill_less_list"]
    assert large["share_of_bill"] == round(20 / (20 + 1 + 4 + 0.8 + 0.2 + 0.5), 4)
    assert amounts(large, "usd_left_out left_out_because") == (1, "no tokens are reported for the day")
    assert amounts(found["small", "tiny"], "usd usd_left_out left_out_because") == (4, 0, None)
    odd = found["anthropic odd", "no list price"]
    assert odd["usd"] == Decimal("0.2")
    assert {odd[name] for name in odd if name.startswith("usd_") and name != "usd"} == {None}


def test_a_price_counts_on_its_days_and_what_was_billed_on_others_is_left_out_and_says_why(used: Days) -> None:
    """A model's two sums of ten days stood beside nothing that said what its other twelve days cost."""
    since: dict[str, Any] = {"valid_from": SECOND}
    prices = [price("large", LARGE, valid_until=DAY), price("large", SMALL, **since), price("small", TINY)]
    large = what_if(used, prices)["large", "small"]
    assert large["usd_list"] == at(LARGE, days=1) + at(SMALL, days=1)
    later = what_if(used, [price("small", SMALL, **since), price("tiny", TINY)])["small", "tiny"]
    names = "days usd usd_list days_without_price usd_left_out left_out_because"
    assert amounts(later, names) == (1, 2, at(SMALL, days=1), 1, 2, "no list price: not stated")
    other = what_if(used, [price("small", SMALL), price("tiny", TINY, **since)])["small", "tiny"]
    assert amounts(other, names) == (1, 2, at(SMALL, days=1), 0, 2, "no list price of the other: not stated")


def test_what_the_connections_file_names_is_set_against_it(used: Days) -> None:
    """What is written to the cache stays. The rule is for models that nothing is stated of."""
    uncached, read_, written, output = TOKENS
    both = uncached + read_
    third = Decimal("0.3333") * (both + written)
    stated = [
        (of("large", to_provider="openai", to="gpt"), "openai, gpt", at(SMALL)),
        (of("large", tier="batch"), "large, batch", at(TINY)),
        (of("small", cached_share=0), "small, 0% of the input cached", at(SMALL, (both, 0, written, output))),
        (
            of("small", to="tiny", cached_share=Decimal("0.3333")),
            "tiny, 33.33% of the input cached",
            at(TINY, (both - third, third, written, output)),
        ),
        (of("small", cached_share=1), "small, 100% of the input cached", at(SMALL, (0, both, written, output))),
        (of("tiny", to="nothing"), "no list price of the other", None),
        (of("lagre", to="tiny"), "nothing is billed for it", None),
    ]
    found = what_if(used, [*EVERY, price("large", TINY, tier="batch")], *(entry for entry, *_ in stated))
    instead = {(entry.model.replace("lagre", "anthropic lagre"), label): usd for entry, label, usd in stated}
    assert {key: row["usd_list_instead"] for key, row in found.items() if key in instead} == instead
    assert not {("large", "small"), ("small", "tiny")} & found.keys()


def test_each_token_has_the_price_of_its_tier(used: Days) -> None:
    """And a model of which a part has none is refused: it is no standard use. Priority Tier is in no bill."""
    prices = [price("large", LARGE), price("large", SMALL, tier="batch"), price("small", SMALL)]
    found = what_if(used, prices, period=TIERS)
    large = found["large", ALONE]
    assert large["usd_list"] == at(LARGE, days=1) + at(SMALL, days=1)
    assert amounts(large, "tiers days days_without_price") == ("batch, standard", 1, 0)
    assert amounts(found["anthropic small", "no list price: flex"], "usd usd_list") == (10, None)
    without_batch = what_if(used, [price("large", LARGE)], period=TIERS)
    assert ("anthropic large", "no list price: batch") in without_batch


def test_a_day_that_lacks_a_counter_of_one_row_is_not_compared(used: Days) -> None:
    """A sum without it would be too small, and so would its list price."""
    prices = [price(model, LARGE, cache_write_1h=Decimal(10)) for model in LACKS]
    found = what_if(used, prices, period=LACKING)
    lacking = (1, 1, 1, "not stated; no price: a counter is missing")
    assert {key: amounts(row, "days usd days_without_price tiers") for key, row in found.items()} == dict.fromkeys(
        ((model, ALONE) for model in LACKS), lacking
    )


def test_what_is_written_for_an_hour_has_the_price_of_an_hour_and_needs_one(used: Days) -> None:
    """A million of input at 5 dollars, 200,000 tokens at 6.25 and 100,000 at 10: 5 + 1.25 + 1. The price of an hour is
    never taken to be that of 5 minutes, and nobody asks for it where nothing is written for an hour."""
    tiny = price("tiny", TINY, cache_write_1h=Decimal("0.4"))
    prices = [price("both", LARGE, cache_write_1h=Decimal(10)), tiny]
    prices += [price(model, LARGE) for model in ("without price", "minutes")]
    found = what_if(used, prices, of("both", to="tiny"), period=HOUR)
    both = seen([found["both", "tiny"]], "usd_list usd_list_instead usd_bill_less_list")
    assert both == [("7.25", "0.29", "1.75")], "0.2 + 0.05 + 0.04 instead"
    assert ("anthropic without price", "no list price: not stated") in found
    assert found["minutes", ALONE]["usd_list"] == Decimal("6.875")


def test_meters_of_a_bill_say_what_is_written_for_an_hour_and_are_added_up_by_account(used: Days) -> None:
    """400,000 tokens at 10 dollars, 800,000 at 6.25, and a million of output at 25: 4 + 5 + 25. Each charge counts one
    class of tokens. No charge of cache is no use of it. Of Cursor's events, only tokens that are billed count, at the
    prices of the model's maker."""
    prices = [price("large", LARGE, "focus", cache_write_1h=Decimal(10))]
    prices.append(price("large", LARGE, "cursor", list_of="anthropic"))
    for period, expected in (
        (METERS, (30, 34, "focus")),
        (ACCOUNTS, (5, at(LARGE, (8, 2, 0, 2), days=1), "focus")),
        (CHARGES, (7, 5, "anthropic")),
    ):
        row = what_if(used, prices, period=period)["large", ALONE]
        assert amounts(row, "usd usd_list list_of") == expected


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
    own = genai.ModelInfo(id="composer", match=genai.ClauseEquals("composer"), prices=prices_of(TINY))
    editor = genai.Provider(id="cursor", name="cursor", api_pattern="x", models=[own])
    set_custom_snapshot(DataSnapshot(providers=[editor, *makers], from_auto_update=False))
    yield
    set_custom_snapshot(None)


HALF = [str(Decimal(each) / 2) for each in LARGE]
HALF_OF_SMALL = [str(Decimal(each) / 2) for each in SMALL]


PUBLISHED: Mapping[tuple[str, str, str | None], Sequence[tuple[date, Sequence[str | None]]]] = {
    ("anthropic", "standard", None): [(DAY, LARGE), (SECOND, SMALL)],
    ("anthropic", "standard", "0-200k"): [(DAY, LARGE), (SECOND, SMALL)],
    ("anthropic", "standard", "200k-1M"): [(DAY, ("10", *LARGE[1:])), (SECOND, SMALL)],
    ("anthropic", "standard", "100k-300k"): [(DAY, (None, *LARGE[1:])), (SECOND, SMALL)],  # at two prices
    ("anthropic", "standard", "longest"): [],
    # what Anthropic publishes, until genai-prices has a price
    ("anthropic", "batch", None): [(DAY, HALF), (SECOND, HALF_OF_SMALL), (THIRD, TINY)],
    ("openai", "batch", None): [(THIRD, TINY)],
    ("openai", "flex", None): [(DAY, ("1", None, None, "2"))],
    ("openai", "priority", None): [],
    ("cursor", "standard", None): [(DAY, LARGE), (SECOND, SMALL)],  # of its maker
    ("nobody", "standard", None): [(DAY, LARGE), (SECOND, SMALL)],
}
"""Provider, tier and context window -> from which day on which prices of `large`."""


def test_a_price_that_nobody_publishes_is_not_known(published: None) -> None:
    for (provider, tier, window), expected in PUBLISHED.items():
        following = [*(day - timedelta(days=1) for day, _ in expected[1:]), None]
        seller = provider if provider == "openai" else "anthropic"
        of = {"context_window": window, "list_of": seller}
        assert [*prices_from(provider, "large", tier, window, DAY)] == [
            price("large", usd, provider, tier, **of, valid_from=day, valid_until=last)
            for (day, usd), last in zip(expected, following, strict=False)
        ], (provider, tier, window)


def test_what_anthropic_publishes_of_batches_is_what_genai_prices_has() -> None:
    day = date(2026, 11, 1)
    [declared] = PROVIDERS["anthropic"].tier_prices
    found = ListPrices.of("anthropic", "claude-opus-5")
    assert found
    standard, batch = found.on(day), found.on(day, declared.tier)
    assert batch == {kind: usd * declared.multiple for kind, usd in standard.items()}
    assert len(batch) == 5


def test_a_saving_is_dollars_a_month_with_its_arithmetic_and_at_least_one(used: Days) -> None:
    """A day of four reads 40 % of its input from the cache, the others next to nothing: all of them could."""
    period = Period.of_days(DAY, CACHED.first)
    batch = tuple(str(Decimal(each) / 2) for each in LARGE)
    what_if(used, [price("large", LARGE), price("large", batch, tier="batch"), price("small", SMALL)])
    rows = rows_of_figure(used.warehouse, "savings", period)
    found = {(row["saving"], row["what"]): row for row in rows}
    assert found.keys() == {("cheaper model", "large to small"), ("batch", "large"), ("cache misses", "large")}
    days = (period.last - period.first).days + 1
    for row in rows:
        assert row["usd_a_month"] == round((row["usd_now"] - row["usd_instead"]) * 30 / days, 6)
        assert row["usd_now"] - row["usd_instead"] >= 1, "small in place of tiny saves less"
        assert row["days"] == days
    assert [row["usd_a_month"] for row in rows] == sorted((row["usd_a_month"] for row in rows), reverse=True)
    assert found["batch", "large"]["usd_now"] == at(LARGE, days=3)
    assert found["batch", "large"]["usd_instead"] == at(batch, days=3)
    missed = found["cache misses", "large"]
    moved = Decimal("0.4") * sum(TOKENS[:3]) - TOKENS[1]
    assert missed["usd_now"] - missed["usd_instead"] == Decimal("3.5") * moved * Decimal("4.5") / 1_000_000, (
        "half in batches"
    )
    [large] = [row for row in rows_of_figure(used.warehouse, "caching", USED) if row["model"] == "large"]
    assert large["usd_saved"] == 2 * (700 * Decimal("4.5") - 90 * Decimal("1.25")) / 1_000_000
    assert (large["input_tokens"], large["cached_input_tokens"]) == (2 * sum(TOKENS[:3]), 1400)

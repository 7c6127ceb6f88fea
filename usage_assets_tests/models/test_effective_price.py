"""Dollars per million tokens of a model: both are of the same days, and what is in no price is named."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from usage_assets.features.report.period import Period
from usage_assets.providers.cursor.usage import UsageEvents
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.usage import UsageCompletions, UsageEmbeddings, UsageImages, UsageVectorStores
from usage_assets.providers.openrouter.activity import Activity
from usage_assets_tests.features.report.one_figure import rows_of_figure
from usage_assets_tests.models.days import DAY, Days, raw

SECOND, THIRD = DAY + timedelta(days=1), DAY + timedelta(days=2)
MILLION = 1_000_000


def priced(days: Days) -> dict[str, dict[str, Any]]:
    """Model -> row of the report over three days."""
    rows = rows_of_figure(days.warehouse, "tokens", Period.of_days(DAY, THIRD))
    return {row["model"]: row for row in rows}


def ratio(row: dict[str, Any]) -> tuple[Any, ...]:
    """What is divided, what is left out, and the quotient."""
    return row["usd"], row["usd_left_out"], row["priced_tokens"], row["usd_per_million_tokens"]


def bill(days: Days, *rows: tuple[date, str, str], **stated: Any) -> None:
    """Store three days of OpenAI's costs."""
    costs = [
        raw(Costs, usage_date=day, line_item=f"{model}, input", amount_value=usd, **stated) for day, model, usd in rows
    ]
    days.spent(Costs, *costs, first=DAY, last=THIRD)


def use(days: Days, *rows: tuple[date, int | None, int | None]) -> None:
    """Store three days of the use of a model."""
    used = [
        raw(UsageCompletions, usage_date=day, model="gpt", input_tokens=read_, output_tokens=written, user_id=str(n))
        for n, (day, read_, written) in enumerate(rows)
    ]
    days.fetched(UsageCompletions, *used, first=DAY, last=THIRD)


def test_a_day_of_unknown_tokens_is_in_no_price(days: Days) -> None:
    bill(days, (DAY, "gpt", "10"), (SECOND, "gpt", "90"))
    for unknown in ((None, MILLION), (MILLION, None), (None, None)):
        use(days, (DAY, 3 * MILLION, MILLION), (SECOND, MILLION, MILLION), (SECOND, *unknown))
        assert ratio(priced(days)["gpt"]) == (100, 90, 4 * MILLION, Decimal("2.5")), unknown


def test_a_day_that_has_only_one_of_both_is_in_no_price(days: Days) -> None:
    use(days, (DAY, 2 * MILLION, MILLION), (THIRD, MILLION, MILLION))
    bill(days, (DAY, "gpt", "1"), (SECOND, "gpt", "-7"))
    assert ratio(priced(days)["gpt"]) == (-6, -7, 3 * MILLION, Decimal("0.3333"))


def test_a_bill_without_dollars_is_in_no_price(days: Days) -> None:
    use(days, (DAY, MILLION, MILLION), (SECOND, MILLION, MILLION))
    bill(days, (DAY, "gpt", "1"), (SECOND, "gpt", "1"))
    euros = raw(Costs, usage_date=SECOND, line_item="gpt, output", amount_value=5, amount_currency="eur")
    days.spent(Costs, euros, raw(Costs, usage_date=SECOND, line_item="gpt, input"), first=SECOND)
    assert ratio(priced(days)["gpt"]) == (2, 1, 2 * MILLION, Decimal("0.5"))


def test_embeddings_have_no_output_and_images_have_no_tokens(days: Days) -> None:
    days.fetched(UsageEmbeddings, raw(UsageEmbeddings, model="vector", input_tokens=2 * MILLION), last=THIRD)
    days.fetched(UsageImages, raw(UsageImages, model="picture", images=3), last=THIRD)
    days.fetched(UsageVectorStores, raw(UsageVectorStores, usage_bytes=9), last=THIRD)
    bill(days, (DAY, "vector", "1"), (DAY, "picture", "6"))
    found = priced(days)
    assert found.keys() == {"vector", "picture"}
    assert ratio(found["vector"]) == (1, 0, 2 * MILLION, Decimal("0.5"))
    assert ratio(found["picture"]) == (6, 6, None, None)


def test_tokens_that_a_plan_covers_are_in_no_price(days: Days) -> None:
    tokens = {"cache_read_tokens": 0, "cache_write_tokens": 0, "output_tokens": 0}
    events = [
        raw(UsageEvents, model="gpt", charge=charge, charged_cents=cents, input_tokens=count, **tokens)
        for charge, cents, count in (("billed", "300", MILLION), ("included", "50", 5 * MILLION))
    ]
    days.spent(UsageEvents, *events, first=DAY, last=THIRD)
    row = priced(days)["gpt"]
    assert ratio(row) == (3, 0, MILLION, 3)
    assert row["input_tokens"] == 6 * MILLION


def test_rows_that_mix_own_keys_and_credits_are_in_no_price(days: Days) -> None:
    known = {"prompt_tokens": MILLION, "completion_tokens": MILLION, "cached_tokens": 0}
    rows = [
        raw(Activity, model="gpt", usage="0.5", **known),
        raw(Activity, model="gpt", usage_date=SECOND, usage="0.25", **known),
        raw(Activity, model="gpt", usage_date=SECOND, usage=3, byok_usage_inference=1, endpoint_id="b"),
        raw(Activity, model="mixed", usage=2, byok_usage_inference=1),
    ]
    days.spent(Activity, *rows, first=DAY, last=THIRD)
    found = priced(days)
    assert ratio(found["gpt"]) == (Decimal("3.75"), Decimal("3.25"), 2 * MILLION, Decimal("0.25"))
    assert ratio(found["mixed"]) == (2, 2, None, None)


def test_the_cached_share_is_of_the_input_that_says_what_was_cached(days: Days) -> None:
    rows = [
        raw(UsageCompletions, model="gpt", input_tokens=100, input_cached_tokens=cached, user_id=str(cached))
        for cached in (40, None)
    ]
    days.fetched(UsageCompletions, *rows, first=DAY, last=THIRD)
    bill(days, (DAY, "gpt", "1"))
    assert priced(days)["gpt"]["cached_share"] == 0.4

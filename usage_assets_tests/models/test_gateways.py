"""A gateway's estimate beside the bills of its model, per day, and a warning if it is far above them."""

import json
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from usage_assets.config.accounting import TagAllocation
from usage_assets.models.model import sql_files
from usage_assets.providers.anthropic.reports import CostReport
from usage_assets.providers.litellm.activity import TagActivityByModel, UserActivity
from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse.checks import differences
from usage_assets.warehouse.slices import Slice
from usage_assets_tests.models.days import DAY, Days, raw
from usage_assets_tests.models.test_attribution import PLACE
from usage_assets_tests.models.test_valuation import stating

OPENAI, CLAUDE = "openai/gpt-5.4-mini-2026-01-31", "claude-haiku-4-5"


def store(days: Days, estimates: dict[str, str]) -> None:
    """Store what a gateway takes models for, and bills of $10 for gpt-5.4-mini and $2 for claude-haiku-4-5."""
    activity = [raw(UserActivity, cut="model", model=model, spend=Decimal(spend)) for model, spend in estimates.items()]
    days.fetched(UserActivity, *activity)
    days.derive("litellm_user_activity")
    parts = [("gpt-5.4-mini, input", "4"), ("gpt-5.4-mini-2026-01-31, output", "6")]
    bill = [raw(Costs, line_item=item, amount_value=Decimal(amount)) for item, amount in parts]
    days.fetched(Costs, *bill)
    days.derive("openai_costs")
    days.fetched(CostReport, raw(CostReport, model="claude-haiku-4-5", amount_cents=Decimal(200)))
    days.derive("anthropic_cost_report")


def test_an_estimate_stands_beside_each_bill_of_its_model_on_days_that_both_have(days: Days) -> None:
    store(days, {OPENAI: "9", CLAUDE: "2.5", "gpt-unknown": "7"})
    rows = days.warehouse.read("from costs.gateways_and_bills order by model").to_pylist()
    names = ("connection", "usage_date", "model", "billed_by", "estimated_usd", "billed_usd", "difference_usd")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("litellm", DAY, "claude-haiku-4-5", "anthropic", Decimal("2.5"), Decimal(2), Decimal("0.5")),
        ("litellm", DAY, "gpt-5.4-mini", "openai", Decimal(9), Decimal(10), Decimal(-1)),
    ]
    assert [row["ratio"] for row in rows] == pytest.approx([1.25, 0.9])


@pytest.mark.parametrize(
    ("openai", "claude", "warned"),
    [
        ("9", "2.5", []),  # 25 %, and half a dollar
        ("11", "2", []),  # 10 %
        (
            "11.5",
            "3.5",
            [
                "LiteLLM estimates $11.50 for gpt-5.4-mini, and openai billed $10.00 ($1.50 apart)",
                "LiteLLM estimates $3.50 for claude-haiku-4-5, and anthropic billed $2.00 ($1.50 apart)",
            ],
        ),
    ],
)
def test_an_estimate_far_above_the_bills_is_a_warning(days: Days, openai: str, claude: str, warned: list[str]) -> None:
    store(days, {OPENAI: openai, CLAUDE: claude})
    [file] = sql_files("warnings/daily_costs/litellm_user_activity.bill.sql")
    with days.warehouse.get_connection() as database:
        found = differences(database, file.read_text(), Slice("litellm", DAY, DAY))
    assert sorted(each.text for each in found) == warned


@pytest.mark.parametrize(
    ("models", "rest"),
    [
        ([("7", 5)], "3"),  # as many requests as in total
        ([("12", 5)], "-2"),
        ([("7", 3)], "3"),  # two requests without a model, of a tool
        ([("4", 2), ("6", 3)], None),
        ([("10", 2)], None),
        ([], "10"),
    ],
)
def test_what_no_model_explains_is_a_cost_of_no_model(
    days: Days, models: list[tuple[str, int]], rest: str | None
) -> None:
    """Ten dollars and five requests in total."""
    rows = [raw(UserActivity, cut="total", model=None, spend=Decimal(10), api_requests=5)]
    rows += [
        raw(UserActivity, model=f"m{n}", spend=Decimal(usd), api_requests=count)
        for n, (usd, count) in enumerate(models)
    ]
    days.fetched(UserActivity, *rows)
    costs = days.rows("litellm_user_activity")
    assert sum(row["native_amount"] for row in costs) == 10
    of_models = {f"m{n}": Decimal(usd) for n, (usd, _) in enumerate(models)}
    assert {row["model"]: row["native_amount"] for row in costs} == of_models | ({None: Decimal(rest)} if rest else {})


@pytest.mark.parametrize(
    ("models", "is_warned"),
    [
        (("7", 5), True),  # dollars are missing, and no request is
        (("12", 5), True),
        (("12", 3), True),  # more dollars than in total, of fewer requests
        (("7", 3), False),  # use without a model, of a tool
        (("10", 5), False),
        (("9.9999999999999", 5), False),  # the proxy adds up doubles
    ],
)
def test_models_that_contradict_the_total_are_a_warning(
    days: Days, models: tuple[str, int], *, is_warned: bool
) -> None:
    usd, count = models
    total = {"spend": Decimal(10), "api_requests": 5}
    same = [raw(UserActivity, cut=cut, model=None, custom_llm_provider=cut, **total) for cut in ("provider", "user")]
    rows = [raw(UserActivity, cut="total", model=None, **total), *same]
    days.fetched(UserActivity, *rows, raw(UserActivity, spend=Decimal(usd), api_requests=count))
    [file] = sql_files("warnings/litellm_user_activity.total.sql")
    found = [(row["other"], row["expected"], row["found"]) for row in days.warehouse.read(file.read_text()).to_pylist()]
    assert found == ([("model", 10, Decimal(usd))] if is_warned else [])


def test_an_estimate_is_not_divided_by_a_part_of_a_bill(days: Days) -> None:
    """A bill that is partly without a dollar value is unknown, and no estimate is far above it."""
    store(days, {OPENAI: "90"})
    euros = raw(Costs, line_item="gpt-5.4-mini, cached", amount_value=Decimal(200), amount_currency="eur")
    days.fetched(Costs, euros, raw(Costs, line_item="gpt-5.4-mini, input", amount_value=Decimal(1)))
    days.derive("openai_costs")
    [row] = days.warehouse.read("from costs.gateways_and_bills").to_pylist()
    assert (row["estimated_usd"], row["billed_usd"], row["difference_usd"], row["ratio"]) == (90, None, None, None)
    [file] = sql_files("warnings/daily_costs/litellm_user_activity.bill.sql")
    assert not days.warehouse.read(file.read_text()).to_pylist()


# Tags

WEB, ML = "team:web", "team:ml"
ALL = TagAllocation(connection="openai", gateway="litellm", tags="team:")
GPT = "gpt-5.4-mini"


def used(days: Days, *uses: tuple[str, str, str | None, str, int]) -> None:
    """Store what a gateway's tags cost: model, key, tag (None: everything), dollars, requests."""
    total, of_tags = [], []
    for model, key, tag, spend, requests in uses:
        measured = {"model": model, "api_key": key, "spend": Decimal(spend), "api_requests": requests}
        if tag:
            of_tags.append(raw(TagActivityByModel, tag=tag, **measured))
        else:
            total.append(raw(UserActivity, cut="model", **measured))
    days.fetched(UserActivity, *total)
    days.fetched(TagActivityByModel, *of_tags)


def billed(days: Days, *amounts: str, **values: Any) -> None:
    """Store OpenAI's bill of a model, a row each, as the connections file now says that it is split."""
    rows = [raw(Costs, line_item=f"{GPT}, {n}", amount_value=Decimal(usd), **values) for n, usd in enumerate(amounts)]
    days.fetched(Costs, *rows)
    days.derive("openai_costs")


def by_tag(days: Days) -> dict[tuple[str | None, str | None], Decimal]:
    """Dollars of OpenAI's bill by tag, and by how it was found."""
    query = (
        "select tag, tag_allocation, sum(amount_usd) as usd from costs.by_tag where connection = 'openai' group by all"
    )
    return {(row["tag"], row["tag_allocation"]): row["usd"] for row in days.warehouse.read(query).to_pylist()}


@pytest.mark.parametrize(
    ("bill", "uses", "expected"),
    [
        pytest.param(
            ["4", "6"],
            [(WEB, "5", 3), (ML, "2", 1), ("env:prod", "8", 5), (None, "8", 5)],
            {(WEB, "estimate"): 5, (ML, "estimate"): 2, (None, "without tag"): 1, (None, "not through the gateway"): 2},
            id="a bill above the estimate",
        ),
        pytest.param(
            ["4", "6"],
            [(WEB, "12", 3), (ML, "4", 1), (None, "20", 5)],
            {(WEB, "estimate"): 6, (ML, "estimate"): 2, (None, "without tag"): 2},
            id="a bill below the estimate",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["-4", "0"],
            [(WEB, "3", 3), (None, "4", 5)],
            {(WEB, "estimate"): -3, (None, "without tag"): -1},
            id="a refund",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["10"],
            [(WEB, "5", 3), (ML, "5.000001", 1), (None, "10", 5)],
            {(None, "tags overlap"): 10},
            id="tags that cost more than the model",
        ),
        pytest.param(
            ["10"],
            [(WEB, "5", 3), (ML, "5", 3), (None, "10", 5)],
            {(None, "tags overlap"): 10},
            id="tags with more requests than the model",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["10"],
            [(WEB, "5", 3)],
            {(None, "tags overlap"): 10},
            id="a tag of a model without use",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["10"],
            [(WEB, "0", 3), (None, "0", 5)],
            {(None, "not through the gateway"): 10},
            id="use that costs nothing",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["10"],
            [(WEB, "15000000", 3), (ML, "2500000", 1), (None, "20000000", 5)],
            {
                (WEB, "estimate"): Decimal("7.5"),
                (ML, "estimate"): Decimal("1.25"),
                (None, "without tag"): Decimal("1.25"),
            },
            id="an estimate a million times too high",
            marks=pytest.mark.slow,
        ),
        pytest.param(["10"], [], {(None, "no estimate"): 10}, id="no use of the model", marks=pytest.mark.slow),
        pytest.param([], [(WEB, "5", 3), (None, "10", 5)], {}, id="no bill", marks=pytest.mark.slow),
    ],
)
def test_a_bill_is_split_by_what_a_gateway_takes_the_use_of_each_tag_for(
    days: Days, bill: list[str], uses: list[tuple[str | None, str, int]], expected: dict[Any, int]
) -> None:
    days = stating(days, tag_allocations=[ALL])
    used(days, *((f"openai/{GPT}", "k", *use) for use in uses))
    billed(days, *bill)
    assert by_tag(days) == expected


def test_tags_that_overlap_with_one_key_are_refused_though_all_keys_together_hide_it(days: Days) -> None:
    days = stating(days, tag_allocations=[ALL])
    hidden = ((GPT, "k1", WEB, "5", 1), (GPT, "k1", ML, "5", 1), (GPT, "k1", None, "5", 1))
    used(days, *hidden, (GPT, "k2", None, "20", 9))
    billed(days, "30")
    assert by_tag(days) == {(None, "tags overlap"): 30}


@pytest.mark.parametrize(
    ("entries", "values", "expected"),
    [
        pytest.param([], {}, {(None, None): 10}, marks=pytest.mark.slow),
        ([ALL.model_copy(update={"connection": "anthropic"})], {}, {(None, None): 10}),
        *(
            pytest.param([ALL.model_copy(update=changed)], {}, {(None, found_by): 10}, marks=pytest.mark.slow)
            for changed, found_by in (
                ({"valid_from": DAY + timedelta(days=1)}, None),
                ({"valid_until": DAY - timedelta(days=1)}, None),
                ({"tags": "product:"}, "without tag"),
            )
        ),
        pytest.param(
            [ALL.model_copy(update={"api_key": "k9"})],
            {"api_key_id": "k8"},
            {(None, None): 10},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            [ALL.model_copy(update={"api_key": "k9"})],
            {"api_key_id": "k9"},
            {(WEB, "estimate"): 10},
            marks=pytest.mark.slow,
        ),
        (
            [ALL.model_copy(update={"tags": "product:"}), ALL.model_copy(update={"api_key": "k9"})],
            {"api_key_id": "k9"},
            {(WEB, "estimate"): 10},
        ),
        ([ALL], {"amount_currency": "EUR"}, {(None, "a bill without dollars"): None}),
    ],
)
def test_only_what_is_stated_is_split(
    days: Days, entries: list[TagAllocation], values: dict[str, Any], expected: dict[Any, Any]
) -> None:
    days = stating(days, tag_allocations=entries)
    used(days, (GPT, "k", WEB, "10", 1), (GPT, "k", None, "10", 1))
    billed(days, "10", **values)
    assert by_tag(days) == expected


def test_nothing_in_a_currency_without_a_rate_lacks_no_dollars(days: Days) -> None:
    days = stating(days, tag_allocations=[ALL])
    used(days, (GPT, "k", WEB, "10", 1), (GPT, "k", None, "10", 1))
    of_nothing = raw(Costs, line_item=f"{GPT}, 1", amount_value=Decimal(), amount_currency="EUR")
    days.fetched(Costs, raw(Costs, line_item=f"{GPT}, 0", amount_value=Decimal(10)), of_nothing)
    days.derive("openai_costs")
    assert by_tag(days)[WEB, "estimate"] == 10


def test_bills_of_a_model_share_one_estimate_and_those_of_two_providers_none(days: Days) -> None:
    both = [ALL, ALL.model_copy(update={"connection": "anthropic", "tags": "team:w"})]
    days = stating(days, tag_allocations=both)
    used(days, (GPT, "k", WEB, "10", 1), (GPT, "k", None, "10", 1))
    billed(days, "10")
    days.fetched(CostReport, raw(CostReport, model=GPT, amount_cents=Decimal(500)))
    days.derive("anthropic_cost_report")
    assert by_tag(days) == {(None, "several providers bill it"): 10}
    second = [ALL, ALL.model_copy(update={"connection": "openai_2"})]
    days = stating(days, tag_allocations=second)
    days.fetched(
        Costs, raw(Costs, connection="openai_2", line_item=f"{GPT}, 1", amount_value=Decimal(30)), connection="openai_2"
    )
    days.derive("openai_costs", "openai_2")
    billed(days, "10")
    assert by_tag(days) == {(WEB, "estimate"): Decimal("2.5"), (None, "not through the gateway"): Decimal("7.5")}


def test_without_the_days_of_tags_nothing_is_split(days: Days) -> None:
    days = stating(days, tag_allocations=[ALL])
    days.fetched(UserActivity, raw(UserActivity, model=GPT, spend=Decimal(10)))
    billed(days, "10")
    assert by_tag(days) == {(None, "no estimate"): 10}


def test_the_parts_of_a_bill_add_up_to_it_to_the_last_digit(days: Days) -> None:
    dice = Random(7)
    days = stating(days, tag_allocations=[ALL])
    tags = [(GPT, "k", f"team:{n}", str(dice.randint(1, 10**15) * PLACE * 10**6), 1) for n in range(7)]
    used(days, *tags, (GPT, "k", None, "7", 9))
    bill = [str(dice.choice((-1, 1)) * dice.randint(1, 10**25) * PLACE) for _ in range(9)]
    billed(days, *bill)
    query = (
        "select line_item, list(amount_usd) as usd, list(native_amount) as native from costs.tagged_costs group by all"
    )
    rows = days.warehouse.read(query).to_pylist()
    assert {row["line_item"]: sum(row["usd"]) for row in rows} == {
        f"{GPT}, {n}": Decimal(usd) for n, usd in enumerate(bill)
    }
    [shares] = days.warehouse.read("select distinct x_TagShares as shares from costs.focus")["shares"].to_pylist()
    units = {share["tag"] or share["found_by"]: Decimal(share["units"]) for share in json.loads(shares)}
    whole = sum(units.values())
    first = days.warehouse.read(
        "select tag, amount_usd from costs.tagged_costs where tag is not null and line_item like '%, 1'"
    )
    for tag, usd in zip(first["tag"].to_pylist(), first["amount_usd"].to_pylist(), strict=True):
        assert abs(Decimal(bill[1]) * units[tag] / whole - usd) <= PLACE
    assert all(sum(row["native"]) == sum(row["usd"]) and len(row["usd"]) > 7 for row in rows)

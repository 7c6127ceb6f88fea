"""A gateway's estimate beside the bills of its model, per day, and a warning if it is far above them."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from usage_assets.config.accounting import TagAllocation
from usage_assets.models.model import sql_files
from usage_assets.providers.anthropic.reports import CostReport
from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse.checks import differences
from usage_assets.warehouse.slices import Slice
from usage_assets_tests.models.days import DAY, Days, cases, days_from, lines, raw, seen
from usage_assets_tests.models.gateways import GPT, billed, used
from usage_assets_tests.models.stated import state, stating
from usage_assets_vendors.cursor.usage import UsageEvents
from usage_assets_vendors.litellm.activity import UserActivity

OPENAI, CLAUDE = "openai/gpt-5.4-mini-2026-01-31", "claude-haiku-4-5"


def store(days: Days, *estimates: Mapping[str, str]) -> None:
    """Store what a gateway takes models for on DAY and the next days, and bills of each day: $10 for gpt-5.4-mini and
    $2 for claude-haiku-4-5."""
    stored = days_from(len(estimates))
    activity = [
        raw(UserActivity, usage_date=day, cut="model", model=model, spend=spend)
        for day, of_day in zip(stored, estimates, strict=True)
        for model, spend in of_day.items()
    ]
    days.spent(UserActivity, *activity, last=stored[-1])
    parts = [("gpt-5.4-mini, input", "4"), ("gpt-5.4-mini-2026-01-31, output", "6")]
    bill = [raw(Costs, usage_date=day, line_item=item, amount_value=amount) for day in stored for item, amount in parts]
    days.spent(Costs, *bill, last=stored[-1])
    haiku = [raw(CostReport, usage_date=day, model="claude-haiku-4-5", amount_cents=200) for day in stored]
    days.spent(CostReport, *haiku, last=stored[-1])


def test_an_estimate_stands_beside_each_bill_of_its_model_and_is_a_warning_if_it_is_far_above(days: Days) -> None:
    """A bill that is partly without a dollar value is unknown, and no estimate is far above it."""
    estimates = [
        {OPENAI: "9", CLAUDE: "2.5", "gpt-unknown": "7"},  # 25 %, and half a dollar
        {OPENAI: "11", CLAUDE: "2"},  # 10 %
        {OPENAI: "11.5", CLAUDE: "3.5"},
        {OPENAI: "90"},
    ]
    *_, last, in_part = days_from(len(estimates))
    store(days, *estimates)
    euros = {"line_item": "gpt-5.4-mini, cached", "amount_value": 200, "amount_currency": "eur"}
    parts = [euros, {"line_item": "gpt-5.4-mini, input", "amount_value": 1}]
    days.spent(Costs, *(raw(Costs, usage_date=in_part, **part) for part in parts), first=in_part)
    rows = days.read(f"from costs.gateways_and_bills where usage_date = '{DAY}' order by model")
    names = "connection usage_date model billed_by estimated_usd billed_usd difference_usd"
    assert seen(rows, names) == lines("""
        litellm  2026-11-01  claude-haiku-4-5  anthropic  2.5  2   0.5
        litellm  2026-11-01  gpt-5.4-mini      openai     9    10  -1
    """)
    assert [row["ratio"] for row in rows] == pytest.approx([1.25, 0.9])
    [row] = days.read(f"from costs.gateways_and_bills where usage_date = '{in_part}'")
    assert seen([row], "estimated_usd billed_usd difference_usd ratio") == lines("90  -  -  -")
    [file] = sql_files("warnings/daily_costs/litellm_user_activity.bill.sql")
    with days.warehouse.get_connection() as database:
        found = differences(database, file.read_text(), Slice("litellm", DAY, in_part))
    assert sorted((each.day, each.text) for each in found) == [
        (last, "LiteLLM estimates $11.50 for gpt-5.4-mini, and openai billed $10.00 ($1.50 apart)"),
        (last, "LiteLLM estimates $3.50 for claude-haiku-4-5, and anthropic billed $2.00 ($1.50 apart)"),
    ]


UNEXPLAINED = (
    ("7 5", "3"),  # as many requests as in total
    ("12 5", "-2"),
    ("7 3", "3"),  # two requests without a model, of a tool
    ("4 2, 6 3", ""),
    ("10 2", ""),
    ("", "10"),
)
"""Dollars and requests of the models of a day, and what no model explains of ten dollars and five requests."""


def test_what_no_model_explains_is_a_cost_of_no_model(days: Days) -> None:
    stored = days_from(len(UNEXPLAINED))
    rows, expected = [], {}
    for day, (of_day, rest) in zip(stored, UNEXPLAINED, strict=True):
        rows.append(raw(UserActivity, usage_date=day, cut="total", model=None, spend=10, api_requests=5))
        of_models: dict[str | None, Decimal] = {}
        for n, each in enumerate(filter(None, of_day.split(", "))):
            usd, count = each.split()
            of_models[f"m{n}"] = Decimal(usd)
            rows.append(raw(UserActivity, usage_date=day, model=f"m{n}", spend=usd, api_requests=int(count)))
        expected[day] = of_models | ({None: Decimal(rest)} if rest else {})
    days.fetched(UserActivity, *rows, last=stored[-1])
    costs = days.rows("litellm_user_activity", last=stored[-1])
    found = {day: {row["model"]: row["native_amount"] for row in costs if row["usage_date"] == day} for day in stored}
    assert found == expected
    assert len(costs) == sum(map(len, expected.values()))
    assert {sum(of_day.values()) for of_day in found.values()} == {10}


def test_models_that_contradict_the_total_are_a_warning(days: Days) -> None:
    totals = [
        ("7", 5, True),  # dollars are missing, and no request is
        ("12", 5, True),
        ("12", 3, True),  # more dollars than in total, of fewer requests
        ("7", 3, False),  # use without a model, of a tool
        ("10", 5, False),
        ("9.9999999999999", 5, False),  # the proxy adds up doubles
    ]
    stored = days_from(len(totals))
    rows = []
    for day, (usd, count, _) in zip(stored, totals, strict=True):
        total = {"usage_date": day, "model": None, "spend": 10, "api_requests": 5}
        rows.append(raw(UserActivity, cut="total", **total))
        rows += [raw(UserActivity, cut=cut, custom_llm_provider=cut, **total) for cut in ("provider", "user")]
        rows.append(raw(UserActivity, usage_date=day, spend=usd, api_requests=count))
    days.fetched(UserActivity, *rows, last=stored[-1])
    [file] = sql_files("warnings/litellm_user_activity.total.sql")
    names = ("usage_date", "other", "expected", "found")
    found = [tuple(row[name] for name in names) for row in days.read(file.read_text())]
    assert sorted(found) == [
        (day, "model", 10, Decimal(usd)) for day, (usd, _, is_warned) in zip(stored, totals, strict=True) if is_warned
    ]


# Tags

WEB, ML = "team:web", "team:ml"
ALL = TagAllocation(connection="openai", gateway="litellm", tags="team:")


Parts = dict[tuple[str | None, str | None], Decimal]
"""Dollars by tag, and by how it was found."""


def by_tag(days: Days) -> Parts:
    """Dollars of OpenAI's bill of DAY."""
    return by_tag_and_day(days).get(DAY, {})


def by_tag_and_day(days: Days, connections: str = "= 'openai'") -> dict[date, Parts]:
    query = f"""
        select usage_date, tag, tag_allocation, sum(amount_usd) as usd
        from costs.by_tag
        where connection {connections}
        group by all
    """
    found: dict[date, Parts] = {}
    for row in days.read(query):
        found.setdefault(row["usage_date"], {})[row["tag"], row["tag_allocation"]] = row["usd"]
    return found


SPLIT = {
    case: (bill, uses, split)
    for case, bill, uses, split in cases("""
    a bill above the estimate -> 4 6 -> team:web 5 3, team:ml 2 1, env:prod 8 5, - 8 5
      -> team:web estimate 5, team:ml estimate 2, - without_tag 1, - not_through_the_gateway 2
    a bill below the estimate -> 4 6 -> team:web 12 3, team:ml 4 1, - 20 5
      -> team:web estimate 6, team:ml estimate 2, - without_tag 2
    a refund -> -4 0 -> team:web 3 3, - 4 5 -> team:web estimate -3, - without_tag -1
    tags that cost more than the model -> 10 -> team:web 5 3, team:ml 5.000001 1, - 10 5 -> - tags_overlap 10
    tags with more requests than the model -> 10 -> team:web 5 3, team:ml 5 3, - 10 5 -> - tags_overlap 10
    a tag of a model without use -> 10 -> team:web 5 3 -> - tags_overlap 10
    use that costs nothing -> 10 -> team:web 0 3, - 0 5 -> - not_through_the_gateway 10
    an estimate a million times too high -> 10 -> team:web 15000000 3, team:ml 2500000 1, - 20000000 5
      -> team:web estimate 7.5, team:ml estimate 1.25, - without_tag 1.25
    no use of the model -> 10 ->  -> - no_estimate 10
    no bill ->  -> team:web 5 3, - 10 5 ->
    """)
}
"""What a day has -> the bill, what the gateway says of tags with dollars and requests, and how the bill is split."""


def cells(text: str) -> Iterator[list[str | None]]:
    """The words of each part of a text; a line is nothing."""
    for part in filter(None, text.split(", ")):
        yield [None if word == "-" else word.replace("_", " ") for word in part.split()]


TEN = [(GPT, "k", WEB, "10", 1), (GPT, "k", None, "10", 1)]
"""Ten dollars of a tag, which is all that is used."""


def test_a_bill_is_split_by_what_a_gateway_takes_the_use_of_each_tag_for(days: Days) -> None:
    """Tags that overlap with one key are refused though all keys together hide it. Nothing in a currency without a rate
    lacks no dollars. Without the days of tags nothing is split."""
    days = stating(days, tag_allocations=[ALL])
    every_day = days_from(len(SPLIT) + 3)
    hidden, of_nothing, without_tags = every_day[len(SPLIT) :]
    overlapping = [(GPT, "k1", tag, "5", 1) for tag in (WEB, ML, None)]
    uses = [
        [(f"openai/{GPT}", "k", tag, str(usd), int(str(count))) for tag, usd, count in cells(text)]
        for _, text, _ in SPLIT.values()
    ]
    used(days, *uses, [*overlapping, (GPT, "k2", None, "20", 9)], TEN)
    days.fetched(UserActivity, raw(UserActivity, usage_date=without_tags, model=GPT, spend=10), first=without_tags)
    euros = raw(Costs, usage_date=of_nothing, line_item=f"{GPT}, 1", amount_value=Decimal(), amount_currency="EUR")
    billed(days, *(bill.split() for bill, *_ in SPLIT.values()), ["30"], ["10"], ["10"], more=[euros])
    found = by_tag_and_day(days)
    expected = {
        case: {(tag, how): Decimal(str(usd)) for tag, how, usd in cells(split)} for case, (*_, split) in SPLIT.items()
    }
    assert {case: found.get(day, {}) for day, case in zip(every_day, SPLIT, strict=False)} == expected
    assert found[hidden] == {(None, "tags overlap"): 30}
    assert found[of_nothing][WEB, "estimate"] == 10
    assert found[without_tags] == {(None, "no estimate"): 10}


def changed(**values: Any) -> TagAllocation:
    return ALL.model_copy(update=values)


K9 = {"api_key_id": "k9"}
STATED = [
    ({}, [], {(None, None): Decimal(10)}),
    ({}, [changed(valid_from=DAY + timedelta(days=99))], {(None, None): Decimal(10)}),
    ({}, [changed(valid_until=DAY - timedelta(days=1))], {(None, None): Decimal(10)}),
    ({"api_key_id": "k8"}, [changed(api_key="k9")], {(None, None): Decimal(10)}),
    (K9, [changed(api_key="k9")], {(WEB, "estimate"): Decimal(10)}),
    (K9, [changed(tags="product:"), changed(api_key="k9")], {(WEB, "estimate"): Decimal(10)}),
]
"""What a bill of ten dollars says, what is stated of its connection, and how it is split."""


def test_only_what_is_stated_is_split(days: Days) -> None:
    """Each day has the bill of another connection; that of the last one is in euros."""
    every = days_from(len(STATED) + 1)
    used(days, *[TEN] * len(every))
    entries = [
        entry if entry.connection == "anthropic" else entry.model_copy(update={"connection": f"c{n}"})
        for n, (_, of_it, _) in enumerate([*STATED, ({}, [ALL], {})])
        for entry in of_it
    ]
    bills = [*(bill for bill, *_ in STATED), {"amount_currency": "EUR"}]
    days = state(days, tag_allocations=entries)
    for n, (day, bill) in enumerate(zip(every, bills, strict=True)):
        ten = {"connection": f"c{n}", "usage_date": day, "line_item": f"{GPT}, 0", "amount_value": 10}
        days.spent(Costs, raw(Costs, **ten, **bill), connection=f"c{n}", first=day)
    assert by_tag_and_day(days, "like 'c_'") == {
        **{day: parts for day, (*_, parts) in zip(every, STATED, strict=False)},
        every[-1]: {(None, "a bill without dollars"): None},
    }


def test_bills_of_a_model_share_one_estimate_and_those_of_two_providers_none(days: Days) -> None:
    both = [ALL, ALL.model_copy(update={"connection": "anthropic", "tags": "team:w"})]
    days = stating(days, tag_allocations=both)
    used(days, TEN)
    billed(days, ["10"])
    days.spent(CostReport, raw(CostReport, model=GPT, amount_cents=500))
    assert by_tag(days) == {(None, "several providers bill it"): 10}
    second = [ALL, ALL.model_copy(update={"connection": "openai_2"})]
    days = stating(days, tag_allocations=second)
    days.spent(Costs, raw(Costs, connection="openai_2", line_item=f"{GPT}, 1", amount_value=30), connection="openai_2")
    billed(days, ["10"])
    assert by_tag(days) == {(WEB, "estimate"): Decimal("2.5"), (None, "not through the gateway"): Decimal("7.5")}


def test_a_gateway_that_bills_nothing_has_no_billed_amount_and_a_plan_that_covers_all_use_zero(days: Days) -> None:
    days.spent(UserActivity, raw(UserActivity))
    days.spent(UsageEvents, raw(UsageEvents, charge="included", charged_cents=0))
    for name in ("ai_user_cost", "ai_team_cost", "ai_model_cost"):
        row = days.row(name, "litellm")
        assert seen([row], "billed_usd estimated_usd notional_usd credits") == [("-", "1", "0", "0")], name
        assert days.row(name, "cursor")["billed_usd"] == 0, name

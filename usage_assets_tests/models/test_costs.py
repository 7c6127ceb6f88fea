"""Three moneys in one table: what each source gives, in which unit and currency, and what is never added to what."""

from collections.abc import Sequence
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from usage_assets.core import money
from usage_assets.core.days import DAY as ONE_DAY
from usage_assets.core.schema import Row, columns
from usage_assets.models.costs import COSTS, DailyCost
from usage_assets.providers.anthropic.reports import ClaudeCode, CostReport
from usage_assets.providers.chatgpt.analytics import CodexUsage
from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import WarehouseError
from usage_assets_tests.models.days import DAY, Days, beside, days_from, lines, models, paid, raw, raw_rows

FILES = [cost.file for cost in COSTS]
SOURCE = {cost.file: row for cost in COSTS for row in raw_rows(cost.reads)}


# Every source


EMPTY, PERIOD = DAY, days_from(22)[1:]
"""A day without rows, and days with amounts of their own: twenty days cost what one does."""


AMOUNTS = {
    table: named
    for table, *named in lines("""
        openai.costs                      quantity_unit  amount_value
        anthropic.cost_report             description    amount_cents
        anthropic_analytics.cost          model          amount_cents
        anthropic.claude_code             terminal_type  model_breakdown
        chatgpt.codex_usage               user_id        credits
        focus.charges                     sku_id         billed_cost
        github_copilot.ai_credits         model          net_amount
        github_copilot.premium_requests   model          net_amount
        github_copilot.billing_usage      sku            net_amount
        litellm.user_activity             model          spend
        litellm.team_activity             team_id        flat_cost
        cursor.usage_events               model          charged_cents
    """)
}
"""Table -> what tells its rows apart here, and what they cost; if not a name of the grain, and what is billed."""


def with_amounts(row: type[Row], amounts: Sequence[Decimal], **at: Any) -> list[Row]:
    """Rows of a report that cost so much. Some of OpenAI's are of one project."""
    of_grain = next(column.name for column in columns(row) if column.name in row.grain and column.type is str)
    billed = next((column.name for column in columns(row) if column.kind == "billed"), "")
    name, cost = AMOUNTS.get(row.table, (of_grain, billed))
    costs = [models(("opus", f"{each:f}")) for each in amounts] if row is ClaudeCode else amounts
    of_projects = [{"project_id": f"p{n % 2}"} if row is Costs else {} for n in range(len(amounts))]
    return [raw(row, **{name: f"n{n}", cost: each}, **of_projects[n], **at) for n, each in enumerate(costs)]


def test_every_source_says_whose_cost_it_is_to_the_last_of_24_places(days: Days, subtests: pytest.Subtests) -> None:
    """Connections of one provider never mix. An empty day costs nothing and has no rows. One that was not fetched is
    refused."""
    dice = Random(1)
    first, *others = PERIOD
    by_day = {
        day: [
            Decimal(dice.randint(-(10**places), 10**places)).scaleb(-24) for places in dice.choices((3, 24, 33), k=4)
        ][: dice.randint(1, 4)]
        for day in others
    }
    for file in FILES:
        with subtests.test(file):
            row = SOURCE[file]
            own = [each for day, amounts in by_day.items() for each in with_amounts(row, amounts, usage_date=day)]
            days.fetched(row, paid(row, usage_date=first), *own, first=EMPTY, last=PERIOD[-1])
            days.fetched(row, paid(row, usage_date=first, connection="emea"), connection="emea", first=first)
            (cost, *costs), theirs = days.rows(file, first=EMPTY, last=PERIOD[-1]), days.rows(file, "emea", first=first)
            provider = row.table.partition(".")[0]
            assert (cost["connection"], cost["usage_date"], cost["provider"]) == (provider, first, provider)
            assert cost["source_table"] == row.table
            assert [{**cost, "connection": "emea"}] == theirs
            found = {
                day: money.total(cost["native_amount"] for cost in costs if cost["usage_date"] == day) for day in others
            }
            assert found == {day: money.total(amounts) for day, amounts in by_day.items()}
            stored = "select count(*) as n from costs.daily_costs where source_table = $table"
            assert days.read(stored, {"table": row.table}) == [{"n": len(costs) + 2}]
            with pytest.raises(WarehouseError, match="was never fetched for 2026-11-23"):
                days.derive(file, last=PERIOD[-1] + ONE_DAY)


def test_the_daily_totals_keep_the_moneys_apart(days: Days) -> None:
    days.fetched(Costs, raw(Costs))
    days.fetched(
        ClaudeCode,
        paid(ClaudeCode, customer_type="api"),
        paid(ClaudeCode, customer_type="subscription", model_breakdown=models(("opus", "300"))),
    )
    days.fetched(CodexUsage, raw(CodexUsage, credits=7, cost_usd=2, estimated_cost_usd="0.28"))
    totals = [
        {name: total and Decimal(total) for name, total in days.derive(file)[0].totals.items()}
        for file in ("openai_costs", "anthropic_claude_code", "chatgpt_codex_usage")
    ]
    nothing = dict.fromkeys(("billed_usd", "estimated_usd", "notional_usd", "credits", "line_items_unparsed"))
    assert totals == [
        {**nothing, "billed_usd": 1, "line_items_unparsed": 0},
        {**nothing, "estimated_usd": 1, "notional_usd": 3},
        {**nothing, "billed_usd": 2, "estimated_usd": Decimal("0.28"), "credits": 7},
    ]
    assert "amount_usd" not in Table(DailyCost).totals


# OpenAI


def test_openai_costs_are_billed_dollars_per_dimension_and_currency(days: Days) -> None:
    """What has no dollars says why."""
    tiny = Decimal("0.00000000000000000000001")
    dimensions = {"project_id": "p", "user_id": "u", "api_key_id": "k", "line_item": "gpt-5, input"}
    of = {"grouped_by": "line_item,project_id", **dimensions}
    days.fetched(
        Costs,
        raw(Costs, amount_value="0.13080438340307526", **of),
        raw(Costs, amount_value=tiny, quantity_unit="tokens", amount_currency="USD", **of),
        raw(Costs, amount_value=2, amount_currency="eur"),
        raw(Costs, amount_value=3, amount_currency=None),
    )
    detailed, *others = days.rows("openai_costs")
    assert {name: detailed[name] for name in of} == of
    assert (detailed["model"], detailed["usage_type"]) == ("gpt-5", "input")
    assert (detailed["cost_basis"], detailed["native_amount"]) == ("billed", Decimal("0.13080438340307526") + tiny)
    found, expected = beside(
        (detailed, *others),
        """
        currency  native_amount              native_unit  amount_usd                 usd_reason
        USD       0.13080438340307526000001  dollars      0.13080438340307526000001  -
        EUR       2                          major units  -                          no exchange rate is configured for EUR
        -         3                          major units  -                          the provider states no currency
        """,  # noqa: E501
    )
    assert found == expected


# Anthropic


def test_anthropic_costs_are_billed_cents_and_their_dollars(days: Days) -> None:
    dimensions = {
        "workspace_id": "wrk",
        "model": "claude",
        "cost_type": "tokens",
        "token_type": "output_tokens",
        "service_tier": "standard",
        "context_window": "0-200k",
        "inference_geo": "us",
    }
    days.fetched(
        CostReport,
        raw(CostReport, amount_cents="123.7891200000000000000001", description="Claude Usage", **dimensions),
        raw(CostReport, amount_cents="0.5", description="Web search"),
    )
    search, usage = sorted(days.rows("anthropic_cost_report"), key=lambda row: row["native_amount"])
    expected = {**dimensions, "line_item": "Claude Usage", "usage_type": "output_tokens"}
    assert {name: usage[name] for name in expected} == expected
    names = ("cost_basis", "native_amount", "native_unit", "currency", "amount_usd")
    assert tuple(usage[name] for name in names) == (
        "billed",
        Decimal("123.7891200000000000000001"),
        "cents",
        "USD",
        Decimal("1.237891200000000000000001"),
    )
    assert (search["amount_usd"], search["workspace_id"]) == (Decimal("0.005"), None)


def test_claude_code_costs_are_per_actor_and_model_over_all_terminals(days: Days) -> None:
    key = {"actor_type": "api_actor", "actor_email": None, "api_key_name": "bob@example.com"}
    days.fetched(
        ClaudeCode,
        raw(ClaudeCode, terminal_type="a", model_breakdown=models(("opus", "1"), ("haiku", "2"))),
        raw(ClaudeCode, terminal_type="b", is_remote=True, model_breakdown=models(("opus", "4"))),
        raw(ClaudeCode, terminal_type="c"),
        raw(ClaudeCode, model_breakdown=models(("opus", "8"), ("opus", "16", "EUR")), **key),
    )
    rows = days.rows("anthropic_claude_code")
    found, expected = beside(
        rows,
        """
        user_id          api_key_name     model  currency  native_amount
        bob@example.com  -                opus   USD       5
        bob@example.com  -                haiku  USD       2
        -                bob@example.com  opus   USD       8
        -                bob@example.com  opus   EUR       16
        """,
    )
    assert found == expected
    assert {r["native_unit"]: r["amount_usd"] for r in rows if r["currency"] == "EUR"} == {"minor units": None}


def test_an_estimate_that_is_no_number_is_refused(days: Days) -> None:
    for amount in ('"much"', "null"):
        breakdown = models(("opus", "1"), ("haiku", "2")).replace(
            '"estimated_cost_cents":"1"', f'"estimated_cost_cents":{amount}'
        )
        days.fetched(ClaudeCode, raw(ClaudeCode, model_breakdown=breakdown))
        with pytest.raises(WarehouseError, match=r"Failed to cast value to decimal|NOT NULL constraint failed"):
            days.derive("anthropic_claude_code")

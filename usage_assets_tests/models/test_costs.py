"""Three moneys in one table: what each source gives, in which unit and currency, and what is never added to what."""

from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from usage_assets.core import money
from usage_assets.core.schema import Row
from usage_assets.models.costs import COSTS, DailyCost
from usage_assets.providers.anthropic.reports import ClaudeCode, CostReport
from usage_assets.providers.anthropic_analytics.reports import AnalyticsCost
from usage_assets.providers.chatgpt.analytics import CodexUsage
from usage_assets.providers.cursor.usage import UsageEvents
from usage_assets.providers.focus.charges import Charges
from usage_assets.providers.github_copilot.billing import AiCredits, PremiumRequests
from usage_assets.providers.github_copilot.billing import BillingUsage as CopilotBilling
from usage_assets.providers.litellm.activity import TeamActivity, UserActivity
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai_legacy.billing import BillingUsage
from usage_assets.providers.openrouter.activity import Activity as RouterActivity
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import WarehouseError
from usage_assets_tests.models.days import Days, days_from, models, raw, raw_rows

FILES = [cost.file for cost in COSTS]
SOURCE = {cost.file: row for cost in COSTS for row in raw_rows(cost.reads)}
PAID: dict[type[Row], dict[str, Any]] = {
    ClaudeCode: {"model_breakdown": models(("opus", "100"))},
    CodexUsage: {"credits": Decimal(1)},
}
"""What makes a default row one that costs something."""


def paid(row: type[Row], **values: Any) -> Row:
    return raw(row, **{**PAID.get(row, {}), **values})


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """The columns of a row that hold anything, without those that every row has."""
    always = {"connection", "usage_date", "provider", "source_table", "grouped_by"}
    return {name: value for name, value in row.items() if value is not None and name not in always}


def found(days: Days, file: str) -> list[tuple[Any, ...]]:
    """Basis, amount, unit, currency and dollars of every row of DAY."""
    names = ("cost_basis", "native_amount", "native_unit", "currency", "amount_usd")
    return [tuple(row[name] for name in names) for row in days.rows(file)]


# Every source


@pytest.mark.parametrize("file", FILES)
def test_a_row_says_whose_cost_it_is_and_connections_of_one_provider_never_mix(file: str, days: Days) -> None:
    """An empty day costs nothing and has no rows. One that was not fetched is refused."""
    row, (first, last, next_day) = SOURCE[file], days_from(3)
    days.fetched(row, paid(row), last=last)
    days.fetched(row, paid(row, connection="emea"), connection="emea", last=last)
    ours, theirs = days.rows(file, last=last), days.rows(file, "emea", last=last)
    [cost] = ours
    provider = row.table.partition(".")[0]
    assert (cost["connection"], cost["usage_date"], cost["provider"]) == (provider, first, provider)
    assert cost["source_table"] == row.table
    assert days.rows(file, last=last) == ours
    assert [{**cost, "connection": "emea"} for cost in ours] == theirs
    with pytest.raises(WarehouseError, match="was never fetched for 2026-11-03"):
        days.derive(file, last=next_day)


def test_sources_replace_only_their_own_rows(days: Days) -> None:
    for file in FILES:
        days.fetched(SOURCE[file], paid(SOURCE[file], connection="c"), connection="c")
    before = {file: days.rows(file, "c") for file in FILES}
    days.fetched(SOURCE[FILES[0]], connection="c")
    assert days.rows(FILES[0], "c") == []
    assert {file: days.rows(file, "c") for file in FILES[1:]} == {file: before[file] for file in FILES[1:]}
    assert all(len(rows) == 1 for rows in before.values())


def test_the_daily_totals_keep_the_moneys_apart(days: Days) -> None:
    days.fetched(Costs, raw(Costs))
    days.fetched(
        ClaudeCode,
        paid(ClaudeCode, customer_type="api"),
        paid(ClaudeCode, customer_type="subscription", model_breakdown=models(("opus", "300"))),
    )
    days.fetched(
        CodexUsage, raw(CodexUsage, credits=Decimal(7), cost_usd=Decimal(2), estimated_cost_usd=Decimal("0.28"))
    )
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


def test_openai_costs_are_billed_dollars_per_dimension(days: Days) -> None:
    dimensions = {"project_id": "p", "user_id": "u", "api_key_id": "k", "line_item": "gpt-5, input"}
    days.fetched(
        Costs,
        raw(Costs, amount_value=Decimal("0.13080438340307526"), grouped_by="line_item,project_id", **dimensions),
        raw(
            Costs,
            amount_value=Decimal("0.00000000000000000000001"),
            quantity_unit="tokens",
            **dimensions,
            grouped_by="line_item,project_id",
        ),
        raw(Costs, amount_value=Decimal(2)),
    )
    detailed, plain = days.rows("openai_costs")
    assert detailed["grouped_by"] == "line_item,project_id"
    assert shown(detailed) == {
        "cost_basis": "billed",
        "native_amount": Decimal("0.13080438340307526000001"),
        "native_unit": "dollars",
        "currency": "USD",
        "amount_usd": Decimal("0.13080438340307526000001"),
        "model": "gpt-5",
        "usage_type": "input",
        **dimensions,
    }
    assert plain["amount_usd"] == 2


def test_the_spelling_of_a_currency_does_not_matter(days: Days) -> None:
    days.fetched(Costs, raw(Costs, amount_currency="usd"), raw(Costs, amount_currency="USD"))
    assert found(days, "openai_costs") == [("billed", 2, "dollars", "USD", 2)]


def test_an_amount_in_another_or_no_currency_has_no_dollars_and_says_why(days: Days) -> None:
    days.fetched(
        Costs,
        raw(Costs, amount_value=Decimal(1)),
        raw(Costs, amount_value=Decimal(2), amount_currency="eur"),
        raw(Costs, amount_value=Decimal(3), amount_currency=None),
    )
    rows = days.rows("openai_costs")
    names = ("currency", "native_amount", "native_unit", "amount_usd", "usd_reason")
    assert {tuple(row[name] for name in names) for row in rows} == {
        ("USD", 1, "dollars", 1, None),
        ("EUR", 2, "major units", None, "no exchange rate is configured for EUR"),
        (None, 3, "major units", None, "the provider states no currency"),
    }
    [version] = days.derive("openai_costs")
    assert Decimal(version.totals["billed_usd"] or 0) == 1


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
        raw(CostReport, amount_cents=Decimal("123.78912"), description="Claude Usage", **dimensions),
        raw(CostReport, amount_cents=Decimal("0.5"), description="Web search"),
    )
    search, usage = sorted(days.rows("anthropic_cost_report"), key=lambda row: row["native_amount"])
    assert shown(usage) == {
        "cost_basis": "billed",
        "native_amount": Decimal("123.78912"),
        "native_unit": "cents",
        "currency": "USD",
        "amount_usd": Decimal("1.2378912"),
        "line_item": "Claude Usage",
        "usage_type": "output_tokens",
        **dimensions,
    }
    assert (search["amount_usd"], search["workspace_id"]) == (Decimal("0.005"), None)


def test_minor_units_of_another_currency_are_no_cents(days: Days) -> None:
    days.fetched(CostReport, raw(CostReport, currency="usd"), raw(CostReport, currency="JPY"))
    assert set(found(days, "anthropic_cost_report")) == {
        ("billed", 100, "cents", "USD", 1),
        ("billed", 100, "minor units", "JPY", None),
    }
    assert {row["usd_reason"] for row in days.rows("anthropic_cost_report")} == {
        None,
        "no exchange rate is configured for JPY",
    }


def test_estimates_of_api_customers_are_estimated_and_those_of_subscribers_notional(days: Days) -> None:
    days.fetched(
        ClaudeCode,
        raw(ClaudeCode, customer_type="api", model_breakdown=models(("opus", "1.5"))),
        raw(ClaudeCode, customer_type="subscription", model_breakdown=models(("opus", "250"))),
    )
    assert set(found(days, "anthropic_claude_code")) == {
        ("estimated", Decimal("1.5"), "cents", "USD", Decimal("0.015")),
        ("notional", 250, "cents", "USD", Decimal("2.5")),
    }


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
    assert {(r["user_id"], r["api_key_name"], r["model"], r["currency"], r["native_amount"]) for r in rows} == {
        ("bob@example.com", None, "opus", "USD", 5),
        ("bob@example.com", None, "haiku", "USD", 2),
        (None, "bob@example.com", "opus", "USD", 8),
        (None, "bob@example.com", "opus", "EUR", 16),
    }
    assert {r["native_unit"]: r["amount_usd"] for r in rows if r["currency"] == "EUR"} == {"minor units": None}


def test_an_estimate_that_is_no_number_is_refused(days: Days) -> None:
    for amount in ('"much"', "null"):
        breakdown = models(("opus", "1"), ("haiku", "2")).replace(
            '"estimated_cost_cents":"1"', f'"estimated_cost_cents":{amount}'
        )
        days.fetched(ClaudeCode, raw(ClaudeCode, model_breakdown=breakdown))
        with pytest.raises(WarehouseError, match=r"Failed to cast value to decimal|NOT NULL constraint failed"):
            days.derive("anthropic_claude_code")


# ChatGPT


def test_the_three_moneys_of_codex_are_three_rows(days: Days) -> None:
    days.fetched(
        CodexUsage,
        raw(CodexUsage, credits=Decimal("12.5"), cost_usd=Decimal("0.75"), estimated_cost_usd=Decimal("0.5")),
    )
    rows = {row["cost_basis"]: row for row in days.rows("chatgpt_codex_usage")}
    assert {basis: shown(row) for basis, row in rows.items()} == {
        "credits": {
            "cost_basis": "credits",
            "native_amount": Decimal("12.5"),
            "native_unit": "credits",
            "usd_reason": "no credit rate is configured for workspace ws",
            "workspace_id": "ws",
            "user_id": "user-1",
        },
        **{
            basis: {
                "cost_basis": basis,
                "native_amount": Decimal(amount),
                "native_unit": "dollars",
                "currency": "USD",
                "amount_usd": Decimal(amount),
                "workspace_id": "ws",
                "user_id": "user-1",
            }
            for basis, amount in (("billed", "0.75"), ("estimated", "0.5"))
        },
    }


def test_an_unknown_money_is_no_row_and_a_zero_is_one(days: Days) -> None:
    days.fetched(
        CodexUsage,
        raw(CodexUsage, user_id="unknown"),
        raw(CodexUsage, user_id="zero", credits=Decimal(0)),
    )
    assert [(row["user_id"], row["cost_basis"], row["native_amount"]) for row in days.rows("chatgpt_codex_usage")] == [
        ("zero", "credits", 0)
    ]


def test_the_workspace_row_counts_only_on_days_without_user_rows(days: Days) -> None:
    first, second = days_from(2)
    workspace = {"cut": "workspace", "user_id": None, "credits": Decimal(100)}
    days.fetched(
        CodexUsage,
        raw(CodexUsage, credits=Decimal(1)),
        raw(CodexUsage, user_id="user-2"),
        raw(CodexUsage, **workspace),
        raw(CodexUsage, **workspace, usage_date=second),
        last=second,
    )
    rows = days.rows("chatgpt_codex_usage", first=first, last=second)
    assert [(row["usage_date"], row["user_id"], row["native_amount"]) for row in rows] == [
        (first, "user-1", 1),
        (second, None, 100),
    ]


def test_user_rows_of_another_day_or_connection_do_not_hide_a_workspace_row(days: Days) -> None:
    workspace = {"cut": "workspace", "user_id": None, "credits": Decimal(100)}
    days.fetched(CodexUsage, raw(CodexUsage, **workspace))
    days.fetched(CodexUsage, raw(CodexUsage, connection="emea", credits=Decimal(1)), connection="emea")
    assert found(days, "chatgpt_codex_usage") == [("credits", 100, "credits", None, None)]


def test_the_cuts_client_and_model_are_parts_that_are_not_added(days: Days) -> None:
    days.fetched(
        CodexUsage,
        raw(CodexUsage, credits=Decimal(3)),
        raw(CodexUsage, cut="client", client_id="cli", credits=Decimal(2)),
        raw(CodexUsage, cut="model", model="gpt-5", speed="fast", credits=Decimal(3)),
    )
    assert found(days, "chatgpt_codex_usage") == [("credits", 3, "credits", None, None)]


def test_rows_of_a_user_without_an_id_are_added_up(days: Days) -> None:
    days.fetched(
        CodexUsage,
        *(raw(CodexUsage, user_id=None, actor_user_id=actor, credits=Decimal(1)) for actor in ("a", "b")),
    )
    assert found(days, "chatgpt_codex_usage") == [("credits", 2, "credits", None, None)]


# OpenAI's old endpoints


def test_legacy_lines_are_billed_cents_and_the_stated_total_is_not_added(days: Days) -> None:
    days.fetched(
        BillingUsage,
        raw(BillingUsage, cost_cents=Decimal("1234.56")),
        raw(BillingUsage, name="Fine-tuning models", cost_cents=Decimal(0)),
        raw(BillingUsage, name=None, cost_cents=None, total_usage_cents=Decimal(2000)),
    )
    line, free = sorted(days.rows("openai_legacy_billing_usage"), key=lambda row: -row["native_amount"])
    assert shown(line) == {
        "cost_basis": "billed",
        "native_amount": Decimal("1234.56"),
        "native_unit": "cents",
        "currency": "USD",
        "amount_usd": Decimal("12.3456"),
        "line_item": "GPT-4",
    }
    assert (free["line_item"], free["native_amount"], free["amount_usd"]) == ("Fine-tuning models", 0, 0)


# Sums


amounts = st.lists(
    st.decimals(min_value=-(10**9), max_value=10**9, places=24, allow_nan=False, allow_infinity=False),
    min_size=1,
    max_size=4,
)
cents = st.decimals(min_value=-(10**9), max_value=10**9, places=22, allow_nan=False, allow_infinity=False)
PERIOD = days_from(20)
"""Each day has amounts of its own: twenty days cost what one does, and twenty examples twenty times as much."""


@settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(by_day=st.lists(amounts, min_size=len(PERIOD), max_size=len(PERIOD)))
def test_native_amounts_equal_the_raw_amounts_to_the_last_of_24_places(days: Days, by_day: list[list[Decimal]]) -> None:
    rows: dict[type[Row], list[Row]] = defaultdict(list)
    for day, amounts in zip(PERIOD, by_day, strict=True):
        for n, amount in enumerate(amounts):
            at = {"usage_date": day}
            opus = models(("opus", f"{amount:f}"))
            rows[Costs].append(raw(Costs, project_id=f"p{n % 2}", quantity_unit=str(n), amount_value=amount, **at))
            rows[CostReport].append(raw(CostReport, description=f"d{n}", amount_cents=amount, **at))
            rows[AnalyticsCost].append(raw(AnalyticsCost, model=f"model {n}", amount_cents=amount, **at))
            rows[ClaudeCode].append(raw(ClaudeCode, terminal_type=str(n), model_breakdown=opus, **at))
            rows[CodexUsage].append(raw(CodexUsage, user_id=f"u{n}", credits=amount, **at))
            rows[Charges].append(raw(Charges, sku_id=f"sku {n}", billed_cost=amount, **at))
            for metered in (AiCredits, PremiumRequests):
                rows[metered].append(raw(metered, model=f"model {n}", net_amount=amount, **at))
            rows[UserActivity].append(raw(UserActivity, cut="model", model=f"model {n}", spend=amount, **at))
            rows[TeamActivity].append(raw(TeamActivity, team_id=f"team {n}", flat_cost=amount, **at))
            rows[RouterActivity].append(raw(RouterActivity, model=f"model {n}", usage=amount, **at))
            rows[CopilotBilling].append(raw(CopilotBilling, sku=f"seat {n}", net_amount=amount, **at))
            rows[UsageEvents].append(raw(UsageEvents, model=f"model {n}", charged_cents=amount, **at))
            rows[BillingUsage].append(raw(BillingUsage, name=f"line {n}", cost_cents=amount, **at))
    for file in FILES:
        row = SOURCE[file]
        days.fetched(row, *rows[row], last=PERIOD[-1])
        costs = days.rows(file, last=PERIOD[-1])
        for day, amounts in zip(PERIOD, by_day, strict=True):
            found = money.total(cost["native_amount"] for cost in costs if cost["usage_date"] == day)
            assert found == money.total(amounts)


@settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(by_day=st.lists(cents, min_size=len(PERIOD), max_size=len(PERIOD)))
def test_a_hundred_times_the_dollars_are_the_cents(days: Days, by_day: list[Decimal]) -> None:
    """To the last digit of 22 places: a double of a few micro-dollars has as many, and dollars of cents two more."""
    rows: dict[type[Row], list[Row]] = defaultdict(list)
    for day, amount in zip(PERIOD, by_day, strict=True):
        rows[CostReport].append(raw(CostReport, usage_date=day, amount_cents=amount))
        opus = models(("opus", f"{amount:f}"))
        rows[ClaudeCode].append(raw(ClaudeCode, usage_date=day, model_breakdown=opus))
        rows[BillingUsage].append(raw(BillingUsage, usage_date=day, cost_cents=amount))
    for row, fetched in rows.items():
        days.fetched(row, *fetched, last=PERIOD[-1])
    for file in ("anthropic_cost_report", "anthropic_claude_code", "openai_legacy_billing_usage"):
        costs = days.rows(file, last=PERIOD[-1])
        assert {cost["usage_date"]: cost["native_amount"] for cost in costs} == dict(zip(PERIOD, by_day, strict=True))
        assert len(costs) == len(PERIOD)
        assert all(money.total([cost["amount_usd"]] * 100) == cost["native_amount"] for cost in costs)

"""Billed, valued in USD: one sum in cards, charts, forecasts, budgets, guardrails and the digest, with its rates."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from usage_assets.config.accounting import Accounting, Budget, CreditRate, ExchangeRate, Owner
from usage_assets.core.days import DAY, Window
from usage_assets.models.insights import AnomalyRow, BudgetStatusRow, ForecastTotalRow
from usage_assets.providers.anthropic.reports import CostReport
from usage_assets.providers.chatgpt.analytics import CodexUsage
from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse.migrate import write_seed
from usage_assets_assistant_tests.explain.explained import assert_commands_explain, figures_explained
from usage_assets_finance.focus.charges import Charges
from usage_assets_report.dimensions import DIMENSIONS
from usage_assets_report.entries import Guardrail
from usage_assets_report.figures import Figure, Report, read, read_figure
from usage_assets_report.insights.compute import Insights, compute
from usage_assets_report.insights.stated import stated_in
from usage_assets_report.period import Period
from usage_assets_report_tests.conftest import make_all_views
from usage_assets_tests.fixtures import NewWarehouse
from usage_assets_tests.models.days import Days, raw
from usage_assets_tests.models.stated import entries

FIRST, LAST = date(2026, 10, 1), date(2026, 11, 12)
NOVEMBER = Period.of_month(LAST, LAST)
RATES = entries(
    ExchangeRate,
    """
    currency  usd   valid_from  valid_until  source
    EUR       1.08  2026-01-01  2026-11-08   treasury
    EUR       1.1   2026-11-09  .            treasury
    """,
)
"""Nobody has stated a rate for yen."""
BUDGETS = entries(
    Budget,
    """
    name      amount  currency  credits  team
    all       1000    .         .        .
    euros     1000    EUR       .        .
    yen       100000  JPY       .        .
    credits   .       .         1000     .
    web       1000    .         .        web
    research  1000    .         .        research
    """,
)
VALUED = Decimal("508.08")
"""12 days of 10 + 3 dollars, 8 days of 20 + 7 euros at 1.08, and 4 at 1.10: 156 + 233.28 + 118.80."""
WORDS = "EUR at 1.08 to 1.1 (treasury), from 2026-01-01"


@dataclass(frozen=True)
class Stored:
    """Six weeks in dollars, euros, yen and credits, with what insights make of them."""

    database: duckdb.DuckDBPyConnection
    insights: Insights


@pytest.fixture(scope="module")
def stored(warehouse_with_views: NewWarehouse) -> Iterator[Stored]:
    warehouse = warehouse_with_views()
    accounting = Accounting(
        exchange_rates=RATES,
        credit_rates=[CreditRate(workspace="ws", usd_per_credit=Decimal("0.04"), valid_from=FIRST, source="contract")],
        owners=[Owner(project="p1", team="web"), Owner(project="p2", team="research")],
    )
    with warehouse.get_connection() as database:
        days = Days(warehouse, accounting)
        paid = {"p1": ("usd", 10), "p2": ("eur", 20), "p3": ("jpy", 5000)}
        costs = (
            {"project_id": project, "amount_currency": currency, "amount_value": amount}
            for project, (currency, amount) in paid.items()
        )
        days.daily(Costs, FIRST, LAST, *costs)
        cents = {"USD": 300, "EUR": 700}
        days.daily(CostReport, FIRST, LAST, *({"currency": code, "amount_cents": n} for code, n in cents.items()))
        days.daily(CodexUsage, FIRST, LAST, {"credits": "12.5"})
        for file in (
            *("openai_costs", "anthropic_cost_report", "chatgpt_codex_usage"),
            *("openai_allocated_costs", "anthropic_allocated_costs"),
        ):
            days.derive(file, first=FIRST, last=LAST)
        make_all_views(warehouse)
        with warehouse.transaction() as writing:
            guardrail = Guardrail(name="daily", measure="usd", above=Decimal("42.5"))
            stated = stated_in(Accounting(budgets=BUDGETS, added={"guardrail": [guardrail]}))
            insights = compute(writing, stated, LAST, LAST + DAY)
            write_seed(writing, insights.seed(datetime.now(UTC)))
        yield Stored(database, insights)


@pytest.fixture(scope="module")
def november(stored: Stored) -> Report:
    return read(stored.database, NOVEMBER)


def cards(headline: Figure) -> Mapping[tuple[str, str], Decimal]:
    return {(row["cost_basis"], row["unit"]): row["amount"] for row in headline.rows.to_pylist()}


def test_the_card_values_what_has_a_rate_and_what_has_none_stands_beside_it(november: Report) -> None:
    assert cards(november.figures["headline"]) == {
        ("billed", "USD"): VALUED,
        ("billed", "JPY"): 60_000,
        ("credits", "credits"): 150,
    }


def test_the_card_is_the_sum_of_each_chart(november: Report) -> None:
    for name in ("by_day", "kinds", *(f"by_{dimension}" for dimension in DIMENSIONS)):
        assert sum(row["usd"] for row in november.figures[name].rows.to_pylist()) == VALUED, name
    assert sum(row["usd"] for row in november.facts.rows.to_pylist()) == VALUED


def test_a_currency_with_a_rate_on_some_days_is_valued_on_these_and_its_rate_moves_nothing(
    tmp_path: Path, warehouse_with_views: NewWarehouse
) -> None:
    warehouse = warehouse_with_views(tmp_path)
    with warehouse.get_connection() as database:
        days = Days(warehouse, Accounting(exchange_rates=RATES[1:]))
        first, last = date(2026, 10, 30), date(2026, 11, 10)
        days.daily(Costs, first, last, {"amount_currency": "eur", "amount_value": 5})
        days.daily(CostReport, first, last, {"currency": "EUR", "amount_cents": 300})
        dollars = {"billing_currency": "USD", "charge_category": "Usage"}
        charges = [raw(Charges, usage_date=day, billed_cost=day.day, **dollars) for day in Window(first, last).days]
        days.fetched(Charges, *charges, first=first, last=last)
        for file in ("openai_costs", "anthropic_cost_report", "focus_charges"):
            days.derive(file, first=first, last=last)
        make_all_views(warehouse)
        headline = read_figure(database, "headline", NOVEMBER)
        assert cards(headline) == {
            ("billed", "USD"): Decimal("72.6"),
            ("billed", "EUR"): 40,
            ("billed", "minor units of EUR"): 2400,
        }, "55 dollars, and two days of 5 and 3 euros at 1.1"
        for commands, row in zip(headline.commands, headline.rows.to_pylist(), strict=True):
            found = [[*figures_explained(each, database).values()] for each in commands]
            assert found == [[row["amount"]]], "as its command says"
        valued = Period.of_days(last - DAY, last)
        compared = read_figure(database, "compared", valued).rows.to_pylist()
        assert {row["compared"] for row in compared if row["connection"] != "focus"} == {"not known before"}
        movers = read_figure(database, "movers", NOVEMBER).rows.to_pylist()
        assert {row["provider"] for row in movers} == {"focus"}


def test_a_guardrail_in_usd_counts_the_card(stored: Stored) -> None:
    rows: Any = stored.insights.rows[AnomalyRow]
    crossed = {row.first_day: row.actual for row in rows if row.what == "daily"}
    assert crossed == {date(2026, 11, day): Decimal("42.7") for day in (9, 10, 11, 12)}


def test_each_place_names_the_rates_of_its_own_amounts(stored: Stored, november: Report) -> None:
    insights = stored.insights
    rows: Any = insights.rows[BudgetStatusRow]
    rates = {row.budget: row.rates for row in rows if row.first_day == date(2026, 11, 1)}
    assert rates == {**dict.fromkeys(("euros", "yen", "credits", "web")), "all": WORDS, "research": WORDS}
    rows = insights.rows[ForecastTotalRow]
    months = {(row.kind, row.id): row.rates for row in rows}
    assert (months["all", ""], months["team", "web"], months["connection", "anthropic"]) == (WORDS, None, WORDS)
    assert november.rates == WORDS
    assert [row["rates"] for row in november.figures["forecast"].rows.to_pylist() if row["scope"] == "team web"] == [
        None
    ]
    assert assert_commands_explain(november.figures["rates"], stored.database) == 2
    assert [(row["rate"], row["usd"]) for row in november.figures["rates"].rows.to_pylist()] == [
        (Decimal("1.08"), Decimal("233.28")),
        (Decimal("1.1"), Decimal("118.8")),
    ]
    assert insights.digest
    assert insights.digest.lines[-1] == f"Billed, valued in USD: {WORDS}"
    assert "$295.12" in insights.digest.lines[0], "7 days of 13 dollars and 27 euros at 1.08"

"""A company in three accounts, two months of it: names that a browser could take for code, a tail, other currencies."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest

from usage_assets.config.accounting import Accounting, Budget, Invoice, ListPriceRow, NoteRow, Owner
from usage_assets.core.days import DAY, Window
from usage_assets.core.schema import Row
from usage_assets.models.costs import VIEWS
from usage_assets.models.due import VIEWS as DUE_DAYS
from usage_assets.providers.anthropic.reports import ClaudeCode, CostReport, UsageMessages
from usage_assets.providers.chatgpt.analytics import CodexUsage
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.usage import UsageCompletions
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.ledger import FailedCheck
from usage_assets.warehouse.migrate import create_or_alter, write_seed
from usage_assets.warehouse.published import copy_of, publish
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.views import make_views
from usage_assets_report.entries import Guardrail, Metric, Note
from usage_assets_report.figures import Report, read
from usage_assets_report.insights.compute import compute
from usage_assets_report.insights.metrics import with_metrics
from usage_assets_report.insights.stated import stated_in
from usage_assets_report.period import Period
from usage_assets_tests.ephemeral import ephemeral_instances_keep_their_connection
from usage_assets_tests.fixtures import NewWarehouse
from usage_assets_tests.models.conftest import days, new_days, warehouse
from usage_assets_tests.models.days import Days, raw
from usage_assets_tests.models.stated import entries, stating
from usage_assets_tests.warehouse.conftest import lake

__all__ = ["days", "ephemeral_instances_keep_their_connection", "lake", "new_days", "warehouse"]

FIRST, LAST = date(2026, 10, 1), date(2026, 11, 12)
NOVEMBER = Period.of_month(LAST, LAST)
HOSTILE = "</script><script>document.title='owned'</script>"
FORMULA = '=HYPERLINK("http://x.example")'
PRICES = [
    ListPriceRow("openai", model, "standard", FIRST, None, Decimal(n), Decimal(n) / 10, Decimal(n), Decimal(5 * n))
    for n, model in ((1, "gpt-5-mini"), (3, "gpt-5"))
]
MODELS = ("gpt-5", "gpt-5-mini", HOSTILE, FORMULA)


@pytest.fixture(scope="session")
def company(warehouse_with_views: NewWarehouse) -> Iterator[Days]:
    """The company's warehouse."""
    warehouse = warehouse_with_views()
    with warehouse.get_connection():
        days = fill(Days(warehouse))
        make_all_views(warehouse)
        watch(days)
        yield days


def watch(days: Days) -> None:
    """Store forecasts, anomalies and budgets, as a run does."""
    budgets = entries(Budget, "name  project  amount\nresearch  p2  1000\ncompany  .  6000")
    merged = Path(days.warehouse.database).with_name("merged.csv")
    lines = [f"2026-11-{day:02},web,<b>merged</b>,3.5\n" for day in range(1, 13)]
    merged.write_text("".join(["date,scope,metric,value\n", *lines]))
    note = Note(name="load <b>test</b>", text="the shop tried 1 November", valid_from=date(2026, 11, 1))
    stated = stated_in(
        Accounting(budgets=budgets, added={"guardrail": [Guardrail(name="g1", measure="usd", above=Decimal(1))]})
    )
    with days.warehouse.transaction() as database:
        insights = with_metrics(compute(database, stated, LAST, LAST + DAY), [Metric(file=merged, scope="team")])
        insights = replace(insights, rows={**insights.rows, ListPriceRow: PRICES, NoteRow: [*note.rows(0)]})
        write_seed(database, insights.seed(datetime(2026, 11, 13, 7, tzinfo=UTC)))


def make_all_views(warehouse: Warehouse) -> None:
    """Make what a run makes besides its rows."""
    with warehouse.transaction() as database:
        create_or_alter(database, Table(FailedCheck))
        make_views(database, (*VIEWS, *DUE_DAYS))


def fill(days: Days) -> Days:
    """Store what the company used: the same in each session."""
    random = Random(14)
    invoice = Invoice(connection="openai", month="2026-10", total=Decimal("1.5"), id="INV-1")
    owners = [Owner(project="p1", team="web"), Owner(project="p2", team="research & <b>bold</b>")]
    days = stating(days, owners=owners, invoices=[invoice])
    every = Window(FIRST, LAST).days
    days.fetched(Costs, *(cost for day in every for cost in costs_of(day, random)), first=FIRST, last=LAST)
    counted = {"num_model_requests": 3, "input_tokens": 1000, "input_cached_tokens": 250, "output_tokens": 200}
    days.daily(UsageCompletions, FIRST, LAST, *({"model": model, **counted} for model in MODELS[:2]))
    of_claude = {"model": "claude-opus-5", "token_type": "output_tokens", "cost_type": "tokens"}
    report = [
        raw(
            CostReport,
            usage_date=day,
            amount_cents=Decimal(random.randrange(10**6)) / 1000,
            workspace_id=place,
            description=f"Claude {place}",
            **of_claude,
        )
        for day in every
        for place in (None, "w1")
    ]
    days.fetched(CostReport, *report, first=FIRST, last=LAST)
    used = {"model": "claude-opus-5", "workspace_id": "w1"}
    of_keys = ({"api_key_id": f"k{n}", "output_tokens": n, **used} for n in (1, 2))
    days.daily(UsageMessages, FIRST, LAST, *of_keys)
    days.daily(ClaudeCode, FIRST, LAST)
    days.daily(CodexUsage, FIRST, LAST, {"credits": "12.5", "text_total_tokens": 9, "text_output_tokens": 2})
    for file in (
        *("openai_costs", "anthropic_cost_report", "chatgpt_codex_usage", "anthropic_claude_code"),
        *("openai_allocated_costs", "anthropic_allocated_costs"),
    ):
        days.derive(file, first=FIRST, last=LAST)
    return days


def costs_of(day: date, random: Random) -> Iterator[Row]:
    """A day of OpenAI: few large amounts, a tail of users, an amount in euros."""
    for n, model in enumerate(MODELS):
        dollars = Decimal(random.randrange(10**14)).scaleb(-12 - n)
        yield raw(Costs, usage_date=day, project_id=f"p{n}", line_item=f"{model}, input", amount_value=dollars)
    for user in range(70):
        dollars = Decimal(random.randrange(1, 10**9)).scaleb(-9)
        yield raw(
            Costs, usage_date=day, project_id="p1", line_item="gpt-5, output", user_id=f"u{user}", amount_value=dollars
        )
    yield raw(Costs, usage_date=day, amount_currency="eur", amount_value=Decimal("0.1"), line_item="gpt-5, output")


@pytest.fixture(scope="session")
def published(company: Days) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to what the company has published."""
    publish(company.warehouse)
    with duckdb.connect(str(copy_of(company.warehouse.database)), read_only=True) as database:
        database.execute("set TimeZone = 'UTC'")
        yield database


@pytest.fixture(scope="session")
def rows_again(published: duckdb.DuckDBPyConnection) -> Callable[[str], list[tuple[Any, ...]]]:
    """The rows of a query that the report shows. Most of them are shown in several tests, and planned for long."""
    return cache(lambda query: published.cursor().execute(query).fetchall())


@pytest.fixture(scope="session")
def november(published: duckdb.DuckDBPyConnection) -> Report:
    """The report of November, up to the 12th, with the ranges of its page."""
    return read(published, NOVEMBER, is_page=True)

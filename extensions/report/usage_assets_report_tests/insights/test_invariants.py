"""Each rule between what is stored and what is computed from it: it holds of right rows, and says what is wrong."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import time_machine

from usage_assets.config.accounting import Accounting, ExchangeRate, Owner
from usage_assets.core.days import DAY, Window
from usage_assets.core.schema import Row, TableRow, to_arrow
from usage_assets.models.costs import VIEWS
from usage_assets.models.insights import BudgetStatusRow, ForecastRow, ForecastTotalRow
from usage_assets.providers.anthropic.reports import CostReport
from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch
from usage_assets.warehouse.views import make_views
from usage_assets_report.insights.invariants import INVARIANTS, contradictions
from usage_assets_tests.models.days import Days, filled, raw

FIRST, NEWEST, LAST = date(2026, 10, 1), date(2026, 11, 12), date(2026, 11, 30)
NOVEMBER = date(2026, 11, 1)
STATED = Accounting(
    owners=[Owner(project="p1", team="web")],
    exchange_rates=[ExchangeRate(currency="EUR", usd=Decimal(2), valid_from=FIRST, source="bank")],
)
Rows = Mapping[type[TableRow], Sequence[TableRow]]


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Days]:
    """Six weeks: $10 and 1 euro ($2) a day of the team web at OpenAI, $5 a day at Anthropic."""
    with time_machine.travel(datetime(2026, 11, 13, 6, tzinfo=UTC), tick=False):
        warehouse = Warehouse(database=str(tmp_path_factory.mktemp("invariants") / "usage.duckdb"))
        with warehouse.get_connection():
            days = Days(warehouse, STATED)
            stored = Window(FIRST, NEWEST).days
            openai = [
                raw(Costs, usage_date=day, project_id="p1", amount_currency=currency, amount_value=amount)
                for day in stored
                for currency, amount in (("usd", 10), ("eur", 1))
            ]
            fetched(days, Costs, *openai)
            reported = [raw(CostReport, usage_date=day, amount_cents=500) for day in stored]
            fetched(days, CostReport, *reported)
            for derived in ("openai_costs", "openai_allocated_costs", "anthropic_cost_report"):
                days.derive(derived, first=FIRST, last=NEWEST)
            with warehouse.transaction() as database:
                make_views(database, VIEWS)
        yield days


def fetched(days: Days, row: type[Row], *rows: Row, last: date = NEWEST) -> None:
    """Store days of a provider that settles them after 60 days."""
    batch = Batch(rows=to_arrow(row, rows), began=datetime.now(UTC), settling_days=60)
    days.warehouse.replace(Table(row), batch, Slice(row.table.partition(".")[0], FIRST, last), "run")


@pytest.fixture
def changed(days: Days, tmp_path: Path) -> Days:
    """The same, to be changed."""
    return replace(days, warehouse=Warehouse(database=str(shutil.copy(days.warehouse.database, tmp_path))))


SCOPES = {("all", ""): 17, ("connection", "openai"): 12, ("connection", "anthropic"): 5, ("team", "web"): 12}
"""Scope -> dollars of each day."""


def right() -> dict[type[TableRow], list[Any]]:
    """What follows from these days, if every day to come is like them: all days are provisional."""
    scopes = [
        ({"kind": kind, "id": id_, "name": id_ or kind, "made_on": NEWEST + DAY}, usd)
        for (kind, id_), usd in SCOPES.items()
    ]
    daily = [
        filled(ForecastRow, usage_date=day, expected=usd, **of)
        for of, usd in scopes
        for day in Window(NOVEMBER, LAST).days
    ]
    months = [
        filled(ForecastTotalRow, month=NOVEMBER, settled=0, provisional=usd * 12, expected=usd * 30, **of)
        for of, usd in scopes
    ]
    budgets = [
        budget("company", "all", "", 17, exhausted_on=date(2026, 10, 18)),
        budget("web", "team", "web", 12, amount=1000),
        budget("euros", "all", "", 1, unit="EUR", amount=31, exhausted_on=date(2026, 10, 31)),
    ]
    return {ForecastRow: daily, ForecastTotalRow: months, BudgetStatusRow: budgets}


def budget(name: str, kind: str, id_: str, each_day: int, **stated: Any) -> BudgetStatusRow:
    """A budget's October, which is over."""
    given = {"unit": "USD", "amount": 300} | stated
    given |= dict.fromkeys(("provisional", "expected", "low", "high"), 31 * each_day)
    days = {"first_day": FIRST, "last_day": date(2026, 10, 31)}
    return filled(BudgetStatusRow, budget=name, source="budget", kind=kind, id=id_, settled=0, **days, **given)


def wrong(days: Days, rows: Rows) -> dict[str, Sequence[str]]:
    """Rule -> what contradicts it."""
    with days.warehouse.get_connection() as database:
        found = contradictions(database, rows, NEWEST)
    return {invariant.name: texts for invariant, texts in found.items() if texts}


def damaged(row: type[TableRow], wanted: Mapping[str, Any], **values: Any) -> Rows:
    """The right rows with other values in one of them."""
    rows = right()
    [n] = [n for n, each in enumerate(rows[row]) if all(getattr(each, name) == is_ for name, is_ in wanted.items())]
    rows[row][n] = msgspec.structs.replace(rows[row][n], **values)
    return rows


def test_right_rows_contradict_nothing(days: Days) -> None:
    assert wrong(days, right()) == {}
    assert len(INVARIANTS) == 6


def test_rows_before_anything_is_stored_contradict_nothing(days: Days) -> None:
    nothing: Rows = {ForecastRow: [], ForecastTotalRow: [], BudgetStatusRow: []}
    assert wrong(days, nothing) == {}


EVERYTHING, WEB, OF_COMPANY = {"kind": "all"}, {"id": "web"}, {"budget": "company"}
LAST_PLACE, OCTOBER = Decimal("1e-24"), "2026-10-01 to 2026-10-31"


DAMAGED = [
    (
        "stored_months",
        damaged(ForecastTotalRow, WEB, settled=LAST_PLACE),
        (
            "team web, November 2026: $0.00 settled and $144.00 provisional are not the $144.00 "
            "that are stored (off by 1e-24)"
        ),
    ),
    (
        "stored_periods",
        damaged(BudgetStatusRow, OF_COMPANY, provisional=Decimal("526.5"), expected=Decimal("526.5")),
        (
            f"budget company, {OCTOBER}: 0.00 USD settled and 526.50 provisional are not the "
            "527.00 that are stored (off by -0.5)"
        ),
    ),
    (
        "stored_periods",
        damaged(BudgetStatusRow, {"budget": "euros"}, settled=Decimal(1), expected=Decimal(32)),
        (
            f"budget euros, {OCTOBER}: 1.00 EUR settled and 31.00 provisional are not the 31.00 "
            "that are stored (off by 1)"
        ),
    ),
    (
        "ended_periods",
        damaged(BudgetStatusRow, OF_COMPANY, expected=Decimal(600)),
        f"budget company, {OCTOBER}: 600.00 USD is expected of a period that is over, and 527.00 was spent",
    ),
    (
        "past_dates",
        damaged(BudgetStatusRow, OF_COMPANY, exhausted_on=date(2026, 10, 15)),
        (f"budget company, {OCTOBER}: used up on 2026-10-15, and stored amounts have reached 300.00 USD on 2026-10-18"),
    ),
    (
        "past_dates",
        damaged(BudgetStatusRow, {"budget": "web"}, exhausted_on=date(2026, 10, 31)),
        f"budget web, {OCTOBER}: used up on 2026-10-31, and stored amounts are only 372.00 USD of 1,000.00",
    ),
    (
        "sums_of_days",
        damaged(ForecastRow, {"kind": "team", "usage_date": LAST}, expected=Decimal("12.5")),
        "team web, November 2026: $360.00 is expected, and its days add up to $360.50",
    ),
]
"""A rule, rows that contradict it, and what is said of them."""


def test_a_damaged_row_contradicts_its_rule_and_no_other(days: Days) -> None:
    assert [wrong(days, rows) for _, rows, _ in DAMAGED] == [{rule: [sentence]} for rule, _, sentence in DAMAGED]


def test_everything_is_the_sum_of_its_connections(days: Days) -> None:
    rows = damaged(ForecastTotalRow, EVERYTHING, expected=510 + LAST_PLACE)
    assert wrong(days, rows) == {
        "sums_of_parts": [
            "November 2026: $510.00 is expected of everything, and $510.00 of its connections (off by 1e-24)"
        ]
    }


def test_a_period_may_expect_more_if_its_provider_has_changed_an_older_day_before(changed: Days) -> None:
    rows = damaged(BudgetStatusRow, OF_COMPANY, expected=Decimal(600))
    with time_machine.travel(datetime(2026, 11, 14, 6, tzinfo=UTC), tick=False):
        for cents in (400, 500):
            fetched(changed, CostReport, raw(CostReport, usage_date=FIRST, amount_cents=cents), last=FIRST)
    assert wrong(changed, rows) == {}
    with time_machine.travel(datetime(2026, 12, 27, 6, tzinfo=UTC), tick=False):
        last = NEWEST - DAY * 12
        again = [raw(CostReport, usage_date=FIRST + DAY * n, amount_cents=500) for n in range(31)]
        fetched(changed, CostReport, *again, last=last)
    assert [*wrong(changed, rows)] == ["ended_periods"], "each day is older now than any that was changed"

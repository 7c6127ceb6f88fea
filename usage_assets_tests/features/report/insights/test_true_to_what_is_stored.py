"""Findings in forecasts and budgets, each with numbers computed by hand: the past is what is stored."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from usage_assets.config.accounting import Accounting, Budget, ExchangeRate
from usage_assets.features.report.insights.compute import Insights, compute
from usage_assets.features.report.insights.stated import stated_in
from usage_assets.models.insights import AnomalyRow, BudgetStatusRow, ForecastRow, ForecastTotalRow
from usage_assets_tests.features.report.insights.books import DAY, Company, Line, Source, days_between
from usage_assets_tests.features.report.insights.stored_company import new_database, store

NEWEST = date(2026, 11, 20)
JULY, NOVEMBER = date(2026, 7, 1), date(2026, 11, 1)


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with new_database() as opened:
        yield opened


def level(first: date, last: date, amount: str) -> dict[date, Decimal]:
    return dict.fromkeys(days_between(first, last), Decimal(amount))


def bill(
    amounts: Mapping[date, Decimal], currency: str = "USD", *, is_new: bool = False, **fetched: Any
) -> tuple[Sequence[Line], Source]:
    """A connection that bills these amounts.

    Each day was fetched when it was over and again when it was settled; of a new connection all were fetched today.
    """
    of: dict[str, Any] = {"connection": "focus", "table": "focus.charges"}
    lines = [Line(amounts=amounts, item="item", currency=currency, project="p1", **of)]
    first, today = min(amounts), NEWEST + DAY
    how: dict[str, Any] = {"since": today if is_new else first, "again": [41], "last": NEWEST}
    return lines, Source(first=first, today=today, settling_days=40, **of, **how | fetched)


def found(
    database: duckdb.DuckDBPyConnection,
    bill: tuple[Sequence[Line], Source],
    rates: Sequence[ExchangeRate] = (),
    budgets: Sequence[Budget] = (),
) -> Insights:
    """What is computed from the bill."""
    accounting = Accounting(exchange_rates=rates, budgets=budgets)
    lines, source = bill
    company = Company(newest=NEWEST, lines=lines, sources=[source], configured=["focus"], accounting=accounting)
    store(company, database)
    return compute(database, stated_in(accounting, company.configured), NEWEST, company.today)


def month_of(insights: Insights) -> Any:
    """November of everything."""
    [row] = [row for row in rows(insights, ForecastTotalRow) if (row.kind, row.month) == ("all", NOVEMBER)]
    return row


def rows(insights: Insights, row: type) -> Sequence[Any]:
    return insights.rows[row]


def test_without_statsmodels_nothing_is_expected_and_what_is_spent_stays(
    database: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "statsmodels.tsa.statespace.kalman_filter", None)
    amounts = {day: Decimal(100 + day.day) for day in days_between(JULY, NEWEST)}
    insights = found(database, bill(amounts), budgets=[Budget(name="b", amount=Decimal(2000))])
    [november] = [row for row in rows(insights, BudgetStatusRow) if row.first_day == NOVEMBER]
    assert month_of(insights).expected is november.expected is None
    assert november.settled + november.provisional == sum(range(101, 121))
    assert november.exhausted_on == date(2026, 11, 19)


def test_a_month_of_which_a_day_is_not_stored_is_unknown(database: duckdb.DuckDBPyConnection) -> None:
    """Where nothing was spent, the provider's 0 is stored. So these days may have cost anything."""
    new = month_of(found(database, bill(level(NEWEST - 13 * DAY, NEWEST, "100"), is_new=True)))
    assert new.settled + new.provisional == 1400
    lost = month_of(found(database, bill(level(JULY, NEWEST, "100"), lost=[date(2026, 11, 4)])))
    assert lost.settled + lost.provisional == 1900
    assert [(month.expected, month.expected_reason) for month in (new, lost)] == [
        (None, "focus is not stored on 2026-11-01 to 2026-11-06"),
        (None, "focus is not stored on 2026-11-04"),
    ]


def test_the_first_rate_is_no_rise(database: duckdb.DuckDBPyConnection) -> None:
    """Of a connection that bills dollars, too: its sum in USD was too small before."""
    rate = ExchangeRate(currency="EUR", usd=Decimal("1.1"), source="bank", valid_from=date(2026, 11, 10))
    euros, source = bill(level(JULY, NEWEST, "50"), currency="EUR")
    dollars, _ = bill(level(JULY, NEWEST, "10"))
    insights = found(database, ([*euros, *dollars], source), rates=[rate])
    assert not rows(insights, AnomalyRow)
    assert 10 * 65 < month_of(insights).expected - (20 * 10 + 11 * 55) < 11 * 65


def test_a_day_is_expected_to_grow_as_days_of_its_source_did(database: duckdb.DuckDBPyConnection) -> None:
    every = days_between(JULY, NEWEST)
    doubled = bill(level(JULY, NEWEST, "40"), again=[3, 41], early=dict.fromkeys(every, (2, Decimal("0.5"))))
    insights = found(database, doubled)
    last_two = {
        row.usage_date: round(row.expected, 2)
        for row in rows(insights, ForecastRow)
        if row.kind == "connection" and NEWEST - DAY <= row.usage_date <= NEWEST
    }
    assert last_two == {NEWEST - DAY: Decimal("40.00"), NEWEST: Decimal("40.00")}
    november = month_of(insights)
    assert november.settled + november.provisional == 18 * 40 + 2 * 20
    assert round(november.expected, 2) == 30 * 40

"""Findings in forecasts and budgets, each with numbers computed by hand: the past is what is stored."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import duckdb
import pytest

from usage_assets.config.accounting import Accounting, Budget, ExchangeRate, Guardrail
from usage_assets.features.report.insights.compute import Insights, compute
from usage_assets.features.report.insights.guardrails import crossed
from usage_assets.features.report.insights.stated import stated_in
from usage_assets.models.insights import KEPT, AnomalyRow, BudgetStatusRow, ForecastRow, ForecastTotalRow
from usage_assets_tests.features.report.insights.books import DAY, Company, Line, Source, days_between
from usage_assets_tests.features.report.insights.stored_company import new_database, store

NEWEST = date(2026, 11, 20)
JULY, OCTOBER, NOVEMBER = date(2026, 7, 1), date(2026, 10, 1), date(2026, 11, 1)
MANY = Decimal(10000)
"""A budget that is never used up."""


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with new_database() as opened:
        yield opened


def level(first: date, last: date, amount: str) -> dict[date, Decimal]:
    return dict.fromkeys(days_between(first, last), Decimal(amount))


def bill(
    amounts: Mapping[date, Decimal],
    *others: Mapping[date, Decimal],
    table: str = "focus.charges",
    currency: str = "USD",
    newest: date = NEWEST,
    settling_days: int = 40,
    is_new: bool = False,
    name: str = "",
    **fetched: Any,
) -> tuple[Sequence[Line], Source]:
    """A connection that bills these amounts, and others as lines of their own.

    Each day was fetched when it was over and again when it was settled; of a new connection all were fetched today.
    """
    name = name or table.partition(".")[0]
    lines = [
        Line(connection=name, table=table, amounts=each, item=f"item {n}", currency=currency, project="p1")
        for n, each in enumerate((amounts, *others))
    ]
    first = min(amounts)
    how: dict[str, Any] = {"since": newest + DAY if is_new else first, "again": [settling_days + 1], "last": newest}
    source = Source(
        connection=name,
        table=table,
        first=first,
        today=newest + DAY,
        settling_days=settling_days,
        **how | fetched,
    )
    return lines, source


def found(
    database: duckdb.DuckDBPyConnection,
    *bills: tuple[Sequence[Line], Source],
    newest: date = NEWEST,
    rates: Sequence[ExchangeRate] = (),
    gone: Sequence[str] = (),
    budgets: Sequence[Budget] = (),
    **budget: Any,
) -> Insights:
    """What is computed from the bills, with one budget or some; ``gone`` are connections that were taken out."""
    budgets = budgets or [Budget(name="b", **{"amount": MANY} | budget)]
    accounting = Accounting(exchange_rates=rates, budgets=budgets)
    company = Company(
        newest=newest,
        lines=[line for lines, _ in bills for line in lines],
        sources=[source for _, source in bills],
        configured=[source.connection for _, source in bills if source.connection not in gone],
        accounting=accounting,
    )
    store(company, database)
    return compute(database, stated_in(accounting, company.configured), newest, company.today)


def budget_of(insights: Insights, first: date = NOVEMBER) -> Any:
    [row] = [row for row in rows(insights, BudgetStatusRow) if row.first_day == first]
    return row


def month_of(insights: Insights, kind: str = "all", month: date = NOVEMBER, id_: str = "") -> Any:
    [row] = [row for row in rows(insights, ForecastTotalRow) if (row.kind, row.id, row.month) == (kind, id_, month)]
    return row


def rows(insights: Insights, row: type) -> Sequence[Any]:
    return insights.rows[row]


def test_without_statsmodels_nothing_is_expected_and_what_is_spent_stays(
    database: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "statsmodels.tsa.statespace.kalman_filter", None)
    amounts = {day: Decimal(100 + day.day) for day in days_between(JULY, NEWEST)}
    insights = found(database, bill(amounts), amount=Decimal(2000))
    november = budget_of(insights)
    assert month_of(insights).expected is november.expected is None
    assert november.settled + november.provisional == sum(range(101, 121))
    assert november.exhausted_on == date(2026, 11, 19)


LONG = "1234.567890123456789012345678"
"""The sum of nine such days has 29 digits, and Python's decimals keep 28."""


def test_sums_of_amounts_with_many_digits_are_exact(database: duckdb.DuckDBPyConnection) -> None:
    days = bill(level(JULY, NEWEST, LONG)), bill(level(JULY, NEWEST, LONG), table="openai.costs", settling_days=7)
    insights = found(database, *days, amount=Decimal(1_000_000))
    of_both = 2 * Fraction(LONG)
    october, november = budget_of(insights, OCTOBER), budget_of(insights)
    assert Fraction(october.settled) + Fraction(october.provisional) == 31 * of_both
    assert Fraction(november.settled) + Fraction(november.provisional) == 20 * of_both
    assert Fraction(october.expected) == 31 * of_both
    everything, parts = month_of(insights), rows(insights, ForecastTotalRow)
    of_connections = [each for each in parts if (each.kind, each.month) == ("connection", NOVEMBER)]
    for name in ("settled", "provisional", "expected"):
        amounts = [Fraction(getattr(each, name)) for each in of_connections]
        assert (len(amounts), sum(amounts)) == (2, Fraction(getattr(everything, name))), name


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


def test_a_rise_is_measured_against_seven_stored_days_as_long_as_its_day_is_kept(
    database: duckdb.DuckDBPyConnection,
) -> None:
    """Six of seven days missing were six zeros: an ordinary day was three times their mean."""
    odd = NEWEST - KEPT
    amounts = level(JULY, NEWEST, "100") | dict.fromkeys((odd - DAY, odd), Decimal(900))
    found(database, bill(amounts, lost=days_between(NEWEST - 6 * DAY, NEWEST - DAY)))
    rise = Guardrail(name="rise", measure="usd", rises_by=Decimal(3), at_least=Decimal(50))
    stated = stated_in(Accounting(guardrails=[rise])).guardrails
    assert [row.first_day for row in crossed(database, stated, NEWEST)] == [odd]


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

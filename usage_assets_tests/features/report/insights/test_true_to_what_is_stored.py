"""Findings in forecasts and budgets, each with numbers computed by hand: the past is what is stored."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import duckdb
import pytest

from usage_assets.config.accounting import Accounting, Budget, ExchangeRate
from usage_assets.features.report.insights.compute import Insights, compute
from usage_assets.features.report.insights.series import growths
from usage_assets.features.report.insights.stated import stated_in
from usage_assets.models.insights import AnomalyRow, BudgetStatusRow, ForecastRow, ForecastTotalRow
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
    **fetched: Any,
) -> tuple[Sequence[Line], Source]:
    """A connection that bills these amounts, and others as lines of their own.

    Each day was fetched when it was over and again when it was settled; of a new connection all were fetched today.
    """
    name = table.partition(".")[0]
    lines = [
        Line(connection=name, table=table, amounts=each, item=f"item {n}", currency=currency, project="p1")
        for n, each in enumerate((amounts, *others))
    ]
    first = min(amounts)
    how: dict[str, Any] = {"since": newest + DAY if is_new else first, "again": [settling_days + 1]}
    source = Source(
        connection=name,
        table=table,
        first=first,
        last=newest,
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
    **budget: Any,
) -> Insights:
    """What is computed from the bills, with one budget."""
    accounting = Accounting(exchange_rates=rates, budgets=[Budget(name="b", **{"amount": MANY} | budget)])
    company = Company(
        newest=newest,
        lines=[line for lines, _ in bills for line in lines],
        sources=[source for _, source in bills],
        configured=[source.connection for _, source in bills],
        accounting=accounting,
    )
    store(company, database)
    return compute(database, stated_in(accounting, company.configured), newest, company.today)


def budget_of(insights: Insights, first: date = NOVEMBER) -> Any:
    [row] = [row for row in rows(insights, BudgetStatusRow) if row.first_day == first]
    return row


def month_of(insights: Insights, kind: str = "all", month: date = NOVEMBER) -> Any:
    [row] = [row for row in rows(insights, ForecastTotalRow) if (row.kind, row.month) == (kind, month)]
    return row


def rows(insights: Insights, row: type) -> Sequence[Any]:
    return insights.rows[row]


CHEAPER = (
    level(JULY, date(2026, 9, 30), "250") | level(OCTOBER, date(2026, 10, 31), "230") | level(NOVEMBER, NEWEST, "200")
)
"""$250 a day, $230 in October, $200 in November. Days before October 12 are settled."""


@pytest.fixture(scope="module")
def cheaper(database: duckdb.DuckDBPyConnection) -> Insights:
    """What is computed of these days, with a budget that is used up in November and in October."""
    return found(database, bill(CHEAPER), amount=Decimal(3200))


def test_a_budget_is_used_up_on_the_day_on_which_its_last_threshold_was_reached(cheaper: Insights) -> None:
    november = budget_of(cheaper)
    assert november.settled + november.provisional == 20 * 200
    assert november.exhausted_on == date(2026, 11, 16), "16 days at $200"
    assert november.thresholds == "0.5 on 2026-11-08, 0.8 on 2026-11-13, 1 on 2026-11-16"


def test_a_month_that_is_over_is_expected_to_be_what_is_stored(cheaper: Insights) -> None:
    october = budget_of(cheaper, OCTOBER)
    assert (october.settled, october.provisional) == (11 * 230, 20 * 230)
    assert october.expected == 31 * 230
    assert october.low <= 31 * 230 <= october.high


def test_forecasts_of_stored_days_add_up_to_what_is_stored(cheaper: Insights) -> None:
    daily = [row for row in rows(cheaper, ForecastRow) if row.kind == "connection"]
    past = [row for row in daily if row.usage_date <= NEWEST]
    assert [row.usage_date for row in past] == days_between(date(2026, 10, 12), NEWEST)
    assert sum(row.expected for row in past) == 20 * 230 + 20 * 200


def test_connections_add_up_to_everything(database: duckdb.DuckDBPyConnection) -> None:
    office = {
        day: Decimal("30.25") if day.weekday() > 4 else Decimal("120.5") + day.day % 7
        for day in days_between(JULY, NEWEST)
    }
    insights = found(database, bill(CHEAPER), bill(office, table="openai.costs", settling_days=7))
    months = [row for row in rows(insights, ForecastTotalRow) if (row.kind, row.month) == ("connection", NOVEMBER)]
    everything = month_of(insights)
    assert len(months) == 2
    assert sum(row.expected for row in months) == everything.expected
    assert sum(row.settled for row in months) == everything.settled
    daily = {kind: [r for r in rows(insights, ForecastRow) if r.kind == kind] for kind in ("connection", "all")}
    for day in days_between(NEWEST + DAY, date(2026, 12, 31)):
        parts = [row.expected for row in daily["connection"] if row.usage_date == day]
        assert (len(parts), [sum(parts)]) == (2, [row.expected for row in daily["all"] if row.usage_date == day])


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


def test_thirty_days_that_are_all_provisional_have_a_forecast(database: duckdb.DuckDBPyConnection) -> None:
    office = {
        day: Decimal("30.25") if day.weekday() > 4 else Decimal("120.5")
        for day in days_between(NEWEST - 29 * DAY, NEWEST)
    }
    insights = found(database, bill(office, is_new=True))
    november = month_of(insights)
    assert (november.settled, november.provisional) == (0, 15 * Decimal("120.5") + 5 * Decimal("30.25"))
    truth = 21 * Decimal("120.5") + 9 * Decimal("30.25")
    assert abs(november.expected / truth - 1) < Decimal("0.05")
    assert november.low <= november.expected <= november.high
    days = {row.usage_date for row in rows(insights, ForecastRow) if row.kind == "all" and row.usage_date > NEWEST}
    assert days == {*days_between(NEWEST + DAY, date(2026, 12, 31))}


def test_fourteen_new_days_of_one_amount_are_forecast_to_the_cent(database: duckdb.DuckDBPyConnection) -> None:
    newest = date(2026, 11, 14)
    insights = found(database, bill(level(date(2026, 11, 1), newest, "100"), newest=newest, is_new=True), newest=newest)
    november = month_of(insights)
    assert (november.expected, november.low, november.high) == (3000, 3000, 3000), "14 days are stored, 16 are to come"


def test_a_month_whose_first_days_are_not_stored_is_unknown(database: duckdb.DuckDBPyConnection) -> None:
    """Where nothing was spent, the provider's 0 is stored. So these days may have cost anything."""
    november = month_of(found(database, bill(level(NEWEST - 13 * DAY, NEWEST, "100"), is_new=True)))
    assert november.settled + november.provisional == 1400
    assert november.expected is None
    assert november.expected_reason == "focus is not stored on 2026-11-01 to 2026-11-06"


def test_a_refund_is_spent_and_expected(database: duckdb.DuckDBPyConnection) -> None:
    refund = {date(2026, 11, 10): Decimal(-1500)}
    insights = found(database, bill(level(JULY, NEWEST, "100"), refund))
    november = month_of(insights)
    assert november.settled + november.provisional == 20 * 100 - 1500
    assert abs(november.expected - (30 * 100 - 1500)) < 50
    [day] = [
        row.expected for row in rows(insights, ForecastRow) if (row.kind, row.usage_date) == ("all", date(2026, 11, 10))
    ]
    assert day == 100 - 1500


def test_a_month_that_is_over_and_below_its_budget_was_not_used_up(database: duckdb.DuckDBPyConnection) -> None:
    amounts = level(JULY, date(2026, 9, 30), "101.5") | level(OCTOBER, NEWEST, "100.6")
    amounts |= {date(2026, 10, 9): Decimal("101.69")}
    october = budget_of(found(database, bill(amounts), amount=Decimal(3140)), OCTOBER)
    assert october.settled + october.provisional == Decimal("3119.69")
    assert october.expected == Decimal("3119.69")
    assert october.exhausted_on is None
    assert "1 on" not in october.thresholds


def test_fifty_euros_a_day_are_fifteen_hundred_a_month(database: duckdb.DuckDBPyConnection) -> None:
    rate = ExchangeRate(currency="EUR", usd=Decimal("1.1"), source="bank", valid_from=JULY)
    insights = found(database, bill(level(JULY, NEWEST, "50"), currency="EUR"), rates=[rate], currency="EUR")
    november = budget_of(insights)
    assert (november.unit, november.settled + november.provisional) == ("EUR", 20 * 50)
    assert round(november.expected, 2) == Decimal("1500.00")
    assert round(month_of(insights).expected, 2) == Decimal("1650.00"), "30 days at $55"
    coming = [row for row in rows(insights, ForecastRow) if row.kind == "all" and row.usage_date > NEWEST]
    assert {round(row.expected, 2) for row in coming} == {Decimal("55.00")}


def test_a_budget_of_which_no_cost_has_its_unit_says_that_and_not_that_nothing_is_stored(
    database: duckdb.DuckDBPyConnection,
) -> None:
    november = budget_of(found(database, bill(level(JULY, NEWEST, "50"), currency="EUR")))
    assert (november.expected, november.has_costs) == (None, False)
    assert november.expected_reason == "no costs in USD are stored"


def in_euros(database: duckdb.DuckDBPyConnection, first: date, last: date | None, **budget: Any) -> Insights:
    """What is computed of 50 euros a day since July, with a rate on some of the days."""
    rate = ExchangeRate(currency="EUR", usd=Decimal("1.1"), source="bank", valid_from=first, valid_until=last)
    return found(database, bill(level(JULY, NEWEST, "50"), currency="EUR"), rates=[rate], **budget)


def test_what_a_connection_will_cost_is_unknown_when_the_rate_of_its_currency_has_ended(
    database: duckdb.DuckDBPyConnection,
) -> None:
    insights = in_euros(database, JULY, date(2026, 11, 12))
    november = budget_of(insights)
    assert november.settled + november.provisional == 12 * 55
    reason = "focus: EUR has no rate after 2026-11-12"
    assert (november.expected, november.exhausted_on, november.expected_reason) == (None, None, reason)
    assert (month_of(insights).expected, month_of(insights).expected_reason) == (None, reason)
    assert not [row for row in rows(insights, ForecastRow) if row.usage_date > NEWEST]
    assert not rows(insights, AnomalyRow), "euros without a rate are no fall to 0"
    assert budget_of(insights, OCTOBER).expected == 31 * 55


def test_an_alert_says_why_nothing_is_expected(database: duckdb.DuckDBPyConnection) -> None:
    insights = in_euros(database, JULY, date(2026, 11, 12), amount=Decimal(600))
    [told] = [alert.text for alert in insights.alerts[BudgetStatusRow] if "2026-11-30" in alert.text]
    unknown = ", expected: unknown (focus: EUR has no rate after 2026-11-12)"
    assert told == (
        "budget b, 2026-11-01 to 2026-11-30: 100% of $600.00 was reached on 2026-11-11: $660.00 spent, "
        f"used up on 2026-11-11{unknown}"
    )


def test_a_quarter_of_which_no_day_is_stored_is_unknown_and_not_zero(database: duckdb.DuckDBPyConnection) -> None:
    since = date(2026, 10, 24)
    insights = found(database, bill(level(since, NEWEST, "100"), is_new=True), period="quarter")
    third, fourth = budget_of(insights, JULY), budget_of(insights, OCTOBER)
    assert third.settled + third.provisional == 0
    assert (third.expected, third.low, third.high) == (None, None, None)
    assert third.expected_reason == "focus is not stored on 2026-07-01 to 2026-09-30"
    assert fourth.expected_reason == "focus is not stored on 2026-10-01 to 2026-10-23"


def test_a_budget_of_a_scope_without_costs_asks_whether_it_is_misspelled(database: duckdb.DuckDBPyConnection) -> None:
    november = budget_of(found(database, bill(level(JULY, NEWEST, "50")), team="wbe"))
    assert november.expected_reason == "no costs in USD are stored of this team: is it misspelled?"


def test_a_budget_in_another_currency_needs_no_rate(database: duckdb.DuckDBPyConnection) -> None:
    assert round(budget_of(in_euros(database, JULY, date(2026, 11, 12), currency="EUR")).expected, 2) == 1500


def test_the_first_rate_is_no_rise(database: duckdb.DuckDBPyConnection) -> None:
    """Of a connection that bills dollars, too: its sum in USD was too small before."""
    rate = ExchangeRate(currency="EUR", usd=Decimal("1.1"), source="bank", valid_from=date(2026, 11, 10))
    euros, source = bill(level(JULY, NEWEST, "50"), currency="EUR")
    dollars, _ = bill(level(JULY, NEWEST, "10"))
    insights = found(database, ([*euros, *dollars], source), rates=[rate])
    assert not rows(insights, AnomalyRow)
    assert 10 * 65 < month_of(insights).expected - (20 * 10 + 11 * 55) < 11 * 65


def test_a_budget_below_zero_is_not_used_up(database: duckdb.DuckDBPyConnection) -> None:
    newest = date(2026, 11, 12)
    refund = {date(2026, 11, 5): Decimal(-1480)}
    november = budget_of(
        found(database, bill(level(JULY, newest, "100"), refund, newest=newest), newest=newest, amount=Decimal(200))
    )
    assert november.settled + november.provisional == 12 * 100 - 1480 == -280
    assert november.exhausted_on is None or november.exhausted_on > newest


def test_a_budget_that_is_valid_from_the_fifteenth_counts_from_the_fifteenth(
    database: duckdb.DuckDBPyConnection,
) -> None:
    insights = found(database, bill(level(JULY, NEWEST, "100")), valid_from=date(2026, 11, 15))
    [november] = rows(insights, BudgetStatusRow)
    assert (november.first_day, november.last_day) == (date(2026, 11, 15), date(2026, 11, 30))
    assert november.settled + november.provisional == 6 * 100
    assert round(november.expected, 2) == 16 * 100


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


def test_a_day_that_was_read_again_and_has_not_changed_counts(database: duckdb.DuckDBPyConnection) -> None:
    every = days_between(JULY, NEWEST)
    amounts = {day: Decimal(40) if n % 2 else Decimal(20) for n, day in enumerate(every)}
    half = {day: (2, Decimal("0.5")) for day in every[1::2]}
    insights = found(database, bill(amounts, again=[3, 41], early=half))
    [newest] = [row for row in rows(insights, ForecastRow) if (row.kind, row.usage_date) == ("connection", NEWEST)]
    assert abs(newest.expected - 30) < 3, "half of the days were 20 and became 40, the others stayed"
    assert (round(newest.low, 2), round(newest.high, 2)) == (20, 40)


def test_growth_is_learnt_from_what_each_day_became(database: duckdb.DuckDBPyConnection) -> None:
    every = days_between(JULY, NEWEST)
    amounts = {day: Decimal(20 + n % 7) for n, day in enumerate(every)}
    half = {day: (2, Decimal("0.5")) for day in every[1::2]}
    found(database, bill(amounts, again=[3, 41], early=half))
    learnt = growths(database, NEWEST, "USD")["focus", "focus.charges"]
    read_again = sum(day + 3 * DAY <= NEWEST + DAY for day in every)
    assert len(learnt.in_the_end[0]) == read_again
    assert sorted(learnt.in_the_end[0]) == [1.0] * (read_again - read_again // 2) + [2.0] * (read_again // 2)

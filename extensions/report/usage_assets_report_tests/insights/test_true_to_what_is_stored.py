"""Findings in forecasts and budgets, each with numbers computed by hand: the past is what is stored."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from usage_assets.config.accounting import Accounting, Budget, ExchangeRate
from usage_assets.core.schema import to_arrow
from usage_assets.models.insights import KEPT, AnomalyRow, BudgetStatusRow, ForecastRow, ForecastTotalRow
from usage_assets_report.entries import Guardrail
from usage_assets_report.insights.compute import Insights, compute
from usage_assets_report.insights.guardrails import crossed
from usage_assets_report.insights.stated import stated_in
from usage_assets_report_tests.insights.books import DAY, Company, Line, Source, days_between
from usage_assets_report_tests.insights.stored_company import new_database, store
from usage_assets_tests.models.stated import entries

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


def budget_of(insights: Insights, first: date) -> Any:
    [row] = [row for row in rows(insights, BudgetStatusRow) if row.first_day == first]
    return row


def month_of(insights: Insights, kind: str = "all", month: date = NOVEMBER, id_: str = "") -> Any:
    [row] = [row for row in rows(insights, ForecastTotalRow) if (row.kind, row.id, row.month) == (kind, id_, month)]
    return row


def rows(insights: Insights, row: type) -> Sequence[Any]:
    return insights.rows[row]


CHEAPER = (
    level(JULY, date(2026, 9, 30), "250") | level(OCTOBER, date(2026, 10, 31), "230") | level(NOVEMBER, NEWEST, "200")
)
"""$250 a day, $230 in October, $200 in November. Days before October 12 are settled."""


def test_when_a_month_is_over_the_next_one_is_forecast_too_also_in_another_quarter(
    database: duckdb.DuckDBPyConnection,
) -> None:
    for month, next_month in ((date(2026, 11, 30), date(2026, 12, 1)), (date(2026, 12, 31), date(2027, 1, 1))):
        insights = found(database, bill(level(JULY, month, "250"), newest=month), newest=month)
        assert [row.month for row in rows(insights, ForecastTotalRow) if row.kind == "all"] == [
            month.replace(day=1),
            next_month,
        ]
        to_come = month_of(insights, month=next_month)
        assert (to_come.settled, to_come.provisional, to_come.expected) == (0, 0, 31 * 250)
        assert f"{next_month:%B}" not in str(insights.digest), "it says what is billed so far"


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


def test_a_connection_that_was_taken_out_has_ended_and_hides_no_day_of_the_others(
    database: duckdb.DuckDBPyConnection,
) -> None:
    old = bill(level(JULY, date(2026, 10, 15), "50"), table="openai.costs", last=date(2026, 10, 15))
    insights = found(database, bill(CHEAPER), old, gone=["openai"])
    everything, focus = month_of(insights), month_of(insights, "connection", id_="focus")
    assert (everything.provisional, everything.expected) == (focus.provisional, focus.expected) == (4000, 6000)
    assert month_of(insights, "connection", id_="openai").expected == 0


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
    """Six of seven days missing were six zeros: an ordinary day was three times their mean. After a refund, it was
    above a mean below zero for a week."""
    odd, refunded = NEWEST - KEPT, NEWEST - 20 * DAY
    amounts = level(JULY, NEWEST, "100") | dict.fromkeys((odd - DAY, odd), Decimal(900)) | {refunded: Decimal(-5000)}
    found(database, bill(amounts, lost=days_between(NEWEST - 6 * DAY, NEWEST - DAY)))
    rise = Guardrail(name="rise", measure="usd", rises_by=Decimal(3), at_least=Decimal(50))
    stated = stated_in(Accounting(added={"guardrail": [rise]})).guardrails
    assert [row.first_day for row in crossed(database, stated, NEWEST)] == [odd]


def test_a_rise_is_stored_whatever_the_mean_of_the_days_before_it(database: duckdb.DuckDBPyConnection) -> None:
    """Three times 8/7 has no last digit: nothing of the whole report was stored then. It is rounded down."""
    found(database, bill(level(JULY, NEWEST, "1") | {NEWEST - DAY: Decimal(2), NEWEST: Decimal(9)}))
    rise = Guardrail(name="rise", measure="usd", rises_by=Decimal(3), at_least=Decimal(3))
    stated = stated_in(Accounting(added={"guardrail": [rise]})).guardrails
    stored = to_arrow(AnomalyRow, [*crossed(database, stated, NEWEST)])
    assert stored["expected"].to_pylist() == [Decimal("3.428571428571428571428571")]


def test_the_first_use_of_something_is_a_rise_from_stored_days_without_it(database: duckdb.DuckDBPyConnection) -> None:
    """Its days before were unknown: a new key could spend any amount for a week. Days before anything is stored are."""
    first = NEWEST - 2 * DAY
    (old, new), source = bill(level(JULY, NEWEST, "100"), {first: Decimal(51), NEWEST: Decimal(50)})
    [unknown], started = bill(level(first, NEWEST, "900"), is_new=True, name="later")
    found(database, ([old, replace(new, project="p2")], source), ([replace(unknown, project="p3")], started))
    rises = entries(
        Guardrail,
        """
        name  measure  rises_by  at_least  project
        p2    usd      3         50        p2
        p3    usd      3         50        p3
        """,
    )
    stated = stated_in(Accounting(added={"guardrail": rises})).guardrails
    assert [(row.id, row.first_day) for row in crossed(database, stated, NEWEST)] == [("p2", first)]


def test_what_a_connection_will_cost_is_unknown_when_the_rate_of_its_currency_has_ended(
    database: duckdb.DuckDBPyConnection,
) -> None:
    rate = ExchangeRate(
        currency="EUR", usd=Decimal("1.1"), source="bank", valid_from=JULY, valid_until=date(2026, 11, 12)
    )
    budgets = [Budget(name="b", amount=Decimal(600)), Budget(name="euros", amount=MANY, currency="EUR")]
    insights = found(database, bill(level(JULY, NEWEST, "50"), currency="EUR"), rates=[rate], budgets=budgets)
    status = {(row.budget, row.first_day): row for row in rows(insights, BudgetStatusRow)}
    november, euros = status["b", NOVEMBER], status["euros", NOVEMBER]
    assert status["b", OCTOBER].expected == 31 * 55
    reason = "focus: EUR has no rate after 2026-11-12"
    assert (november.settled + november.provisional, november.expected, november.expected_reason) == (660, None, reason)
    assert round(euros.expected, 2) == 1500, "it needs no rate"
    assert (month_of(insights).expected, month_of(insights).expected_reason) == (None, reason)
    assert not [row for row in rows(insights, ForecastRow) if row.usage_date > NEWEST]
    assert not rows(insights, AnomalyRow), "euros without a rate are no fall to 0"
    [told] = [
        alert.text for alert in insights.alerts[BudgetStatusRow] if alert.text.startswith("budget b, 2026-11-01 to ")
    ]
    assert told == (
        "budget b, 2026-11-01 to 2026-11-30: 100% of $600.00 was reached on 2026-11-11: $660.00 spent, "
        f"used up on 2026-11-11, expected: unknown ({reason})"
    )


def test_a_quarter_of_which_no_day_is_stored_is_unknown_and_not_zero(database: duckdb.DuckDBPyConnection) -> None:
    since = date(2026, 10, 24)
    insights = found(database, bill(level(since, NEWEST, "100"), is_new=True), period="quarter")
    third, fourth = budget_of(insights, JULY), budget_of(insights, OCTOBER)
    assert third.settled + third.provisional == 0
    assert (third.expected, third.low, third.high) == (None, None, None)
    assert third.expected_reason == "focus is not stored on 2026-07-01 to 2026-09-30"
    assert fourth.expected_reason == "focus is not stored on 2026-10-01 to 2026-10-23"


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


def test_a_fee_that_is_changed_on_two_days_in_a_row_does_not_come_every_day(
    database: duckdb.DuckDBPyConnection,
) -> None:
    """$10 a day, and $120 of a seat and its changes: -$40 a day until the end of the month were expected, too."""
    fees = {**dict.fromkeys((OCTOBER, NOVEMBER), Decimal(100)), NEWEST - DAY: Decimal(60), NEWEST: Decimal(-40)}
    (use, seat), source = bill(level(JULY, NEWEST, "10"), fees)
    insights = found(database, ([use, replace(seat, frequency="Recurring")], source), period="quarter")
    month = month_of(insights)
    assert (month.settled + month.provisional, month.expected) == (20 * 10 + 120, 30 * 10 + 120)
    assert budget_of(insights, OCTOBER).expected == 92 * 10 + 100 + 120 + 100, "the fee of 1 December, not its change"
    daily = replace(seat, frequency="Recurring", amounts=level(NEWEST - 4 * DAY, NEWEST, "3"))
    assert month_of(found(database, ([use, daily], source))).expected == 30 * 10 + 15 * 3


def test_two_fees_of_one_line_item_come_each_on_its_day(database: duckdb.DuckDBPyConnection) -> None:
    """$10 a day, $100 on the 1st and $40 on the 15th: two subscriptions to a plan. The 15 December was missing."""
    amounts = {date(2026, month, on): Decimal(fee) for month in (9, 10, 11) for on, fee in ((1, 100), (15, 40))}
    (use, seats), source = bill(level(JULY, NEWEST, "10"), amounts)
    insights = found(database, ([use, replace(seats, frequency="Recurring")], source), period="quarter")
    assert budget_of(insights, OCTOBER).expected == 92 * 10 + 3 * 140
    coming = {row.usage_date: row.expected for row in rows(insights, ForecastRow) if row.usage_date > NEWEST}
    assert {day: usd for day, usd in coming.items() if usd != 10} == {date(2026, 12, 1): 110, date(2026, 12, 15): 50}


LEAP_DAY, IN_FEBRUARY = date(2028, 2, 29), date(2028, 2, 20)
FEBRUARY = (date(2028, 2, 1), LEAP_DAY)


def leap_year(database: duckdb.DuckDBPyConnection, newest: date, *budgets: Budget) -> Insights:
    """What is computed of $10 a day and $58 on the last day of each month: 29 x $10 + $58 = $348 in February."""
    every = level(date(2027, 11, 1), newest, "10")
    fees = {day: Decimal(58) for day in every if (day + DAY).day == 1}
    return found(database, bill(every, fees, table="openai.costs", newest=newest), newest=newest, budgets=budgets)


def test_february_has_29_days_and_its_fee_is_due_on_the_last(database: duckdb.DuckDBPyConnection) -> None:
    budgets = """
        name     amount  period   valid_from
        exact    348     .        2028-02-01
        more     349     .        2028-02-01
        quarter  1084    quarter  2028-01-01
    """
    insights = leap_year(database, IN_FEBRUARY, *entries(Budget, budgets))
    month = month_of(insights, month=FEBRUARY[0])
    assert (month.settled + month.provisional, month.low, month.expected, month.high) == (200, 348, 348, 348)
    coming = {row.usage_date: row.expected for row in rows(insights, ForecastRow) if row.kind == "all"}
    coming = {day: usd for day, usd in coming.items() if day > IN_FEBRUARY}
    assert len(coming) == 9 + 31
    assert {day: usd for day, usd in coming.items() if usd != 10} == dict.fromkeys((LEAP_DAY, date(2028, 3, 31)), 68)
    found_budgets = rows(insights, BudgetStatusRow)
    assert [(row.budget, row.first_day, row.last_day, row.exhausted_on) for row in found_budgets] == [
        ("exact", *FEBRUARY, LEAP_DAY),
        ("more", *FEBRUARY, None),
        ("quarter", date(2028, 1, 1), date(2028, 3, 31), date(2028, 3, 31)),
    ]
    assert [row.expected for row in found_budgets] == [348, 348, (31 + 29 + 31) * 10 + 3 * 58]

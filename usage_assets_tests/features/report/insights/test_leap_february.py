"""February 2028 has 29 days: what is spent, budgeted and forecast of it, by arithmetic of this module.

Every day costs $10. A fee of $58 is due on the last day of each month. So the month costs 29 x $10 + $58 = $348.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from usage_assets.config.accounting import Accounting, Budget
from usage_assets.features.report.insights.compute import Insights, compute
from usage_assets.features.report.insights.stated import stated_in
from usage_assets.features.report.period import Period
from usage_assets.models.costs import VIEWS
from usage_assets.models.insights import BudgetStatusRow, ForecastRow, ForecastTotalRow
from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.views import make_views
from usage_assets_tests.models.days import Days, raw

FIRST = date(2027, 11, 1)
LAST_DAYS = (date(2027, 11, 30), date(2027, 12, 31), date(2028, 1, 31), date(2028, 2, 29))
FEBRUARY = (date(2028, 2, 1), date(2028, 2, 29))
IN_FEBRUARY, LEAP_DAY, IN_MARCH = date(2028, 2, 20), date(2028, 2, 29), date(2028, 3, 10)


BUDGETS = (
    Budget(name="exact", amount=Decimal(348), valid_from=FEBRUARY[0]),
    Budget(name="more", amount=Decimal(349), valid_from=FEBRUARY[0]),
    Budget(name="quarter", amount=Decimal(1084), period="quarter", valid_from=date(2028, 1, 1)),
)
OF_THE_LEAP_DAY = (
    Budget(name="whole", amount=Decimal(348)),
    Budget(name="leap day", amount=Decimal(68), valid_from=LEAP_DAY, valid_until=LEAP_DAY),
)
DUE_ON = (29, 30, 31)
"""Days of the month on which the fees of other connections are due, which are called after them."""


def store(days: Days, connection: str, newest: date, fees: Sequence[date]) -> None:
    """Store all days until the newest."""
    every = [FIRST + timedelta(days=n) for n in range((newest - FIRST).days + 1)]
    charges = [(day, "tokens", Decimal(10)) for day in every]
    charges += [(day, "fee", Decimal(58)) for day in fees if day <= newest]
    rows = [
        raw(
            Costs,
            connection=connection,
            usage_date=day,
            project_id="p1",
            line_item=item,
            amount_value=amount,
        )
        for day, item, amount in charges
    ]
    days.fetched(Costs, *rows, connection=connection, first=FIRST, last=newest)
    days.derive("openai_costs", connection, first=FIRST, last=newest)
    days.derive("openai_allocated_costs", connection, first=FIRST, last=newest)


def found(days: Days, newest: date, *budgets: Budget) -> Insights:
    """What follows from what is stored."""
    with days.warehouse.get_connection() as database:
        return compute(database, stated_in(Accounting(budgets=[*budgets])), newest, newest + timedelta(days=1))


@pytest.fixture(scope="module")
def insights(tmp_path_factory: pytest.TempPathFactory) -> Mapping[date, Insights]:
    """What follows on three days from all days until then."""
    days = Days(Warehouse(database=str(tmp_path_factory.mktemp("leap") / "usage.duckdb")), Accounting())
    computed = {}
    with days.warehouse.get_connection():
        for newest, budgets in ((IN_FEBRUARY, BUDGETS), (LEAP_DAY, OF_THE_LEAP_DAY), (IN_MARCH, OF_THE_LEAP_DAY)):
            store(days, "openai", newest, LAST_DAYS)
            with days.warehouse.transaction() as database:
                make_views(database, VIEWS)
            computed[newest] = found(days, newest, *budgets)
    return computed


def month_of(insights: Insights) -> ForecastTotalRow:
    """The newest month of everything."""
    [month] = [row for row in insights.rows[ForecastTotalRow] if row.kind == "all"]  # type: ignore[attr-defined]
    assert isinstance(month, ForecastTotalRow)
    return month


def statuses(insights: Insights) -> list[BudgetStatusRow]:
    return [row for row in insights.rows[BudgetStatusRow] if isinstance(row, BudgetStatusRow)]


def test_the_month_has_29_days_and_its_fee_is_due_on_the_last(insights: Mapping[date, Insights]) -> None:
    february = insights[IN_FEBRUARY]
    month = month_of(february)
    assert (month.month, month.settled + month.provisional) == (FEBRUARY[0], Decimal(200)), "20 days"
    assert (month.low, month.expected, month.high) == (Decimal(348), Decimal(348), Decimal(348))
    rows = [row for row in february.rows[ForecastRow] if isinstance(row, ForecastRow) and row.kind == "all"]
    assert (len(rows), rows[-1].usage_date) == (9 + 31, date(2028, 3, 31))
    assert {row.usage_date: row.expected for row in rows if row.expected != 10} == {
        LEAP_DAY: Decimal(68),
        date(2028, 3, 31): Decimal(68),
    }


def test_a_budget_of_the_month_lasts_until_the_leap_day_and_one_of_the_quarter_has_91_days(
    insights: Mapping[date, Insights],
) -> None:
    rows = statuses(insights[IN_FEBRUARY])
    assert [(row.budget, row.first_day, row.last_day, row.exhausted_on) for row in rows] == [
        ("exact", *FEBRUARY, LEAP_DAY),
        ("more", *FEBRUARY, None),
        ("quarter", date(2028, 1, 1), date(2028, 3, 31), date(2028, 3, 31)),
    ]
    assert rows[0].thresholds == "0.5 on 2028-02-18", "$174 of 18 x $10; $278.40 is to come"
    assert [row.expected for row in rows] == [348, 348, (31 + 29 + 31) * 10 + 3 * 58]
    assert [row.settled + row.provisional for row in rows] == [200, 200, (31 + 20) * 10 + 58]


def test_the_leap_day_is_the_last_day_of_its_budget_and_the_next_one_begins_after_it(
    insights: Mapping[date, Insights],
) -> None:
    for newest, month in ((LEAP_DAY, 1), (IN_MARCH, 3)):
        rows = statuses(insights[newest])
        of_february = [row for row in rows if row.last_day == LEAP_DAY]
        assert [
            (row.budget, row.first_day, row.settled + row.provisional, row.exhausted_on) for row in of_february
        ] == [
            ("whole", FEBRUARY[0], Decimal(348), LEAP_DAY),
            ("leap day", LEAP_DAY, Decimal(68), LEAP_DAY),
        ], newest
        [other] = [row for row in rows if row.last_day != LEAP_DAY]
        assert (other.first_day, other.last_day) == (date(2028, month, 1), date(2028, month, 31))
        assert other.expected == 31 * 10 + 58


def test_a_fee_that_came_on_the_leap_day_is_due_on_its_own_day_again(tmp_path: Path) -> None:
    days = Days(Warehouse(database=str(tmp_path / "usage.duckdb")), Accounting())
    with days.warehouse.get_connection():
        for due_on in DUE_ON:
            store(days, f"{due_on}", IN_MARCH, (date(2027, 12, due_on), date(2028, 1, due_on), LEAP_DAY))
        with days.warehouse.transaction() as database:
            make_views(database, VIEWS)
        rows = [row for row in found(days, IN_MARCH).rows[ForecastRow] if isinstance(row, ForecastRow)]
    charged = {
        (row.kind, row.id, row.usage_date): row.expected
        for row in rows
        if row.kind in ("all", "connection") and row.expected != (30 if row.kind == "all" else 10)
    }
    of_connections = {("connection", f"{day}", date(2028, 3, day)): Decimal(68) for day in DUE_ON}
    of_everything = {("all", "", date(2028, 3, day)): Decimal(88) for day in DUE_ON}
    assert charged == of_connections | of_everything


def test_a_report_of_march_compares_as_many_days_of_february_as_there_are() -> None:
    march = [Period.of_month(date(2028, 3, day), date(2028, 3, day)) for day in (28, 29, 30, 31)]
    assert [period.before_same.day for period in march] == [28, 29, 29, 29]
    whole, ordinary = Period.of_days(*FEBRUARY), Period.of_days(FEBRUARY[0], date(2028, 2, 28))
    assert (whole.is_month, whole.before_first, whole.before_last) == (True, date(2028, 1, 1), date(2028, 1, 31))
    assert (ordinary.is_month, ordinary.before_first, ordinary.before_last) == (
        False,
        date(2028, 1, 4),
        date(2028, 1, 31),
    )

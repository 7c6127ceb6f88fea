"""The weekly digest: which week it is about, when it is due, what it says and whom it does not name."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from usage_assets.core.days import DAY
from usage_assets.models.insights import AnomalyRow, BudgetStatusRow, ForecastTotalRow
from usage_assets_report.insights.digest import Digest, digest
from usage_assets_report.insights.series import Days, Scope
from usage_assets_tests.models.days import filled

MONDAY = date(2026, 11, 9)
SUNDAY = MONDAY - DAY
STORED = frozenset(date(2026, 10, 1) + DAY * n for n in range(60))
DAYS = {"openai": Days(STORED, None), "gone": Days(frozenset({date(2026, 10, 2)}), None)}


def scope(kind: str, name: str, *dollars: int) -> Scope:
    """What was billed on days in the week that is told, and on the same days of the week before."""
    week, before = dollars
    amounts = {SUNDAY - DAY * n: Decimal(week) / 7 for n in range(7)}
    amounts |= {SUNDAY - DAY * (7 + n): Decimal(before) / 7 for n in range(7)}
    return Scope(kind, "" if kind == "all" else name, name, amounts, ["openai"], DAYS)


SCOPES = (
    scope("all", "all", 1400, 700),
    scope("project", "research", 1050, 140),
    scope("project", "web", 350, 560),
    scope("model", "gpt-5", 1400, 700),
    scope("person", "Ada", 700, 0),
    scope("person", "Bob", 700, 700),
)


def month() -> ForecastTotalRow:
    known = {"settled": 1500, "provisional": "100.5", "expected": 5000, "low": 4000, "high": 6000}
    return filled(ForecastTotalRow, kind="all", name="all", month=date(2026, 11, 1), made_on=MONDAY, **known)


def budget(name: str, spent: int) -> BudgetStatusRow:
    days = {"first_day": date(2026, 11, 1), "last_day": date(2026, 11, 30)}
    known = {"source": "budget", "kind": "all", "unit": "USD", "amount": 1000, "settled": spent, "provisional": 0}
    return filled(BudgetStatusRow, budget=name, **days, **known)


def anomaly(kind: str, name: str, **changes: Any) -> AnomalyRow:
    known = {
        "measure": "usd",
        "what": "spike",
        "actual": 900,
        "expected": 100,
        "score": 8,
        "is_open": True,
        "first_day": date(2026, 11, 5),
        "last_day": date(2026, 11, 5),
        "driver": f"gpt-5, research, {name}",
    }
    return filled(AnomalyRow, kind=kind, id=name, name=name, **{**known, **changes})


def told(
    scopes: Sequence[Scope] = SCOPES,
    months: Sequence[ForecastTotalRow] = (),
    budgets: Sequence[BudgetStatusRow] = (),
    anomalies: Sequence[AnomalyRow] = (),
    *,
    today: date = MONDAY,
    newest: date | None = None,
    with_people: bool = False,
) -> Digest | None:
    by_key = {(each.kind, each.id): each for each in scopes}
    return digest(by_key, months, budgets, anomalies, newest or today - DAY, today, with_people=with_people)


def lines(*arguments: Any, **options: Any) -> Sequence[str]:
    found = told(*arguments, **options)
    assert found
    return found.lines


def test_three_lines_say_the_week_the_month_and_what_moved() -> None:
    assert lines(months=[month()], budgets=[budget("all", 800)], anomalies=[anomaly("project", "research")]) == [
        "AI spend, 2026-11-02 to 2026-11-08: $1,400.00, $700.00 (100%) more than the week before",
        "November so far: $1,600.50, $5,000.00 expected ($4,000.00 to $6,000.00); budget all: 80% of $1,000.00",
        "Moved most: project research +$910.00; open: 1 incident (spike of project research, 2026-11-05)",
    ]


def test_a_week_of_which_a_day_is_missing_says_so_and_nothing_moved() -> None:
    late = {"openai": Days(frozenset(day for day in STORED if day < SUNDAY), None)}
    of_all, *others = [Scope(each.kind, each.id, each.name, each.amounts, each.connections, late) for each in SCOPES]
    assert lines([of_all, *others], today=MONDAY + DAY) == [
        "AI spend, 2026-11-02 to 2026-11-08: $1,400.00 so far: not all days are stored"
    ]


def test_people_are_named_only_where_they_may_be() -> None:
    odd = [anomaly("person", "Ada"), anomaly("api_key", "Bob's key"), anomaly("project", "web", is_open=False)]
    assert lines(anomalies=odd)[-1] == (
        "Moved most: project research +$910.00; open: 2 incidents (spike of one person, 2026-11-05)"
    )
    crossed = [*odd, anomaly("all", "", what="daily", score=None)]
    assert "open: 2 incidents, 1 crossed guardrail (guardrail daily: " in lines(anomalies=crossed)[-1]
    assert lines(with_people=True)[-1] == "Moved most: project research +$910.00, person Ada +$700.00"


def test_a_digest_is_about_the_last_week_that_is_over() -> None:
    weeks = [told(today=MONDAY + DAY * n) for n in range(-1, 8)]
    assert [found and found.week for found in weeks] == ["2026-W44", *["2026-W45"] * 7, "2026-W46"]
    with_today = told(today=SUNDAY, newest=SUNDAY)
    assert with_today
    assert with_today.week == "2026-W44", "Sunday is not over"
    assert str(told(today=date(2027, 1, 4))).startswith("Digest(week='2026-W53'")


def test_on_monday_it_waits_for_a_sunday_that_is_not_stored_and_on_tuesday_no_longer() -> None:
    before_sunday = frozenset(day for day in STORED if day < SUNDAY)
    late = {**DAYS, "late": Days(before_sunday, None)}
    of_all = Scope("all", "", "all", {SUNDAY - DAY: Decimal(1)}, ["late"], late)
    assert told([of_all]) is None
    assert told([of_all], today=MONDAY + DAY)

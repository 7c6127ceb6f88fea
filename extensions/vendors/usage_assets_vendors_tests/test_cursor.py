"""Cursor's checks and actors: what contradicts an event, whose it is, and what spend says of what is billed."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from usage_assets.models.model import sql_files
from usage_assets.warehouse.checks import differences
from usage_assets.warehouse.migrate import create_or_alter
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets_tests.fixtures import execute
from usage_assets_tests.models.days import DAY, Days, cases, days_from, lines, raw
from usage_assets_vendors.cursor.lookups import Spend
from usage_assets_vendors.cursor.usage import UsageEvents

BEGAN = datetime(2026, 10, 31, 14, 12, 8, tzinfo=UTC)
"""When the billing cycle began: DAY is its first whole day."""
THIRD = DAY + timedelta(days=2)
DANA, EMEKA = "dana@example.com", "emeka@example.com"


def warned(days: Days, check: str, last: date = DAY) -> list[str]:
    """What a check of the events finds."""
    [path] = sql_files(f"warnings/cursor_usage_events.{check}.sql")
    with days.warehouse.transaction() as database:
        for row in (UsageEvents, Spend):
            create_or_alter(database, Table(row))
        found = differences(database, path.read_text(), Slice("cursor", DAY, last))
    return [f"{each.day}: {each.text}" for each in found]


# --- Whether an event is billed ---------------------------------------------------------------------------------------


def test_events_that_cursor_calls_chargeable_and_a_plan_covers_are_counted_and_not_billed(days: Days) -> None:
    included = {"kind": "included_in_business", "charge": "included", "charged_cents": 8000, "events": 1000}
    failed = {"kind": "errored_not_charged", "charge": "not_charged", "charged_cents": "411.388", "events": 1}
    usual = raw(UsageEvents, kind="usage_based", is_chargeable=True)
    events = [raw(UsageEvents, is_chargeable=True, **event) for event in (included, failed)]
    days.fetched(UsageEvents, usual, *events)
    assert {(row["cost_basis"], row["amount_usd"]) for row in days.rows("cursor_usage_events")} == {
        ("billed", 1),
        ("notional", 80),
    }
    what = "that Cursor calls chargeable and that their kind does not bill"
    kinds = "errored_not_charged, included_in_business"
    assert warned(days, "chargeable") == [f"{DAY}: events {what}: 1001 ({kinds}), at a price of $84.11"]
    assert warned(days, "not_chargeable") == []


def test_what_a_plan_covers_without_a_price_has_no_cost_and_is_counted(days: Days) -> None:
    unpriced = {"charge": "included", "charged_cents": None, "events": 3, "events_without_price": 3}
    partly = {"charge": "included", "charged_cents": 5, "events": 3, "events_without_price": 1, "model": "b"}
    days.fetched(UsageEvents, raw(UsageEvents, **unpriced), raw(UsageEvents, **partly))
    assert [row["native_amount"] for row in days.rows("cursor_usage_events")] == [5]
    assert warned(days, "unpriced") == [
        f"{DAY}: events that a plan covers and that state no price: 4. Notional costs lack them"
    ]


# --- Whose it is ------------------------------------------------------------------------------------------------------


# --- Spend ------------------------------------------------------------------------------------------------------------


def spent(days: Days, cents: Mapping[str, str | None], fetched_at: datetime, began: datetime | None = BEGAN) -> None:
    """Store what Cursor says that people spent in the cycle."""
    listed = [
        Spend(
            connection="cursor",
            id=person,
            spend_cents=None if spend is None else Decimal(spend),
            cycle_start=began,
            valid_from=fetched_at,
        )
        for person, spend in cents.items()
    ]
    days.listed(Spend, listed, fetched_at)


def used(days: Days, *people: str | None, cents: str = "100", **values: Any) -> None:
    """Store three days on each of which each of the people was billed so much."""
    events = [
        raw(UsageEvents, usage_date=day, user_id=person, charged_cents=cents, **values)
        for day in days_from(3)
        for person in people
    ]
    days.fetched(UsageEvents, *events, first=DAY, last=THIRD)


MORNING = datetime(2026, 11, 4, 6, tzinfo=UTC)
"""After the third day."""


SPENDS = [
    *cases("""
    dana 300, emeka 300 ->
    dana 5000.123456, emeka 300 ->
    dana 299, emeka 300 ->
    dana 298.5, emeka 9000 -> 1 person was billed $3.00; they spent $2.99; ($0.02 apart)
    dana 100, emeka - -> 2 people were billed $6.00; they spent $1.00; ($5.00 apart)
    dana 300 ->
    """),
    ("", ""),
]
"""What Cursor says that people spent, and what the warning says of it. Its whole cents are rounded down. Who is not
listed is not compared."""


def test_nobody_is_billed_more_than_cursor_says_that_they_spent(days: Days) -> None:
    used(days, DANA, EMEKA.upper())
    when = f"by their events of {DAY} to {THIRD}"
    for n, (text, said) in enumerate(SPENDS):
        people = map(str.split, filter(None, text.split(", ")))
        spend = {f"{name}@example.com": None if cents == "-" else cents for name, cents in people}
        spent(days, spend, MORNING + timedelta(minutes=n))
        expected = []
        if said:
            billed, by_cursor, difference = said.split("; ")
            whole = f"and Cursor says that {by_cursor} in the whole cycle so far {difference}"
            expected = [f"{THIRD}: {billed} {when}, {whole}"]
        assert warned(days, "spend", THIRD) == expected, text


CYCLES = """
    2026-11-04T06     2026-10-31T14:12:08  2026-11-03
    2026-11-04T06     2026-11-01T00        2026-11-03
    2026-11-04T00:59  2026-10-31T14:12:08  2026-11-02
    2026-11-02T06     2026-10-31T14:12:08  2026-11-01
    2026-11-01T06     2026-10-31T14:12:08  -
    2026-11-04T06     2026-11-02T14        2026-11-03
    2026-11-04T06     2026-11-04T05        -
    2026-11-04T06     -                    -
"""
"""When spend was fetched, when its cycle began, and the last day that is compared: the day before is not added up at
once, days are compared with spend that is newer, and none when the cycle has just turned."""


def test_only_whole_days_of_the_cycle_that_the_spend_has_are_compared(days: Days) -> None:
    used(days, DANA)
    for *moments, last in lines(CYCLES):
        fetched_at, began = (None if at == "-" else datetime.fromisoformat(f"{at}Z") for at in moments)
        assert fetched_at
        spent(days, {DANA: "0"}, fetched_at, began)
        found = [text.partition(":")[0] for text in warned(days, "spend", THIRD)]
        assert found == ([] if last == "-" else [last]), moments
        execute(days.warehouse, "delete from cursor.spend")


def test_service_accounts_what_a_plan_covers_and_rounded_prices_are_no_difference(days: Days) -> None:
    used(days, DANA, cents="100.005", events=1)
    events = [
        raw(UsageEvents, usage_date=THIRD, service_account_id="sa_1"),
        raw(UsageEvents, usage_date=THIRD, user_id=DANA, charge="included"),
        raw(UsageEvents, usage_date=THIRD, user_id=DANA, charged_cents="100.015", events=4),
    ]
    days.fetched(UsageEvents, *events, first=THIRD)
    spent(days, {DANA: "299"}, MORNING)
    assert warned(days, "spend", THIRD) == []
    spent(days, {DANA: "298.99"}, MORNING + timedelta(hours=1))
    assert len(warned(days, "spend", THIRD)) == 1, "the newest answer counts, to the last digit"

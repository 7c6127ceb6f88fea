"""Seats: who has one, who uses it and what it costs; idle where 30 days say so, else unknown with a reason."""

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, cast

from usage_assets.config.accounting import SeatPrice
from usage_assets.core.schema import LookupRow, Row, declared
from usage_assets.models.costs import VIEWS
from usage_assets.providers.anthropic.reports import ClaudeCode
from usage_assets.warehouse.views import make_views
from usage_assets_report import figures
from usage_assets_report.answers import answers, text_of
from usage_assets_report.page import cells
from usage_assets_report.period import Period
from usage_assets_report_tests.one_figure import rows_of_figure
from usage_assets_tests.fixtures import execute
from usage_assets_tests.models.days import Days, lines, models, provider_of, raw, seen
from usage_assets_tests.models.stated import state
from usage_assets_vendors.cursor.lookups import Members
from usage_assets_vendors.cursor.usage import DailyUsage, UsageEvents
from usage_assets_vendors.github_copilot.billing import BillingUsage
from usage_assets_vendors.github_copilot.lookups import Seats
from usage_assets_vendors.github_copilot.metrics import Users1Day

LAST = date(2026, 11, 24)
NOVEMBER = Period.of_month(LAST, LAST)
STATES = ("active", "idle", "ending", "unknown")
CLAUDE_USERS = cast("type[Row]", declared("anthropic_analytics.users"))
CLAUDE_SUMMARIES = cast("type[Row]", declared("anthropic_analytics.summaries"))


def ago(days: int) -> date:
    """A day before the last one of the report."""
    return LAST - timedelta(days=days)


def moment(day: date) -> datetime:
    return datetime.combine(day, time(6), UTC)


def look(days: Days, day: date, row: type[LookupRow], people: Mapping[str, Mapping[str, Any]], **same: Any) -> None:
    """Store a complete list as it was read on the morning of a day."""
    same |= {"connection": provider_of(row), "valid_from": moment(day)}
    days.listed(row, [row(id=id_, **same, **more) for id_, more in people.items()], moment(day))


def github(days: Days, people: Mapping[str, Mapping[str, Any]], day: date = LAST + timedelta(days=1)) -> None:
    """Store GitHub's seats, assigned a year ago unless stated."""
    seat = {"plan_type": "business", "created_at": moment(ago(365))}
    look(days, day, Seats, {id_: {**seat, **more} for id_, more in people.items()})


def members(days: Days, *people: str, day: date, removed: Collection[str] = ()) -> None:
    """Store the members of the Cursor team."""
    look(days, day, Members, {each: {"is_removed": each in removed} for each in people})


def used(days: Days, row: type[Row], people: Mapping[date, Collection[str]], first: date, **more: Any) -> None:
    """Store the days of a report of people until the last day, with who is in it."""
    of_person = "user_login" if row is Users1Day else "user_id"
    rows = [
        raw(row, usage_date=day, **{of_person: each}, **more) for day, each_day in people.items() for each in each_day
    ]
    days.fetched(row, *rows, first=first, last=LAST)


def seat(connection: str, amount: str, **more: Any) -> SeatPrice:
    return SeatPrice(connection=connection, price=Decimal(amount), **more)


def seats(days: Days, period: Period = NOVEMBER) -> dict[str, dict[str, Any]]:
    """The report's rows of seats by connection, and plan where there is one."""
    rows = rows_of_figure(days.warehouse, "seats", period)
    return {" ".join(filter(None, (row["connection"], row["plan"]))): row for row in rows}


def counts(row: Mapping[str, Any]) -> tuple[int | None, ...]:
    """How many seats there are, and how many of each state."""
    return tuple(row[name] for name in ("seats", *STATES))


def idle_people(days: Days) -> list[str]:
    return [row["person"] for row in rows_of_figure(days.warehouse, "idle_seats", NOVEMBER)]


def break_even(days: Days, period: Period = NOVEMBER) -> dict[str | None, dict[str, Any]]:
    return {row["person"]: row for row in rows_of_figure(days.warehouse, "seat_break_even", period)}


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("1e-6"), ROUND_HALF_UP)


def test_github_states_who_is_idle_and_its_bill_what_that_costs(days: Days) -> None:
    """Exactly 30 days ago is active, and assigned 30 days ago is idle. A bill's price goes before an entry's."""
    assigned: dict[str, dict[str, Any]] = {
        "ann": {"last_activity_at": moment(ago(1))},
        "ben": {"last_activity_at": moment(ago(30))},
        "cleo": {"last_activity_at": moment(ago(31))},
        "dan": {},
        "eve": {"created_at": moment(ago(30))},
        "finn": {"created_at": moment(ago(1))},
        "gus": {"pending_cancellation_date": "2026-12-01"},
        "hal": {"plan_type": "enterprise"},
        "ida": {"plan_type": None},
    }
    github(days, assigned)
    prices = {"Copilot Business": Decimal(19), "copilot_enterprise": Decimal("39.50")}
    bill = [raw(BillingUsage, usage_date=ago(2), sku=sku, price_per_unit=usd) for sku, usd in prices.items()]
    days.fetched(BillingUsage, *bill, first=ago(2))
    found = seats(state(days, seats=[seat("github_copilot", "25")]))
    names = f"connection plan seats {' '.join(STATES)} price_a_month usd_idle_a_month why_unknown"
    assert sorted(seen(found.values(), names)) == lines(f"""
        github_copilot  -           1  0  1  0  0  25    25    -
        github_copilot  business    7  2  3  1  1  19    57    assigned on {ago(1)}
        github_copilot  enterprise  1  0  1  0  0  39.5  39.5  -
    """), "where no plan is stated, no bill is known to be its own"
    assert idle_people(days) == ["hal", "ida", "cleo", "dan", "eve"]


def test_a_member_of_cursor_is_idle_after_30_stored_days(days: Days) -> None:
    """A day between that is not stored may hide an activity. A service account is no person with a seat."""
    members(days, "ann@example.com", "ben@example.com", "bot", day=ago(40))
    of_bot = raw(UsageEvents, usage_date=LAST, service_account_id="bot")
    days.fetched(UsageEvents, of_bot, first=LAST)
    for stored, idle in ((29, None), (30, 1)):
        used(days, DailyUsage, {ago(3): ["ann@example.com"]}, ago(stored - 1), is_active=True)
        row = seats(days)["cursor"]
        assert counts(row) == (2, 1, idle, 0, 0 if idle else 1), stored
        missing = [] if idle else ["29 of 30 days of use are stored"]
        assert row["why_unknown"] == "; ".join([*missing, "no price is known"])
        assert (row["price_a_month"], row["usd_idle_a_month"]) == (None, None)
        assert idle_people(days) == (["ben@example.com"] if idle else [])
    execute(days.warehouse, "delete from ledger.partition_versions where usage_date = $day", {"day": ago(12)})
    assert counts(seats(days)["cursor"]) == (2, 1, None, 0, 1)


def test_who_does_nothing_is_idle_although_each_day_names_them(days: Days) -> None:
    people = {ago(n): ["ann@example.com"] for n in range(30)}
    used(days, DailyUsage, people, ago(29), is_active=False)
    members(days, "ann@example.com", "ben@example.com", day=LAST)
    row = seats(days)["cursor"]
    assert counts(row) == (2, 0, 1, 0, 1), "ann was a member on all days; since when ben is one, nobody knows"
    assert row["why_unknown"] == f"listed since {LAST}; no price is known"


def test_use_of_stored_days_is_an_activity_that_the_list_does_not_state(days: Days) -> None:
    github(days, {"Ann": {"last_activity_at": moment(ago(60))}})
    assert counts(seats(days)["github_copilot business"]) == (1, 0, 1, 0, 0)
    used(days, Users1Day, {ago(4): ["ann"]}, ago(5))
    assert counts(seats(days)["github_copilot business"]) == (1, 1, 0, 0, 0)


def test_nothing_is_known_before_the_first_look_and_of_a_removed_member_no_seat(days: Days) -> None:
    october = Period.of_month(date(2026, 10, 1), LAST)
    members(days, "ann@example.com", "ben@example.com", "cleo@example.com", day=date(2026, 11, 3))
    members(days, "ann@example.com", "ben@example.com", day=date(2026, 11, 10), removed=["ben@example.com"])
    before = seats(days, october)["cursor"]
    assert counts(before) == (None, 0, None, 0, None)
    assert before["why_unknown"] == "seats were first listed on 2026-11-03; no price is known"
    assert counts(seats(days, Period.of_days(date(2026, 11, 1), date(2026, 11, 5)))["cursor"])[0] == 3
    assert counts(seats(days)["cursor"])[0] == 1


def test_who_was_assigned_again_has_not_been_idle_before(days: Days) -> None:
    everybody = ["ann@example.com", "ben@example.com"]
    used(days, DailyUsage, {}, ago(59))
    for day, people in ((ago(70), everybody), (ago(50), everybody[:1]), (ago(5), everybody)):
        members(days, *people, day=day)
    assert idle_people(days) == ["ann@example.com"]
    assert seats(days)["cursor"]["why_unknown"] == f"listed since {ago(5)}; no price is known"


def test_a_list_that_was_not_read_again_says_nothing_of_later_days(days: Days) -> None:
    github(days, {"ann": {"last_activity_at": moment(ago(45))}, "ben": {"last_activity_at": moment(ago(80))}}, ago(40))
    row = seats(days)["github_copilot business"]
    assert counts(row) == (2, 0, 1, 0, 1), "40 days ago, ann had used it 5 days before"
    assert row["why_unknown"] == f"the list has not changed since {ago(40)}; no price is known"


def test_claude_counts_seats_and_people_and_an_entry_states_the_price(days: Days) -> None:
    assigned = {ago(n): 12 if n < 5 else 10 for n in range(30)}
    # Store Claude's counts and people.
    people = {ago(2): ["a", "b", "c"], ago(20): ["c", "d"]}
    first = ago(29)
    rows = [raw(CLAUDE_SUMMARIES, usage_date=day, assigned_seat_count=n) for day, n in assigned.items()]
    days.fetched(CLAUDE_SUMMARIES, *rows, first=first, last=LAST)
    used(days, CLAUDE_USERS, people, first)
    days = state(days, seats=[seat("anthropic_analytics", "60.25", included=Decimal(5))])
    row = seats(days)["anthropic_analytics"]
    assert counts(row) == (12, 4, 6, 0, 2), "two of the twelve may be new"
    assert row["why_unknown"] == "assigned less than 30 days ago"
    assert (row["usd_idle_a_month"], row["included_a_month"]) == (6 * Decimal("60.25"), 5)
    assert idle_people(days) == [], "nobody is named"


def cursor_costs(days: Days, events: Mapping[date, Mapping[str, str]], first: date) -> None:
    """Store what plans of people cover, in cents, and the costs that are computed from it."""
    rows = [
        raw(UsageEvents, usage_date=day, user_id=person, charge="included", charged_cents=amount)
        for day, people in events.items()
        for person, amount in people.items()
    ]
    days.spent(UsageEvents, *rows, first=first, last=LAST)


def test_notional_use_is_compared_with_the_price_of_the_same_days(days: Days) -> None:
    first = date(2026, 11, 5)
    members(days, "ann@example.com", "ben@example.com", "cleo@example.com", day=first)
    events = {ago(1): {"ann@example.com": "4100.5", "ben@example.com": "30"}, ago(2): {"ann@example.com": "0.25"}}
    prices = [
        seat("cursor", "40", included=Decimal(20), valid_until=date(2026, 11, 15)),
        seat("cursor", "32.70", included=Decimal(20), valid_from=date(2026, 11, 16)),
    ]
    days = state(days, seats=prices)
    cursor_costs(days, events, first)
    part = cents(Decimal(40) * 11 / 30) + cents(Decimal("32.70") * 9 / 30)
    names = ("usd_notional", "usd_seat", "usd_difference", "price_a_month", "included_a_month", "why_unknown")
    assert {person: tuple(row[name] for name in names) for person, row in break_even(days).items()} == {
        person: (Decimal(usd), part, Decimal(usd) - part, Decimal("32.70"), 20, None)
        for person, usd in (("ann@example.com", "41.0075"), ("ben@example.com", "0.30"), ("cleo@example.com", "0"))
    }
    assert {(row["days"], row["days_in_period"]) for row in break_even(days).values()} == {(20, 24)}
    october = Period.of_days(date(2026, 10, 1), date(2026, 10, 31))
    days = state(days, seats=[seat("cursor", "19.99")])
    cursor_costs(days, {october.first: {"ann@example.com": "1"}}, october.first)
    row = break_even(days, october)["ann@example.com"]
    assert (row["usd_seat"], row["days"]) == (Decimal("19.99"), 31), "a whole month has the whole price"


def test_what_cannot_be_compared_says_why(days: Days) -> None:
    cursor_costs(days, {ago(3): {"ann@example.com": "100"}}, ago(3))
    assert break_even(days)["ann@example.com"]["why_unknown"] == "no price is known"
    later = state(days, seats=[seat("cursor", "20", valid_from=LAST)])
    assert break_even(later)["ann@example.com"]["why_unknown"] == "no price is known on 3 days"
    euros = state(days, seats=[seat("cursor", "20", currency="EUR")])
    row = break_even(euros)["ann@example.com"]
    assert (row["usd_notional"], row["usd_seat"], row["usd_difference"]) == (1, None, None)
    assert row["why_unknown"] == "no exchange rate is configured for EUR"
    github(days, {"ann": {}})
    state(days, seats=[seat("anthropic", "100")])
    code = {"customer_type": "subscription", "model_breakdown": models(("claude-opus-5", "500", "EUR"))}
    days.spent(ClaudeCode, raw(ClaudeCode, usage_date=LAST, **code), first=LAST)
    found = break_even(days)
    of_github, bob = found[None], found["bob@example.com"]
    assert (of_github["connection"], of_github["why_unknown"]) == ("github_copilot", "no notional use is stored")
    assert (bob["usd_notional"], bob["usd_difference"]) == (None, None)
    assert bob["why_unknown"] == "no exchange rate is configured for EUR"


def test_the_answer_names_idle_seats_and_what_they_cost(days: Days) -> None:
    """The same is read in SQL."""
    github(days, {"ann": {}, "ben": {}})
    members(days, "ann@example.com", day=ago(100))
    used(days, DailyUsage, {}, ago(29))
    bill = {"price_per_unit": "28.5", "quantity": 2, "net_amount": 57}
    days.spent(BillingUsage, raw(BillingUsage, usage_date=LAST, sku="Copilot Business", **bill), first=LAST)
    with days.warehouse.transaction() as database:
        make_views(database, VIEWS)
        report = figures.read(database, NOVEMBER)
        query = "select id, state, last_active_on from costs.seats(date '2026-11-24') order by id"
        assert database.execute(query).fetchall() == [
            (name, "idle", None) for name in ("ann", "ann@example.com", "ben")
        ]
    [answer] = [each for each in answers(report) if each.question == "Seats or usage?"]
    assert text_of(answer.headline) == "$0.00 usage, $57.00 seats, 3 idle ($57.00 a month, 1 of unknown price)"
    [kind] = cells(report.figures["kinds"])
    assert (kind[0].text, kind[0].exact) == ("seats, subscriptions and purchases", "seats")

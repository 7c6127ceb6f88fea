"""What is not known of one of two periods moves no figure but those that say so.

Connections with the same use every day lose days, quantities and rates, at random. They are read at once, as those of
one company: the queries and the split are the report's, on tables that hold only what these read.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from usage_assets.config.accounting import Owner
from usage_assets.core.days import Window
from usage_assets.core.schema import Row
from usage_assets.models.costs import VIEWS
from usage_assets.models.due import VIEWS as DUE_DAYS
from usage_assets.warehouse.views import make_views
from usage_assets_finance.focus.charges import Charges
from usage_assets_report.answers import text_of
from usage_assets_report.changes import KINDS, NOT_COMPARED, Difference, Item, difference, splits_of
from usage_assets_report.figures import TEMPORARY, read_figure, read_what_changed
from usage_assets_report.period import Period
from usage_assets_report.rows_in_words import rows_in_words
from usage_assets_report.what_changed import SPLITS, _items
from usage_assets_tests.fixtures import NewWarehouse
from usage_assets_tests.models.days import Days, cases, raw
from usage_assets_tests.models.stated import stating

TABLES = """
create schema costs;
create schema ledger;
create schema accounting;
create table costs.daily_costs (
  connection text, currency text, usage_date date, cost_basis text, native_amount decimal(38, 24),
  amount_usd decimal(38, 24)
);
create table costs.complete_days (connection text, usage_date date, source text);
create table ledger.stored_days (connection text, usage_date date, table_name text, slice text);
create table ledger.assets (connection text, table_name text, slice text, asset text);
create table accounting.connections (connection text, billed_from date, billed_until date);
create temp table used (
  connection text, price_id text, project text, currency text, usage_date date, unit text, quantity decimal(38, 9),
  billed_for_it decimal(38, 24)
);
create temp table charges (
  connection text, price_id text, currency text, usage_date date, kind text, native_amount decimal(38, 24),
  dollars decimal(38, 24)
);
"""
BILLED = """
create temp table billed as
select
  charges.*,
  'provider' as provider,
  {'id': 'p', 'name': 'p'} as project,
  comparison
from charges
left join costs.compared_days($first, $last, $before_first, $before_same) as compared
  on compared.connection = charges.connection
  and compared.currency = charges.currency
  and compared.usage_date = charges.usage_date
  and compared.is_valued
where dollars is not null
"""
COMPARED_DAYS = next(
    macro
    for view in VIEWS
    if "costs.complete_days" in view.names
    for macro in [view.sql[view.sql.index("create or replace macro costs.compared_days") :]]
)
RATES = {"USD": Decimal(1), "EUR": Decimal("1.1")}
LENGTHS = [
    Period.of_month(date(2026, 10, 31), date(2026, 10, 31)),  # a day more than September
    Period.of_month(date(2026, 2, 28), date(2026, 2, 28)),  # three fewer than January
    Period.of_month(date(2026, 11, 1), date(2026, 11, 12)),
    Period.of_days(date(2026, 10, 3), date(2026, 10, 16)),
]


GAMES = int(os.environ.get("USAGE_EXAMPLES", "200"))
FIRST = int(os.environ.get("USAGE_FIRST_SEED", "0"))
TOGETHER = 50
"""Connections that are read at once."""
NOW = [date(2026, 10, n) for n in range(8, 15)]
BEGUN = {"unknown": None, "stated": date(2026, 10, 8)}
Charge = tuple[str, str, Decimal, Decimal | None]
"""Price, kind, amount a day, and quantity a day."""


@dataclass
class Connection:
    """A connection that is billed the same every day, and what is not known of it."""

    name: str
    currency: str
    charges: Sequence[Charge]
    lost: set[date] = field(default_factory=set)
    """Days that are not stored."""
    unpriced: set[tuple[date, str]] = field(default_factory=set)
    """Days and prices without a quantity."""
    unvalued: set[date] = field(default_factory=set)
    """Days without an exchange rate."""
    changes: Mapping[date, Sequence[Charge]] = field(default_factory=dict)
    """Days with other charges."""
    is_configured: bool = True
    billed: tuple[date | None, date | None] = (None, None)


def some(random: Random, days: Sequence[date]) -> set[date]:
    """None, some in a row, or some here and there."""
    kind = random.randrange(4)
    if kind == 0:
        return set()
    if kind == 1:
        first = random.randrange(len(days))
        return {*days[first : first + random.randrange(1, len(days))]}
    return {day for day in days if random.random() < 0.3}


def connection(name: str, random: Random, days: Sequence[date]) -> Connection:
    """A connection that loses something."""
    currency = random.choice(["USD", "EUR"])
    charges: list[Charge] = [
        (f"model {n}", "usage", Decimal(random.randrange(1, 10**6)) / 1000, Decimal(random.randrange(1, 10**9)))
        for n in range(random.randrange(1, 4))
    ]
    charges.append(("model 0", random.choice(["other", "seats"]), Decimal(random.choice([-1, 30])), None))
    lost = some(random, days)
    unvalued = some(random, days) if currency == "EUR" else set()
    prices = [price for price, kind, *_ in charges if kind == "usage" and random.random() < 0.6]
    return Connection(
        name, currency, charges, lost, {(day, price) for price in prices for day in some(random, days)}, unvalued
    )


def spans_of(period: Period) -> tuple[tuple[date, date], tuple[date, date]]:
    """The days that are compared with one another, from first to last."""
    return (period.before_first, period.before_same), (period.first, period.last)


def days_of(period: Period) -> Sequence[date]:
    """The days of both periods."""
    return [day for span in spans_of(period) for day in Window(*span).days]


def rows_of(connections: Sequence[Connection], period: Period) -> Mapping[str, Sequence[tuple[object, ...]]]:
    """What is known of them: table -> rows."""
    rows: dict[str, list[tuple[object, ...]]] = defaultdict(list)
    for each in connections:
        if each.is_configured:
            rows["ledger.assets"].append((each.name, "costs.daily_costs", "s", "an asset"))
        rows["accounting.connections"].append((each.name, *each.billed))
        for day in days_of(period):
            if day in each.lost:
                continue
            rows["costs.complete_days"].append((each.name, day, "costs.daily_costs"))
            rows["ledger.stored_days"].append((each.name, day, "costs.daily_costs", "s"))
            for price, kind, amount, quantity in each.changes.get(day, each.charges):
                usd = None if day in each.unvalued else amount * RATES[each.currency]
                rows["costs.daily_costs"].append((each.name, each.currency, day, "billed", amount, usd))
                rows["charges"].append((each.name, price, each.currency, day, kind, amount, usd))
                if quantity and (day, price) not in each.unpriced:
                    rows["used"].append((each.name, price, "p", each.currency, day, "Tokens", quantity, amount))
    return rows


def differences(connections: Sequence[Connection], period: Period) -> Mapping[str, Difference]:
    """The difference of each connection, split as the report does."""
    with duckdb.connect() as database:
        database.execute(TABLES)
        database.execute(COMPARED_DAYS)
        for table, rows in rows_of(connections, period).items():
            columns = zip(*rows, strict=True)
            database.register("rows", pa.table({f"c{n}": pa.array(column) for n, column in enumerate(columns)}))
            database.execute(f"insert into {table} from rows")
        database.execute(BILLED, period.used(BILLED))
        for name in ("item_days", "items"):
            sql = TEMPORARY[name]
            for table in ("billed", "used", "item_days"):
                sql = sql.replace(f"{{{table}}}", f"from temp.main.{table}")
            database.execute(f"create temp table {name} as {sql}", period.used(sql))
        database.execute(f"create temp table splits as {SPLITS}")
        before, now = _items(database)
        cells = database.execute("select connection, item, usd_before, usd_now from temp.main.splits").fetchall()
    splits = splits_of(before, now)
    of_connection = defaultdict(list)
    for name, item, old, new in cells:
        of_connection[name].append((Item(**item), old or Decimal(), new or Decimal()))
    return {name: difference(each, splits) for name, each in of_connection.items()}


def parts_of(connections: Sequence[Connection], period: Period) -> Mapping[str, Mapping[str, Decimal]]:
    """Connection -> the parts of its difference that are not 0."""
    found = differences(connections, period)
    return {name: {part: dollars for part, dollars in each.parts.items() if dollars} for name, each in found.items()}


def test_the_same_use_every_day_differs_only_by_what_is_not_known(subtests: pytest.Subtests) -> None:
    for batch in range(GAMES // TOGETHER):
        period = LENGTHS[batch % len(LENGTHS)]
        seed = f"{FIRST + batch} {period.title}"
        random = Random(seed)
        connections = [connection(f"c{n}", random, days_of(period)) for n in range(TOGETHER)]
        with subtests.test(seed):
            found = parts_of(connections, period)
            assert len(found) > TOGETHER / 2
            assert {part for parts in found.values() for part in parts} <= {*NOT_COMPARED}
            not_known = {name for name, parts in found.items() if any(part.startswith("not_known") for part in parts)}
            assert not_known == {each.name for each in connections if each.name in found and loses_a_side(each, period)}


def loses_a_side(each: Connection, period: Period) -> bool:
    """Whether a day is known and its counterpart is not."""
    lost = each.lost | each.unvalued
    pairs = zip(*(Window(*span).days for span in spans_of(period)), strict=False)
    return any((before in lost) != (now in lost) for before, now in pairs)


WEEK = Period.of_days(NOW[0], NOW[-1])
USED = ("m", "usage", Decimal(10), Decimal(5))
STOPPED: Mapping[str, tuple[Mapping[str, Any], Mapping[str, int]]] = {
    "it stops, and nobody says why": ({}, {"not_known_now": -40}),
    "it is not configured any more": ({"is_configured": False}, {"volume": -40}),
    "it is billed until then": ({"billed": (None, date(2026, 10, 10))}, {"volume": -40}),
    "it is billed from then on": ({"billed": (date(2026, 10, 5), None)}, {"not_known_now": -40}),
}
"""What is known of a connection that stops on the 11th, and what its difference is."""


def test_a_connection_that_stops_has_ended_or_is_not_known_and_one_that_begins_is_new_if_it_says_so() -> None:
    before, after = ({date(2026, 10, n) for n in days} for days in (range(1, 8), range(11, 15)))
    of_each = [Connection(name, "USD", [USED], after, **known) for name, (known, _) in STOPPED.items()]
    of_each += [Connection(name, "USD", [USED], before, billed=(first, None)) for name, first in BEGUN.items()]
    expected = {name: parts for name, (_, parts) in STOPPED.items()}
    assert parts_of(of_each, WEEK) == expected | {"unknown": {"not_known_before": 70}, "stated": {"new": 70}}


def test_a_credit_and_a_day_without_a_quantity_spoil_no_split() -> None:
    """Twice the use: the difference of the days with quantities is volume, and the credits are a part of their own. An
    item that was billed without a quantity is not new."""
    twice = Connection("c", "USD", [USED], unpriced={(date(2026, 10, 2), "m")})
    twice.changes = {day: [("m", "usage", Decimal(20), Decimal(10)), ("m", "other", Decimal(-1), None)] for day in NOW}
    changes: dict[date, list[Charge]] = {
        date(2026, 10, 1): [("m", "usage", Decimal(10), None)],
        date(2026, 10, 9): [("m", "usage", Decimal(30), Decimal(5))],
    }
    assert parts_of([twice, Connection("unpriced", "USD", [], changes=changes)], WEEK) == {
        "c": {"volume": 60, "not_split": 10, "credits_and_taxes": -7},
        "unpriced": {"not_split": 20},
    }


OCTOBER = Period.of_month(date(2026, 10, 31), date(2026, 10, 31))
BOTH_MONTHS = Window(date(2026, 9, 1), date(2026, 10, 31)).days
CREDIT = {"billed_cost": -1, "charge_category": "Credit", "pricing_unit": None}
BILLS: Mapping[str, Callable[[date], Sequence[Mapping[str, Any]]]] = {
    "the same": lambda _: [{}],
    "with a credit": lambda day: (
        [{"pricing_quantity": 20}] if day.month == 9 else [{"billed_cost": 20, "pricing_quantity": 40}, CREDIT]
    ),
    "all credited": lambda _: [{}, CREDIT | {"billed_cost": -10}],
    "with free charges": lambda day: [{}, {"billed_cost": 0, "pricing_unit": None}] if day.month == 10 else [{}],
    "without quantities from the 16th": lambda day: [{} if day < date(2026, 10, 16) else {"pricing_unit": None}],
    "renamed": lambda day: [{"model": "gpt-4o-2024-08-06" if day.month == 9 else "gpt-4o-2024-11-20"}],
    "stopped": lambda day: [{}] if day < date(2026, 10, 10) else (),
    "begun": lambda day: [{}] if day.month == 10 else (),
}
"""Connection -> its charges of a day."""
EXPECTED = {
    name: {part: int(dollars) for part, dollars in map(str.split, parts.split(", "))}
    for name, parts in cases("""
    the same -> more_days 10
    with a credit -> volume 300, credits_and_taxes -30, more_days 19
    with free charges -> more_days 10
    without quantities from the 16th -> more_days 10
    renamed -> more_days 10
    stopped -> not_known_now -210
    begun -> not_known_before 300, more_days 10
    """)
}


@pytest.fixture(scope="module")
def billed(warehouse_with_views: NewWarehouse) -> Days:
    """A warehouse with these bills: $10 a day for 10 units. Each bill is one team's."""
    warehouse = warehouse_with_views()
    days = stating(Days(warehouse), owners=[Owner(project=name, team=name) for name in BILLS])
    for name, charges_of in BILLS.items():
        stored = [day for day in BOTH_MONTHS if charges_of(day)]
        rows = [charge(name, day, **each) for day in stored for each in charges_of(day)]
        days.fetched(Charges, *rows, connection=name, first=stored[0], last=stored[-1])
        days.derive("focus_charges", connection=name, first=stored[0], last=stored[-1])
    with warehouse.transaction() as database:
        make_views(database, (*VIEWS, *DUE_DAYS))
        for name in BILLS:
            database.execute(
                "insert into ledger.assets (connection, table_name, slice, asset, first_day, reads, names) "
                "values ($name, 'costs.daily_costs', 'focus.charges', 'costs', date '2026-09-01', '', '')",
                {"name": name},
            )
    return days


def charge(connection: str, day: date, **given: Any) -> Row:
    """A charge of $10 for 10 units."""
    usual = {"billed_cost": 10, "pricing_quantity": 10, "pricing_unit": "Units", "charge_category": "Usage"}
    values = {"model": "gpt-5", "charge_description": "gpt-5 tokens", "sub_account_id": connection, **usual, **given}
    values["pricing_quantity"] = Decimal(values["pricing_quantity"]) if values["pricing_unit"] else None
    return raw(
        Charges, connection=connection, usage_date=day, **{**values, "billed_cost": Decimal(values["billed_cost"])}
    )


def test_bills_of_two_months_are_compared_day_by_day(billed: Days) -> None:
    figures = {}
    with billed.warehouse.transaction() as database:
        figure = read_what_changed(database, OCTOBER)
        found = figure.rows.to_pylist()
        for name in ("headline", "by_team", "compared"):
            figures[name] = read_figure(database, name, OCTOBER).rows.to_pylist()
    parts = {
        row["name"]: {kind: row[f"usd_{kind}"] for kind in (*KINDS, *NOT_COMPARED) if row[f"usd_{kind}"]}
        for row in found
        if row["by"] == "team"
    }
    assert parts == {**EXPECTED, "all credited": {}}
    said = {text_of(about): text_of(says) for about, says in rows_in_words(figure, len(found))}
    assert said["everything"] == "changed by +$270"
    assert said["team renamed"] == "changed by $0.00"
    assert said["team begun"] == "not compared (no such day before, not known before)"
    changes = {row["team"]: row["usd_change"] for row in figures["by_team"]}
    assert changes.pop("begun") is None
    assert changes == {
        team: sum(dollars for kind, dollars in each.items() if kind not in NOT_COMPARED)
        for team, each in EXPECTED.items()
        if team != "begun"
    }
    [whole] = figures["headline"]
    assert whole["amount"] - whole["not_compared"] - whole["same_days_before"] == sum(changes.values()) == 270
    by_connection = {
        (row["connection"], row["compared"]): (row["days"], row["days_before"]) for row in figures["compared"]
    }
    assert by_connection["stopped", "not known now"] == (21, 21)
    assert by_connection["stopped", "compared"] == (9, 9)
    assert by_connection["begun", "not known before"] == (30, 30)
    assert by_connection["the same", "no such day before"] == (1, 0)
    assert by_connection["all credited", "compared"] == (30, 30), "$0 in both"

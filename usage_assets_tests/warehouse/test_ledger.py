"""What the ledger's views say of the recorded versions: what was restated, by how much, and which days are settled."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from msgspec.structs import replace

from usage_assets.core.money import TOLERANCE
from usage_assets.core.schema import Row, to_arrow
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.usage import UsageModerations
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.ledger import VIEWS
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Query
from usage_assets_tests.fixtures import execute
from usage_assets_tests.models.days import lines, seen
from usage_assets_tests.warehouse.conftest import ON_BOTH
from usage_assets_tests.warehouse.samples import DAY, SAMPLE, Sample, answer, day, days, sample
from usage_assets_tests.warehouse.test_database import DOUBLED, TWICE

OVER = datetime(2026, 11, 2, tzinfo=UTC)
"""When DAY is over."""
SETTLING = 3
Written = Callable[..., None]


@pytest.fixture
def fetched(warehouse: Warehouse) -> Written:
    """Write DAY of a connection as it was answered some hours after its end."""

    def write(hours: float, *rows: Sample, connection: str = "c", run_id: str = "run", **facts: Any) -> None:
        with time_machine.travel(OVER + timedelta(hours=hours), tick=False):
            of_connection = to_arrow(Sample, [replace(row, connection=connection) for row in rows])
            content = answer(of_connection, **{"settling_days": SETTLING, **facts})
            warehouse.replace(SAMPLE, content, days(0, connection=connection), run_id)

    return write


def found(warehouse: Warehouse, *names: str) -> list[tuple[Any, ...]]:
    """Columns of every restatement, by version and total."""
    query = f"select {', '.join(names)} from ledger.restatements order by usage_date, table_name, version, total"
    return [tuple(row.values()) for row in warehouse.read(query).to_pylist()]


def states(warehouse: Warehouse) -> list[str]:
    """The states of every stored day."""
    rows = warehouse.read("select state from ledger.day_states order by connection, usage_date").to_pylist()
    return [row["state"] for row in rows]


# Restatements


@ON_BOTH
def test_what_rose_and_fell_is_told_to_the_last_digit(warehouse: Warehouse, fetched: Written) -> None:
    fetched(1, sample(amount=Decimal("0.130804383403075260000001"), requests=7))
    fetched(2, sample(amount=Decimal("0.13080438340307526"), requests=9), run_id="later")
    assert seen(found(warehouse, "total", "unit", "change", "before", "after", "difference")) == lines("""
        amount    USD       fell  0.130804383403075260000001  0.13080438340307526  -0.000000000000000000000001
        requests  requests  rose  7                           9                    2
    """)
    assert (
        found(warehouse, "connection", "usage_date", "table_name", "slice", "version", "found_at", "run_id")
        == [("c", DAY, "tests.sample", "", 2, OVER + timedelta(hours=2), "later")] * 2
    )


TOO_LARGE = (
    (10**14 - 2, 10**14 - 1, "rose", 1),
    (10**14 - 1, 10**14, "rose", None),
    (2**63 - 1, 1, "fell", None),
    (-(10**14) + 1, 10**14 - 1, "rose", None),
)
"""Requests before and after, and what is said of them: the figures of a day each."""


def test_figures_too_large_for_money_do_not_take_the_view_down(warehouse: Warehouse) -> None:
    target = days(0, len(TOO_LARGE) - 1)
    for figures in zip(*((before, after) for before, after, *_ in TOO_LARGE), strict=True):
        rows = [sample(number, requests=requests) for number, requests in enumerate(figures)]
        warehouse.replace(SAMPLE, answer(to_arrow(Sample, rows)), target, "run")
    assert found(warehouse, "change", "total", "difference") == [
        (change, "requests", difference) for *_, change, difference in TOO_LARGE
    ]


def test_every_currency_has_a_total_of_its_own(warehouse: Warehouse) -> None:
    def write(unknown: str, **amounts: str) -> None:
        rows = [cost(0, value, "", currency) for currency, value in (*amounts.items(), (None, unknown))]
        content = answer(to_arrow(Costs, rows), settling_days=SETTLING)
        warehouse.replace(Table(Costs), content, days(0), "run")

    write("1", usd="1.1", eur="2.2", EUR="0.1")
    write("2", usd="1.1", eur="2.7", EUR="0.1", jpy="130")
    assert seen(found(warehouse, "total", "unit", "change", "before", "after", "difference")) == lines("""
        amount_eur      EUR      rose      2.3  2.8  0.5
        amount_jpy      JPY      appeared  -    130  130
        amount_unknown  unknown  rose      1    2    1
        row_count       rows     rose      4    5    1
    """)


CAUSES: Mapping[str, tuple[float, dict[str, Any]]] = {
    "provider": (1, {}),
    "running": (-1, {}),
    "question": (1, {"filters": '{"models":["m"]}'}),
    "archive": (1, {"stored_at": {DAY: OVER + timedelta(hours=1)}}),
}
"""Cause -> when the day was fetched first, and what was otherwise the second time."""


def test_it_is_told_why_a_day_differs(warehouse: Warehouse, fetched: Written) -> None:
    for cause, (first, facts) in CAUSES.items():
        fetched(first, sample(requests=1), connection=f"of {cause}")
        fetched(2, sample(requests=2), connection=f"of {cause}", **facts)
    assert sorted(found(warehouse, "connection", "cause")) == [(f"of {cause}", cause) for cause in sorted(CAUSES)]


def test_what_is_derived_from_a_restated_day_says_so(warehouse: Warehouse, fetched: Written) -> None:
    for hours, requests in ((1, 1), (2, 2)):
        fetched(hours, sample(requests=requests))
        warehouse.replace(DOUBLED, Query(sql=TWICE, reads=(SAMPLE.name,)), days(0), "run")
    assert found(warehouse, "table_name", "cause", "total", "difference") == [
        ("tests.doubled", "derived", "requests", 2),
        ("tests.sample", "provider", "requests", 1),
    ]


# States


FETCHES = {
    connection: ([*map(float, hours.split())], state)
    for connection, hours, state in lines("""
        still running                       -1        open
        fetched once                        1         provisional
        fetched once, late                  172       provisional
        before its settling time            1 71.99   provisional
        at its settling time                1 72      settled
        first fetched while it was running  -1 72     settled
        a day apart                         72 96     settled
    """)
}
"""Connection -> the hours at which its day was fetched, and its state."""


def test_two_equal_fetches_settle_a_day_also_an_empty_one(warehouse: Warehouse, fetched: Written) -> None:
    for connection, (fetches, _) in FETCHES.items():
        for hours in fetches:
            fetched(hours, sample(), connection=connection)
    for hours in FETCHES["a day apart"][0]:
        fetched(hours, connection="empty")
    said = warehouse.read("select connection, state from ledger.day_states").to_pylist()
    assert {line["connection"]: line["state"] for line in said} == {
        **{connection: state for connection, (_, state) in FETCHES.items()},
        "empty": "settled",
    }


def test_a_settled_day_that_changes_is_provisional_until_it_settles_again(
    warehouse: Warehouse, fetched: Written
) -> None:
    seen = []
    for hours, requests in ((1, 1), (80, 1), (90, 2), (113, 2), (114, 2), (115, 1), (139, 1)):
        fetched(hours, sample(requests=requests))
        seen += states(warehouse)
    assert seen == ["provisional", "settled", *["provisional"] * 2, "settled", "provisional", "settled"]


def test_a_fetch_while_the_clock_was_ahead_settles_nothing(warehouse: Warehouse, fetched: Written) -> None:
    """Otherwise a statement of its month could be issued as final."""
    fetched(2000, sample())
    fetched(1, sample())
    [line] = warehouse.read("select state, last_fetched_at, final_at from ledger.day_states").to_pylist()
    assert line == {"state": "provisional", "last_fetched_at": OVER + timedelta(hours=1), "final_at": None}
    fetched(80, sample())
    assert states(warehouse) == ["settled"]


def test_reading_the_archive_neither_settles_a_day_nor_unsettles_it(warehouse: Warehouse, fetched: Written) -> None:
    newer = sample(person="as a newer release reads it")
    fetched(1, sample())
    fetched(90, sample(), stored_at={DAY: OVER + timedelta(hours=1)})
    assert states(warehouse) == ["provisional"]
    fetched(91, sample())
    fetched(100, newer, stored_at={DAY: OVER + timedelta(hours=91)})
    assert states(warehouse) == ["settled"]
    fetched(110, newer)
    assert states(warehouse) == ["settled"]


def test_a_day_that_came_from_the_archive_alone_is_provisional(warehouse: Warehouse, fetched: Written) -> None:
    for hours in (1000, 2000):
        fetched(hours, sample(), stored_at={DAY: OVER + timedelta(hours=999)})
    [line] = warehouse.read("select state, first_fetched_at from ledger.day_states").to_pylist()
    assert line == {"state": "provisional", "first_fetched_at": None}


def test_another_settling_time_holds_for_days_that_are_stored_already(warehouse: Warehouse, fetched: Written) -> None:
    fetched(1, sample())
    fetched(80, sample())
    for settling_days, state in ((9, "provisional"), (2, "settled")):
        with time_machine.travel(OVER + timedelta(days=5, minutes=10 - settling_days), tick=False):
            content = answer(to_arrow(Sample, [sample(4)]), settling_days=settling_days)
            [version] = warehouse.replace(SAMPLE, content, days(4), "run")
        assert (states(warehouse)[0], version.state) == (state, "provisional")


def contents(warehouse: Warehouse) -> list[tuple[int, int, datetime]]:
    """Version, version of the content and its time, of every stored day."""
    query = "select version, content_version, content_since from ledger.stored_days order by usage_date"
    return [tuple(row.values()) for row in warehouse.read(query).to_pylist()]


def test_equal_rows_that_were_asked_for_with_other_filters_are_another_content(
    warehouse: Warehouse, fetched: Written
) -> None:
    of_one, of_two = '{"user_ids":["a"]}', '{"user_ids":["a","b"]}'
    moves = [(None, 1), (None, 1), (of_one, 3), (of_one, 3), (of_two, 5), (None, 6), (None, 6)]
    for hours, (filters, content) in enumerate(moves, 1):
        fetched(hours, sample(), filters=filters)
        assert contents(warehouse) == [(hours, content, OVER + timedelta(hours=content))]


def test_a_changed_question_unsettles_nothing_and_settles_nothing(warehouse: Warehouse, fetched: Written) -> None:
    """Another filter or grouping changes the rows of a day, and says nothing about the provider's figures."""
    fetched(1, sample(), question="a")
    fetched(90, sample(requests=2), question="b")
    assert states(warehouse) == ["provisional"], "no two fetches have found the same"
    fetched(120, sample(requests=2), question="b")
    assert states(warehouse) == ["settled"]
    fetched(130, sample(requests=3), question="c")
    assert states(warehouse) == ["settled"]
    fetched(140, sample(requests=4), question="c")
    assert states(warehouse) == ["provisional"], "this the provider has restated"
    assert [cause for (cause,) in found(warehouse, "cause")] == ["question", "question", "provider"]


# Groupings


Said = tuple[str, str]
"""The cause of a restatement, and its state."""


Grouped = Callable[[Sequence[Sequence[Row]]], dict[int, Said]]


@pytest.fixture
def regrouped(warehouse: Warehouse) -> Grouped:
    """Write days three times: a settled answer, twice, and one that is grouped otherwise. Return what is said of each
    day: its number, and the cause of its restatement and its state."""

    def write(answers: Sequence[Sequence[Row]]) -> dict[int, Said]:
        row = type(answers[0][0])
        last = max((each.usage_date - DAY).days for each in answers[0])
        for hours, rows in zip((1, 90, 120), (answers[0], *answers), strict=True):
            with time_machine.travel(OVER + timedelta(days=last, hours=hours), tick=False):
                content = answer(to_arrow(row, rows), question="a", settling_days=SETTLING)
                warehouse.replace(Table(row), content, days(0, last), "run")
        query = "select distinct usage_date, cause, state from ledger.restatements join ledger.day_states using ({})"
        said = warehouse.read(query.format("table_name, connection, usage_date")).to_pylist()
        by_day = {(line["usage_date"] - DAY).days: (line["cause"], line["state"]) for line in said}
        assert len(by_day) == len(said), "each day has one cause and one state"
        return by_day

    return write


def cost(number: int, amount: str, grouped_by: str, currency: str | None = "usd") -> Costs:
    """A part of what a day cost: one for each amount."""
    of_day: dict[str, Any] = {"connection": "c", "usage_date": day(number), "grouped_by": grouped_by}
    return Costs(**of_day, amount_value=Decimal(amount), amount_currency=currency, line_item=amount)


def moderations(number: int, requests: int | None, grouped_by: str, model: str) -> UsageModerations:
    """What a day used of a model."""
    of_day: dict[str, Any] = {"connection": "c", "usage_date": day(number), "grouped_by": grouped_by}
    return UsageModerations(**of_day, num_model_requests=requests, input_tokens=None, model=model)


def test_another_grouping_is_a_restatement_where_the_totals_differ_by_more_than_a_providers_rounding(
    regrouped: Grouped,
) -> None:
    """What three dollars are afterwards."""
    of_each_day = lines("""
        question  settled      3
        question  settled      1  1.5  0.5
        question  settled      3.000000000003
        question  settled      2.999999999997
        provider  provisional  3.0000000000031
        provider  provisional  2.9999999999969
        provider  provisional  -3
    """)
    before = [cost(n, amount, "a") for n in range(len(of_each_day)) for amount in ("1", "2")]
    after = [cost(n, amount, "a,b") for n, (_, _, *amounts) in enumerate(of_each_day) for amount in amounts]
    assert regrouped([before, after]) == {n: (cause, state) for n, (cause, state, *_) in enumerate(of_each_day)}


def test_what_is_grouped_otherwise_agrees_in_every_currency(regrouped: Grouped) -> None:
    """What a dollar and two euros are afterwards."""
    of_each_day = lines("""
        question  settled      1 usd  2 eur
        provider  provisional  2 usd  1 eur
        provider  provisional  3 usd
        provider  provisional  1 usd  2 eur  5 jpy
        question  settled      1 usd  2 eur  0 jpy
        provider  provisional  1 usd  2
    """)
    before, after = list[Costs](), list[Costs]()
    for n, (_, _, *amounts) in enumerate(of_each_day):
        before += [cost(n, "1", "a"), cost(n, "2", "a", "eur")]
        for amount, _, currency in (each.partition(" ") for each in amounts):
            after.append(cost(n, amount, "b", currency or None))
    assert regrouped([before, after]) == {n: (cause, state) for n, (cause, state, *_) in enumerate(of_each_day)}


def test_counters_that_are_grouped_otherwise_agree_exactly(regrouped: Grouped) -> None:
    """Requests before and after."""
    of_each_day = lines("""
        question  settled      7                    3 4
        provider  provisional  7                    3 5
        question  settled      -                    - -
        provider  provisional  -                    3 -
        question  settled      9223372036854775807  9223372036854775806 1
        provider  provisional  9223372036854775807  9223372036854775806
        provider  provisional  -99999999999999      99999999999999
    """)
    answers: list[list[UsageModerations]] = [[], []]
    for n, (_, _, *sides) in enumerate(of_each_day):
        for rows, counts, grouped_by in zip(answers, sides, "ab", strict=True):
            for number, count in enumerate(counts.split()):
                rows.append(moderations(n, None if count == "-" else int(count), grouped_by, f"m{number}"))
    assert regrouped(answers) == {n: (cause, state) for n, (cause, state, *_) in enumerate(of_each_day)}


# An earlier release's ledger


FIRST_LEDGER = """
drop view ledger.day_states;
drop view ledger.restatements;
drop view ledger.stored_days;
alter table ledger.partition_versions drop column filters;
alter table ledger.partition_versions drop column answered_at;
alter table ledger.partition_versions drop column total_units;
alter table ledger.partition_versions drop column settling_days;
create view ledger.stored_days as
select * exclude (position)
from (
    select *, row_number() over (
        partition by table_name, slice, connection, usage_date order by version desc
    ) as position
    from ledger.partition_versions
)
where position = 1;
"""
"""Makes the ledger what the first release wrote."""


@ON_BOTH
def test_days_of_an_earlier_release_have_a_state_from_the_next_write_on(warehouse: Warehouse, fetched: Written) -> None:
    fetched(1, sample())
    with time_machine.travel(OVER + timedelta(hours=90), tick=False):
        warehouse.replace(SAMPLE, answer(to_arrow(Sample, [sample(1)])), days(1), "run")
    execute(warehouse, FIRST_LEDGER)
    with warehouse.transaction():
        pass
    assert states(warehouse) == []
    fetched(80, sample(requests=2))
    assert states(warehouse) == ["provisional", "provisional"]
    fetched(110, sample(requests=2))
    assert states(warehouse) == ["settled", "provisional"]
    assert found(warehouse, "total", "unit", "difference") == [("requests", "requests", 1)]


def test_a_restatement_begins_where_control_totals_differ() -> None:
    """SQL cannot import the tolerance: the view repeats it."""
    [view] = [view for view in VIEWS if view.names == ("ledger.compared_versions",)]
    [literal] = re.findall(r"\* (0\.\d+)", view.sql)
    assert Decimal(literal) == TOLERANCE

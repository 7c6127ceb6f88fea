"""What the ledger's views say of the recorded versions: what was restated, by how much, and which days are settled."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine

from usage_assets.core.money import TOLERANCE
from usage_assets.core.schema import Row, to_arrow
from usage_assets.providers.openai.costs import Costs, CostsControl
from usage_assets.providers.openai.usage import UsageModerations
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.ledger import VIEWS, DayState, PartitionVersion, Restatement
from usage_assets.warehouse.tables import SQL_TYPES, Table
from usage_assets.warehouse.values import Query
from usage_assets_tests.warehouse.samples import DAY, SAMPLE, Sample, answer, days, sample
from usage_assets_tests.warehouse.test_database import DOUBLED, FIRST_LEDGER, SHARED, TWICE, part, shared

OVER = datetime(2026, 11, 2, tzinfo=UTC)
"""When DAY is over."""
SETTLING = 3
Written = Callable[..., None]


@pytest.fixture
def fetched(warehouse: Warehouse) -> Written:
    """Write DAY as it was answered some hours after its end."""

    def write(hours: float, *rows: Sample, run_id: str = "run", **facts: Any) -> None:
        now = OVER + timedelta(hours=hours)
        with time_machine.travel(now, tick=False):
            content = answer(to_arrow(Sample, rows), **{"settling_days": SETTLING, **facts})
            warehouse.replace(SAMPLE, content, days(0), run_id)

    return write


def found(warehouse: Warehouse, *names: str) -> list[tuple[Any, ...]]:
    """Columns of every restatement, by version and total."""
    query = f"select {', '.join(names)} from ledger.restatements order by usage_date, table_name, version, total"
    return [tuple(row.values()) for row in warehouse.read(query).to_pylist()]


def states(warehouse: Warehouse) -> list[str]:
    """The states of every stored day."""
    rows = warehouse.read("select state from ledger.day_states order by connection, usage_date").to_pylist()
    return [row["state"] for row in rows]


@pytest.mark.parametrize("view", [Restatement, DayState], ids=lambda view: view.table)
def test_a_view_has_the_columns_that_are_declared(warehouse: Warehouse, view: type[Row]) -> None:
    with warehouse.transaction() as database:
        described = database.execute(f"describe {view.table}").fetchall()
    assert [(name, sql_type) for name, sql_type, *_ in described] == [
        (column.name, SQL_TYPES[column.type]) for column in Table(view).columns
    ]


# Restatements


def test_neither_a_first_write_nor_an_equal_one_is_a_restatement(warehouse: Warehouse, fetched: Written) -> None:
    fetched(1, sample(amount=Decimal(1)))
    fetched(2, sample(amount=Decimal(1)))
    assert found(warehouse, "*") == []


def test_what_rose_and_fell_is_told_to_the_last_digit(warehouse: Warehouse, fetched: Written) -> None:
    fetched(1, sample(amount=Decimal("0.130804383403075260000001"), requests=7))
    fetched(2, sample(amount=Decimal("0.13080438340307526"), requests=9), run_id="later")
    assert found(warehouse, "total", "unit", "change", "before", "after", "difference") == [
        (
            "amount",
            "USD",
            "fell",
            Decimal("0.130804383403075260000001"),
            Decimal("0.130804383403075260000000"),
            Decimal("-0.000000000000000000000001"),
        ),
        ("requests", "requests", "rose", 7, 9, 2),
    ]
    assert (
        found(warehouse, "connection", "usage_date", "table_name", "slice", "version", "found_at", "run_id")
        == [("c", DAY, "tests.sample", "", 2, OVER + timedelta(hours=2), "later")] * 2
    )


def test_a_total_of_nothing_is_null_and_not_zero(warehouse: Warehouse, fetched: Written) -> None:
    fetched(1)
    fetched(2, sample(amount=Decimal("-2.5"), trial=True))
    fetched(3)
    names = ("total", "unit", "change", "before", "after", "difference")
    assert found(warehouse, "version", *names) == [
        (2, "amount", "USD", "appeared", None, Decimal("-2.5"), Decimal("-2.5")),
        (2, "requests", "requests", "appeared", None, 1, 1),
        (2, "row_count", "rows", "rose", 0, 1, 1),
        (3, "amount", "USD", "vanished", Decimal("-2.5"), None, Decimal("2.5")),
        (3, "requests", "requests", "vanished", 1, None, -1),
        (3, "row_count", "rows", "fell", 1, 0, -1),
    ]


def test_rows_that_differ_without_any_total_are_one_restatement(warehouse: Warehouse, fetched: Written) -> None:
    fetched(1, sample(model="a", requests=2), sample(model="b", requests=3))
    fetched(2, sample(model="a", requests=3), sample(model="b", requests=2))
    assert found(warehouse, "change", "total", "unit", "before", "after", "difference") == [("rows", *[None] * 5)]


@pytest.mark.parametrize(
    ("before", "after", "change", "difference"),
    [
        (10**14 - 2, 10**14 - 1, "rose", 1),
        (10**14 - 1, 10**14, "rose", None),
        (2**63 - 1, 1, "fell", None),
        (-(10**14) + 1, 10**14 - 1, "rose", None),
    ],
)
def test_figures_too_large_for_money_do_not_take_the_view_down(
    warehouse: Warehouse, fetched: Written, before: int, after: int, change: str, difference: int | None
) -> None:
    fetched(1, sample(requests=before))
    fetched(2, sample(requests=after))
    assert found(warehouse, "change", "total", "difference") == [(change, "requests", difference)]


def test_days_connections_and_tables_are_told_apart(warehouse: Warehouse, fetched: Written) -> None:
    fetched(1, sample())
    with time_machine.travel(OVER, tick=False):
        for number, connection in ((0, "other"), (1, "c")):
            target = days(number, connection=connection)
            content = answer(to_arrow(Sample, [sample(number, requests=2, connection=connection)]))
            warehouse.replace(SAMPLE, content, target, "run")
    assert found(warehouse, "*") == []


def test_every_currency_has_a_total_of_its_own(warehouse: Warehouse) -> None:
    def write(**amounts: str) -> None:
        rows = [
            Costs(connection="c", usage_date=DAY, amount_value=Decimal(value), amount_currency=currency, grouped_by="")
            for currency, value in amounts.items()
        ]
        totals = [
            CostsControl(connection="c", usage_date=DAY, amount_value=row.amount_value, amount_currency=currency)
            for row, currency in zip(rows, amounts, strict=True)
        ]
        control = (Table(CostsControl), to_arrow(CostsControl, totals))
        content = answer(to_arrow(Costs, rows), control=control, settling_days=SETTLING)
        warehouse.replace(Table(Costs), content, days(0), "run")

    write(usd="1.1", eur="2.2", EUR="0.1")
    write(usd="1.1", eur="2.7", EUR="0.1", jpy="130")
    names = ("table_name", "total", "unit", "change", "before", "after", "difference")
    expected = [
        ("amount_eur", "EUR", "rose", Decimal("2.3"), Decimal("2.8"), Decimal("0.5")),
        ("amount_jpy", "JPY", "appeared", None, 130, 130),
        ("row_count", "rows", "rose", 3, 4, 1),
    ]
    assert found(warehouse, *names) == [
        (table, *line) for table in ("openai.costs", "openai.costs_control") for line in expected
    ]


def test_an_amount_without_currency_has_a_total_too(warehouse: Warehouse) -> None:
    for amount in (1, 2):
        row = Costs(connection="c", usage_date=DAY, amount_value=Decimal(amount), grouped_by="")
        warehouse.replace(Table(Costs), answer(to_arrow(Costs, [row])), days(0), "run")
    assert found(warehouse, "total", "unit", "difference") == [("amount_unknown", "unknown", 1)]


@pytest.mark.parametrize(
    ("first", "facts", "cause"),
    [
        (1, {}, "provider"),
        (-1, {}, "running"),
        (1, {"filters": '{"models":["m"]}'}, "question"),
        (1, {"stored_at": {DAY: OVER + timedelta(hours=1)}}, "archive"),
    ],
)
def test_it_is_told_why_a_day_differs(
    warehouse: Warehouse, fetched: Written, first: int, facts: dict[str, Any], cause: str
) -> None:
    fetched(first, sample(requests=1))
    fetched(2, sample(requests=2), **facts)
    assert found(warehouse, "cause") == [(cause,)]


def test_what_is_derived_from_a_restated_day_says_so(warehouse: Warehouse, fetched: Written) -> None:
    for hours, requests in ((1, 1), (2, 2)):
        fetched(hours, sample(requests=requests))
        warehouse.replace(DOUBLED, Query(sql=TWICE, reads=(SAMPLE.name,)), days(0), "run")
    assert found(warehouse, "table_name", "cause", "total", "difference") == [
        ("tests.doubled", "derived", "requests", 2),
        ("tests.sample", "provider", "requests", 1),
    ]


def test_parts_of_a_shared_table_are_told_apart(warehouse: Warehouse) -> None:
    warehouse.replace(SAMPLE, answer(to_arrow(Sample, [sample()])), days(0), "run")
    for source, requests in (("a", 1), ("b", 5), ("a", 3)):
        warehouse.replace(SHARED, shared(source, requests), part(source), "run")
    assert found(warehouse, "slice", "total", "difference") == [("a", "requests", 2)]


# States


@pytest.mark.parametrize(
    ("first", "second", "state"),
    [
        pytest.param(-1, None, "open", id="still running"),
        pytest.param(1, None, "provisional", id="fetched once"),
        pytest.param(24 * SETTLING + 100, None, "provisional", id="fetched once, late"),
        pytest.param(1, 24 * SETTLING - 0.01, "provisional", id="before its settling time"),
        pytest.param(1, 24 * SETTLING, "settled", id="at its settling time"),
        pytest.param(-1, 24 * SETTLING, "settled", id="first fetched while it was running"),
        pytest.param(24 * SETTLING, 24 * SETTLING + 23.99, "provisional", id="less than a day apart"),
        pytest.param(24 * SETTLING, 24 * SETTLING + 24, "settled", id="a day apart"),
    ],
)
def test_two_equal_fetches_settle_a_day(
    warehouse: Warehouse, fetched: Written, first: float, second: float | None, state: str
) -> None:
    for hours in (first, second):
        if hours is not None:
            fetched(hours, sample())
    assert states(warehouse) == [state]


def test_a_state_says_which_fetches_it_rests_on(warehouse: Warehouse, fetched: Written) -> None:
    for hours in (1, 30, 80, 90):
        fetched(hours, sample(requests=1 if hours == 1 else 2))
    [line] = warehouse.read("select * from ledger.day_states").to_pylist()
    at = {name: (line[name] - OVER) / timedelta(hours=1) for name in line if name.endswith("_at")}
    assert at == {"first_fetched_at": 30, "last_fetched_at": 90, "settled_at": 80}


def test_a_settled_day_that_changes_is_provisional_until_it_settles_again(
    warehouse: Warehouse, fetched: Written
) -> None:
    seen = []
    for hours, requests in ((1, 1), (80, 1), (90, 2), (113, 2), (114, 2), (115, 1), (139, 1)):
        fetched(hours, sample(requests=requests))
        seen += states(warehouse)
    assert seen == ["provisional", "settled", *["provisional"] * 2, "settled", "provisional", "settled"]


def test_an_empty_day_settles_like_any_other(warehouse: Warehouse, fetched: Written) -> None:
    fetched(1)
    fetched(80)
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


def test_a_derived_table_has_no_states(warehouse: Warehouse, fetched: Written) -> None:
    fetched(1, sample())
    [version] = warehouse.replace(DOUBLED, Query(sql=TWICE, reads=(SAMPLE.name,)), days(0), "run")
    tables = warehouse.read("select distinct table_name from ledger.day_states").to_pylist()
    assert (version.state, tables) == (None, [{"table_name": SAMPLE.name}])


def test_another_settling_time_holds_for_days_that_are_stored_already(warehouse: Warehouse, fetched: Written) -> None:
    fetched(1, sample())
    fetched(80, sample())
    for settling_days, state in ((9, "provisional"), (2, "settled")):
        with time_machine.travel(OVER + timedelta(days=5, minutes=10 - settling_days), tick=False):
            content = answer(to_arrow(Sample, [sample(4)]), settling_days=settling_days)
            [version] = warehouse.replace(SAMPLE, content, days(4), "run")
        assert (states(warehouse)[0], version.state) == (state, "provisional")


def test_states_do_not_depend_on_the_zone_of_who_reads_them(warehouse: Warehouse, fetched: Written) -> None:
    fetched(1, sample())
    fetched(24 * SETTLING, sample())
    for zone in ("Pacific/Kiritimati", "America/Los_Angeles"):
        with warehouse.get_connection() as connection:
            connection.execute(f"set TimeZone = '{zone}'")
            assert connection.execute("select state from ledger.day_states").fetchall() == [("settled",)]


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


def test_another_filter_that_finds_the_same_is_no_restatement_and_unsettles_nothing(
    warehouse: Warehouse, fetched: Written
) -> None:
    fetched(1, sample())
    fetched(120, sample())
    assert states(warehouse) == ["settled"]
    fetched(130, sample(), filters='{"user_ids":["a"]}', question="b")
    assert states(warehouse) == ["settled"]
    assert found(warehouse, "*") == []
    newest = warehouse.read("select changed from ledger.stored_days").to_pylist()
    assert newest == [{"changed": False}], "nothing is announced"


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


Grouped = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def regrouped(warehouse: Warehouse) -> Grouped:
    """Write DAY twice, a settled answer and one that is grouped otherwise; return what is said of the second."""

    def write(before: Sequence[Row], after: Sequence[Row]) -> list[tuple[Any, ...]]:
        row = type(before[0])
        for hours, rows in ((1, before), (90, before), (120, after)):
            with time_machine.travel(OVER + timedelta(hours=hours), tick=False):
                content = answer(to_arrow(row, rows), question="a", settling_days=SETTLING)
                warehouse.replace(Table(row), content, days(0), "run")
        causes = warehouse.read("select distinct cause from ledger.restatements").to_pylist()
        return [(line["cause"], *states(warehouse)) for line in causes]

    return write


def cost(amount: str, grouped_by: str, currency: str | None = "usd") -> Costs:
    """A part of what DAY cost: one for each amount."""
    of_day: dict[str, Any] = {"connection": "c", "usage_date": DAY, "grouped_by": grouped_by}
    return Costs(**of_day, amount_value=Decimal(amount), amount_currency=currency, line_item=amount)


def moderations(requests: int | None, grouped_by: str, model: str = "m") -> UsageModerations:
    """What DAY used of a model."""
    of_day: dict[str, Any] = {"connection": "c", "usage_date": DAY, "grouped_by": grouped_by}
    return UsageModerations(**of_day, num_model_requests=requests, input_tokens=None, model=model)


OURS, THEIRS = ("question", "settled"), ("provider", "provisional")


@pytest.mark.parametrize(
    ("amounts", "said"),
    [
        pytest.param(["3"], OURS, id="the same total"),
        pytest.param(["1", "1.5", "0.5"], OURS, id="the same total of more rows"),
        pytest.param(["3.000000000003"], OURS, id="within the rounding of three rows"),
        pytest.param(["2.999999999997"], OURS, id="within it, less"),
        pytest.param(["3.0000000000031"], THEIRS, id="beyond it"),
        pytest.param(["2.9999999999969"], THEIRS, id="beyond it, less"),
        pytest.param(["-3"], THEIRS, id="refunded"),
    ],
)
def test_another_grouping_is_a_restatement_where_the_totals_differ_by_more_than_a_providers_rounding(
    regrouped: Grouped, amounts: Sequence[str], said: tuple[str, str]
) -> None:
    assert regrouped([cost("1", "a"), cost("2", "a")], [cost(amount, "a,b") for amount in amounts]) == [said]


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ({"usd": "1", "eur": "2"}, OURS),
        ({"usd": "2", "eur": "1"}, THEIRS),
        ({"usd": "3"}, THEIRS),
        ({"usd": "1", "eur": "2", "jpy": "5"}, THEIRS),
        ({"usd": "1", "eur": "2", "jpy": "0"}, OURS),
        ({"usd": "1", None: "2"}, THEIRS),
    ],
)
def test_what_is_grouped_otherwise_agrees_in_every_currency(
    regrouped: Grouped, after: dict[str | None, str], said: tuple[str, str]
) -> None:
    before = [cost("1", "a"), cost("2", "a", "eur")]
    assert regrouped(before, [cost(amount, "b", currency) for currency, amount in after.items()]) == [said]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ([7], [3, 4], OURS),
        ([7], [3, 5], THEIRS),
        ([None], [None, None], OURS),
        ([None], [3, None], THEIRS),
        ([2**63 - 1], [2**63 - 2, 1], OURS),
        ([2**63 - 1], [2**63 - 2], THEIRS),
        ([-(10**14) + 1], [10**14 - 1], THEIRS),
    ],
)
def test_counters_that_are_grouped_otherwise_agree_exactly(
    regrouped: Grouped, before: Sequence[int | None], after: Sequence[int | None], said: tuple[str, str]
) -> None:
    def rows(counts: Sequence[int | None], grouped_by: str) -> list[UsageModerations]:
        return [moderations(count, grouped_by, f"m{n}") for n, count in enumerate(counts)]

    assert regrouped(rows(before, "a"), rows(after, "b")) == [said]


# An earlier release's ledger


def test_days_of_an_earlier_release_have_a_state_from_the_next_write_on(warehouse: Warehouse, fetched: Written) -> None:
    fetched(1, sample())
    with time_machine.travel(OVER + timedelta(hours=90), tick=False):
        warehouse.replace(SAMPLE, answer(to_arrow(Sample, [sample(1)])), days(1), "run")
    with warehouse.get_connection() as connection:
        connection.execute(FIRST_LEDGER)
    with warehouse.transaction():
        pass
    assert states(warehouse) == []
    fetched(80, sample(requests=2))
    assert states(warehouse) == ["provisional", "provisional"]
    fetched(110, sample(requests=2))
    assert states(warehouse) == ["settled", "provisional"]
    assert found(warehouse, "total", "unit", "difference") == [("requests", "requests", 1)]


def test_what_an_earlier_release_found_has_neither_cause_nor_unit(warehouse: Warehouse, fetched: Written) -> None:
    fetched(1, sample())
    fetched(2, sample(requests=2))
    with warehouse.get_connection() as connection:
        connection.execute(FIRST_LEDGER)
    with warehouse.transaction():
        pass
    assert found(warehouse, "cause", "total", "unit", "difference") == [(None, "requests", None, 1)]


def test_the_units_of_every_total_are_recorded(warehouse: Warehouse, fetched: Written) -> None:
    fetched(1)
    [line] = warehouse.read(f"select total_units::json as units from {PartitionVersion.table}").to_pylist()
    assert line == {"units": '{"requests":"requests","amount":"USD","paid_usd":"USD"}'}


def test_a_restatement_begins_where_control_totals_differ() -> None:
    """SQL cannot import the tolerance: the view repeats it."""
    [view] = [view for view in VIEWS if view.names == ("ledger.compared_versions",)]
    [literal] = re.findall(r"\* (0\.\d+)", view.sql)
    assert Decimal(literal) == TOLERANCE

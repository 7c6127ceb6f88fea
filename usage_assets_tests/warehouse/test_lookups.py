"""Lookups keep their history: what changes is closed and opened, nothing is lost, and the same answer is no change."""

from collections.abc import Mapping
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import pyarrow as pa
import pytest
import time_machine

from usage_assets.core.schema import LookupRow, column, to_arrow
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.lookups import Changes, UnknownIds, keep_of_people, record, unknown_ids
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import WarehouseError
from usage_assets_tests.models.days import cases, lines, seen
from usage_assets_tests.warehouse.conftest import ON_BOTH
from usage_assets_tests.warehouse.samples import SAMPLE, Sample, day, days, nothing_changes, sample, write

FIRST = datetime(2026, 11, 20, 5, 45, tzinfo=UTC)


class Thing(LookupRow, kw_only=True):
    """One row per connection, thing and version of its attributes."""

    table = "tests.things"

    name: Annotated[str | None, column("Name")] = None
    archived_at: Annotated[datetime | None, column("When it was archived")] = None


THINGS = Table(Thing)
USED_IN = {SAMPLE.name: ["model", "person"], "tests.not_there_yet": ["model"]}
TAKES = timedelta(seconds=5)
"""From asking for a list to storing it."""


def moment(number: int) -> datetime:
    """The day's lookup, ``number`` days after the first."""
    return FIRST + timedelta(days=number)


def answer(as_of: datetime, things: Mapping[str, str | None], connection: str = "c", **values: Any) -> pa.Table:
    """A complete answer: the name of each id."""
    rows = [Thing(connection=connection, id=id_, valid_from=as_of, name=name, **values) for id_, name in things.items()]
    return to_arrow(Thing, rows)


def look_up(
    warehouse: Warehouse, number: int, things: Mapping[str, str | None], connection: str = "c", **values: Any
) -> Changes:
    """Record a day's answer."""
    as_of = moment(number)
    with time_machine.travel(as_of + TAKES, tick=False):
        return record(warehouse, THINGS, answer(as_of, things, connection, **values), connection, as_of, USED_IN)


def history(warehouse: Warehouse, connection: str = "c") -> list[tuple[str, str | None, int, int | None]]:
    """Id, name, first day and last day of every version."""
    query = "select * from tests.things where connection = $connection order by id, valid_from"
    return [
        (
            row["id"],
            row["name"],
            (row["valid_from"] - FIRST).days,
            row["valid_to"] and (row["valid_to"] - FIRST).days,
        )
        for row in warehouse.read(query, {"connection": connection}).to_pylist()
    ]


LISTS = cases("""
    the first -> a=A b= -> 2 2 0 0
    the same -> b= a=A -> 2 0 0 0
    without one -> a=A -> 1 0 0 1
    still without it -> a=A -> 1 0 0 0
    with it again -> a=A b= -> 2 1 0 0
    empty ->  -> 0 0 0 2
""")
"""Lists of one day after the other, and what each changes: rows, and how many are new, changed and gone."""


def test_what_is_listed_is_opened_and_what_is_not_any_more_is_closed(warehouse: Warehouse) -> None:
    for number, (name, listed, counts) in enumerate(LISTS):
        things = {id_: called or None for id_, called in (each.split("=") for each in listed.split())}
        with nothing_changes(warehouse) if counts.endswith(" 0 0 0") else nullcontext():
            assert look_up(warehouse, number, things) == Changes(*map(int, counts.split())), name
    assert seen(history(warehouse)) == lines("a  A  0  5\nb  -  0  2\nb  -  4  5")


@ON_BOTH
def test_a_new_name_closes_the_old_row_and_opens_another(warehouse: Warehouse) -> None:
    before = {"renamed": "A", "unnamed": "A", "named": None, "another case": "A", "same": "B"}
    after = {"renamed": "B", "unnamed": None, "named": "A", "another case": "a", "same": "B"}
    look_up(warehouse, 0, before)
    assert look_up(warehouse, 1, after) == Changes(rows=5, new=0, changed=4, gone=0)
    assert seen(history(warehouse)) == lines("""
        another case  A  0  1
        another case  a  1  -
        named         -  0  1
        named         A  1  -
        renamed       A  0  1
        renamed       B  1  -
        same          B  0  -
        unnamed       A  0  1
        unnamed       -  1  -
    """)
    assert look_up(warehouse, 2, after, archived_at=FIRST).changed == 5, "any attribute counts"
    with nothing_changes(warehouse):
        look_up(warehouse, 3, after, archived_at=FIRST)


def test_an_answer_that_a_newer_one_has_overtaken_is_refused(warehouse: Warehouse) -> None:
    newer: Mapping[str, Mapping[str, str]] = {"changed": {"a": "B"}, "gone": {}}
    for connection, later in newer.items():
        look_up(warehouse, 0, {"a": "A"}, connection)
        look_up(warehouse, 2, later, connection)
        slow = answer(moment(1), {"a": "A"}, connection)
        with (
            nothing_changes(warehouse),
            time_machine.travel(moment(3), tick=False),
            pytest.raises(WarehouseError, match=r"tests\.things: another run stored a newer"),
        ):
            record(warehouse, THINGS, slow, connection, moment(1), USED_IN)


def test_an_answer_is_the_newest_one_after_the_clock_was_set_back(warehouse: Warehouse) -> None:
    use(warehouse, sample(1, "a"), sample(4, "b"))
    look_up(warehouse, 0, {"a": "A"})
    look_up(warehouse, 2, {"a": "A", "b": "B"})
    assert namings(warehouse) == [("c", 1, 0), ("c", 4, 2)]
    assert look_up(warehouse, 1, {"a": "A", "b": "renamed"}) == Changes(rows=2, new=0, changed=1, gone=0)
    assert [(name, last is None) for _, name, _, last in history(warehouse)] == [
        ("A", True),
        ("B", False),
        ("renamed", True),
    ]
    [*_, last] = warehouse.read("select named_at from ledger.namings order by named_at")["named_at"].to_pylist()
    assert last > moment(2) + TAKES, "days that show the old name are computed again"


def test_a_write_that_fails_changes_nothing(warehouse: Warehouse) -> None:
    look_up(warehouse, 0, {"a": "A"})
    broken = answer(moment(1), {"b": "B"}).drop_columns(["id"])
    with nothing_changes(warehouse), pytest.raises(WarehouseError):
        record(warehouse, THINGS, broken, "c", moment(1), USED_IN)


# Since when the names of ids are shown


def use(warehouse: Warehouse, *rows: Sample, connection: str = "c") -> None:
    """Store days 0 to 9, with these rows."""
    write(warehouse, rows, days(0, 9, connection))


def namings(warehouse: Warehouse) -> list[tuple[str, int, int]]:
    """Connection, first day and number of the lookup, of every naming."""
    query = "select connection, lookup, first_day, named_at from ledger.namings order by connection, first_day"
    rows = warehouse.read(query).to_pylist()
    assert {row["lookup"] for row in rows} <= {THINGS.name}
    return [
        (row["connection"], (row["first_day"] - day(0)).days, (row["named_at"] - FIRST - TAKES).days) for row in rows
    ]


def test_what_a_first_list_names_is_shown_since_the_first_day_that_has_one_of_its_ids(warehouse: Warehouse) -> None:
    use(warehouse, sample(6, "a"), sample(5, "b"), sample(3, None, person="a"), sample(2, "unlisted"))
    use(warehouse, sample(1, "a", "other"), connection="other")
    look_up(warehouse, 0, {"a": "A", "b": "B", "unused": "U"})
    assert namings(warehouse) == [("c", 3, 0)]


# Unknown ids


def test_ids_that_were_never_listed_are_counted_with_a_few_examples(warehouse: Warehouse) -> None:
    assert unknown_ids(warehouse, "c", "thing", ["tests.used"], ["tests.things"]) == UnknownIds(0, 0, ())
    look_up(warehouse, 0, {"a": "A", "gone": "G"})
    look_up(warehouse, 1, {"a": "A"})
    with warehouse.transaction() as database:
        database.execute(
            "create table tests.used as select 'c' as connection, unnest(['a', 'gone', 'x', 'y', 'x', null]) as thing"
        )
        database.execute("insert into tests.used values ('other', 'z')")
    tables, lookups = ["tests.used", "tests.used", "tests.not_there_yet"], ["tests.things", "tests.not_there_either"]
    assert unknown_ids(warehouse, "c", "thing", tables, lookups) == UnknownIds(4, 2, ["x", "y"])
    assert unknown_ids(warehouse, "c", "thing", tables, lookups, most=1).examples == ["x"]
    assert unknown_ids(warehouse, "other", "thing", tables, lookups) == UnknownIds(1, 1, ["z"])
    assert unknown_ids(warehouse, "c", "thing", tables, []) == UnknownIds(4, 4, ["a", "gone", "x", "y"])


def test_another_policy_for_people_reaches_closed_versions_of_the_connection(warehouse: Warehouse) -> None:
    look_up(warehouse, 0, {"a": "Alice", "b": "Bob"})
    look_up(warehouse, 0, {"a": "Alice"}, connection="other")
    look_up(warehouse, 1, {"a": "Alice"})
    policy = {"name": lambda name: None if name == "Bob" else name.casefold()}
    keep_of_people(warehouse, THINGS, "c", policy, USED_IN)
    assert history(warehouse) == [("a", "alice", 0, None), ("b", None, 0, 1)]
    assert history(warehouse, "other") == [("a", "Alice", 0, None)]

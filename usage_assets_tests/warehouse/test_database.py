"""A day is replaced whole or not at all, and its version is recorded with it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pytest
import time_machine

from usage_assets.core.schema import Row, column, to_arrow
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch, Query, WarehouseError
from usage_assets_tests.fixtures import execute
from usage_assets_tests.models.days import lines, seen
from usage_assets_tests.warehouse.conftest import ON_BOTH
from usage_assets_tests.warehouse.samples import (
    DAY,
    FULL,
    SAMPLE,
    Sample,
    answer,
    day,
    days,
    ledger,
    models,
    nothing_changes,
    sample,
    stored,
    write,
)


@contextmanager
def refused(warehouse: Warehouse, message: str) -> Iterator[None]:
    """What happens inside is refused in one line, and nothing changes."""
    with nothing_changes(warehouse), pytest.raises(WarehouseError, match=message) as error:
        yield
    assert "\n" not in str(error.value)


# Replacing


@ON_BOTH
def test_a_second_write_replaces_the_first_also_by_nothing(warehouse: Warehouse) -> None:
    write(warehouse, [sample(model="a"), sample(model="b")])
    write(warehouse, [sample(model="b", requests=2), sample(model="c")])
    assert [(row["model"], row["requests"]) for row in stored(warehouse)] == [("b", 2), ("c", 1)]
    [version] = write(warehouse, [])
    assert stored(warehouse) == []
    assert (version.row_count, version.changed, len(version.sample)) == (0, True, 0)


# Refusals


@ON_BOTH
def test_a_failing_insert_keeps_the_old_rows(warehouse: Warehouse) -> None:
    write(warehouse, [sample(model="old")])
    nulled = to_arrow(Sample, [sample(), sample(model="n")]).set_column(
        3, pa.field("requests", pa.int64(), nullable=False), pa.array([1, None], pa.int64())
    )
    with refused(warehouse, "NOT NULL constraint failed: sample.requests"):
        warehouse.replace(SAMPLE, answer(nulled), days(0), "run")
    assert models(warehouse) == ["old"]


def test_rows_outside_the_slice_are_refused(warehouse: Warehouse) -> None:
    write(warehouse, [sample(0), sample(1)], days(0, 1))
    for row, named in (
        (sample(-1), "c 2026-10-31"),
        (sample(2), "c 2026-11-03"),
        (sample(0, connection="other"), "other 2026-11-01"),
        (sample(0, connection="C"), "C 2026-11-01"),
    ):
        with refused(warehouse, rf"tests\.sample: rows outside c 2026-11-01 to 2026-11-02, .*: {named}$"):
            write(warehouse, [sample(0), row], days(0, 1))


def test_a_repeated_grain_is_refused_and_null_is_a_value_of_it(warehouse: Warehouse) -> None:
    write(warehouse, [sample(model="a")])
    with refused(warehouse, r"tests\.sample: 2026-11-01: 2 rows for one connection, usage_date, model \(1 contra"):
        write(warehouse, [sample(model="b", requests=1), sample(model="b", requests=2)])
    write(warehouse, [sample(model=None), sample(model="")])
    with refused(warehouse, "2 rows for one"):
        write(warehouse, [sample(model=None), sample(model=None, requests=2)])


# What is stored with an answer


class SampleControl(Row):
    """One row per connection and day: what the provider states without grouping."""

    table = "tests.sample_control"
    grain = ()

    requests: Annotated[int, column("Requests made", unit="requests")]


CONTROL = Table(SampleControl)


def controlled(requests: int, *rows: Sample, stated: int = 1) -> Batch:
    """An answer with its control totals."""
    total = SampleControl(connection="c", usage_date=DAY, requests=requests)
    return answer(to_arrow(Sample, rows), control=(CONTROL, to_arrow(SampleControl, [total] * stated)))


@ON_BOTH
def test_control_totals_are_stored_with_the_rows_or_not_at_all(warehouse: Warehouse) -> None:
    for requests in (2, 1):
        [version] = warehouse.replace(SAMPLE, controlled(requests, sample()), days(0), "run")
        assert version.row_count == 1
    recorded = warehouse.read("select table_name, version from ledger.stored_days order by table_name").to_pylist()
    assert seen(recorded) == [("tests.sample", "2"), ("tests.sample_control", "2")]
    with refused(warehouse, r"tests\.sample_control: 2026-11-01: 2 rows for one connection, usage_date"):
        warehouse.replace(SAMPLE, controlled(7, sample(requests=7), stated=2), days(0), "run")
    with refused(warehouse, r"tests\.sample: 2026-11-01: 2 rows for one connection, usage_date, model"):
        warehouse.replace(SAMPLE, controlled(7, sample(), sample()), days(0), "run")
    assert warehouse.read("select requests from tests.sample_control").to_pylist() == [{"requests": 1}]


# Answers that are late


def asked_at(moment: datetime, *rows: Sample) -> Batch:
    """An answer that was asked for at that moment."""
    return answer(to_arrow(Sample, rows), began=moment)


BEFORE_THE_WRITE, WRITTEN = (datetime(2026, 11, 20, hour, tzinfo=UTC) for hour in (7, 8))


def test_the_last_write_wins_after_the_clock_was_set_back(warehouse: Warehouse) -> None:
    """Or on a host whose clock is behind that of the host that wrote before."""
    with time_machine.travel(WRITTEN, tick=False):
        write(warehouse, [sample(requests=2)], run_id="other")
    with time_machine.travel(BEFORE_THE_WRITE):
        [version] = write(warehouse, [sample(requests=3)], run_id="behind")
        assert (version.version, version.changed) == (2, True)
        assert warehouse.read("select run_id from ledger.stored_days").to_pylist() == [{"run_id": "behind"}]


def test_a_day_that_was_asked_for_while_it_was_running_is_open(warehouse: Warehouse) -> None:
    late = asked_at(datetime(2026, 11, 1, 23, 59, 59, tzinfo=UTC), sample())
    [version] = warehouse.replace(SAMPLE, late, days(0), "run")
    assert version.is_open


# Declared tables that change


class Grown(Row):
    """One row per connection and day."""

    table = "tests.grown"
    grain = ()

    requests: Annotated[int, column("Requests made", unit="requests")] = 1


class GrownFurther(Row):
    """One row per connection and day."""

    table = "tests.grown"
    grain = ()

    region: Annotated[str | None, column("Where it's run", unit="place")] = None
    requests: Annotated[int, column("Requests made", unit="requests")] = 1


def narrow(warehouse: Warehouse, statement: str) -> None:
    """Change the stored table behind the declaration's back."""
    write(warehouse, [sample(model="old")])
    execute(warehouse, f"alter table tests.sample {statement}")


@ON_BOTH
def test_a_nullable_column_gained_is_added_in_place_with_its_comment(warehouse: Warehouse) -> None:
    old = [Grown(connection="c", usage_date=day(n)) for n in range(2)]
    warehouse.replace(Table(Grown), answer(to_arrow(Grown, old)), days(0, 1), "run")
    new = GrownFurther(connection="c", usage_date=day(1), region="eu")
    warehouse.replace(Table(GrownFurther), answer(to_arrow(GrownFurther, [new])), days(1), "run")
    rows = warehouse.read("select usage_date, region, requests from tests.grown order by usage_date").to_pylist()
    assert seen(rows) == [(str(day(0)), "-", "1"), (str(day(1)), "eu", "1")]
    comments = warehouse.read("select comment from duckdb_columns() where column_name = 'region'").to_pylist()
    assert comments == [{"comment": "Where it's run [place]"}]


@ON_BOTH
def test_a_column_that_may_be_null_from_now_on_is_altered_in_place(warehouse: Warehouse) -> None:
    """The file of an earlier release opens without loss, and without anybody's doing."""
    narrow(warehouse, "alter column model set not null")
    before = stored(warehouse)
    write(warehouse, [sample(1, model=None)], days(1))
    assert stored(warehouse) == before != []
    assert models(warehouse, days(1)) == [None]


DIFFERENCES = (
    ("drop column requests", "requests is missing", "add column requests BIGINT"),
    (
        "add column extra VARCHAR",
        r"extra is not declared \(if a newer release added it, install that or restore a backup\)",
        "drop column extra",
    ),
    (
        "alter column requests drop not null",
        "requests is BIGINT, not BIGINT not null",
        "alter column requests set not null",
    ),
)
"""What somebody has done to the table, how it then differs, and what mends it."""


def test_any_other_difference_is_refused_with_the_statement_that_mends_it(warehouse: Warehouse) -> None:
    for statement, difference, mend in DIFFERENCES:
        narrow(warehouse, statement)
        expected = (
            rf"tests\.sample: differs from its declaration: {difference}; "
            rf"to mend it: (alter table tests\.sample {mend};)$"
        )
        with nothing_changes(warehouse), pytest.raises(WarehouseError, match=expected) as error:
            write(warehouse, [sample(model="new")])
        execute(warehouse, str(error.value).partition("to mend it: ")[2])
        execute(warehouse, "update tests.sample set requests = 1 where requests is null")
        execute(warehouse, "alter table tests.sample alter column requests set not null")
        write(warehouse, [sample(model="new")])
        assert models(warehouse) == ["new"], statement


# Versions


def test_the_hash_is_of_the_rows_digests_in_order(warehouse: Warehouse) -> None:
    """If this format changes, also with another DuckDB, every day that is read again reads as restated once: change it
    knowingly."""
    rows = [sample(model="b"), sample(model='a"\n|é\\'), sample(model="\0"), sample(model=""), sample(model=None)]
    rows += [sample(model="x", amount=Decimal("-1.5"), level=-3, trial=True)]
    assert write(warehouse, rows)[0].content_hash == content_hash(rows)
    assert write(warehouse, [FULL])[0].content_hash == content_hash([FULL])
    assert write(warehouse, [])[0].content_hash == hashlib.sha256(b"").hexdigest()


def content_hash(rows: list[Sample]) -> str:
    """The hash of a day as the declaration says it, without SQL."""
    names = SAMPLE.arrow_schema.names
    keys = (b"".join(_sort_key(getattr(row, name)) for name in names) for row in rows)
    digests = sorted(hashlib.md5(key, usedforsecurity=False).hexdigest() for key in keys)
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _sort_key(value: object) -> bytes:
    """A value as bytes that sort as values do: nulls last, texts ended by 0, numbers from their type's least on."""
    match value:
        case None:
            return b"\2"
        case str():
            return b"\1" + bytes(byte + 1 for byte in value.encode()) + b"\0"
        case bool():
            return b"\1" + bytes([value])
        case int():
            number, size = value, 8
        case Decimal():
            number, size = int(value.scaleb(24)), 16
        case datetime():
            number, size = (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1), 8
        case date():
            number, size = (value - date(1970, 1, 1)).days, 4
    return b"\1" + (number + (1 << 8 * size - 1)).to_bytes(size)


# Derived tables


class Doubled(Row):
    """One row per connection and day of sample."""

    table = "tests.doubled"
    grain = ()

    requests: Annotated[int, column("Twice the requests", unit="requests")]
    amount: Annotated[Decimal | None, column("Twice the cost", unit="USD")] = None


DOUBLED = Table(Doubled)
TWICE = """
select connection, usage_date, 2 * sum(requests) as requests, 2 * sum(amount) as amount
from tests.sample
group by connection, usage_date
"""
CHECK = """
-- says: requests: doubled holds {found}, and the sample makes {expected}
select connection, usage_date, sum(expected) as expected, sum(found) as found
from (
  select connection, usage_date, 2 * requests as expected, 0 as found from tests.sample
  union all
  select connection, usage_date, 0, requests from tests.doubled
)
group by all
having sum(expected) <> sum(found)
"""


def doubled(sql: str = TWICE, **options: Any) -> Query:
    return Query(sql=sql, reads=("tests.sample",), reconciliations=(CHECK,), **options)


WRONG_QUERIES = (
    (
        TWICE.replace("2 * sum(requests)", "3 * sum(requests)"),
        "2026-11-01: requests: doubled holds 3, and the sample makes 2",
    ),
    (TWICE + " union all " + TWICE, "2026-11-01: 2 rows for one connection, usage_date"),
    (
        TWICE.replace("tests.sample", "tests.sample where false"),
        "requests: doubled holds 0, and the sample makes 2",
    ),
    (TWICE.replace("2 * sum(requests)", "9223372036854775807 * sum(requests) * 2"), "Conversion Error"),
    (TWICE.replace("2 * sum(requests)", "null"), "NOT NULL constraint failed"),
    ("select from", "Parser Error"),
)
"""What a query should not be, and what is said of it."""


def test_a_query_that_is_wrong_writes_nothing(warehouse: Warehouse) -> None:
    write(warehouse, [sample(0, amount=Decimal("0.5"))])
    warehouse.replace(DOUBLED, doubled(), days(0), "run")
    for sql, message in WRONG_QUERIES:
        with refused(warehouse, message):
            warehouse.replace(DOUBLED, doubled(sql), days(0), "run")


@ON_BOTH
def test_a_contradiction_of_one_day_refuses_the_whole_range(warehouse: Warehouse) -> None:
    write(warehouse, [sample(n) for n in range(3)], days(0, 2))
    wrong = TWICE.replace("2 * sum(requests)", "2 * sum(requests) + (usage_date = '2026-11-02')::int")
    with refused(warehouse, r"tests\.doubled: 2026-11-02: requests: doubled holds 3, and .* 2 \(1 contradictions\)"):
        warehouse.replace(DOUBLED, doubled(wrong), days(0, 2), "run")


class Shared(Row):
    """One row per connection, day and source, of tables that several assets write."""

    table = "tests.shared"
    grain = ("source_table",)
    slice_by = "source_table"

    source_table: Annotated[str, column("Source")]
    requests: Annotated[int, column("Requests", unit="requests")]


SHARED = Table(Shared)


def part(name: str, first: int = 0, last: int | None = None) -> Slice:
    """The part of a shared table."""
    target = days(first, last)
    return Slice(target.connection, target.first, target.last, name)


def shared(source: str, requests: int) -> Query:
    sql = f"select connection, usage_date, '{source}' as source_table, {requests} as requests from tests.sample"
    return Query(sql=sql, reads=("tests.sample",), part=source)


def test_parts_of_a_shared_table_are_replaced_and_versioned_alone(warehouse: Warehouse) -> None:
    write(warehouse, [sample()])
    for source, requests in (("a", 1), ("b", 2), ("a", 3), ("a", 3)):
        warehouse.replace(SHARED, shared(source, requests), part(source), "run")
    rows = warehouse.read("select source_table, requests from tests.shared order by all").to_pylist()
    assert seen(rows) == [("a", "3"), ("b", "2")]
    parts = [line for line in ledger(warehouse) if line["slice"]]
    assert seen(parts, "slice version changed") == lines("""
        a  1  True
        a  2  True
        a  3  False
        b  1  True
    """)


def test_rows_of_another_part_are_refused(warehouse: Warehouse) -> None:
    row = Shared(connection="c", usage_date=DAY, source_table="b", requests=1)
    with pytest.raises(WarehouseError, match=r"rows outside c 2026-11-01 to 2026-11-01 of a, which is all"):
        warehouse.replace(SHARED, answer(to_arrow(Shared, [row])), part("a"), "run")


def test_views_are_made_once_and_again_where_they_are_gone_or_from_another_release(new_warehouse: Warehouse) -> None:
    with new_warehouse.transaction():
        pass
    stored = Path(new_warehouse.database).read_bytes()
    with new_warehouse.transaction():
        pass
    assert Path(new_warehouse.database).read_bytes() == stored, "nothing is written where nothing has changed"
    for change in (
        "drop view ledger.day_states",
        "create or replace view ledger.stored_days as select 1 as another",
        "comment on view ledger.stored_days is 'of an earlier release'",
    ):
        execute(new_warehouse, change)
        with new_warehouse.transaction() as connection:
            assert connection.execute("select usage_date from ledger.stored_days").fetchall() == []
            assert connection.execute("select state from ledger.day_states").fetchall() == []

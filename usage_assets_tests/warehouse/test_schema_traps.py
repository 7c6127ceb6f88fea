"""The schema traps of the stock IO manager, set for ours: what is given is stored exactly, or refused.

There the first frame decides the types, later inserts go by position, and text and times are compared as they come.
Each trap is set for frames, Arrow tables and queries. What is accepted is written twice, and the second time changes
nothing.
"""

import multiprocessing
import re
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import dagster as dg
import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from msgspec.structs import replace

from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.values import Query
from usage_assets_tests.warehouse.samples import FULL, SAMPLE, Sample, day, days, nothing_changes, sample, write
from usage_assets_tests.warehouse.test_io_manager import Run, arrow, failure

pytestmark = pytest.mark.slow

NAMES = SAMPLE.arrow_schema.names
REVERSED = NAMES[::-1]
INTEGERS_SWAPPED = [{"requests": "level", "level": "requests"}.get(name, name) for name in NAMES]
BARE = sample(model=None)


class Step(NamedTuple):
    """A run for one day: what the table holds afterwards, or what the content is refused with."""

    content: pa.Table | pd.DataFrame | Query
    outcome: Sequence[Sample] | str
    day: int = 0


Trap: TypeAlias = Mapping[str, Sequence[Step]]
"""Kind of content -> the runs, one after the other."""


def full(**values: Any) -> Sample:
    """``FULL`` with other values."""
    return replace(FULL, **values)


def frame(*rows: Sample, **columns: Any) -> pd.DataFrame:
    """The rows as a frame, with other columns."""
    values = {
        name: pd.Series(column, dtype=None if name == "noted_at" else object)
        for name, column in arrow(*rows).to_pydict().items()
    }
    return pd.DataFrame(values).assign(**columns)


def table(*rows: Sample, **columns: pa.Array) -> pa.Table:
    """The rows as an Arrow table, with other columns."""
    rows_as_declared = arrow(*rows)
    for name, column in columns.items():
        rows_as_declared = rows_as_declared.set_column(NAMES.index(name), name, column)
    return rows_as_declared


LITERALS = {
    "connection": "'c'",
    "usage_date": "date '2026-11-01'",
    "model": "'m'",
    "requests": "1",
    "amount": "0.130804383403075260000001",
    "level": "3",
    "trial": "false",
    "noted_at": "timestamptz '2026-11-02 06:00:00.000001+00'",
    "person": "'bob@example.com'",
}
"""``FULL`` in SQL."""


def query(names: Sequence[str] = (), **expressions: str) -> Query:
    """A query of ``FULL``, with other expressions and, perhaps, other columns."""
    columns = LITERALS | expressions
    return Query(f"select {', '.join(f'{columns[name]} as {name}' for name in names or columns)}", ())


def union(*queries: Query) -> Query:
    """The rows of the queries."""
    return Query(" union all ".join(query.sql for query in queries), ())


NULLS = dict.fromkeys(("model", "amount", "level", "person"), "null")
FROM_NULLS = query(**NULLS, trial="null::boolean", noted_at="null::timestamptz")

NO_NUMBER = r"tests\.sample\.level: holds floating, not integer"
OTHER_COLUMNS = r"tests\.sample: the written columns differ from the declared ones: "
OTHER_NAMES = r"tests\.sample: columns differ from the declaration: "
CONVERTED = r"tests\.sample: the query computes {} as {}, which would be converted to "

ON_THE_DAY = full(noted_at=datetime(2026, 11, 1, 3, 30, tzinfo=UTC))
DAY_AFTER = full(usage_date=day(1), noted_at=datetime(2026, 11, 2, 3, 30, tzinfo=UTC))
"""Of the UTC days 1 and 2 of November, which are 31 October and 1 November in New York."""
LATE = datetime(2026, 11, 1, 23, 30, tzinfo=UTC)
IN_UTC = pa.timestamp("us", "UTC")


def moment(text: str) -> str:
    return f"timestamptz '{text}+00'"


def derived_day(number: int) -> Query:
    """A query that computes the day of a moment, as SQL over a table of moments does."""
    noted_at = moment(f"2026-11-0{number + 1} 03:30:00")
    return query(usage_date=f"{noted_at}::date", noted_at=noted_at)


WITH_A_ZONE: Trap = {
    "frame": [
        Step(frame(ON_THE_DAY), [ON_THE_DAY], 0),
        Step(frame(DAY_AFTER), [ON_THE_DAY, DAY_AFTER], 1),
        Step(frame(ON_THE_DAY), [ON_THE_DAY, DAY_AFTER], 0),
        Step(
            frame(ON_THE_DAY, noted_at=pd.Timestamp("2026-10-31 23:30", tz="America/New_York")), [ON_THE_DAY, DAY_AFTER]
        ),
        Step(
            frame(FULL, noted_at=pd.Timestamp("2026-11-01 03:30")),
            "noted_at: holds datetime64, not datetime64 with a time zone",
        ),
        Step(
            frame(FULL, usage_date=pd.Timestamp("2026-11-01", tz="UTC")),
            "usage_date: holds datetime64 with a time zone, not date",
        ),
        Step(
            frame(FULL, sample(model="n"), usage_date=pd.Series([day(0), LATE], dtype=object)),
            r"tests\.sample\.usage_date: holds datetime among dates, not date",
        ),
    ],
    "Arrow": [
        Step(table(ON_THE_DAY), [ON_THE_DAY], 0),
        Step(table(DAY_AFTER), [ON_THE_DAY, DAY_AFTER], 1),
        Step(table(ON_THE_DAY), [ON_THE_DAY, DAY_AFTER], 0),
        Step(table(FULL, usage_date=pa.array([LATE], IN_UTC)), f"{OTHER_COLUMNS}usage_date"),
        Step(table(FULL, noted_at=pa.array([LATE], pa.timestamp("us"))), f"{OTHER_COLUMNS}noted_at"),
    ],
    "query": [
        Step(derived_day(0), [ON_THE_DAY], 0),
        Step(derived_day(1), [ON_THE_DAY, DAY_AFTER], 1),
        Step(derived_day(0), [ON_THE_DAY, DAY_AFTER], 0),
        Step(
            query(usage_date=moment("2026-11-01 23:30:00")),
            CONVERTED.format("usage_date", "TIMESTAMP WITH TIME ZONE") + "DATE",
        ),
        Step(
            query(noted_at="timestamp '2026-11-01 23:30'"),
            CONVERTED.format("noted_at", "TIMESTAMP") + "TIMESTAMP WITH TIME ZONE",
        ),
    ],
}

TRAPS: Mapping[str, Trap] = {
    "all-None column first, then strings or decimals": {
        "frame": [Step(frame(BARE), [BARE]), Step(frame(FULL), [FULL])],
        "Arrow": [Step(table(BARE), [BARE]), Step(table(FULL), [FULL])],
        "query": [Step(FROM_NULLS, [BARE]), Step(query(), [FULL])],
    },
    "all-NaN first, then strings": {
        "frame": [
            Step(frame(BARE, model=float("nan")), r"tests\.sample\.model: holds floating, not string"),
            Step(frame(BARE, model=pd.Series([float("nan")], dtype=object)), [BARE]),
            Step(frame(FULL), [FULL]),
        ],
        "Arrow": [
            Step(table(BARE, model=pa.array([float("nan")])), f"{OTHER_COLUMNS}model"),
            Step(table(FULL), [FULL]),
        ],
        "query": [
            Step(query(model="'NaN'::double"), CONVERTED.format("model", "DOUBLE") + "VARCHAR"),
            Step(query(), [FULL]),
        ],
    },
    "int first, float 2.7 later": {
        "frame": [Step(frame(FULL), [FULL]), Step(frame(FULL, level=2.7), NO_NUMBER)],
        "Arrow": [Step(table(FULL), [FULL]), Step(table(FULL, level=pa.array([2.7])), f"{OTHER_COLUMNS}level")],
        "query": [
            Step(query(), [FULL]),
            Step(query(level="2.7::double"), CONVERTED.format("level", "DOUBLE") + "BIGINT"),
            Step(query(level="2.7"), CONVERTED.format("level", r"DECIMAL\(2,1\)") + "BIGINT"),
            Step(query(level="'2.7'"), CONVERTED.format("level", "VARCHAR") + "BIGINT"),
        ],
    },
    "Decimal 1.23 first": {
        "frame": [
            Step(frame(FULL, amount=Decimal("1.23")), [full(amount=Decimal("1.23"))]),
            Step(frame(FULL, amount=Decimal("1.23456789")), [full(amount=Decimal("1.23456789"))]),
            Step(frame(FULL, amount=Decimal("123456789.12")), [full(amount=Decimal("123456789.12"))]),
            Step(frame(FULL, amount=Decimal("0.1234567890123456789012345")), r"tests\.sample: .* for column amount"),
            Step(frame(FULL, amount=Decimal(10) ** 14), r"tests\.sample: .* for column amount"),
            Step(frame(FULL, amount=1.5), r"tests\.sample\.amount: holds floating, not decimal"),
        ],
        "Arrow": [
            Step(table(full(amount=Decimal("1.23"))), [full(amount=Decimal("1.23"))]),
            Step(table(full(amount=Decimal("1.23456789"))), [full(amount=Decimal("1.23456789"))]),
            Step(table(full(amount=Decimal("123456789.12"))), [full(amount=Decimal("123456789.12"))]),
            Step(table(FULL, amount=pa.array([Decimal("1e-25")], pa.decimal128(38, 25))), f"{OTHER_COLUMNS}amount"),
            Step(table(FULL, amount=pa.array([Decimal("1e14")], pa.decimal128(38, 2))), f"{OTHER_COLUMNS}amount"),
            Step(table(FULL, amount=pa.array([1.5])), f"{OTHER_COLUMNS}amount"),
        ],
        "query": [
            Step(query(amount="1.23"), [full(amount=Decimal("1.23"))]),
            Step(query(amount="1.23456789"), [full(amount=Decimal("1.23456789"))]),
            Step(query(amount="123456789.12"), [full(amount=Decimal("123456789.12"))]),
            Step(query(amount="1e-25::decimal(38,25)"), CONVERTED.format("amount", r"DECIMAL\(38,25\)") + "DECIMAL"),
            Step(query(amount="100000000000000.5"), "out of range! when casting from source column amount"),
            Step(query(amount="1.5::double"), CONVERTED.format("amount", "DOUBLE") + "DECIMAL"),
            Step(query(amount="json '1.25'"), CONVERTED.format("amount", "JSON") + "DECIMAL"),
        ],
    },
    "column order changes, same types": {
        "frame": [Step(frame(FULL), [FULL]), Step(frame(FULL)[INTEGERS_SWAPPED], [FULL])],
        "Arrow": [Step(table(FULL), [FULL]), Step(table(FULL).select(INTEGERS_SWAPPED), f"{OTHER_COLUMNS}order")],
        "query": [Step(query(), [FULL]), Step(query(INTEGERS_SWAPPED), [FULL])],
    },
    "column order changes, other types": {
        "frame": [Step(frame(FULL), [FULL]), Step(frame(FULL)[REVERSED], [FULL])],
        "Arrow": [Step(table(FULL), [FULL]), Step(table(FULL).select(REVERSED), f"{OTHER_COLUMNS}order")],
        "query": [Step(query(), [FULL]), Step(query(REVERSED), [FULL])],
    },
    "new or missing column": {
        "frame": [
            Step(frame(FULL), [FULL]),
            Step(frame(FULL, extra=1), f"{OTHER_NAMES}extra"),
            Step(frame(FULL).drop(columns="trial"), f"{OTHER_NAMES}trial"),
        ],
        "Arrow": [
            Step(table(FULL), [FULL]),
            Step(table(FULL).append_column("extra", pa.array([1])), f"{OTHER_COLUMNS}extra"),
            Step(table(FULL).drop_columns(["trial"]), f"{OTHER_COLUMNS}trial"),
        ],
        "query": [
            Step(query(), [FULL]),
            Step(query(extra="1"), r"tests\.sample: the query's columns differ from the declaration: extra"),
            Step(query(NAMES[:-1]), r"tests\.sample: the query's columns differ from the declaration: person"),
        ],
    },
    "empty frame first": {
        "frame": [
            Step(pd.DataFrame(), f"{OTHER_NAMES}amount"),
            Step(pd.DataFrame(columns=NAMES), []),
            Step(frame(FULL), [FULL]),
            Step(frame(), []),
        ],
        "Arrow": [Step(table(), []), Step(table(FULL), [FULL]), Step(table(), [])],
        "query": [
            Step(Query(f"{query().sql} where false", ()), []),
            Step(query(), [FULL]),
            Step(Query(f"{query().sql} where false", ()), []),
        ],
    },
    "dict column: second row has a new key": {
        "frame": [
            Step(
                frame(FULL, FULL, model=pd.Series([{"a": 1}, {"a": 1, "b": 2}])),
                r"tests\.sample\.model: holds mixed, not string",
            )
        ],
        "Arrow": [Step(table(FULL, FULL, model=pa.array([{"a": 1}, {"a": 1, "b": 2}])), f"{OTHER_COLUMNS}model")],
        "query": [
            Step(
                union(query(model="{'a': 1, 'b': null}"), query(model="{'a': 1, 'b': 2}")),
                CONVERTED.format("model", r"STRUCT\(.*\)") + "VARCHAR",
            ),
            Step(
                union(query(model="""json '{"a":1}'"""), query(model="""json '{"a":1,"b":2}'""")),
                [full(model='{"a":1,"b":2}'), full(model='{"a":1}')],
            ),
        ],
    },
    "partition column is an epoch integer": {
        "frame": [
            Step(frame(FULL), [FULL]),
            Step(frame(FULL, usage_date=1_793_491_200), r"tests\.sample\.usage_date: holds integer, not date"),
        ],
        "Arrow": [
            Step(table(FULL), [FULL]),
            Step(table(FULL, usage_date=pa.array([1_793_491_200])), f"{OTHER_COLUMNS}usage_date"),
        ],
        "query": [
            Step(query(), [FULL]),
            Step(query(usage_date="1793491200"), CONVERTED.format("usage_date", "INTEGER") + "DATE"),
        ],
    },
    "partition column is text": {
        "frame": [
            Step(frame(FULL), [FULL]),
            Step(frame(FULL, usage_date="2026-11-01"), r"tests\.sample\.usage_date: holds string, not date"),
        ],
        "Arrow": [
            Step(table(FULL), [FULL]),
            Step(table(FULL, usage_date=pa.array(["2026-11-01"])), f"{OTHER_COLUMNS}usage_date"),
        ],
        "query": [
            Step(query(), [FULL]),
            Step(query(usage_date="'2026-11-01'"), CONVERTED.format("usage_date", "VARCHAR") + "DATE"),
        ],
    },
    "row outside its window": {
        "frame": [
            Step(frame(FULL), [FULL]),
            Step(frame(FULL, DAY_AFTER), r"tests\.sample: rows outside c 2026-11-01 to 2026-11-01, .*: c 2026-11-02"),
        ],
        "Arrow": [
            Step(table(FULL), [FULL]),
            Step(table(FULL, DAY_AFTER), r"tests\.sample: rows outside c 2026-11-01 to 2026-11-01, .*: c 2026-11-02"),
        ],
        # a query tells of all days: each run takes its own
        "query": [
            Step(union(derived_day(0), derived_day(1)), [ON_THE_DAY], 0),
            Step(union(derived_day(0), derived_day(1)), [ON_THE_DAY, DAY_AFTER], 1),
        ],
    },
    "tz-aware UTC": WITH_A_ZONE,
    "tz-aware UTC, process TZ=America/New_York": WITH_A_ZONE,
}
"""As in the list of what goes wrong in the stock IO manager, in its order."""

ANOTHER_PYTHON = multiprocessing.get_context("spawn")


@pytest.mark.parametrize("case", TRAPS)
def test_what_is_given_is_stored_exactly_or_refused(
    case: str, empty_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {kind: str(shutil.copy2(empty_file, tmp_path / f"{kind}.duckdb")) for kind in TRAPS[case]}
    zone = case.partition("process TZ=")[2]
    if zone:
        monkeypatch.setenv("TZ", zone)
        process = ANOTHER_PYTHON.Process(target=take_steps_in, args=(zone, case, files))
        process.start()
        process.join(60)
        assert process.exitcode == 0
        there = Warehouse(database=files["Arrow"])
        assert not any(version.changed for version in write(there, [ON_THE_DAY, DAY_AFTER], days(0, 1)))
    else:
        take_steps(case, files)


def take_steps_in(zone: str, case: str, files: Mapping[str, str]) -> None:
    """Take the steps in this process, which is new: DuckDB reads TZ once, when it is imported."""
    assert duckdb.sql("select current_setting('TimeZone')").fetchall() == [(zone,)]
    take_steps(case, files)


def take_steps(case: str, files: Mapping[str, str]) -> None:
    """Take the steps of each kind in a database of its own, and look at everything that is stored."""
    with dg.DagsterInstance.ephemeral() as instance:
        for kind, steps in TRAPS[case].items():
            warehouse = Warehouse(database=files[kind])
            run = Run(warehouse, instance)
            with warehouse.get_connection():  # to open and close the file is half of such small runs
                for step in steps:
                    take(step, run, warehouse)


def take(step: Step, run: Run, warehouse: Warehouse) -> None:
    if isinstance(step.outcome, str):
        announced = run.changes()
        with nothing_changes(warehouse):
            message = failure(run(step.content, step.day)).strip()
        assert re.search(step.outcome, message), message
        assert "\n" not in message
        assert run.changes() == announced
        return
    for _ in range(2):
        assert run(step.content, step.day).success
        stored = warehouse.read("select * from tests.sample order by all")
        assert stored.to_pylist() == arrow(*step.outcome).to_pylist()
        assert stored.schema.types == SAMPLE.arrow_schema.types
    assert run.changes()[-1] == (str(day(step.day)), False)

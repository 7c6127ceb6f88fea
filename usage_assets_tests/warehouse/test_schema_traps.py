"""The schema traps of the stock IO manager, set for ours: what is given is stored exactly, or refused.

There the first frame decides the types, later inserts go by position, and text and times are compared as they come.
"""

import multiprocessing
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from msgspec.structs import replace

from usage_assets.core.schema import to_arrow
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.frames import from_frame
from usage_assets.warehouse.values import Query, WarehouseError
from usage_assets_tests.models.days import cases
from usage_assets_tests.warehouse.samples import FULL, SAMPLE, Sample, answer, days, nothing_changes, sample, write

NAMES = SAMPLE.arrow_schema.names
SWAPPED = [{"requests": "level", "level": "requests"}.get(name, name) for name in NAMES]
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


def query(**expressions: str) -> Query:
    """A query of ``FULL``, with other expressions and columns, in an order of its own."""
    columns = LITERALS | expressions
    return Query(f"select {', '.join(f'{columns[name]} as {name}' for name in sorted(columns))}", ())


def frame(*rows: Sample) -> pd.DataFrame:
    """The rows as a frame, whose columns are in another order."""
    values = {
        name: pd.Series(column, dtype=None if name == "noted_at" else object)
        for name, column in to_arrow(Sample, rows).to_pydict().items()
    }
    return pd.DataFrame(values)[SWAPPED]


EMPTY = sample(model=None)
NULLS = dict.fromkeys(("model", "amount", "level", "person"), "null")
FROM_NULLS = query(**NULLS, trial="null::boolean", noted_at="null::timestamptz")
LATE = replace(FULL, noted_at=datetime(2026, 11, 1, 3, 30, tzinfo=UTC))
"""Of the day before in New York."""
AT_NIGHT = "timestamptz '2026-11-01 03:30:00+00'"
LONG = replace(FULL, amount=Decimal("123456789.12"))
ACCEPTED: Mapping[str, tuple[Sample, pa.Table | Query]] = {
    "only nulls, in a frame": (EMPTY, from_frame(SAMPLE, frame(EMPTY))),
    "then values": (FULL, from_frame(SAMPLE, frame(FULL))),
    "only nulls, in a query": (EMPTY, FROM_NULLS),
    "values in a query, in another order": (FULL, query()),
    "a decimal of other digits": (LONG, from_frame(SAMPLE, frame(LONG))),
    "and in a query": (LONG, query(amount="123456789.12")),
    "JSON, which is text": (replace(FULL, model='{"a":1}'), query(model="""json '{"a":1}'""")),
    "a day of a moment": (LATE, query(usage_date=f"{AT_NIGHT}::date", noted_at=AT_NIGHT)),
}
"""What is stored one after the other, in one table."""


def take_in(zone: str, database: str) -> None:
    """In this process, which is new: DuckDB reads TZ once, when it is imported."""
    assert duckdb.sql("select current_setting('TimeZone')").fetchall() == [(zone,)]
    # Store it, each twice.
    warehouse = Warehouse(database=database)
    for name, (row, content) in ACCEPTED.items():
        given = content if isinstance(content, Query) else answer(content)
        changed = [warehouse.replace(SAMPLE, given, days(0), "run")[0].changed for _ in range(2)]
        stored = warehouse.read("select * from tests.sample")
        assert stored.to_pylist() == to_arrow(Sample, [row]).to_pylist(), name
        assert stored.schema.types == SAMPLE.arrow_schema.types, name
        assert not changed[1], name


def test_it_does_not_depend_on_the_zone_of_a_process(new_warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    zone = "America/New_York"
    monkeypatch.setenv("TZ", zone)
    process = multiprocessing.get_context("spawn").Process(target=take_in, args=(zone, new_warehouse.database))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    [version] = write(new_warehouse, [LATE])
    assert not version.changed


def test_what_a_query_would_have_converted_is_refused(warehouse: Warehouse) -> None:
    """Also while the file is held, which remembers what other queries compute."""
    write(warehouse, [FULL])
    with warehouse.held():
        for column, expression, said in cases(rf"""
            model -> 'NaN'::double -> model as DOUBLE, which would be converted to VARCHAR
            level -> 2.7::double -> level as DOUBLE, which would be converted to BIGINT
            amount -> 1e-25::decimal(38,25) -> amount as DECIMAL\(38,25\), which .* to DECIMAL
            amount -> 100000000000000.5 -> out of range! when casting from source column amount
            usage_date -> {AT_NIGHT} -> usage_date as TIMESTAMP WITH TIME ZONE, which would be converted to DATE
            noted_at -> timestamp '2026-11-01' -> noted_at as TIMESTAMP, which .* to TIMESTAMP WITH TIME ZONE
            extra -> 1 -> the query's columns differ from the declaration: extra
        """):
            warehouse.replace(SAMPLE, query(), days(0), "run")
            with nothing_changes(warehouse), pytest.raises(WarehouseError, match=said) as error:
                warehouse.replace(SAMPLE, query(**{column: expression}), days(0), "run")
            assert "\n" not in str(error.value), said


def test_a_frame_of_a_decimal_that_does_not_fit_is_refused() -> None:
    for amount in (Decimal("0.1234567890123456789012345"), Decimal(10) ** 14):
        with pytest.raises(ValueError, match=r"tests\.sample: .* for column amount"):
            from_frame(SAMPLE, frame(FULL).assign(amount=pd.Series([amount], dtype=object)))

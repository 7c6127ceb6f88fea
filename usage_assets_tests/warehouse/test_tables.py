"""One declaration gives DDL, Arrow schema, column schema, totals and what a pandas frame must be."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from usage_assets.core.schema import TableRow, declared, to_arrow
from usage_assets.models.costs import ALLOCATIONS, COSTS
from usage_assets.models.entities import ENTITIES
from usage_assets.providers import LOOKUPS, PROVIDERS
from usage_assets.warehouse.frames import from_frame
from usage_assets.warehouse.ledger import PartitionVersion, PortEntity
from usage_assets.warehouse.tables import Table
from usage_assets_tests.warehouse.samples import FULL, SAMPLE, Sample

RAW = [endpoint.row for provider in PROVIDERS.values() for endpoint in provider.endpoints]
LISTED = [lookup.row for lookup in LOOKUPS]
EVERY_TABLE: Sequence[type[TableRow]] = [
    *RAW,
    *LISTED,
    *dict.fromkeys(derived.row for derived in (*ENTITIES, *COSTS, *ALLOCATIONS)),
    PartitionVersion,
    PortEntity,
]


@pytest.fixture
def memory() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database without a file, in UTC as the warehouse is."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield connection


def test_every_table_is_created_as_declared_without_keys_and_holds_its_arrow_schema(
    memory: duckdb.DuckDBPyConnection,
) -> None:
    for row in EVERY_TABLE:
        table = Table(row)
        for statement in table.ddl():
            memory.execute(statement)
        memory.register("staged", table.arrow_schema.empty_table())
        memory.execute(f"insert into {table.name} by name select * from staged")
        arrow = memory.execute(f"select * from {table.name}").to_arrow_table().schema
        assert [(field.name, field.type) for field in arrow] == [(f.name, f.type) for f in table.arrow_schema]
        for name, total in table.totals.items():
            computed = memory.execute(f"select {total.sql} from {table.name}").fetchall()
            assert computed in ([(None,)], [(0,)]), f"{table.name}: {name}"
    kinds = (
        "select schema_name || '.' || table_name, list(distinct constraint_type) from duckdb_constraints() group by 1"
    )
    assert dict(memory.execute(kinds).fetchall()) == {row.table: ["NOT NULL"] for row in EVERY_TABLE}
    assert memory.execute("select count(*) from duckdb_indexes()").fetchall() == [(0,)]


def test_every_table_states_its_grain_in_words_and_in_columns_it_has_and_every_total_its_unit() -> None:
    for row in EVERY_TABLE:
        table = Table(row)
        assert table.description.startswith("One "), table.name
        assert {*table.grain} <= {column.name for column in table.columns}, table.name
        assert declared(row.table) is row, table.name
        assert [name for name, total in table.totals.items() if not total.unit] == [], table.name


def frame(**values: Any) -> pd.DataFrame:
    """A frame of one full row, with these columns changed."""
    row = {name: [value] for name, value in to_arrow(Sample, [FULL]).to_pylist()[0].items()}
    return pd.DataFrame(row | {name: v if isinstance(v, pd.Series) else [v] for name, v in values.items()})


def test_a_frame_of_nullable_types_becomes_the_same_rows() -> None:
    exact = frame(requests=pd.Series([1], dtype="Int64"), trial=pd.Series([False], dtype="boolean"))
    assert from_frame(SAMPLE, exact).equals(to_arrow(Sample, [FULL]))


INEXACT: Mapping[str, Sequence[object]] = {
    "amount": (np.float32(1.1), pd.Series([np.float32(1.1)], dtype=object), float("nan"), Decimal("NaN"), "1.1"),
    "requests": (Decimal("2.7"), float("nan"), None, True, 2**63),
    "trial": (1,),
    "model": (5, ["a"]),
    "usage_date": (
        datetime(2026, 11, 1, 23, tzinfo=UTC),
        pd.Timestamp("2026-11-01 23:00", tz="America/New_York"),
        None,
    ),
    "noted_at": ("2026-11-01",),
}
"""Columns, and values that would be converted."""


def refusal(given: pd.DataFrame) -> str:
    """What a frame is refused with; nothing where it is taken."""
    try:
        from_frame(SAMPLE, given)
    except ValueError as error:
        return str(error)
    return ""


def test_a_frame_whose_values_would_be_converted_is_refused() -> None:
    for name, values in INEXACT.items():
        for value in values:
            said = refusal(frame(**{name: value}))
            assert name in said, value
            assert "\n" not in said, value


def test_a_frame_of_other_columns_or_with_one_inexact_value_among_exact_ones_is_refused() -> None:
    for different, named in (
        (pd.concat([frame(), frame()[["requests"]]], axis=1), "requests"),
        (frame().assign(extra=1).drop(columns="model"), "extra, model"),
    ):
        assert refusal(different) == f"tests.sample: columns differ from the declaration: {named}"
    mixed = pd.concat([frame(), frame(model="n")], ignore_index=True)
    for values in ([1, 2.5], [1, "2"], [Decimal(1), 2.5], [1, float("nan")], [1, Decimal("NaN")], [1, True]):
        mixed["level"] = pd.Series(values, dtype=object)
        assert refusal(mixed).startswith("tests.sample.level: holds "), values

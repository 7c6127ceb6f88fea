"""A small declared table for the warehouse's tests, and content for it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import pyarrow as pa

from usage_assets.core.schema import Row, Total, column, to_arrow
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import IN_SLICE, Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch, Version

DAY = date(2026, 11, 1)


class Sample(Row):
    """One row per connection, day and model.

    It's no real table.
    """

    table = "tests.sample"
    grain = ("model",)
    totals = {"paid_usd": Total("sum(amount) filter (where not trial)", "USD")}

    model: Annotated[str | None, column("Model")] = None
    requests: Annotated[int, column("Requests made", unit="requests")] = 1
    amount: Annotated[Decimal | None, column("Cost", unit="USD")] = None
    level: Annotated[int | None, column("Level, which is no flow", unit="seats", additive=False)] = None
    trial: Annotated[bool | None, column("Whether it's a trial")] = None
    noted_at: Annotated[datetime | None, column("When it was noted")] = None
    person: Annotated[str | None, column("Address", personal=True)] = None


SAMPLE = Table(Sample)


def day(number: int) -> date:
    """The day ``number`` days after DAY."""
    return DAY + timedelta(days=number)


def sample(number: int = 0, model: str | None = "m", connection: str = "c", **values: Any) -> Sample:
    """A row of the day ``number``."""
    return Sample(connection=connection, usage_date=day(number), model=model, **values)


FULL = sample(
    amount=Decimal("0.130804383403075260000001"),
    level=3,
    trial=False,
    noted_at=datetime(2026, 11, 2, 6, 0, 0, 1, UTC),
    person="bob@example.com",
)
"""A row with a value in every column."""


def days(first: int, last: int | None = None, connection: str = "c") -> Slice:
    """The slice from day ``first`` to day ``last``."""
    return Slice(connection, day(first), day(first if last is None else last))


def write(
    warehouse: Warehouse, rows: Sequence[Sample], target: Slice | None = None, run_id: str = "run"
) -> list[Version]:
    """Replace the slice (day 0 unless stated) by the rows."""
    return warehouse.replace(SAMPLE, answer(to_arrow(Sample, rows)), target or days(0), run_id)


def answer(rows: pa.Table, **facts: Any) -> Batch:
    """An answer that was asked for just now."""
    return Batch(**{"rows": rows, "began": datetime.now(UTC), **facts})


def stored(warehouse: Warehouse, target: Slice | None = None) -> list[dict[str, Any]]:
    """The rows of the slice (day 0 unless stated), sorted."""
    query = f"select * from tests.sample where {IN_SLICE} order by all"
    rows: list[dict[str, Any]] = warehouse.read(query, (target or days(0)).bounds).to_pylist()
    return rows


def models(warehouse: Warehouse, target: Slice | None = None) -> list[str | None]:
    """The models of the slice's rows, sorted."""
    return [row["model"] for row in stored(warehouse, target)]


LEDGER = """
select usage_date, version, changed, changed_run_id, run_id, row_count, content_hash, day_totals, is_open, slice
from ledger.partition_versions
order by table_name, slice, usage_date, version
"""


def ledger(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Every recorded version."""
    lines: list[dict[str, Any]] = warehouse.read(LEDGER).to_pylist()
    return lines


@contextmanager
def nothing_changes(warehouse: Warehouse) -> Iterator[None]:
    """Whatever happens inside leaves every table and the ledger as they were."""

    def everything() -> dict[str, Any]:
        names = warehouse.read(
            "select schema_name || '.' || table_name as name from duckdb_tables() "
            "where database_name = current_database()"
        ).to_pylist()
        return {n["name"]: warehouse.read(f"select * from {n['name']} order by all").to_pylist() for n in names}

    before = everything()
    yield
    assert everything() == before

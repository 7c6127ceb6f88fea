"""A row model is a table's only declaration: what is derived from it is exact, and a bad declaration is refused."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated

import pyarrow as pa
import pytest

from usage_assets.core.schema import Row, arrow_schema, column, to_arrow


class Sample(Row, kw_only=True):
    """One row per connection, day and name."""

    table = "test.sample"
    grain = ("name",)

    name: Annotated[str, column("Name")]
    amount: Annotated[Decimal | None, column("Amount", unit="cents", additive=False)] = None
    count: Annotated[int | None, column("Count", unit="things")] = None
    flag: Annotated[bool | None, column("Flag")] = None
    moment: Annotated[datetime | None, column("Moment")] = None
    address: Annotated[str | None, column("Address", address="only_id")] = None


DAY = date(2026, 11, 12)


def sample(**values: object) -> Sample:
    """A row, with what is not under test filled in."""
    return Sample(**{"connection": "c", "usage_date": DAY, "name": "n", **values})  # type: ignore[arg-type]  # by name


def test_rows_become_a_table_without_losing_a_digit() -> None:
    amount = Decimal("99999999999999.999999999999999999999999")
    rows = [sample(amount=amount, count=2**63 - 1, flag=False, moment=datetime(2026, 1, 1, tzinfo=UTC)), sample()]
    table = to_arrow(Sample, rows)
    assert table.schema == arrow_schema(Sample)
    assert [Sample(**row) for row in table.to_pylist()] == rows


def test_a_value_that_does_not_fit_is_refused() -> None:
    for values in (
        {"count": 2**63},
        {"amount": Decimal("1e-25")},
        {"amount": Decimal("1e14")},
    ):
        with pytest.raises((pa.ArrowInvalid, OverflowError)):
            to_arrow(Sample, [sample(**values)])

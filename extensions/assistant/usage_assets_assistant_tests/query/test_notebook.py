"""`usage_assets.open()`: what a notebook reads, in which forms, and what is refused."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

import usage_assets
from usage_assets.config.address import SettingsError
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.errors import WarehouseError
from usage_assets.warehouse.published import publish
from usage_assets.warehouse.readable import NOT_PUBLISHED
from usage_assets_assistant.query.notebook import Reader
from usage_assets_lake.warehouse import Lake
from usage_assets_tests.warehouse.samples import FULL, sample, write

EXACT = Decimal("12345678901234.123456789012345678901234")


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """One row of amounts that no double holds, and costs of two bases, published."""
    warehouse = Warehouse(database=str(tmp_path / "usage.duckdb"))
    write(warehouse, [FULL, sample(model="large", requests=2, amount=EXACT)])
    with warehouse.transaction() as database:
        database.execute("create schema if not exists costs")
        values = "('billed', 1.10::decimal(38, 24)), ('estimated', 2)"
        database.execute(f"create table costs.by_day as from (values {values}) as given(cost_basis, amount_usd)")
    publish(warehouse)
    return warehouse


@pytest.fixture
def reader(warehouse: Warehouse) -> Iterator[Reader]:
    """The published copy, open."""
    with usage_assets.open(warehouse.database) as reader:
        yield reader


def test_every_form_has_every_digit(reader: Reader) -> None:
    answer = reader.sql("select model, amount, sum(requests) over () as n from tests.sample order by amount")
    assert len(answer) == 2
    assert answer.arrow().schema.field("amount").type == pa.decimal128(38, 24)
    assert answer.rows()[1] == {"model": "large", "amount": EXACT, "n": 3}
    assert answer.pandas()["amount"][1] == EXACT
    assert answer.polars()["amount"].to_list()[1] == EXACT
    for forms in (answer.arrow().schema.types, answer.pandas().dtypes, answer.polars().dtypes):
        assert not [kind for kind in map(str, forms) if "float" in kind.lower() or "double" in kind]
    assert str(EXACT) in repr(answer)


def test_what_must_not_be_added_is_refused_as_on_the_command_line(reader: Reader) -> None:
    total = "select sum(amount_usd) as usd from costs.by_day"
    with pytest.raises(WarehouseError, match=r"sum\(amount_usd\) mixes billed and estimated: .*; mixed=True allows it"):
        reader.sql(total)
    assert reader.sql(total, mixed=True).rows() == [{"usd": Decimal("3.1")}]
    assert reader.sql(f"{total} where cost_basis = 'billed'").rows() == [{"usd": Decimal("1.1")}]


def test_nothing_is_changed_and_nothing_else_is_read(reader: Reader, tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="read-only"):
        reader.sql("delete from tests.sample")
    frame = pa.table({"a": [1]})
    assert frame.num_rows == 1
    with pytest.raises(WarehouseError, match="frame does not exist"):
        reader.sql("from frame")
    (tmp_path / "private.csv").write_text("a,b\n1,2\n")
    with pytest.raises(WarehouseError, match="file system operations are disabled"):
        reader.sql(f"from '{tmp_path}/private.csv'")


def test_one_state_is_read_until_it_is_opened_again(warehouse: Warehouse, reader: Reader) -> None:
    count = "select count(*)::int as n from tests.sample"
    write(warehouse, [FULL])
    publish(warehouse)
    assert reader.sql(count).rows() == [{"n": 2}]
    answer = reader.sql(count)
    reader.close()
    assert "closed" in repr(reader)
    with pytest.raises(WarehouseError, match="is closed: open it again"):
        reader.sql(count)
    assert answer.rows() == [{"n": 2}], "an answer stays"
    with usage_assets.open(warehouse.database) as newer:
        assert newer.sql(count).rows() == [{"n": 1}]


def test_what_cannot_be_opened_says_why(tmp_path: Path, warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseError, match=NOT_PUBLISHED):
        usage_assets.open(tmp_path / "other.duckdb")
    with pytest.raises(WarehouseError, match="a file holds only its newest state"):
        usage_assets.open(warehouse.database, as_of=date(2026, 11, 1))
    with pytest.raises(SettingsError, match=r"^as_of yesterday: must look like 2026-11-01"):
        usage_assets.open(warehouse.database, as_of="yesterday")
    with pytest.raises(SettingsError, match=r"^data: needs warehouse, the address of a lake"):
        usage_assets.open(data="s3://bucket/lake")


def test_files_that_maintenance_deletes_meanwhile_are_one_line(lake: Lake) -> None:
    """Whoever reads, in a notebook or a report, is told so without a traceback."""
    write(lake, [FULL])
    reading = lake.reading()
    database = reading.__enter__()
    for file in Path(lake.data).rglob("*.parquet"):
        file.unlink()
    with pytest.raises(duckdb.Error) as lost:
        database.execute("from tests.sample").fetchall()
    with pytest.raises(WarehouseError, match=r"^ducklake:postgres:") as caught:
        reading.__exit__(lost.type, lost.value, lost.tb)
    assert len(str(caught.value).splitlines()) == 1

"""`usage-assets export months`: files with every digit, what the manifest says, and what a second run writes."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.values import WarehouseError
from usage_assets_finance.export.months import MANIFEST, Exported, NoDaysError, export_months
from usage_assets_tests.warehouse.samples import FULL, sample, write

EXACT = Decimal("12345678901234.123456789012345678901234")
ROWS = f"""
create table costs.some as
from (
  values
    (date '2026-10-31', 'billed', 'dollars', 'USD', 1.10::decimal(38, 24), 1.10::decimal(38, 24)),
    (date '2026-11-01', 'billed', 'dollars', 'USD', {EXACT}, {EXACT}),
    (date '2026-11-02', 'billed', 'cents', 'USD', 250, 2.5),
    (date '2026-11-02', 'credits', 'credits', null, 7, null)
) as given(usage_date, cost_basis, native_unit, currency, native_amount, amount_usd)
"""
FILES = ["costs.some/2026-10.parquet", "costs.some/2026-11.parquet"]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Costs of two months, of which 1 November is settled in no report."""
    warehouse = Warehouse(database=str(tmp_path / "usage.duckdb"))
    write(warehouse, [FULL, sample(model="other")])
    with warehouse.transaction() as database:
        database.execute(f"create schema if not exists costs; {ROWS}")
        database.execute("comment on column costs.some.amount_usd is 'Dollars [USD]'")
        yield database


def exported(database: duckdb.DuckDBPyConnection, folder: Path, *tables: str) -> Exported:
    return export_months(database, {name: database.sql(f"from {name}") for name in tables or ["costs.some"]}, folder)


def manifest(folder: Path) -> Mapping[str, Any]:
    tables: Mapping[str, Any] = json.loads((folder / MANIFEST).read_text())["tables"]
    return tables


def test_each_month_is_a_file_and_the_manifest_says_what_is_in_it(
    database: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    assert exported(database, folder) == Exported(FILES, [], [])
    october, november = manifest(folder)["costs.some"]["months"]
    assert (october["month"], october["rows"], october["first_day"], october["settled_until"]) == (
        *("2026-10", 1, "2026-10-31"),
        "2026-10-31",
    )
    assert (november["rows"], november["first_day"], november["last_day"]) == (3, "2026-11-01", "2026-11-02")
    assert november["sums"] == [
        {"cost_basis": "billed", "native_unit": "cents", "currency": "USD"}
        | {"native_amount": "250", "amount_usd": "2.5", "rows_without_usd": 0},
        {"cost_basis": "billed", "native_unit": "dollars", "currency": "USD"}
        | {"native_amount": str(EXACT), "amount_usd": str(EXACT), "rows_without_usd": 0},
        {"cost_basis": "credits", "native_unit": "credits", "currency": None}
        | {"native_amount": "7", "amount_usd": None, "rows_without_usd": 1},
    ]
    assert manifest(folder)["costs.some"]["columns"][-1] == {
        "name": "amount_usd",
        "type": "DECIMAL(38,24)",
        "meaning": "Dollars [USD]",
    }
    for month in (october, november):
        file = folder / month["file"]
        assert hashlib.sha256(file.read_bytes()).hexdigest() == month["sha256"]
        assert file.stat().st_size == month["bytes"]
    read = duckdb.sql(f"select max(amount_usd) as usd from '{folder}/costs.some/*.parquet'")
    assert [*map(str, read.types)] == ["DECIMAL(38,24)"]
    assert read.fetchall() == [(EXACT,)]
    assert not list(folder.rglob("*.new"))


def test_a_second_run_writes_what_has_changed_and_nothing_else(
    database: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    exported(database, tmp_path)
    before = (tmp_path / MANIFEST).read_text()
    assert exported(database, tmp_path) == Exported([], FILES, [])
    assert (tmp_path / MANIFEST).read_text() == before
    database.execute("update costs.some set amount_usd = 1.2, native_amount = 1.2 where usage_date = '2026-10-31'")
    assert exported(database, tmp_path) == Exported(FILES[:1], FILES[1:], [])
    (tmp_path / FILES[1]).write_bytes(b"half of it")
    assert exported(database, tmp_path).written == FILES[1:], "a file that is not what the manifest says"
    database.execute("delete from costs.some where usage_date = '2026-10-31'")
    assert exported(database, tmp_path) == Exported([], FILES[1:], FILES[:1])
    assert not (tmp_path / FILES[0]).exists()
    database.execute("alter table costs.some add column note text")
    assert exported(database, tmp_path).written == FILES[1:], "a new column"


def test_what_cannot_be_exported_says_why(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    database.execute("create table costs.whole as select 1 as n")
    with pytest.raises(NoDaysError, match=r"^costs.whole: has neither usage_date nor month"):
        exported(database, tmp_path, "costs.whole")
    outside = '{"columns": [], "months": [{"file": "../a", "sha256": "", "bytes": 1, "content": ""}]}'
    damaged = ('{"a": {}}', '{"a": []}', f'{{"a": {outside}}}')
    for text in ("{}", "no json", '{"version": 1}', *(f'{{"version": 1, "tables": {each}}}' for each in damaged)):
        (tmp_path / MANIFEST).write_text(text)
        with pytest.raises(WarehouseError, match="is no manifest of this command: export into an empty folder"):
            exported(database, tmp_path)
    (tmp_path / MANIFEST).write_text('{"version": 2, "tables": {}}')
    with pytest.raises(WarehouseError, match="is of another release"):
        exported(database, tmp_path)

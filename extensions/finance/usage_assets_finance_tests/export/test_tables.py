"""`usage-assets export csv` and `parquet`: any table or view, every digit, whole or not at all."""

import csv
import shlex
import shutil
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import time_machine

from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.published import publish
from usage_assets_tests.fixtures import NOW, NewWarehouse
from usage_assets_tests.models.days import DAY, Days, cases, raw
from usage_assets_tests.terminal import Terminal, refusal

NEXT = DAY + timedelta(days=1)
TINY = Decimal("-0.000000000000000000000001")


@pytest.fixture(scope="module")
@time_machine.travel(NOW)
def two_days(warehouse_with_views: NewWarehouse) -> Warehouse:
    """Two days that are stored and published."""
    days = Days(warehouse_with_views())
    for day, line in ((DAY, "=1+1"), (NEXT, "-gpt-5")):
        days.fetched(Costs, raw(Costs, usage_date=day, line_item=line, amount_value=TINY), first=day)
    days.derive("openai_costs", last=NEXT)
    publish(days.warehouse)
    return days.warehouse


@pytest.fixture
def terminal(terminal: Terminal, two_days: Warehouse) -> Terminal:
    """A person in a folder of their own, with these days."""
    for file in (Path(two_days.database), two_days.published):
        shutil.copy(file, terminal.folder)
    return terminal


def test_a_table_is_written_with_every_digit_and_no_formula(terminal: Terminal) -> None:
    assert terminal.run("export csv openai.costs --out x.csv").lines == ["x.csv: rows 2"]
    with (terminal.folder / "x.csv").open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["usage_date"])
    assert [row["line_item"] for row in rows] == ["'=1+1", "'-gpt-5"]
    assert {row["amount_value"] for row in rows} == {f"{TINY:f}"}
    assert [row["usage_date"] for row in rows] == [str(DAY), str(NEXT)]
    assert terminal.run("export parquet OpenAI.Costs --out x.parquet").lines == ["x.parquet: rows 2"]
    stored = pq.read_table(terminal.folder / "x.parquet").to_pylist()
    assert sorted(row["line_item"] for row in stored) == ["-gpt-5", "=1+1"]
    assert {row["amount_value"] for row in stored} == {TINY}
    assert (terminal.folder / "x.csv").stat().st_mode & 0o077 == 0


def test_days_are_those_of_the_column_of_days_or_months(terminal: Terminal) -> None:
    def rows(table: str, *days: str) -> str:
        return terminal.run("export csv", table, *days, "--out", "x.csv", "--force").lines[-1]

    assert rows("costs.by_day", "--start", str(NEXT)) == "x.csv: rows 1"
    assert rows("costs.by_day", "--start", str(DAY), "--end", str(DAY)) == "x.csv: rows 1"
    assert rows("costs.by_day", "--start", str(DAY), "--end", "2999-12-31") == "x.csv: rows 2", "not over yet"
    assert rows("costs.by_day", "--end", str(DAY - timedelta(days=1))) == "x.csv: rows 0"
    assert rows("costs.by_month", "--start", str(NEXT)) == "x.csv: rows 1"
    assert rows("costs.by_month") == "x.csv: rows 1"


BAD_INPUT = cases(f"""
    costs.by_mont --out x.csv -> costs.by_mont: no such table or view; nearest: costs.by_month,
    "costs.by_day; drop table x" --out x.csv -> no such table or view
    costs.by_day --out x.parquet -> --out x.parquet: end the name with .csv
    costs.by_day --out old.csv -> --out old.csv: exists; --force replaces it
    costs.by_day --start 1.11.2026 --out x.csv -> start '1.11.2026' is not a day
    costs.names --start {DAY} --out x.csv -> costs.names has neither usage_date nor month
""")


def test_bad_input_is_one_line_and_writes_nothing(terminal: Terminal) -> None:
    for words, complaint in BAD_INPUT:
        (terminal.folder / "old.csv").touch()
        before = sorted(terminal.folder.iterdir())
        assert complaint in refusal(terminal.run("export csv", *shlex.split(words)))
        assert sorted(terminal.folder.iterdir()) == before, words

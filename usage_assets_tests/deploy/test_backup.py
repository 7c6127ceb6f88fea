"""What docs/deploy.md says of backups of a lake is enough: after a restore, every table is as it was."""

import shutil
import subprocess
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

from usage_assets.core.warehouse_address import LAKE
from usage_assets.providers.anthropic.reports import CostReport
from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse.database import Warehouse
from usage_assets_lake.warehouse import Lake
from usage_assets_tests.deploy.reading import POSTGRES_BIN
from usage_assets_tests.models.days import Days, raw
from usage_assets_tests.postgres import new_database

TABLES = """
select schema_name || '.' || table_name as name from duckdb_tables()
where database_name = current_database() and not internal
"""


def everything(warehouse: Warehouse) -> Mapping[str, list[dict[str, Any]]]:
    """Every row of every table."""
    with warehouse.get_connection():  # a file is opened once
        names = [row["name"] for row in warehouse.read(TABLES).to_pylist()]
        assert names
        return {name: warehouse.read(f"select * from {name} order by all").to_pylist() for name in names}


def rewrite(warehouse: Warehouse) -> None:
    """Store other rows of a day."""
    Days(warehouse).fetched(Costs, raw(Costs, amount_value=7, line_item="written after the backup"))
    assert warehouse.read("select line_item from openai.costs").to_pylist() == [
        {"line_item": "written after the backup"}
    ]


def ran(command: str, *words: str | Path) -> None:
    done = subprocess.run([POSTGRES_BIN / command, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_restored_lake_holds_what_its_dump_names_although_days_were_written_meanwhile(
    tmp_path: Path, postgres: str
) -> None:
    place, files, backup = new_database(postgres), tmp_path / "lake", tmp_path / "backup"
    lake, dump = Lake(database=f"{LAKE}{place}", data=str(files)), tmp_path / "usage.dump"
    # Store days of two connections.
    days = Days(lake)
    days.fetched(Costs, raw(Costs, line_item="gpt-5, input"), raw(Costs, amount_value=Decimal("0.1"), project_id="p"))
    days.fetched(CostReport, raw(CostReport, amount_cents=Decimal("12.345"), workspace_id="w"))
    before = everything(lake)
    ran("pg_dump", "--format", "custom", "--file", dump, "--dbname", place)
    rewrite(lake)  # between the dump and the copy of the files
    shutil.copytree(files, backup)
    lake.detach()
    shutil.rmtree(files)
    with psycopg.connect(place, autocommit=True) as session:
        session.execute("drop schema public cascade; create schema public")
    shutil.copytree(backup, files)
    ran("pg_restore", "--clean", "--if-exists", "--dbname", place, dump)
    assert everything(lake) == before
    rewrite(lake)
    lake.detach()

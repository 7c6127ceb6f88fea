"""Which way dependencies point, also through what is imported by what is imported."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.published import publish

ROOT = Path(__file__).parents[1]


def loaded_by(modules: str) -> set[str]:
    """The modules that importing these loads in a fresh interpreter."""
    code = f"import sys, {modules}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def loaded_by_command(folder: Path, *arguments: str) -> set[str]:
    """The modules that a command has loaded when it has ended well, in a folder with a warehouse."""
    code = "import atexit, sys; from usage_assets.cli.main import main; "
    code += "atexit.register(lambda: print(*sys.modules, file=sys.stderr)); main(sys.argv[1:])"
    environment = os.environ | {"USAGE_WAREHOUSE": str(folder / "usage.duckdb")}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder, env=environment)
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "modules",
    [
        "usage_assets.providers; from usage_assets.providers import PROVIDERS",
        "usage_assets.port.sync, usage_assets.port.provision",
        "usage_assets.statistics.anomalies, usage_assets.statistics.forecast, usage_assets.statistics.drivers",
    ],
)
def test_the_pure_core_loads_neither_dagster_nor_duckdb(modules: str) -> None:
    assert not {"dagster", "dagster_duckdb", "duckdb"} & loaded_by(modules)


def test_loading_the_definitions_loads_neither_pandas_nor_what_dagster_stores_with() -> None:
    """Each run, sensor and command begins with it, and these take longer than Dagster itself."""
    others = {"pandas", "sqlalchemy", "alembic", "dagster._core.storage.event_log", "psycopg"}
    assert not others & loaded_by("usage_assets.definitions")


def test_the_product_needs_no_tests_of_providers() -> None:
    assert "usage_assets.testing" not in loaded_by("usage_assets.definitions, usage_assets.cli.doctor")


def test_the_sandbox_shares_no_code_with_the_product() -> None:
    ours = {name for name in loaded_by("usage_assets.sandbox.app") if name.startswith("usage_assets.")}
    assert all(name.startswith("usage_assets.sandbox") for name in ours)


def test_answers_become_arrow_in_one_place() -> None:
    """Everywhere else, DuckDB would reserve memory for a million rows of each column."""
    sources = [path for folder in ("usage_assets", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    callers = [path.relative_to(ROOT) for path in sources if ".to_arrow_table(" in path.read_text()]
    assert callers == [Path("usage_assets/warehouse/arrow.py")]


@pytest.mark.parametrize(
    "command",
    ["bills", "capture", "connection", "explain", "export", "move", "query", "report", "statement", "what_if"],
)
def test_a_command_that_starts_no_run_loads_no_dagster(command: str) -> None:
    assert not {"dagster", "dagster_shared"} & loaded_by(f"usage_assets.cli.{command}")


@pytest.mark.parametrize("form", [(), ("--csv",)])
def test_a_query_loads_what_it_needs_and_no_more(tmp_path: Path, form: Sequence[str]) -> None:
    """DuckDB and click take 0.2 s; each of the others takes at least half as long, and settings thrice."""
    database = Warehouse(database=str(tmp_path / "usage.duckdb"))
    with database.transaction():
        pass
    publish(database)
    others = {"pydantic", "pydantic_settings", "httpx", "numpy", "pandas", "pyarrow", "msgspec", "rich", "tenacity"}
    of_nothing, of_costs = (
        loaded_by_command(tmp_path, "query", sql, *form)
        for sql in ("select 1", "select sum(amount_usd) from (select 1 as amount_usd) as costs")
    )
    assert not (others | {"sqlglot"}) & of_nothing
    assert {"sqlglot"} == (others | {"sqlglot"}) & of_costs
    assert "usage_assets.config.settings" not in of_costs


@pytest.mark.parametrize("words", [("connection", "list"), ("export", "csv", "ledger.stored_days", "--out", "x.csv")])
def test_a_command_that_computes_no_forecast_loads_no_pandas(tmp_path: Path, words: Sequence[str]) -> None:
    """DuckDB and Arrow import it where they find it, to see whether a parameter or a list is one of its objects."""
    database = Warehouse(database=str(tmp_path / "usage.duckdb"))
    with database.transaction():
        pass
    publish(database)
    assert not {"pandas.core", "rich"} & loaded_by_command(tmp_path, *words)


def test_only_a_page_loads_the_charts() -> None:
    assert not {"altair", "vl_convert"} & loaded_by("usage_assets.cli.report, usage_assets.cli.what_if")


def test_a_command_can_hide_pandas_and_make_frames_later() -> None:
    """Commands that are tested run in one process."""
    code = """
import click, duckdb, sys
from usage_assets.cli.access import hide_pandas
command = click.Command("x", callback=lambda: (hide_pandas(), duckdb.execute("select $x", {"x": 1}).fetchall()))
command.main([], standalone_mode=False)
assert "pandas" not in sys.modules
import pandas as pd, pyarrow as pa
frame = pa.Table.from_pandas(pd.DataFrame({"x": [1.0, None]})).to_pandas()
print(duckdb.sql("from frame").fetchall())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[(1.0,), (None,)]\n"

"""Which way dependencies point, also through what is imported by what is imported."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from usage_assets.features import features
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.published import publish

ROOT = Path(__file__).parents[1]
PRODUCT = ROOT / "usage_assets"
MOST_PAIRS = 75
SAME_ROOM = {"provider": "providers", "definitions": "build"}
"""The surface that providers import is their room's; what Dagster loads is where everything meets."""
IN_PORT = ("connection", "reconcile", "sync")
OF_REPORT = {"forecast", "forecast_totals", "list_prices", "metrics", "report"}
READ_BY_PORT = {"anomalies", "budget_status"}
"""Of the report, too; Port's asset names them as what it reads."""
FEATURES = [path.name for path in (PRODUCT / "features").iterdir() if (path / "__init__.py").exists()]


def room_of(parts: Sequence[str]) -> str:
    """The room of a module: the first part of its name. What tells of the features is none of them."""
    return "features/__init__" if parts[0] == "features" and len(parts) == 2 else SAME_ROOM.get(parts[0], parts[0])


@cache
def imports() -> Sequence[tuple[list[str], list[str]]]:
    """Each module of the product, and each module of the product that it imports, anywhere; both without the product's
    name, in parts."""
    stated = []
    for path in sorted(PRODUCT.rglob("*.py")):
        module = [*path.relative_to(PRODUCT).with_suffix("").parts]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                found = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in found:
                product, _, imported = name.partition(".")
                if product == PRODUCT.name and imported:
                    stated.append((module, imported.split(".")))
    return stated


@cache
def pairs() -> frozenset[tuple[str, str]]:
    """The pairs of rooms of which the first imports the second. The suite for providers' packages tests all of them."""
    found = {(room_of(module), room_of(imported)) for module, imported in imports() if module[0] != "testing"}
    return frozenset((one, other) for one, other in found if one != other)


def test_few_pairs_of_rooms_import_one_another() -> None:
    assert len(pairs()) <= MOST_PAIRS, sorted(pairs())


def test_two_rooms_do_not_import_each_other() -> None:
    assert not {(one, other) for one, other in pairs() if one < other and (other, one) in pairs()}


def test_a_feature_imports_no_other_but_those_that_it_needs() -> None:
    """And the engine imports none."""
    found = {
        (module[module[0] == "features"], imported[1]) for module, imported in imports() if is_of_feature(imported)
    }
    needed = {(name.rpartition(".")[2], other) for name, feature in features().items() for other in feature.needs}
    assert {(one, other) for one, other in found if one != other} == needed


@pytest.mark.parametrize("left_out", [FEATURES, *(pytest.param([each], marks=pytest.mark.slow) for each in FEATURES)])
def test_everything_else_works_without(tmp_path: Path, left_out: Sequence[str]) -> None:
    """The graph is built, and each command is loaded. Nothing more is lost than what a feature adds to the graph."""
    tree = tmp_path / PRODUCT.name
    shutil.copytree(PRODUCT, tree, ignore=shutil.ignore_patterns("__pycache__"))
    for each in left_out:
        shutil.rmtree(tree / "features" / each)
    of_port = {f"{name}/port_{each}" for name in ("anthropic", "chatgpt", "openai") for each in IN_PORT}
    lost = {"port": of_port | {"port_insights"}, "report": OF_REPORT}
    if left_out == FEATURES:
        lost["report"] = OF_REPORT | READ_BY_PORT
    assert built(ROOT) - built(tmp_path) == set().union(*(lost.get(each, set()) for each in left_out))


def built(folder: Path) -> set[str]:
    """The assets and commands that a tree has."""
    code = "from usage_assets.build import build_from_environment as build; import usage_assets.cli.doctor; "
    code += "from usage_assets.cli import main; print(*map(main.load, main.COMMANDS)); "
    code += "print(*(key.to_user_string() for key in build().resolve_all_asset_keys()))"
    environment = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, env=environment)
    assert not done.returncode, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def is_of_feature(module: Sequence[str]) -> bool:
    return module[0] == "features" and len(module) > 2


def loaded_by(modules: str, then: str = "pass") -> set[str]:
    """The modules that importing these loads in a fresh interpreter."""
    code = f"import sys, {modules}; {then}; print(*sys.modules)"
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
        "usage_assets.features.port.catalog.sync, usage_assets.features.port.catalog.provision",
        ", ".join(f"usage_assets.features.report.statistics.{name}" for name in ("anomalies", "forecast", "drivers")),
    ],
)
def test_the_pure_core_loads_neither_dagster_nor_duckdb(modules: str) -> None:
    assert not {"dagster", "dagster_duckdb", "duckdb"} & loaded_by(modules)


def test_loading_the_definitions_loads_neither_pandas_nor_what_dagster_stores_with() -> None:
    """Each run, sensor and command begins with it, and these take longer than Dagster itself."""
    others = {"pandas", "sqlalchemy", "alembic", "dagster._core.storage.event_log", "psycopg"}
    assert not others & loaded_by("usage_assets.definitions")


def test_the_graph_and_the_doctor_need_no_package_of_an_extra() -> None:
    """Where one is missing, everything that does not use it works. `make wheel` builds the graph without any."""
    missing = "sys.modules.update(dict.fromkeys(('psycopg', 'statsmodels', 'mcp', 'jq', 'ruamel.yaml')))"
    build = "from usage_assets.build import build_from_environment; build_from_environment(); "
    build += "from usage_assets.features import DEEP, DOCTOR, SERVICES, hooks; "
    build += "[*hooks(DEEP), *hooks(DOCTOR), *hooks(SERVICES)]"
    assert "usage_assets.features.repair.graph" in loaded_by("os", f"{missing}; {build}")


def test_the_product_needs_nothing_that_its_wheel_lacks() -> None:
    """The command that serves the sandbox imports it when it is called."""
    lacked = re.compile(
        r"^ *(?:from|import) (?:usage_assets_sandbox|usage_assets_tests|demo|benchmarks)\b", re.MULTILINE
    )
    needing = [path for path in (ROOT / "usage_assets").rglob("*.py") if lacked.search(path.read_text())]
    assert needing == [ROOT / "usage_assets/cli/sandbox.py"]
    assert "usage_assets_sandbox" not in loaded_by("usage_assets.cli.sandbox")


def test_the_product_needs_no_tests_of_providers() -> None:
    assert "usage_assets.testing" not in loaded_by("usage_assets.definitions, usage_assets.cli.doctor")


def test_answers_become_arrow_in_one_place() -> None:
    """Everywhere else, DuckDB would reserve memory for a million rows of each column."""
    sources = [path for folder in ("usage_assets", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    callers = [path.relative_to(ROOT) for path in sources if ".to_arrow_table(" in path.read_text()]
    assert callers == [Path("usage_assets/warehouse/arrow.py")]


@pytest.mark.parametrize(
    "command",
    ["bills", "capture", "connection", "explain", "export", "mcp", "move", "query", "report", "statement", "what-if"],
)
def test_a_command_that_starts_no_run_loads_no_dagster(command: str) -> None:
    assert not {"dagster", "dagster_shared"} & loaded_by(
        "usage_assets.cli.main", f"usage_assets.cli.main.load({command!r})"
    )


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
    assert not {"altair", "vl_convert"} & loaded_by(
        "usage_assets.features.report.command, usage_assets.features.what_if.command"
    )


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

"""What is loaded with what, and how long a function may be. Which way imports point: pyproject.toml (lint-imports)."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from usage_assets.core.features import features
from usage_assets.core.installed import EXTENSIONS, PLUGINS
from usage_assets_tests.alone import needs
from usage_assets_tests.fixtures import ROOT, TOGETHER
from usage_assets_tests.loaded import loaded_by, loaded_by_command, published_in

PRODUCT = ROOT / "usage_assets"
PACKAGES = (
    PRODUCT,
    *(path.with_name(f"usage_assets_{path.parent.name}") for path in ROOT.glob("extensions/*/pyproject.toml")),
)
"""The product, and its extensions."""
IN_PORT = ("connection", "reconcile", "sync")
FEATURES = {path.name for path in (PRODUCT / "features").iterdir() if (path / "__init__.py").exists()}


def modules(*folders: Path) -> Sequence[Path]:
    """The modules of some folders. Each has some: otherwise a test would hold because it looks at nothing."""
    found = {folder: sorted(folder.rglob("*.py")) for folder in folders}
    assert all(found.values()), f"empty: {[str(folder) for folder, paths in found.items() if not paths]}"
    return [path for paths in found.values() for path in paths]


BUILD = """
import os, sys

def build(folder):
    os.chdir(folder)
    sys.path.insert(0, folder)
    from usage_assets.build import build_from_environment
    import usage_assets.cli.doctor
    from usage_assets.cli import main
    assert main.__file__.startswith(folder)
    for name in main.COMMANDS:
        main.load(name)
    print(*(key.to_user_string() for key in build_from_environment().resolve_all_asset_keys()), flush=True)

build(sys.argv[1])
for module in [name for name in sys.modules if name.startswith("usage_assets")]:
    del sys.modules[module]
for folder in sys.argv[2:]:
    if child := os.fork():
        assert not os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), f"what is in {folder} does not work"
    else:
        build(folder)
        os._exit(0)
"""
"""One process imports all other packages once, and forks one for each tree, which imports the product of that."""


def test_everything_else_works_without_a_feature_and_without_all(tmp_path: Path) -> None:
    """The graph is built, and each command is loaded. Nothing more is lost than what a feature adds to the graph.
    Left out alone are those that add something; of the others, imports say that nobody needs them."""
    cases = {"port": {"port"}, "all": FEATURES}
    for name, left_out in cases.items():
        features = tmp_path / name / PRODUCT.name / "features"
        features.mkdir(parents=True)
        for room in PRODUCT.iterdir():
            if room.name != "features":
                (features.parent / room.name).symlink_to(room)
        for feature in (PRODUCT / "features").iterdir():
            if feature.name not in left_out:
                (features / feature.name).symlink_to(feature)
    of_port = {f"{name}/port_{each}" for name in ("anthropic", "chatgpt", "openai") for each in IN_PORT}
    lost = dict.fromkeys(cases, of_port)
    # The assets that each tree has; its commands can be loaded.
    folders = [ROOT, *(tmp_path / name for name in cases)]
    command = [sys.executable, "-c", BUILD, *map(str, folders)]
    environment = os.environ | {PLUGINS: "core"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert not done.returncode, done.stderr
    everything, *without = [set(line.split()) for line in done.stdout.splitlines()]
    assert {name: everything - found for name, found in zip(cases, without, strict=True)} == lost


DAGSTER = {"dagster", "dagster_shared"}
DAGSTER_OR_DUCKDB = {*DAGSTER, "dagster_duckdb", "duckdb"}
WITHOUT_DAGSTER = ("capture", "connection")
"""The commands that start no run."""
LIGHT = {
    "usage_assets.providers; from usage_assets.providers import PROVIDERS": DAGSTER_OR_DUCKDB,
    "usage_assets.features.port.catalog.sync, usage_assets.features.port.catalog.provision": DAGSTER_OR_DUCKDB,
    "usage_assets.cli.sandbox": {"usage_assets_sandbox"},
    **{f"usage_assets.cli.main; usage_assets.cli.main.load({name!r})": DAGSTER for name in WITHOUT_DAGSTER},
}
"""What is imported, and what nothing of it loads: the pure core neither Dagster nor DuckDB, the command that serves the
sandbox imports that when it is called."""
SLOW_TO_IMPORT = {"pandas", "sqlalchemy", "alembic", "dagster._core.storage.event_log", "psycopg"}
HEAVY = {
    "usage_assets.definitions": SLOW_TO_IMPORT,
    "usage_assets.definitions, usage_assets.cli.doctor": {"usage_assets.testing"},
}
"""Each run, sensor and command begins with the definitions, and what is named here takes longer than Dagster itself.
The product needs no tests of providers."""


def test_nothing_loads_what_it_does_not_need() -> None:
    """One process imports one after the other, and none may have loaded what a later one must not."""
    for cases in (
        LIGHT,
        HEAVY,
    ):
        loaded = "".join(f"import sys, {modules}; print(*sys.modules)\n" for modules in cases)
        done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
        found = zip(cases.items(), done.stdout.splitlines(), strict=True)
        assert {
            modules: needless for (modules, unwanted), line in found if (needless := unwanted & {*line.split()})
        } == {}


def test_the_graph_and_the_doctor_need_no_package_of_an_extra() -> None:
    """Where one is missing, everything that does not use it works. `make wheel` builds the graph without any."""
    missing = "sys.modules.update(dict.fromkeys(('statsmodels', 'mcp', 'jq', 'ruamel.yaml')))"
    build = "from usage_assets.build import build_from_environment; build_from_environment(); "
    build += "from usage_assets.core.features import DEEP, DOCTOR, SERVICES, hooks; "
    build += "[*hooks(DEEP), *hooks(DOCTOR), *hooks(SERVICES)]"
    assert "usage_assets.features.port.graph" in loaded_by("os", f"{missing}; {build}")


def test_the_fixtures_of_the_core_load_no_extension() -> None:
    """Where one is missing, the tests of all others still run. What declares it is always loaded."""
    shared = ("fixtures", "postgres", "end_to_end.conftest", "models.conftest", "warehouse.conftest")
    loaded = loaded_by(", ".join(f"usage_assets_tests.{name}" for name in shared))
    of_features = tuple(f"usage_assets_{name}." for name, each in EXTENSIONS.items() if not each.providers)
    assert [name for name in sorted(loaded) if name.startswith(of_features)] == []


@needs(*EXTENSIONS)
def test_no_test_imports_an_extension_of_others_but_those_of_several_together() -> None:
    assert [path for path in TOGETHER if not (ROOT / path).exists()] == []
    imported = re.compile(rf"^ *(?:from|import) usage_assets_({'|'.join(EXTENSIONS)})(?:_tests)?\b", re.MULTILINE)
    for path in modules(ROOT / "usage_assets_tests", *ROOT.glob("extensions/*/usage_assets_*_tests")):
        place = str(path.relative_to(ROOT))
        own = {path.relative_to(ROOT).parts[1]}
        needed = {need for name in own & features().keys() for need in features()[name].feature.needs}
        together = {name for listed, names in TOGETHER.items() if place.startswith(listed) for name in names}
        assert {*imported.findall(path.read_text())} <= own | needed | together, place


def test_answers_become_arrow_in_one_place() -> None:
    """Everywhere else, DuckDB would reserve memory for a million rows of each column."""
    sources = modules(*PACKAGES, ROOT / "benchmarks")
    callers = [path.relative_to(ROOT) for path in sources if ".to_arrow_table(" in path.read_text()]
    assert callers == [Path("usage_assets/warehouse/arrow.py")]


def test_a_command_loads_what_it_needs_and_no_more(tmp_path: Path) -> None:
    """A command that computes no forecast needs no pandas; but DuckDB and Arrow import it where they find it, to see
    whether a parameter or a list is one of its objects."""
    published_in(tmp_path)
    assert not {"pandas.core", "rich"} & loaded_by_command(tmp_path, "connection", "list")


MOST_LINES = 60
"""With signature and docstring: a function that can be read without scrolling."""


def test_no_function_is_longer_than_a_screen() -> None:
    long = {
        f"{path.relative_to(ROOT)}: {node.name}": lines
        for path in modules(*PACKAGES)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > MOST_LINES
    }
    assert not long

"""What was ordered: six packages that the demo uses, the paths at the top, and one code location for three commands.

The names are those of the order, and no list of them is anywhere else: a package or a path that is left out fails here.
"""

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from packaging.requirements import Requirement

from usage_assets.cli.processes import free_port
from usage_assets_tests.alone import needs
from usage_assets_tests.terminal import ROOT

PACKAGES = ("dagster", "dagster-webserver", "dagster-duckdb", "httpx", "pandas", "pydantic")
FOLDERS = ("usage_assets", "usage_assets_tests", "fixtures")
FILES = ("pyproject.toml", "README.md", "workspace.yaml", "dagster.yaml")
BIN = Path(sys.executable).parent
SCHEDULE = "weekly_reconcile_schedule"
"""It never ticks while these tests run: it is for a time on Sundays. Without keys, no schedule runs by itself."""
SECONDS = 180
STATES = """{
  workspaceOrError { ... on Workspace { locationEntries { name } } }
  repositoriesOrError { ... on RepositoryConnection { nodes {
    location { name } schedules { name scheduleState { id status } }
  } } }
}"""
START = """mutation ($of: ScheduleSelector!) { startSchedule(scheduleSelector: $of) {
  ... on ScheduleStateResult { scheduleState { status } } ... on Error { message }
} }"""
STOP = """mutation ($id: String!) { stopRunningSchedule(id: $id) {
  ... on ScheduleStateResult { scheduleState { status } } ... on Error { message }
} }"""
NOTES = """
import os, sys
notes = os.open(os.environ["PYTHONPATH"].split(os.pathsep)[0] + "/notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def note(event, arguments):
    if event == "import" or event == "open" and isinstance(arguments[0], str):
        os.write(notes, f"{event} {arguments[0]}\\n".encode(errors="replace"))
sys.addaudithook(note)
"""
"""A sitecustomize.py: each process notes the modules that it imports and the files that it opens, forks included."""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder as a clone has it, which is nobody's home yet."""
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in (*FILES, "conftest.py"):
        shutil.copy(ROOT / name, folder)
    for name in FOLDERS:
        (folder / name).symlink_to(ROOT / name)
    return folder


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Of an empty shell."""
    return {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(folder), **more}


def run(folder: Path, *command: str, **more: str) -> str:
    """What a command prints, which ends well."""
    words = (str(BIN / command[0]), *command[1:])
    done = subprocess.run(words, cwd=folder, env=environment(folder, **more), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@contextmanager
def noted(folder: Path) -> Iterator[dict[str, str]]:
    """The variables with which processes note what they import and open, in a folder of their own."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(NOTES)
    yield {"PYTHONPATH": os.pathsep.join((str(folder), str(ROOT)))}


def notes(folder: Path, event: str) -> set[str]:
    """What was imported, or opened."""
    lines = (folder / "notes").read_text().splitlines()
    return {line.partition(" ")[2] for line in lines if line.startswith(f"{event} ")}


# Packages


def test_six_packages_are_dependencies_and_pytest_comes_with_testing() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "docs/architecture.md").read_text()
    wanted = {Requirement(each).name for each in project["dependencies"]}
    assert set(PACKAGES) - wanted == set()
    assert "pytest" not in wanted
    assert [Requirement(each).name for each in project["optional-dependencies"]["testing"]] == ["pytest"]
    assert "`pip install 'usage-assets[testing]'` brings pytest" in " ".join(page.split())


@needs("report")
def test_the_demo_loads_code_of_ours_that_uses_each_package() -> None:
    """Some packages are imported by others: that is no use of ours. The web server is a program, which serves below."""
    loaded = "import sys, demo.__main__, usage_assets.definitions; print(*sys.modules)"
    ours = {name for name in run(ROOT, "python", "-c", loaded).split() if name.startswith(("usage_assets.", "demo."))}
    used = {package for name in ours for package in imports_of(name)}
    assert {package.replace("-", "_") for package in PACKAGES} - used == {"dagster_webserver"}


def imports_of(module: str) -> set[str]:
    """The packages that a module of ours imports when it is imported."""
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    found = set()
    for node in ast.parse(file.read_text()).body if file.is_file() else ():
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


# Paths


def test_each_path_at_the_top_is_there_and_used_by_the_command_that_reads_it(clone: Path, tmp_path: Path) -> None:
    """README.md is what package indexes show. `make wheel` builds it in."""
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["readme"] == "README.md"
    assert [name for name in (*FOLDERS, *FILES) if not (ROOT / name).exists()] == []
    a_test = "usage_assets_tests/providers/test_fixtures.py::test_official_claude_code"
    commands = {
        ("usage_assets", "pyproject.toml", "dagster.yaml"): ("dg", "list", "defs"),
        ("usage_assets", "pyproject.toml"): ("dagster", "definitions", "validate"),
        ("usage_assets", "workspace.yaml"): ("dagster", "definitions", "validate", "-w", "workspace.yaml"),
        ("dagster.yaml",): ("dagster", "instance", "info"),
        ("usage_assets_tests", "fixtures", "pyproject.toml"): ("pytest", "-q", "-p", "no:cacheprovider", a_test),
    }
    for number, (paths, command) in enumerate(commands.items()):
        with noted(tmp_path / f"noted{number}") as variables:
            home = {"DAGSTER_HOME": str(clone)} if "instance" in command else {}
            said = run(clone, *command, **variables, **home)
        opened = {os.path.realpath(clone / path) for path in notes(tmp_path / f"noted{number}", "open")}
        for path in paths:
            place = os.path.realpath(clone / path)
            assert any(each == place or each.startswith(f"{place}/") for each in opened), (command, path)
        if "validate" in command:
            assert "Validation successful for code location usage_assets.\n" in re.sub(r"\x1b\[\d+m", "", said)


# One code location


@contextmanager
def served(folder: Path, *command: str) -> Iterator["Served"]:
    """A command that serves Dagster's UI, until it is interrupted as by Ctrl-C."""
    port = free_port(4200)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [str(BIN / command[0]), *command[1:], "--port", str(port)],
            cwd=folder,
            env=environment(folder),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield Served(f"http://127.0.0.1:{port}/graphql", process, folder / "log")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=SECONDS)


class Served:
    """Dagster's UI, as its own pages ask it."""

    def __init__(self, url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
        """Wait until it serves the graph."""
        self._url, deadline = url, time.monotonic() + SECONDS
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            try:
                self.ask(STATES)
            except httpx.TransportError:
                time.sleep(0.3)
            else:
                return

    def ask(self, query: str, **variables: object) -> Any:
        """Return the data of an answer."""
        answer = httpx.post(
            self._url, json={"query": query, "variables": variables}, timeout=60, trust_env=False
        ).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def seen(self) -> tuple[list[str], set[str]]:
        """The code locations, and the schedules that run."""
        data = self.ask(STATES)
        running = {
            schedule["name"]
            for repository in data["repositoriesOrError"]["nodes"]
            for schedule in repository["schedules"]
            if schedule["scheduleState"]["status"] == "RUNNING"
        }
        return [entry["name"] for entry in data["workspaceOrError"]["locationEntries"]], running

    def turn(self, *, on: bool) -> None:
        """Turn the switch of the schedule, as the Automation page does."""
        (repository,) = self.ask(STATES)["repositoriesOrError"]["nodes"]
        (state,) = (each["scheduleState"] for each in repository["schedules"] if each["name"] == SCHEDULE)
        selector = {
            "repositoryLocationName": repository["location"]["name"],
            "repositoryName": "__repository__",
            "scheduleName": SCHEDULE,
        }
        answer = self.ask(START, of=selector) if on else self.ask(STOP, id=state["id"])
        (result,) = answer.values()
        assert result == {"scheduleState": {"status": "RUNNING" if on else "STOPPED"}}


def test_three_commands_see_one_location_and_one_set_of_schedules(clone: Path) -> None:
    """Each starts with what the one before it has left, also without DAGSTER_HOME: all have the folder's instance."""
    only = ["usage_assets"]

    run(clone, "dagster", "schedule", "start", SCHEDULE, DAGSTER_HOME=str(clone))
    with served(clone, "dagster", "dev") as ui:
        assert ui.seen() == (only, {SCHEDULE})
        ui.turn(on=False)
    assert "DAGSTER_HOME is not set: runs, schedules and sensors are those of" in (clone / "log").read_text()
    with served(clone, "dg", "dev") as ui:
        assert ui.seen() == (only, set())
        ui.turn(on=True)
    said = run(clone, "dagster", "schedule", "list", "--running", "--name", DAGSTER_HOME=str(clone))
    assert [line for line in said.splitlines() if line.endswith("_schedule")] == [SCHEDULE]
    with served(clone, "usage-assets", "dev") as ui:
        assert ui.seen() == (only, {SCHEDULE})
        ui.turn(on=False)
        assert ui.seen() == (only, set())

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

import dagster as dg
import httpx
import pytest
from packaging.requirements import Requirement

from usage_assets.cli.processes import free_port
from usage_assets_tests.end_to_end.conftest import IS_NIGHT
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
notes = os.open(__file__.replace("sitecustomize.py", "notes"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def note(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        os.write(notes, f"{arguments[0]}\\n".encode(errors="replace"))
sys.addaudithook(note)
"""
"""A sitecustomize.py: each process notes the files that it opens, forks included."""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder as a clone has it, which is nobody's home yet."""
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in FILES:
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


# Packages


def test_six_packages_are_dependencies_and_pytest_comes_with_testing() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "docs/architecture.md").read_text()
    wanted = {Requirement(each).name for each in project["dependencies"]}
    assert set(PACKAGES) - wanted == set()
    assert "pytest" not in wanted
    assert [Requirement(each).name for each in project["optional-dependencies"]["testing"]] == ["pytest"]
    assert "`pip install 'usage-assets[testing]'` brings pytest" in " ".join(page.split())


def test_the_demo_reaches_code_of_ours_that_uses_each_package() -> None:
    """From its own module, and from what its Dagster loads. Some packages are imported by others: no use of ours."""
    found, new = set[str](), {"demo.__main__", "usage_assets.definitions"}
    while new:
        found |= new
        new = {name for module in new for name in imports_of(module) if name.startswith(("demo.", "usage_assets."))}
        new -= found
    used = {name.partition(".")[0] for module in found for name in imports_of(module)}
    # a program of its own
    used |= {name for name in ("dagster-webserver",) if f'"{name}"' in file_of("usage_assets.cli.dagster_dev")}
    assert {package for package in PACKAGES if not {package, package.replace("-", "_")} & used} == set()


def file_of(module: str) -> str:
    """The text of a module of ours; nothing where a name in a module has this name."""
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return file.read_text() if file.is_file() else ""


def imports_of(module: str) -> Iterator[str]:
    """What a module of ours imports, also in functions; the modules, and the names in them."""
    for node in ast.walk(ast.parse(file_of(module))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (node.module, *(f"{node.module}.{each.name}" for each in node.names))


# Paths


@pytest.mark.slow
def test_each_path_at_the_top_is_there_and_used_by_the_command_that_reads_it(clone: Path, tmp_path: Path) -> None:
    """README.md is what package indexes show, `make wheel` builds it in. These tests read the rest."""
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["readme"] == "README.md"
    assert [name for name in (*FOLDERS, *FILES) if not (ROOT / name).exists()] == []
    commands = {
        ("usage_assets", "pyproject.toml"): ("dagster", "definitions", "validate"),
        ("usage_assets", "workspace.yaml", "dagster.yaml"): ("dagster", "definitions", "validate", "-w", FILES[2]),
    }
    for number, (paths, command) in enumerate(commands.items()):
        (folder := tmp_path / f"noted{number}").mkdir()
        (folder / "sitecustomize.py").write_text(NOTES)
        home = {"DAGSTER_HOME": str(clone)} if "dagster.yaml" in paths else {}
        said = run(clone, *command, PYTHONPATH=os.pathsep.join((str(folder), str(ROOT))), **home)
        opened = {os.path.realpath(clone / path) for path in (folder / "notes").read_text().splitlines()}
        for path in paths:
            place = os.path.realpath(clone / path)
            assert any(each == place or each.startswith(f"{place}/") for each in opened), (command, path)
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


@pytest.mark.slow
def test_three_commands_see_one_location_and_one_set_of_schedules(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each starts with what the one before it has left, also without DAGSTER_HOME: all have the folder's instance.
    By day, one of them leaves what Dagster names after the location; above, two others call it so, too."""
    monkeypatch.setenv("DAGSTER_HOME", str(clone))
    dg.DagsterInstance.get().dispose()
    commands, is_on = ("dagster", "usage-assets", "dg") if IS_NIGHT else ("dg",), False
    for command in commands:
        with served(clone, command, "dev") as ui:
            assert ui.seen() == (["usage_assets"], {SCHEDULE} if is_on else set())
            ui.turn(on=(is_on := not is_on))
        if command != "usage-assets":
            assert "DAGSTER_HOME is not set: runs, schedules and sensors are those of" in (clone / "log").read_text()
        with dg.DagsterInstance.get() as instance:
            [state] = [each for each in instance.all_instigator_state() if each.instigator_name == SCHEDULE]
        assert state.origin.repository_origin.code_location_origin.location_name == "usage_assets"
        assert state.is_running is is_on

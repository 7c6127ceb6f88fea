"""The kill drill: `make run` with everything in it (daemon, code server, runs, UI) is killed at random moments. It must
end, without a person, in a warehouse and a catalog that equal an undisturbed run's.

`python -m usage_assets_tests.end_to_end.kill_drill --kills 20` (`make drill`) needs Linux: the processes of a start are
found in /proc by a variable of their environment. It waits for states, in the sandbox's log of requests and in the
database, and speeds the product up by its settings only: history of a few days, a daily schedule every two minutes.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from uuid import uuid4

import click
import dagster as dg
import httpx

from benchmarks.server import running
from demo.__main__ import isolated
from usage_assets.cli.processes import free_port, terminate_like_ctrl_c
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.opened import warehouse_at
from usage_assets.warehouse.values import WarehouseError
from usage_assets_tests.end_to_end.conftest import Project, open_project, sandbox_environment, settings_of
from usage_assets_tests.fixtures import Sandbox

ROOT = Path(__file__).parents[2]
MARKER = "USAGE_KILL_DRILL"
DAYS = 6
CONNECTIONS = """
[[connection]]
name = "openai"
provider = "openai"
key = "file:{folder}/openai.key"
endpoints = {{ {off} }}

[[connection]]
name = "anthropic"
provider = "anthropic"
key = "file:{folder}/anthropic.key"
endpoints = {{ claude_code = false }}
"""
OFF = (
    "usage_embeddings",
    "usage_moderations",
    "usage_images",
    "usage_audio_speeches",
    "usage_audio_transcriptions",
    "usage_vector_stores",
    "usage_code_interpreter_sessions",
    "usage_file_search_calls",
    "usage_web_search_calls",
)
"""Where a process dies matters, not in which of many alike."""
PROVIDERS = ("openai", "anthropic")
CHANGES = ("scale", "add", "remove")
MOMENTS: Mapping[str, Callable[[str], bool]] = {
    "start": lambda path: True,
    "fetch": lambda path: path.startswith(("/openai/", "/anthropic/")),
    "push": lambda path: path.endswith("/entities/bulk"),
}
"""What has to be asked of the sandbox before the kill may come."""
SECONDS_FOR_A_MOMENT, SECONDS_TO_DIE, SECONDS_UNTIL_EQUAL = 180, 6, 900


class DrillError(Exception):
    """What differs after the drill, or why it could not be held."""


@dataclass(frozen=True)
class Drill:
    """A home, a database and a sandbox that outlives all kills."""

    folder: Path
    sandbox: Sandbox
    first: date
    luck: random.Random
    say: Callable[[str], object]

    @property
    def variables(self) -> dict[str, str]:
        """What a user would set."""
        return {
            "OPENAI_ADMIN_KEY": "",
            "ANTHROPIC_ADMIN_KEY": "",
            "CHATGPT_ANALYTICS_KEY": "",
            "USAGE_CONNECTIONS": str(self.folder / "connections.toml"),
            "USAGE_START_DATE": str(self.first),
            "USAGE_SCHEDULE": "*/2 * * * *",
            "USAGE_LOOKBACK_DAYS": str(DAYS),
            "USAGE_BACKFILL_HISTORY": "true",
        }

    @property
    def environment(self) -> dict[str, str]:
        """The variables of `make run`."""
        return sandbox_environment(self.sandbox.base_url, self.folder / "usage.duckdb") | self.variables

    @property
    def warehouse(self) -> Warehouse:
        """What `make run` writes."""
        return warehouse_at(settings_of(self.environment).warehouse)

    @property
    def days(self) -> list[date]:
        """The closed days of now."""
        today = datetime.now(UTC).date()
        return [self.first + timedelta(days=n) for n in range((today - self.first).days)]

    def prepare(self) -> None:
        """Write what stands in the folder that `make run` is started in."""
        for name in ("dagster.yaml", "workspace.yaml"):
            shutil.copy(ROOT / name, self.folder)
        off = ", ".join(f"{name} = false" for name in OFF)
        (self.folder / "openai.key").write_text("sk-admin-sandbox")
        (self.folder / "anthropic.key").write_text("sk-ant-admin-sandbox")
        (self.folder / "connections.toml").write_text(CONNECTIONS.format(folder=self.folder, off=off))

    @contextmanager
    def make_run(self) -> Iterator[subprocess.Popen[bytes]]:
        """Start everything; at the end of the block all of it is killed at once, as by a power cut."""
        mark = uuid4().hex
        command = [str(Path(sys.executable).with_name("usage-assets")), "dev", "--port", str(free_port(3100))]
        with (self.folder / "run.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=isolated(os.environ) | self.environment | {"DAGSTER_HOME": str(self.folder), MARKER: mark},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            killed = kill_all(mark)
            process.wait()
            self.say(f"      killed {killed} processes")

    def restate(self) -> str:
        """Let a provider change a day, so that there is something to fetch and to push."""
        provider, day, change = self.luck.choice(PROVIDERS), self.luck.choice(self.days), self.luck.choice(CHANGES)
        self.sandbox.control("POST", "restate", {"provider": provider, "days": [str(day)], "change": change})
        return f"{provider} {day} {change}"

    def kill_once(self, number: int) -> None:
        """Start everything and kill it some seconds after a random moment has come."""
        moment, delay = self.luck.choice([*MOMENTS]), self.luck.uniform(0, SECONDS_TO_DIE)
        restated = self.restate() if number > 1 else "nothing"
        self.sandbox.control("POST", "requests/clear")
        began = time.monotonic()
        with self.make_run() as process:
            came = moment == "start" or self._comes(MOMENTS[moment], process)
            if moment == "start":
                delay *= 4
            time.sleep(delay)
            waited = time.monotonic() - began
        said = f"{moment} + {delay:.1f} s" if came else f"no {moment} in {SECONDS_FOR_A_MOMENT} s"
        self.say(f"{number:4}  {said}, {waited:.0f} s after the start; restated: {restated}; {self.how_far()}")

    def _comes(self, is_it: Callable[[str], bool], process: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + SECONDS_FOR_A_MOMENT
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise DrillError(f"make run ended by itself: see {self.folder / 'run.log'}")
            if any(is_it(request["path"]) for request in self.sandbox.requests()):
                return True
            time.sleep(0.05)
        return False

    def how_far(self) -> str:
        """How much is stored."""
        if not self.warehouse.exists:
            return "no database yet"
        query = "select count(*) from ledger.stored_days where table_name not like 'port_entities.%'"
        try:
            return f"{self.warehouse.read(query).column(0)[0]} raw and cost days stored"
        except WarehouseError as error:
            return str(error)

    def wait_until_equal(self) -> float:
        """Start everything once more and wait; return how many seconds it took. Raises DrillError with what differs."""
        began = time.monotonic()
        with self.reference() as reference:
            content, entities = reference.content(), reference.entities()
            ours = Project(self.sandbox, reference.definitions, reference.instance, self.warehouse)
            with self.make_run() as process:
                difference = "nothing was compared"
                while time.monotonic() - began < SECONDS_UNTIL_EQUAL:
                    if process.poll() is not None:
                        raise DrillError(f"make run ended by itself: see {self.folder / 'run.log'}")
                    difference = compared(ours, content, entities)
                    if not difference:
                        return time.monotonic() - began
                    time.sleep(5)
        raise DrillError(f"after {SECONDS_UNTIL_EQUAL} s: {difference}; {self.runs()}; see {self.folder}")

    @contextmanager
    def reference(self) -> Iterator[Project]:
        """An undisturbed run of the same days, as the providers state them now."""
        folder = self.folder / "reference"
        folder.mkdir()
        with open_project(self.sandbox, folder, self.variables) as project:
            for connection in PROVIDERS:
                if not project.fetch(connection, self.days).success:
                    raise DrillError(f"the undisturbed run of {connection} failed")
            yield project

    def runs(self) -> str:
        """What Dagster's runs have come to."""
        with dg.DagsterInstance.from_config(str(self.folder)) as instance:
            states = [run.status.value for run in instance.get_runs()]
        return ", ".join(f"{states.count(state)} runs {state}" for state in sorted({*states}))


def compared(
    ours: Project, content: Mapping[str, list[dict[str, Any]]], entities: Mapping[tuple[str, str], dict[str, Any]]
) -> str:
    """What differs from the undisturbed run; empty where nothing does."""
    try:
        with ours.warehouse.one_moment():
            tables = ours.tables()
            different = sorted(name for name in content if name not in tables or ours.rows(name) != content[name])
        different += sorted(set(tables) - content.keys())
    except WarehouseError as error:
        return str(error)
    in_port = ours.in_port()
    wrong = [key for key in in_port.keys() | entities.keys() if in_port.get(key) != entities.get(key)]
    parts = [f"tables differ: {', '.join(different)}"] if different else []
    parts += [f"{len(wrong)} entities differ, such as {min(wrong)}"] if wrong else []
    return "; ".join(parts)


def kill_all(mark: str) -> int:
    """Kill every process that has the mark in its environment, until none is left; return how many there were."""
    killed: set[int] = set()
    while pids := marked(mark):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            killed.add(pid)
    return len(killed)


def marked(mark: str) -> list[int]:
    """The processes that have the mark in their environment; a dead one has none."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and f"{MARKER}={mark}".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except (PermissionError, FileNotFoundError, ProcessLookupError):
            continue
    return found


def drill(kills: int, seed: int, folder: Path, say: Callable[[str], object]) -> float:
    """Hold the drill; return how long the last start took until everything was equal. Raises DrillError."""
    with running("usage_assets_sandbox") as url, httpx.Client(base_url=url, timeout=30) as switches:
        first = datetime.now(UTC).date() - timedelta(days=DAYS)
        held = Drill(folder, Sandbox(url, switches), first, random.Random(seed), say)
        held.prepare()
        for number in range(1, kills + 1):
            held.kill_once(number)
        return held.wait_until_equal()


@click.command()
@click.option("--kills", type=click.IntRange(0), default=20, show_default=True)
@click.option("--seed", type=int, default=None, help="of the random moments; printed, so that a drill can be repeated")
def main(kills: int, seed: int | None) -> None:
    """Kill `make run` again and again; exit 0 where it ends equal to an undisturbed run."""
    terminate_like_ctrl_c()  # otherwise what it has started would go on
    seed = random.randrange(10**6) if seed is None else seed
    click.echo(f"seed {seed}")
    folder = Path(mkdtemp(prefix="drill-"))
    try:
        seconds = drill(kills, seed, folder, click.echo)
    except DrillError as error:
        click.echo(f"FAILED: {error}")
        sys.exit(1)
    shutil.rmtree(folder)
    click.echo(f"equal to an undisturbed run {seconds:.0f} s after the last start")


if __name__ == "__main__":
    main()

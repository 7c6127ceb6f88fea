"""What a Dagster that has nothing to do takes: `usage-assets dev` with three connections and Port beside `dagster dev`
with one asset and one schedule, in the same ten minutes.

On both sides one run has ended before: of ours, the pushes of a backfill and what the sensors found due.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import httpx
import psutil

from benchmarks import empty
from benchmarks.commands import make_home, run, usage_assets
from benchmarks.figures import Figure
from benchmarks.server import running
from benchmarks.year import CONNECTIONS
from demo.__main__ import isolated
from usage_assets.cli.processes import free_port
from usage_assets.core.days import DAY, utc_today

SECONDS = 600
QUIET_SECONDS = 90
"""Nothing has run for so long when the measurement begins: each sensor has ticked again."""
PATIENCE = 900
ALLOWED, ALLOWED_MIB = 1.1, 650
DAYS = 10
PORTS = 3300
LAST_RUN = "{ runsOrError(limit: 1) { ... on Runs { results { runId status } } } }"
ENDED = ("SUCCESS", "FAILURE", "CANCELED")


def figures(days: int, seconds: int = SECONDS) -> Iterator[Figure]:
    """CPU time of both in these seconds, and the memory of ours after them."""
    with running("usage_assets_sandbox") as url, TemporaryDirectory() as ours, TemporaryDirectory() as plain:
        last = utc_today() - DAY
        settings = make_home(Path(ours), url, *(name.upper() for name in (*CONNECTIONS, "port")))
        settings["USAGE_START_DATE"] = str(last - DAY * (min(days, DAYS) - 1))
        run(usage_assets("backfill", "--start", settings["USAGE_START_DATE"], "--end", str(last)), Path(ours), settings)
        code = str(Path(empty.__file__))
        dagster = [str(Path(sys.executable).with_name("dagster"))]
        materialize = [*dagster, "asset", "materialize", "-f", code, "--select", "*", "--partition", str(last)]
        run(materialize, Path(plain), {"DAGSTER_HOME": plain})
        port = free_port(PORTS)
        with served(usage_assets("dev"), Path(ours), settings, port) as product:
            other = [*dagster, "dev", "-f", code]
            with served(other, Path(plain), {"DAGSTER_HOME": plain}, free_port(port + 1)) as theirs:
                until_quiet(port)
                before = [cpu_of_tree(side) for side in (product, theirs)]
                sleep(seconds)
                cpu = [cpu_of_tree(side) - was for side, was in zip((product, theirs), before, strict=True)]
                mib = [mib_of_tree(side) for side in (product, theirs)]
    yield Figure(
        name=f"idle for {seconds} s",
        ours=cpu[0],
        theirs=cpu[1],
        unit="s",
        demanded=1 / ALLOWED,
        note="CPU time of all processes; theirs: `dagster dev` with one asset",
    )
    yield Figure(
        name="idle: memory",
        ours=mib[0],
        theirs=ALLOWED_MIB,
        unit="MiB",
        demanded=1,
        note=f"proportional set size of all processes; `dagster dev`: {mib[1]:.0f}; theirs: what is allowed",
    )


@contextmanager
def served(
    command: Sequence[str | Path], home: Path, settings: Mapping[str, str], port: int
) -> Iterator[psutil.Process]:
    """A Dagster at this port, until the block ends. Raises TimeoutError where it does not answer."""
    with (home / "output.log").open("w") as output:
        process = subprocess.Popen(  # noqa: S603 - our own commands
            [*command, "--port", str(port)],
            cwd=home,
            env={**isolated(os.environ), **settings},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            until(lambda: answers(port), f"Dagster at port {port}")
            yield psutil.Process(process.pid)
        finally:
            below = psutil.Process(process.pid).children(recursive=True)
            process.terminate()
            process.wait()
            for each in psutil.wait_procs(below, timeout=30)[1]:
                each.kill()  # `dagster dev` leaves its services running


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for something. Raises TimeoutError after PATIENCE seconds."""
    began = monotonic()
    while not holds():
        if monotonic() - began > PATIENCE:
            raise TimeoutError(f"{what} was not there after {PATIENCE} s")
        sleep(1)


def answers(port: int) -> bool:
    """Whether a webserver is there."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/server_info").is_success
    except httpx.TransportError:
        return False


def until_quiet(port: int) -> None:
    """Wait until a run has ended, and no other has begun for QUIET_SECONDS."""
    last: list[object] = []
    since = monotonic()

    def is_quiet() -> bool:
        nonlocal last, since
        asked = httpx.post(f"http://127.0.0.1:{port}/graphql", json={"query": LAST_RUN}).raise_for_status().json()
        runs = asked["data"]["runsOrError"]["results"]
        if runs != last or not runs or runs[0]["status"] not in ENDED:
            last, since = runs, monotonic()
        return monotonic() - since > QUIET_SECONDS

    until(is_quiet, "a run that has ended")


def tree(of: psutil.Process) -> list[psutil.Process]:
    """A process and those below it."""
    return [of, *of.children(recursive=True)]


def cpu_of_tree(of: psutil.Process) -> float:
    """CPU seconds of these processes, and of those below them that have ended."""
    used = [process.cpu_times() for process in tree(of)]
    return float(sum(each.user + each.system + each.children_user + each.children_system for each in used))


def mib_of_tree(of: psutil.Process) -> float:
    """What these processes hold, each shared page divided among those that share it; resident where that is unknown."""
    held = [process.memory_full_info() for process in tree(of)]
    return float(sum(getattr(each, "pss", each.rss) for each in held)) / 2**20

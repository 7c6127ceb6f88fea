"""Two costs: the backfill of a year of three connections, pushes included, and one tick of the daily schedule after it.

In that tick, the last seven days are fetched again and nothing has changed.

The sandbox is a process of its own, and its CPU time is not counted. Each run of the schedule is a process that is
forked as under ``make run``. The schedule and the sensors are evaluated in one process that has loaded the
definitions, like the code server. The work of the daemon itself is not counted.
"""

import json
import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, time
from functools import partial
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import httpx
import psutil
from dagster._cli.api import execute_run_command
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._grpc.types import ExecuteRunArgs

from benchmarks.commands import DATABASE, ROOT, history_bytes, make_home, run, stored_days, usage_assets
from benchmarks.figures import Figure
from benchmarks.server import running
from usage_assets.automation.jobs import PORT_SYNC_JOB, USAGE_JOB
from usage_assets.build import build_from_environment
from usage_assets.config.settings import Settings
from usage_assets.core.days import DAY, Window, utc_today
from usage_assets.demo.summary import compare_entities
from usage_assets.port.client import PortClient
from usage_assets.sandbox import credentials
from usage_assets.warehouse.database import Warehouse

CONNECTIONS = ("openai", "anthropic", "chatgpt")
YEAR_CPU_SECONDS, YEAR_WALL_SECONDS = 150, 120
TICK_CPU_SECONDS, TICK_BYTES, TICK_DAYS = 6, 2**20, 7
A_DAY_PASSES = "update ledger.partition_versions set written_at = written_at - interval 25 hours"
"""Makes all versions a day older. Older days then settle when they are fetched again, unchanged, and are left alone."""
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["usage_assets.local.preload"])
SCHEDULE, SENSORS = "daily_usage_schedule", ("port_changed_partitions_sensor", "due_days_sensor")


@dataclass(frozen=True)
class Tick:
    """What one daily tick took."""

    cpu: float
    runs: int
    bytes: int
    """Growth of Dagster's history."""
    requests: int
    """To the providers and Port."""
    to_port: int


def figures(days: int, connections: Sequence[str] = CONNECTIONS) -> Iterator[Figure]:
    """Measure a year of these connections, and a daily tick after it."""
    window = Window(utc_today() - DAY * days, utc_today() - DAY)
    accounts = [name.upper() for name in (*connections, "port")]
    with running("usage_assets.sandbox") as url, TemporaryDirectory() as folder:
        home = Path(folder)
        settings = make_home(home, url, *accounts) | {"USAGE_START_DATE": str(window.first)}
        yield from figures_of_year(url, home, settings, window, connections)
        yield from figures_of_tick(url, home, settings, connections)


def figures_of_year(
    url: str, home: Path, settings: Mapping[str, str], window: Window, connections: Sequence[str]
) -> Iterator[Figure]:
    """Measure a backfill of all connections, with pushes. Raises RuntimeError if Port differs from the tables."""
    days = ["--start", str(window.first), "--end", str(window.last)]
    took = run(usage_assets("backfill", *days, "--push"), home, settings)
    entities = compare(url, home, window, connections)
    assets, stored = stored_days(home)
    name = f"{len(window.days)} days of {len(connections)} connections, to Port"
    what = f"{assets} assets, {stored:,} asset-days, {entities:,} entities in Port; theirs: what is allowed"
    yield Figure(
        name=name,
        ours=took.cpu,
        theirs=YEAR_CPU_SECONDS,
        unit="s",
        demanded=1,
        is_at_factor_1=True,
        note=f"CPU time of all processes, {what}",
    )
    yield Figure(
        name=name,
        ours=took.wall,
        theirs=YEAR_WALL_SECONDS,
        unit="s",
        demanded=1,
        is_at_factor_1=True,
        note=f"wall time; {what}",
    )


def figures_of_tick(url: str, home: Path, settings: Mapping[str, str], connections: Sequence[str]) -> Iterator[Figure]:
    """Measure a tick of the daily schedule. Raises RuntimeError if a run fails or a day has changed."""
    command = [sys.executable, "-m", "benchmarks.year", url]
    said = run(command, home, {**settings, "PYTHONPATH": str(ROOT)}).output
    tick = Tick(**json.loads(said.splitlines()[-1]))
    name = f"a daily tick of {len(connections)} connections"
    what = f"{tick.runs} runs of {TICK_DAYS} days, nothing changed"
    yield Figure(
        name=name,
        ours=tick.cpu,
        theirs=TICK_CPU_SECONDS,
        unit="s",
        demanded=1,
        is_at_factor_1=True,
        note=f"CPU time of the runs, the schedule and the sensors; {what}; theirs: what is allowed",
    )
    yield Figure(
        name=f"history of {name}",
        ours=tick.bytes / 2**20,
        theirs=TICK_BYTES / 2**20,
        unit="MiB",
        demanded=1,
        note=f"Dagster's SQLite files; {what}; theirs: what is allowed",
    )
    yield Figure(
        name=f"requests to Port of {name}",
        ours=tick.to_port,
        theirs=tick.requests,
        unit="req",
        demanded=inf,
        note="theirs: requests in all",
    )


def compare(url: str, home: Path, window: Window, connections: Sequence[str]) -> int:
    """Return how many entities Port has. Raises RuntimeError if they differ from the tables."""
    port = PortClient(f"{url}/port", credentials.PORT_CLIENT_ID, credentials.PORT_CLIENT_SECRET)
    with port:
        found = compare_entities(Warehouse(database=str(home / DATABASE)), port, dict.fromkeys(connections, window))
    if wrong := [each.blueprint for each in found if each.missing or each.different or each.unknown]:
        raise RuntimeError(f"Port has not what the tables have: {', '.join(wrong)}")
    return sum(each.in_port for each in found)


def tick(url: str) -> Tick:
    """Push everything, then do what the daily schedule does, and measure that. Raises RuntimeError if a day changes."""
    definitions, settings = build_from_environment(), Settings.load()
    warehouse = Warehouse(database=str(settings.usage_warehouse))
    home, cursors = Path(os.environ["DAGSTER_HOME"]), dict[str, str | None]()
    with dg.DagsterInstance.get() as instance:
        settle = partial(run_until_nothing_is_asked_for, definitions, instance, warehouse, cursors)
        settle([])  # with an empty cursor, the sensors request one push per connection
        with warehouse.transaction() as database:
            database.execute(A_DAY_PASSES)
        settle(asked_by_schedule(definitions, instance))
        size, cpu, began = history_bytes(home), cpu_so_far(), datetime.now(UTC)
        httpx.post(f"{url}/control/requests/clear").raise_for_status()
        runs = settle(asked_by_schedule(definitions, instance))
        took, grown = cpu_so_far() - cpu, history_bytes(home) - size
    versions = "select count(*) as days from ledger.partition_versions where changed and written_at >= $began"
    if changed := warehouse.read(versions, {"began": began})["days"][0].as_py():
        raise RuntimeError(f"{changed} days have changed")
    paths = [request["path"] for request in httpx.get(f"{url}/control/requests").raise_for_status().json()["requests"]]
    return Tick(took, runs, grown, len(paths), sum(path.startswith("/port/") for path in paths))


def asked_by_schedule(definitions: dg.Definitions, instance: dg.DagsterInstance) -> list[tuple[str, dg.RunRequest]]:
    """Return the runs that the daily schedule requests this morning, with their job."""
    morning = datetime.combine(datetime.now(UTC), time(6), UTC)
    with dg.build_schedule_context(instance=instance, scheduled_execution_time=morning) as context:
        requests = definitions.resolve_schedule_def(SCHEDULE).evaluate_tick(context).run_requests or []
    return [(USAGE_JOB, request) for request in requests]


def run_until_nothing_is_asked_for(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    warehouse: Warehouse,
    cursors: dict[str, str | None],
    requests: Sequence[tuple[str, dg.RunRequest]],
) -> int:
    """Execute the requests, and what the sensors request after them; return the number of runs."""
    runs = 0
    while True:
        for job, request in requests:
            execute(definitions, instance, job, request)
        runs += len(requests)
        requests = evaluate_sensors(definitions, instance, warehouse, cursors)
        if not requests:
            return runs


def evaluate_sensors(
    definitions: dg.Definitions, instance: dg.DagsterInstance, warehouse: Warehouse, cursors: dict[str, str | None]
) -> list[tuple[str, dg.RunRequest]]:
    """Evaluate each sensor until its cursor does not change; return the requested runs, with their jobs."""
    requests: list[tuple[str, dg.RunRequest]] = []
    for name in SENSORS:
        sensor = definitions.resolve_sensor_def(name)
        cursor, is_read = cursors.get(name), False
        while not is_read:
            with dg.build_sensor_context(instance, cursor, resources={"warehouse": warehouse}) as context:
                data = sensor.evaluate_tick(context)
            cursor, is_read = data.cursor, data.cursor == cursor
            requests += [(request.job_name or PORT_SYNC_JOB, request) for request in data.run_requests or []]
        cursors[name] = cursor
    return requests


def execute(definitions: dg.Definitions, instance: dg.DagsterInstance, job: str, request: dg.RunRequest) -> None:
    """Execute a run request in a process of its own, as a code server does. Raises RuntimeError if it fails."""
    repository = RepositoryPythonOrigin(sys.executable, ModuleCodePointer("usage_assets.definitions", "defs"))
    origin = JobPythonOrigin(job, repository)
    run = instance.create_run_for_job(
        definitions.resolve_job_def(job),
        tags=request.tags,
        asset_selection=frozenset(request.asset_selection or []),
        job_code_origin=origin,
    )
    asked = ExecuteRunArgs(origin, run.run_id, instance.get_ref(), set_exit_code_on_failure=True)
    process = FORKS.Process(target=execute_forked, args=(asked.get_command_args()[-1],))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"a run of {job} failed: its process says why")


def execute_forked(arguments: str) -> None:
    """Execute a run in this process, as Dagster's command does."""
    execute_run_command.main([arguments], standalone_mode=False)


def cpu_so_far() -> float:
    """Return the CPU seconds of this process, of its ended children and of the processes that runs were forked from."""
    used = [psutil.Process().cpu_times(), *(child.cpu_times() for child in psutil.Process().children())]
    return float(sum(each.user + each.system + each.children_user + each.children_system for each in used))


if __name__ == "__main__":
    print(json.dumps(asdict(tick(sys.argv[1]))))

"""What a year of three connections costs: its backfill, pushes included, and the mornings after it.

The clock of the sandbox and of the product lets a day pass. On the morning after, each asset has a new day, and days
before it are fetched again, unchanged. Then the schedule ticks again and finds nothing, and once more after a provider
has restated one day.

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
import time_machine
from dagster._cli.api import execute_run_command
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._grpc.types import ExecuteRunArgs

from benchmarks.commands import DATABASE, PYTHON_PATH, history_bytes, make_home, run, stored_days, usage_assets
from benchmarks.figures import Figure
from benchmarks.server import answered, running
from demo.summary import compare_entities
from usage_assets.assets.warehouse_resource import WarehouseResource
from usage_assets.automation.due_runs import RUN_KEY_TAG
from usage_assets.automation.jobs import PORT_SYNC_JOB, USAGE_JOB
from usage_assets.build import build_from_environment
from usage_assets.config.settings import Settings
from usage_assets.core.days import DAY, Window, utc_today
from usage_assets.features.port.catalog.client import PortClient
from usage_assets.warehouse.database import Warehouse
from usage_assets_sandbox import credentials

CONNECTIONS = ("openai", "anthropic", "chatgpt")
YEAR_CPU_SECONDS, YEAR_WALL_SECONDS = 150, 120
MORNING = time(7, 30)
"""When the daily schedule has ticked, and the due sensor takes yesterday's days for missing."""
A_DAY_PASSES = """
update ledger.partition_versions
set written_at = written_at - interval 73 hours, answered_at = answered_at - interval 73 hours
"""
"""Makes the versions of the backfill a day older than the first morning."""
Report = tuple[str, str, int]
"""A connection's report, and how many days ago a day of it was."""
RESTATED: Report = ("openai", "costs", 3)
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["usage_assets.preload", "benchmarks.year"])
SCHEDULE, SENSORS = "daily_usage_schedule", ("port_changed_partitions_sensor", "due_days_sensor")


@dataclass(frozen=True)
class Allowed:
    """What a tick of the daily schedule may take."""

    cpu: float
    """Seconds."""
    mib: float
    """Of Dagster's history; infinite where nothing is demanded."""


TICKS: Mapping[str, Allowed] = {
    "a morning": Allowed(5, 1.2),
    "a tick that finds nothing": Allowed(2, 0.9),
    "a tick after one restated day": Allowed(2.5, inf),
}


@dataclass(frozen=True)
class Tick:
    """What one tick of the daily schedule took."""

    cpu: float
    runs: int
    bytes: int
    """Growth of Dagster's history."""
    requests: int
    """To the providers and Port."""
    to_port: int
    changed: int
    """Days of assets that were stored for the first time or with other content."""


def figures(days: int, connections: Sequence[str] = CONNECTIONS, restated: Report = RESTATED) -> Iterator[Figure]:
    """Measure a year of these connections, and the mornings after it. ``restated``: the day that changes then."""
    window = Window(utc_today() - DAY * (days + 1), utc_today() - DAY * 2)
    accounts = [name.upper() for name in (*connections, "port")]
    with running("usage_assets_sandbox") as url, TemporaryDirectory() as folder:
        home = Path(folder)
        settings = make_home(home, url, *accounts) | {"USAGE_START_DATE": str(window.first)}
        yield from figures_of_year(url, home, settings, window, connections)
        yield from figures_of_ticks(url, home, settings, connections, restated)


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


def figures_of_ticks(
    url: str,
    home: Path,
    settings: Mapping[str, str],
    connections: Sequence[str],
    restated: Report,
    allowed: Mapping[str, Allowed] = TICKS,
) -> Iterator[Figure]:
    """Measure ticks of the daily schedule. Raises RuntimeError if a run fails, or other days change than should."""
    command = [sys.executable, "-m", "benchmarks.year", url, *map(str, restated)]
    said = run(command, home, {**settings, "PYTHONPATH": PYTHON_PATH}).output
    ticks = {name: Tick(**tick) for name, tick in json.loads(said.splitlines()[-1]).items()}
    for name, tick in ticks.items():
        most = allowed[name]
        what = f"{len(connections)} connections, {tick.runs} runs, {tick.changed} days of assets changed"
        yield Figure(
            name=name,
            ours=tick.cpu,
            theirs=most.cpu,
            unit="s",
            demanded=1,
            is_at_factor_1=True,
            note=f"CPU time of the runs, the schedule and the sensors; {what}; theirs: what is allowed",
        )
        yield Figure(
            name=f"history of {name}",
            ours=tick.bytes / 2**20,
            theirs=most.mib,
            unit="MiB",
            demanded=1,
            note=f"Dagster's SQLite files; {what}; theirs: what is allowed",
        )
        yield Figure(
            name=f"requests to Port of {name}",
            ours=tick.to_port,
            theirs=tick.requests,
            unit="req",
            demanded=0 if tick.changed else inf,
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


def ticks(url: str, restated: Report) -> Mapping[str, Tick]:
    """Push everything, then let a day pass, and do what the daily schedule does. Raises RuntimeError."""
    definitions, settings = build_from_environment(), Settings.load()
    warehouse = Warehouse(database=str(settings.usage_warehouse))
    home, cursors = Path(os.environ["DAGSTER_HOME"]), dict[str, str | None]()
    today = datetime.combine(utc_today(), MORNING, UTC)
    with time_machine.travel(today - DAY, tick=True) as clock, dg.DagsterInstance.get() as instance:
        settle = partial(run_until_nothing_is_asked_for, definitions, instance, warehouse, cursors)

        def measured(*, changes: bool) -> Tick:
            size, cpu, began = history_bytes(home), cpu_so_far(), datetime.now(UTC)
            answered(url)
            runs = settle(asked_by_schedule(definitions, instance))
            took, grown = cpu_so_far() - cpu, history_bytes(home) - size
            versions = "select count(*) as days from ledger.partition_versions where changed and written_at >= $began"
            changed = warehouse.read(versions, {"began": began})["days"][0].as_py()
            if bool(changed) != changes:
                raise RuntimeError(f"{changed} days of assets have changed")
            listed = answered(url)
            to_port = sum(request["path"].startswith("/port/") for request in listed)
            return Tick(took, runs, grown, len(listed), to_port, changed)

        move(url, today - DAY)
        with warehouse.transaction() as database:
            database.execute(A_DAY_PASSES)
        settle([])  # with an empty cursor, the sensors request one push per connection
        settle(asked_by_schedule(definitions, instance))
        move(url, today)
        clock.move_to(today)
        morning = measured(changes=True)
        nothing = measured(changes=False)
        provider, endpoint, ago = restated
        days = [str(today.date() - DAY * ago)]
        changed = {"provider": provider, "endpoint": endpoint, "days": days, "change": "add"}
        httpx.post(f"{url}/control/restate", json=changed).raise_for_status()
        return dict(zip(TICKS, (morning, nothing, measured(changes=True)), strict=True))


def move(url: str, moment: datetime) -> None:
    """Let it be this moment at the sandbox."""
    httpx.post(f"{url}/control/clock", json={"now": moment.isoformat()}).raise_for_status()


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
    """Evaluate each sensor until it requests runs or its cursor does not change; return these runs, with their jobs."""
    requests: list[tuple[str, dg.RunRequest]] = []
    for name in SENSORS:
        sensor = definitions.resolve_sensor_def(name)
        cursor, is_read = cursors.get(name), False
        while not is_read:
            with dg.build_sensor_context(
                instance, cursor, resources={"warehouse": WarehouseResource.of(warehouse, publishes=False)}
            ) as context:
                data = sensor.evaluate_tick(context)
            # what it requests is executed before it looks again
            cursor, is_read = data.cursor, data.cursor == cursor or bool(data.run_requests)
            requests += [(request.job_name or PORT_SYNC_JOB, request) for request in data.run_requests or []]
        cursors[name] = cursor
    return requests


def execute(definitions: dg.Definitions, instance: dg.DagsterInstance, job: str, request: dg.RunRequest) -> None:
    """Execute a run request in a process of its own, as a code server does. Raises RuntimeError if it fails."""
    repository = RepositoryPythonOrigin(sys.executable, ModuleCodePointer("usage_assets.definitions", "defs"))
    origin = JobPythonOrigin(job, repository)
    run = instance.create_run_for_job(
        definitions.resolve_job_def(job),
        tags={**request.tags, **({RUN_KEY_TAG: request.run_key} if request.run_key else {})},
        asset_selection=frozenset(request.asset_selection or []),
        job_code_origin=origin,
    )
    asked = ExecuteRunArgs(origin, run.run_id, instance.get_ref(), set_exit_code_on_failure=True)
    process = FORKS.Process(target=execute_forked, args=(asked.get_command_args()[-1], datetime.now(UTC)))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"a run of {job} failed: its process says why")


def execute_forked(arguments: str, moment: datetime) -> None:
    """Execute a run in this process, as Dagster's command does, at the moment at which it was asked for."""
    with time_machine.travel(moment, tick=True):
        execute_run_command.main([arguments], standalone_mode=False)


def cpu_so_far() -> float:
    """Return the CPU seconds of this process, of its ended children and of the processes that runs were forked from."""
    used = [psutil.Process().cpu_times(), *(child.cpu_times() for child in psutil.Process().children())]
    return float(sum(each.user + each.system + each.children_user + each.children_system for each in used))


if __name__ == "__main__":
    _, at, of, report, ago = sys.argv
    print(json.dumps({name: asdict(tick) for name, tick in ticks(at, (of, report, int(ago))).items()}))

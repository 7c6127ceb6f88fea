"""SIGKILL at random moments of writing and at each request of a push: nothing lost, partial or doubled, and the next
run converges.

The processes that die come from a fork server that has imported the product, so that the kills hit work, not imports.
"""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from time import monotonic
from typing import TypeAlias

import httpx
import pytest
import time_machine

from usage_assets.core.blueprints import CONNECTION, blueprint
from usage_assets.core.schema import declared
from usage_assets.features.port.catalog.client import PortClient
from usage_assets.features.port.catalog.sync import Entity
from usage_assets.features.port.ledger import PortLedger
from usage_assets.features.port.push import push_until_equal
from usage_assets.models.entities import ENTITIES
from usage_assets.warehouse.opened import warehouse_at
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets_tests.end_to_end.conftest import (
    SERVER,
    Project,
    open_project,
    sandbox_environment,
    settings_of,
    with_main_endpoints,
)
from usage_assets_tests.fixtures import IS_NIGHT, Sandbox, last_days
from usage_assets_tests.forks import FORKS

KILLS = 20
"""By day a part of them."""
DAYS = last_days(2)
PUSHED_DAYS = last_days(15)
ASSETS = ("costs", "usage_completions", "entities/openai_daily_usage")
Task: TypeAlias = Callable[[str, Path, Event], None]


def variables(folder: Path) -> dict[str, str]:
    """A few assets of one connection: where a process dies matters, not in which of many alike."""
    return with_main_endpoints(folder) | {"ANTHROPIC_ADMIN_KEY": "", "CHATGPT_ANALYTICS_KEY": ""}


@pytest.fixture
def project(sandbox: Sandbox, tmp_path: Path) -> Iterator[Project]:
    """The project that runs to its end what others began."""
    with open_project(sandbox, tmp_path, variables(tmp_path)) as opened:
        yield opened


def fetch(base_url: str, folder: Path, ready: Event) -> None:
    """Fetch and say when it begins."""
    with httpx.Client() as unused, open_project(Sandbox(base_url, unused), folder, variables(folder)) as project:
        ready.set()
        replace(project, keeps_open=False).fetch("openai", DAYS, *ASSETS)


def push(base_url: str, folder: Path, ready: Event) -> None:
    """Push and say when it begins: what the asset does, without the seconds that Dagster takes."""
    target = Slice("openai", PUSHED_DAYS[0], PUSHED_DAYS[-1])
    entities = {derived.row.table: derived for derived in ENTITIES}
    properties = dict.fromkeys(blueprint(CONNECTION)["schema"]["properties"]) | {"provider": "openai", "state": "ok"}
    state = Entity(CONNECTION, "openai", "openai", properties, PUSHED_DAYS[-1])
    with PortClient(f"{base_url}/port", "sandbox-client-id", "sandbox-client-secret") as port:
        warehouse = warehouse_at(settings_of(sandbox_environment(base_url, folder / "usage.duckdb")).warehouse)
        ready.set()
        push_until_equal(port, PortLedger(warehouse, port.account, target, [*entities.values()], state=lambda: state))


def work(task: Task, base_url: str, folder: Path, now: datetime, lakes: str | None, ready: Event) -> None:
    """Do something in a process of its own."""
    os.chdir(folder)
    if lakes:
        os.environ[SERVER] = lakes
    with time_machine.travel(now):
        task(base_url, folder, ready)


@contextmanager
def running(task: Task, project: Project, folder: Path) -> Iterator[ForkServerProcess]:
    """A task that begins in another process, and is killed at the end of the block, however far it is."""
    ready = FORKS.Event()
    place = (project.sandbox.base_url, folder, datetime.now(UTC), os.environ.get(SERVER))
    process = FORKS.Process(target=work, args=(task, *place, ready))
    process.start()
    assert ready.wait(120)
    try:
        yield process
    finally:
        process.kill()
        process.join()


def run(task: Task, project: Project, folder: Path, kill_after: float | None = None) -> float:
    """Run a task in another process, to its end or until it is killed; return how long it had."""
    with running(task, project, folder) as process:
        begin = monotonic()
        process.join(kill_after)
        return monotonic() - begin


def restate(project: Project, luck: random.Random) -> None:
    """Let the provider change a day."""
    body = {"provider": "openai", "days": [str(luck.choice(DAYS))], "change": luck.choice(["scale", "add", "remove"])}
    project.sandbox.control("POST", "restate", body)


def assert_every_day_is_one_version(project: Project) -> None:
    """The stored rows of every day are exactly those whose hash the ledger recorded in the same transaction."""
    versions = project.hashes()
    for table in {name for name, *_ in versions}:
        content_hash = Table(declared(table)).content_hash
        stored = project.warehouse.read(
            f"select usage_date, {content_hash} as content_hash from {table} group by usage_date"
        ).to_pylist()
        hashes = {row["usage_date"]: row["content_hash"] for row in stored}
        recorded = {day: known for (name, _, _, day), known in versions.items() if name == table}
        empty = {day: known for day, known in recorded.items() if day not in hashes}
        assert hashes == {day: known for day, known in recorded.items() if day not in empty}
        assert set(empty.values()) <= {"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}


def announced(project: Project) -> set[tuple[str, date]]:
    """Days of entity tables that the events of the last run call changed."""
    found: set[tuple[str, date]] = set()
    for key in project.definitions.resolve_all_asset_keys():
        if "entities" not in key.path:
            continue
        for record in project.instance.fetch_materializations(key, limit=len(DAYS)).records:
            event = record.asset_materialization
            if event and event.partition and event.metadata["changed"].value:
                found.add((f"port_entities.{key.path[-1]}", date.fromisoformat(event.partition)))
    return found


def test_killed_while_writing(project: Project, tmp_path: Path) -> None:
    luck = random.Random(7)
    duration = run(fetch, project, tmp_path)
    hit, kills = 0, KILLS if IS_NIGHT else 5
    for n in range(KILLS):
        if n >= kills and hit:  # a busy machine may be slower than it was at first
            break
        before = project.hashes()
        restate(project, luck)
        run(fetch, project, tmp_path, kill_after=(n + luck.random()) / kills * duration)
        assert_every_day_is_one_version(project)
        hit += project.hashes() != before

        assert project.fetch("openai", DAYS, *ASSETS).success
        names = ("openai usd", "openai input_tokens", "openai num_model_requests")
        assert project.totals_of(*names) == {name: project.truth(DAYS)[name] for name in names}
        changed = {(key[0], key[3]) for key, value in project.hashes().items() if before[key] != value}
        assert {(table, day) for table, day in changed if table.startswith("port_entities.")} <= announced(project)
    print(f"{hit} of {kills} kills hit after a commit")
    assert hit > 0


def change_every_entity(project: Project) -> None:
    """Give every entity another title, and those of the first day another identifier: the former ones have to go."""
    with project.warehouse.transaction() as database:
        for table in (table for table in project.tables() if table.startswith("port_entities.")):
            database.execute(f"update {table} set title = title || '+'")
            database.execute(
                f"update {table} set identifier = identifier || '+' where usage_date = ?", [PUSHED_DAYS[0]]
            )


def kill_at_request(number: int, project: Project, folder: Path) -> None:
    """Let a push die while it waits for the answer to its n-th request, which Port has done or, in turns, not seen."""
    is_done = number % 2 == 0
    fault = {"fault": "drip", "seconds": 60} if is_done else {"fault": "reset"}
    project.sandbox.control("POST", "requests/clear")
    project.sandbox.faults({"route": "* /port/", "calls": [number], **fault})
    with running(push, project, folder) as process:
        while len(asked := project.port_requests()) < number or (is_done and asked[number - 1]["status"] is None):
            assert process.is_alive(), f"the push made {len(asked)} requests"
            process.join(0.01)  # to ask without a pause took as much CPU time as the rest
    project.sandbox.mend()


def lose_ledger(project: Project) -> None:
    """Let the database forget what Port holds."""
    with project.warehouse.transaction() as database:
        for table in ("port_entities", "port_pushes"):
            database.execute(f"delete from ledger.{table}")


def test_killed_while_pushing(project: Project, tmp_path: Path, subtests: pytest.Subtests) -> None:
    assert project.fetch("openai", PUSHED_DAYS).success
    assert project.push_of("openai", PUSHED_DAYS).success
    for is_lost, step in ((False, 3), (True, 5)):
        for number in range(1, KILLS + 1, 1 if IS_NIGHT else step):
            with subtests.test(is_lost=is_lost, number=number):
                with project.warehouse.get_connection():  # it stays open: to open and close it takes half of the time
                    change_every_entity(project)
                    if is_lost:
                        lose_ledger(project)
                kill_at_request(number, project, tmp_path)
                with project.warehouse.get_connection():
                    push(project.sandbox.base_url, tmp_path, FORKS.Event())
                    assert project.in_port() == project.entities()

"""`make run` whose history is in PostgreSQL, while PostgreSQL goes away: its processes live on, and runs go on."""

import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from usage_assets_tests.conftest import Sandbox
from usage_assets_tests.end_to_end.test_make_run import ENDED, RIGHT_KEYS, MakeRun, until
from usage_assets_tests.postgres import dagster_yaml, name_of, new_database
from usage_assets_tests.terminal import ROOT


@pytest.fixture
def made(sandbox: Sandbox, postgres: str, tmp_path: Path) -> Iterator[tuple[MakeRun, str]]:
    """A home whose history is in a database, and the database."""
    now = datetime.fromtimestamp(time.clock_gettime(time.CLOCK_REALTIME), UTC)
    sandbox.control("POST", "reset", {"now": now.isoformat()})
    folder, database = tmp_path / "home", new_database(postgres)
    folder.mkdir()
    shutil.copy(ROOT / "workspace.yaml", folder)
    (folder / "dagster.yaml").write_text(dagster_yaml(database))
    (folder / "connections.toml").write_text(
        '[[connection]]\nname = "named"\nprovider = "anthropic"\nkey = "env:NAMED_KEY"\n'
    )
    opened = MakeRun(folder.resolve(), sandbox, str(now.date() - timedelta(days=2)))
    opened.write_keys(**RIGHT_KEYS)
    try:
        yield opened, database
    finally:
        opened.kill_everything()


def end_sessions(database: str) -> int:
    """End all sessions of the database, as a failover does; return how many there were."""
    with psycopg.connect(database.replace(name_of(database), "postgres"), autocommit=True) as session:
        rows = session.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name_of(database)]
        )
        return len(rows.fetchall())


def services(made: MakeRun) -> set[int]:
    """Daemon, web server and code server."""
    names = ("dagster dev", "dagster._daemon", "dagster-daemon", "dagster_webserver", "dagster-webserver", "api grpc")
    return {pid for pid, command in made.processes().items() if any(name in command for name in names)}


def test_the_processes_of_dagster_live_on_when_their_sessions_are_ended(made: tuple[MakeRun, str]) -> None:
    started, database = made
    started.start()
    before = services(started)
    assert len(before) >= 3, started.processes()
    launched = started.runs()
    started.launch("openai/costs")
    assert end_sessions(database) > 0
    until(lambda: any(status in ENDED for status in started.new(launched).values()), "the run ends")
    assert services(started) == before, (started.folder / "log").read_text()[-3000:]
    assert started.outcome("openai/costs").startswith("SUCCESS")
    with psycopg.connect(database) as session:
        ticks = "select count(*) from job_ticks where timestamp > now() at time zone 'UTC' - interval '1 hour'"
        before_it = session.execute(ticks).fetchone()
    assert end_sessions(database) > 0

    def has_ticked() -> bool:
        with psycopg.connect(database) as session:
            return session.execute(ticks).fetchone() != before_it

    until(has_ticked, "the daemon goes on")

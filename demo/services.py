"""Dagster as the demo runs it: its services one by one, and what is asked of its GraphQL API, as its own UI asks it."""

import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from usage_assets.cli.dagster_dev import SECONDS_TO_START, Dagster, SilentError, last_line
from usage_assets.cli.processes import HOST, StartError, free_port
from usage_assets.local.home import CODE_LOCATION, REPOSITORY

BIN = Path(sys.executable).parent
WEB_SERVER = BIN / "dagster-webserver"
SERVED = """load_from:
  - grpc_server: {{host: {host}, port: {port}, location_name: {name}}}
"""
"""The workspace of services that share a code server."""

AssetPath = tuple[str, ...]
"""The parts of an asset's key."""

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


@dataclass(frozen=True)
class Progress:
    """How far Dagster is: what still runs, what went wrong."""

    unfinished_runs: int
    failed_runs: Sequence[str]
    backfills: Mapping[str, str]
    """Title -> status."""


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
            raise StartError(f"Dagster refuses the run of {job}: {last_line(answer.get('message', str(answer)))}")
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
            raise StartError(f"Dagster refuses the backfill {title}: {last_line(answer['message'])}")

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
            f"{event['stepKey'].replace('__', '/')}: {last_line(event['error']['message'])}"
            for event in events
            if "stepKey" in event
        ]
        return steps or [event["message"] for event in events[-2:]]


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]

"""`make run` with everything in it: code server, daemon, web server and runs, as processes of this machine."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from usage_assets_tests.conftest import Sandbox
from usage_assets_tests.end_to_end.conftest import sandbox_environment
from usage_assets_tests.terminal import ROOT

LAUNCH = """mutation ($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on Error { message }
} }"""
RUNS = "{ runsOrError { ... on Runs { results { id status tags { key value } } } } }"
EVENTS = """query ($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events {
  ... on MessageEvent { message }
  ... on ExecutionStepFailureEvent { error { message } }
} } } }"""
CONNECTIONS = """
[[connection]]
name = "named"
provider = "anthropic"
key = "env:NAMED_KEY"

[[connection]]
name = "filed"
provider = "anthropic"
key = "file:filed.key"
"""
RIGHT_KEYS = {"OPENAI_ADMIN_KEY": "sk-admin-sandbox", "NAMED_KEY": "sk-ant-admin-sandbox"}
PLACES = 2
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
SECONDS = 240
"""Dagster needs most of a minute on two busy cores before it answers."""


def until(is_so: Callable[[], bool], what: str) -> None:
    """Return as soon as it is so."""
    deadline = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < deadline, f"too late: {what}"
        time.sleep(0.3)


@dataclass
class MakeRun:
    """A folder as a user has it, and `make run` in it."""

    folder: Path
    sandbox: Sandbox
    day: str
    """A closed day, in real time: these processes have no other."""
    process: "subprocess.Popen[str] | None" = None
    url: str = ""

    def write_keys(self, **keys: str) -> None:
        """Write `.env`, and nothing of it into the environment."""
        (self.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in keys.items()))

    def start(self) -> str:
        """Start it and wait until it serves; return what it says until then."""
        settings = sandbox_environment(self.sandbox.base_url, self.folder / "usage.duckdb")
        keys = {name for name in settings if name.endswith("KEY") or name.startswith("PORT")}
        environment = {
            **{name: value for name, value in os.environ.items() if name not in settings},
            **{name: value for name, value in settings.items() if name not in keys},
            "USAGE_CONNECTIONS": "connections.toml",
            "USAGE_BACKFILL_HISTORY": "false",
            "USAGE_SCHEDULE": "0 0 1 1 *",  # until then no day is missing, and the due sensor asks for none
        }
        environment.pop("DAGSTER_HOME", None)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.process = subprocess.Popen(
            [str(Path(sys.executable).with_name("usage-assets")), "dev", "--port", str(port)],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=(self.folder / "log").open("a"),
            text=True,
            start_new_session=True,
        )
        said = []
        assert self.process.stdout
        for line in self.process.stdout:
            said.append(line)
            if line.startswith("Dagster: "):
                self.url = line.split()[1].rstrip(",")
                return "".join(said)
        raise AssertionError((self.folder / "log").read_text()[-3000:])

    def ask(self, query: str, **variables: object) -> Any:
        """Ask Dagster as its UI does."""
        answer = httpx.post(
            f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=60, trust_env=False
        ).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def launch(self, *keys: str) -> None:
        """Backfill assets for the day in one run, as the asset graph's button does."""
        params = {
            "title": ", ".join(keys),
            "assetSelection": [{"path": key.split("/")} for key in keys],
            "partitionNames": [self.day],
        }
        answer = self.ask(LAUNCH, params=params)["launchPartitionBackfill"]
        assert "message" not in answer, answer

    def runs(self) -> dict[str, str]:
        """Launched run -> status, the oldest first. The due sensor may ask for what follows from it."""
        runs = reversed(self.ask(RUNS)["runsOrError"]["results"])
        return {run["id"]: run["status"] for run in runs if "dagster/backfill" in {tag["key"] for tag in run["tags"]}}

    def said_by(self, run: str) -> str:
        """Everything in a run's log."""
        events = self.ask(EVENTS, run=run)["logsForRun"]["events"]
        return "\n".join(str(event) for event in events if event)

    def outcome(self, *keys: str) -> str:
        """Launch a run of the assets and wait for its end; return its log, which begins with its status."""
        before = self.runs()
        self.launch(*keys)
        until(lambda: any(status in ENDED for status in self.new(before).values()), "the run ends")
        ((run, status),) = self.new(before).items()
        return f"{status}\n{self.said_by(run)}"

    def new(self, before: dict[str, str]) -> dict[str, str]:
        """Runs that were not there before."""
        return {run: status for run, status in self.runs().items() if run not in before}

    def processes(self) -> dict[int, str]:
        """Everything that was started in this folder and runs: pid -> command."""
        found = {}
        for each in Path("/proc").iterdir():
            try:
                if each.name.isdecimal() and (each / "cwd").resolve() == self.folder:
                    found[int(each.name)] = (each / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
        return {pid: command for pid, command in found.items() if command}

    def kill(self, which: Callable[[str], bool] = lambda _: True) -> int:
        """SIGKILL its processes, all at once as a power loss does; return how many."""
        pids = [pid for pid, command in self.processes().items() if which(command)]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return len(pids)

    def kill_everything(self) -> None:
        """SIGKILL until nothing is left: some were being started meanwhile."""
        while self.kill():
            pass
        if self.process:
            self.process.wait()


@pytest.fixture
def made(sandbox: Sandbox, tmp_path: Path) -> Iterator[MakeRun]:
    """A folder with `.env`, a sandbox at the real time."""
    now = datetime.fromtimestamp(time.clock_gettime(time.CLOCK_REALTIME), UTC)
    sandbox.control("POST", "reset", {"now": now.isoformat()})
    folder = tmp_path / "home"  # not where this process is: all that runs there is killed
    folder.mkdir()
    shutil.copy(ROOT / "workspace.yaml", folder)
    home = (ROOT / "dagster.yaml").read_text()
    (folder / "dagster.yaml").write_text(home.replace("max_concurrent_runs: 4", f"max_concurrent_runs: {PLACES}"))
    (folder / "connections.toml").write_text(CONNECTIONS)
    opened = MakeRun(folder.resolve(), sandbox, str(now.date() - timedelta(days=2)))
    try:
        yield opened
    finally:
        opened.kill_everything()


def hang(sandbox: Sandbox) -> None:
    """Let each run wait for its provider."""
    sandbox.faults({"route": "GET /openai/", "fault": "drip", "seconds": 3600})


def test_corrected_keys_are_used_and_after_a_power_loss_and_a_killed_worker_no_run_holds_a_place(made: MakeRun) -> None:
    """One start serves both: it takes most of the time."""
    corrected_keys_are_used_by_the_next_run(made)
    after_a_power_loss_and_after_a_killed_worker_no_run_holds_a_place(made)


def corrected_keys_are_used_by_the_next_run(made: MakeRun) -> None:
    """Keys of `.env` and of a file."""
    made.write_keys(OPENAI_ADMIN_KEY="sk-admin-revoked", NAMED_KEY="sk-ant-revoked-too")
    (made.folder / "filed.key").write_text("sk-ant-revoked")
    made.start()
    assets = "openai/costs", "named/cost_report", "filed/cost_report"
    failed = made.outcome(*assets)
    assert failed.startswith("FAILURE")
    assert [f"{asset.partition('/')[0]} " in failed and "401" in failed for asset in assets] == [True] * 3
    made.write_keys(**RIGHT_KEYS)
    (made.folder / "filed.key").write_text("sk-ant-admin-sandbox-filed")
    assert made.outcome(*assets).startswith("SUCCESS")


def after_a_power_loss_and_after_a_killed_worker_no_run_holds_a_place(made: MakeRun) -> None:
    """Runs that wait for their provider when everything, and then the code server and a worker, are killed."""
    ended = made.runs()
    hang(made.sandbox)
    for asset in ("costs", "usage_completions", "usage_embeddings"):
        made.launch(f"openai/{asset}")
    until(lambda: sorted(made.new(ended).values()) == ["QUEUED", *["STARTED"] * PLACES], "all places are taken")
    before = made.new(ended)
    made.kill_everything()

    made.sandbox.control("DELETE", "faults")
    assert f"{PLACES} runs were under way when Dagster was last stopped" in made.start()
    lost = [run for run, status in before.items() if status == "STARTED"]
    assert {made.runs()[run] for run in lost} == {"FAILURE"}
    assert "its process is gone" in made.said_by(lost[0])
    (queued,) = before.keys() - set(lost)
    until(lambda: made.runs()[queued] == "SUCCESS", "the queued run is launched")

    hang(made.sandbox)
    before = made.runs()
    made.launch("openai/costs")
    until(lambda: list(made.new(before).values()) == ["STARTED"], "a run waits for its provider")
    run_processes = ("api grpc", "forkserver", "spawn_main")  # a forked worker is called like what it was forked from
    assert made.kill(lambda command: any(name in command for name in run_processes)) >= 2, "code server and worker"
    (run,) = made.new(before)
    until(lambda: made.runs()[run] == "FAILURE", "Dagster notices")
    assert "its process is gone" in made.said_by(run)
    assert made.process
    assert made.process.poll() is None

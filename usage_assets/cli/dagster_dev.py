"""A running `dagster dev`, and its GraphQL API."""

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any, Self

import httpx

from usage_assets.cli.processes import HOST, ManagedProcess, StartError, free_port

DAGSTER_DEV = (sys.executable, "-W", "ignore:Function `dev_command` is superseded", "-m", "dagster", "dev")
SECONDS_TO_START = 180
PATH_PREFIX = "DAGSTER_WEBSERVER_PATH_PREFIX"
"""Where Dagster's web server puts everything. One that nobody can guess keeps web pages out (docs/operations.md)."""

READY = """{ workspaceOrError {
  ... on Workspace { locationEntries { locationOrLoadError { ... on PythonError { message } } } }
  ... on PythonError { message }
} }"""


class SilentError(StartError):
    """Dagster does not answer."""


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
                raise StartError(f"Dagster cannot load the assets: {last_line(answer['message'])}")

    def require_running(self) -> None:
        """Raise StartError when it has ended by itself."""
        for process in self._processes:
            process.require_running()

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


def last_line(message: str) -> str:
    """The line that says what happened, of a message that names the exception's class first."""
    return message.strip().splitlines()[-1].rpartition("Failure: ")[2]

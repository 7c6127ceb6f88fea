"""Run workers: which process executes a run, and what to do about a run whose process is gone.

A run whose process was killed keeps the status "started" and one of the few places for runs. Dagster's own launcher
learns of it only through the code server that started the process, so after a power loss nobody does.

A process of this machine is looked for by its number. Of another machine, its code server is asked, after a silence.
"""

import json
import os
import socket
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from usage_assets.dagster_internals import (
    CheckRunHealthResult,
    WorkerStatus,
)

LOST = "its process is gone: it was killed, or the machine stopped. What it had not stored is still due"
SILENCE = timedelta(minutes=2)
"""A run logs its process as it starts. One that has not, and has logged nothing else for this long, has no process."""
SILENCE_ELSEWHERE = timedelta(minutes=10)
"""A run of another machine that has logged nothing for this long is lost, unless its code server says that it runs."""
GRPC_INFO_TAG = ".dagster/grpc_info"
"""Tag of a run that Dagster's launcher has handed to a code server: where that is."""
HOST_TAG = "usage_assets/host"
"""On which machine the command line executes a run."""
CLOCK_TOLERANCE = 2
"""Seconds that a process may appear to start after the event that it wrote itself."""
HOLDING_A_PLACE = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


class WatchedRunLauncher(dg.DefaultRunLauncher):
    """Dagster's launcher, and the answer to whether a run still has its process.

    Dagster's run monitoring asks for it every ``poll_interval_seconds`` and fails runs that have none. It does not ask
    ``DefaultRunLauncher``, which cannot answer.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        if is_lost(self._instance, run):
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, LOST)
        return CheckRunHealthResult(WorkerStatus.RUNNING)


def end_lost_runs(instance: dg.DagsterInstance) -> int:
    """End every run that holds a place and has no process; return how many.

    Call it while no code server of this home runs: a run that is only "starting" counts as lost, because nobody starts
    it any more. Queued runs stay: the daemon launches them.
    """
    ended = 0
    for record in instance.get_run_records(dg.RunsFilter(statuses=HOLDING_A_PLACE)):
        run = record.dagster_run
        if not is_lost(instance, run, nobody_starts_it=run.status is dg.DagsterRunStatus.STARTING):
            continue
        message = f"Dagster was started and found that {LOST}"
        if run.status is dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, message)
        else:
            instance.report_run_failed(run, message)
        ended += 1
    return ended


def is_lost(instance: dg.DagsterInstance, run: dg.DagsterRun, *, nobody_starts_it: bool = False) -> bool:
    """Return whether the run has no process."""
    server, host = json.loads(run.tags.get(GRPC_INFO_TAG, "{}")), socket.gethostname()
    if "port" in server or run.tags.get(HOST_TAG, host) != host:
        is_silent = last_heard_of(instance, run) + SILENCE_ELSEWHERE < datetime.now(UTC)
        return is_silent and not _runs_at(server, run.run_id)
    for entry in reversed(instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)):
        data = entry.dagster_event.event_specific_data if entry.dagster_event else None
        if pid := getattr(data, "metadata", {}).get("pid"):
            began = _began(int(str(pid.value)))
            return began is None or began > entry.timestamp + CLOCK_TOLERANCE  # another process has its number now
    return nobody_starts_it or last_heard_of(instance, run) + SILENCE < datetime.now(UTC)


def _runs_at(server: Mapping[str, Any], run_id: str) -> bool:
    """Return whether a code server on some machine has the process of a run. One that cannot be reached has none."""
    if "port" not in server:
        return False
    from usage_assets.dagster_internals.grpc import DagsterGrpcClient  # noqa: PLC0415 - one machine needs none of it

    client = DagsterGrpcClient(host=server["host"], port=server["port"], use_ssl=server.get("use_ssl", False))
    try:
        current: Any = dg.deserialize_value(client.get_current_runs())
    except dg.DagsterError:  # it cannot be reached
        return False
    return run_id in current.current_runs


def last_heard_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> datetime:
    """Return when the run's last event was written; the beginning of time where there is none."""
    newest = instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
    return datetime.fromtimestamp(newest[0].timestamp if newest else 0, UTC)


def _began(pid: int) -> float | None:
    """Return when a process began, in Unix seconds; None where there is none, or only one that waits to be reaped."""
    return _began_in_proc(pid) if Path("/proc/stat").is_file() else _began_by_ps(pid)


def _began_in_proc(pid: int) -> float | None:
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    booted = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    ticks = int(fields[18])  # field 22 of proc(5), starttime
    return None if state == "Z" else int(booted.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")


def _began_by_ps(pid: int) -> float | None:
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    found = subprocess.run(  # noqa: S603 - a list of words, no shell
        command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    state, _, began = found.stdout.strip().partition(" ")
    if not began or state.startswith("Z"):
        return None
    return datetime.strptime(began.strip(), "%a %b %d %H:%M:%S %Y").astimezone().timestamp()

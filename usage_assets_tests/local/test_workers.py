"""Runs whose process is gone: found by the process that their own events name, and ended."""

import json
import os
import runpy
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import time_machine
from dagster._core.events import EngineEventData
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.utils import make_new_run_id

from usage_assets.cli.processes import free_port
from usage_assets.dagster_internals.grpc import DagsterGrpcClient
from usage_assets.local import workers
from usage_assets.local.workers import (
    GRPC_INFO_TAG,
    HOST_TAG,
    LOST,
    SILENCE_ELSEWHERE,
    end_lost_runs,
    is_lost,
)
from usage_assets_tests.waiting import until

REPOSITORY = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("usage_assets"), "__repository__")
Began = Callable[[int], float | None]


@contextmanager
def worker() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that runs until it is killed."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        try:
            yield process
        finally:
            process.kill()


def run_of(
    instance: dg.DagsterInstance,
    status: dg.DagsterRunStatus,
    pid: int | None = None,
    tags: Mapping[str, str] | None = None,
) -> dg.DagsterRun:
    """A run in a status, whose process is this one."""
    origin = RemoteJobOrigin(REPOSITORY, "usage")
    run = dg.DagsterRun("usage", make_new_run_id(), status=status, remote_job_origin=origin, tags=tags)
    instance.add_run(run)
    instance.report_engine_event("Created", run)
    if pid:
        instance.report_engine_event(f"Started process (pid: {pid}).", run, EngineEventData.in_process(pid))
    return run


def status_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    """The status now."""
    found = instance.get_run_by_id(run.run_id)
    assert found
    return found.status


@pytest.mark.parametrize("began", [workers._began_in_proc, workers._began_by_ps])
def test_a_run_is_lost_when_its_process_has_ended(
    instance: dg.DagsterInstance, began: Began, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_began", began)
    with worker() as process:
        run = run_of(instance, dg.DagsterRunStatus.STARTED, process.pid)
        assert not is_lost(instance, run)
        process.kill()
        process.wait()
        assert is_lost(instance, run)


@pytest.mark.parametrize("began", [workers._began_in_proc, workers._began_by_ps])
def test_a_killed_process_that_nobody_reaps_has_ended(
    instance: dg.DagsterInstance, began: Began, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_began", began)
    code = "import subprocess; print(subprocess.Popen(['true']).pid, flush=True); input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        run = run_of(instance, dg.DagsterRunStatus.STARTED, int(parent.stdout.readline()))
        while not is_lost(instance, run):
            assert parent.poll() is None
        parent.communicate("\n")


def test_a_run_is_lost_when_another_process_has_its_number(instance: dg.DagsterInstance) -> None:
    with time_machine.travel(datetime.now(UTC) - timedelta(hours=1)), worker() as process:
        run = run_of(instance, dg.DagsterRunStatus.STARTED, process.pid)
        assert is_lost(instance, run), "the process began after the run said that it was its own"


CODE = """
from pathlib import Path
import dagster as dg

@dg.op
def wait():
    Path("gate").read_text()  # a pipe: until somebody writes to it

@dg.job
def waiting():
    wait()

defs = dg.Definitions(jobs=[waiting])
"""


def answers(client: DagsterGrpcClient) -> bool:
    """Whether a code server answers."""
    with suppress(dg.DagsterError):
        return bool(client.ping("here"))
    return False


@contextmanager
def code_server(folder: Path) -> Iterator[DagsterGrpcClient]:
    """A code server, as another machine has it."""
    (folder / "location.py").write_text(CODE)
    os.mkfifo(folder / "gate")
    port = free_port(4000)
    command = [sys.executable, "-m", "dagster", "api", "grpc", "-f", "location.py", "-h", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, cwd=folder) as process:
        try:
            client = DagsterGrpcClient(host="127.0.0.1", port=port)
            until(lambda: answers(client), "the code server serves")
            yield client
        finally:
            process.kill()  # SIGTERM waits for runs, and once for good


def test_a_silent_run_of_another_machine_is_lost_when_its_code_server_does_not_have_it(tmp_path: Path) -> None:
    later = datetime.now(UTC) + SILENCE_ELSEWHERE + timedelta(minutes=1)
    (tmp_path / "home").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "home")) as instance:
        with code_server(tmp_path) as server:
            address = {GRPC_INFO_TAG: json.dumps({"host": server.host, "port": server.port})}
            job = runpy.run_path(str(tmp_path / "location.py"))["waiting"]
            launched = instance.create_run_for_job(job, remote_job_origin=RemoteJobOrigin(REPOSITORY, job.name))
            dg.DefaultRunLauncher.launch_run_from_grpc_client(instance, launched, server)
            unknown = run_of(instance, dg.DagsterRunStatus.STARTED, pid=os.getpid(), tags=address)
            launched = instance.get_run_by_id(launched.run_id) or launched
            assert not is_lost(instance, unknown), "it may be starting"
            with time_machine.travel(later):
                assert is_lost(instance, unknown), "this process has its number, on another machine"
                assert not is_lost(instance, launched)
            (tmp_path / "gate").write_text("go on")
            until(lambda: status_of(instance, launched) is dg.DagsterRunStatus.SUCCESS, "the run ends")
        with time_machine.travel(later):
            assert is_lost(instance, launched), "its code server cannot be reached"


def test_a_run_of_the_command_line_of_another_machine_is_lost_when_it_is_silent(instance: dg.DagsterInstance) -> None:
    run = run_of(instance, dg.DagsterRunStatus.STARTED, pid=os.getpid(), tags={HOST_TAG: "another"})
    here = run_of(instance, dg.DagsterRunStatus.STARTED, pid=os.getpid(), tags={HOST_TAG: socket.gethostname()})
    assert not is_lost(instance, run)
    with time_machine.travel(datetime.now(UTC) + SILENCE_ELSEWHERE + timedelta(minutes=1)):
        assert is_lost(instance, run)
        assert not is_lost(instance, here), "its process is here"


def test_at_a_start_lost_runs_end_and_all_others_go_on(instance: dg.DagsterInstance) -> None:
    with worker() as gone:
        gone.kill()
    status = dg.DagsterRunStatus
    with worker() as process:
        runs = {
            "another terminal's": run_of(instance, status.STARTED, process.pid),
            "queued": run_of(instance, status.QUEUED),
            "starting": run_of(instance, status.STARTING),
            "killed": run_of(instance, status.STARTED, gone.pid),
            "canceled when killed": run_of(instance, status.CANCELING, gone.pid),
        }
        assert end_lost_runs(instance) == 3
        assert end_lost_runs(instance) == 0
    assert {name: status_of(instance, run) for name, run in runs.items()} == {
        "another terminal's": status.STARTED,
        "queued": status.QUEUED,
        "starting": status.FAILURE,
        "killed": status.FAILURE,
        "canceled when killed": status.CANCELED,
    }
    (ended,) = instance.all_logs(runs["killed"].run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    assert ended.dagster_event
    assert ended.dagster_event.message == f"Dagster was started and found that {LOST}"

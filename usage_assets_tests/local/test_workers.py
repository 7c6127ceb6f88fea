"""Runs whose process is gone: found by the process that their own events name, and ended."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
import time_machine
from dagster._core.events import EngineEventData
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.utils import make_new_run_id

from usage_assets.local import workers
from usage_assets.local.workers import LOST, SILENCE, end_lost_runs, is_lost

pytestmark = pytest.mark.slow

Began = Callable[[int], float | None]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance in memory."""
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


@contextmanager
def worker() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that runs until it is killed."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        try:
            yield process
        finally:
            process.kill()


def run_of(instance: dg.DagsterInstance, status: dg.DagsterRunStatus, pid: int | None = None) -> dg.DagsterRun:
    """A run in a status, whose process is this one."""
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("usage_assets"), "__repository__")
    origin = RemoteJobOrigin(repository, "usage")
    run = dg.DagsterRun("usage", make_new_run_id(), status=status, remote_job_origin=origin)
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


def test_a_run_that_names_no_process_yet_is_lost_when_it_stays_silent(instance: dg.DagsterInstance) -> None:
    run = run_of(instance, dg.DagsterRunStatus.STARTED)
    assert not is_lost(instance, run)
    with time_machine.travel(datetime.now(UTC) + SILENCE + timedelta(seconds=1)):
        assert is_lost(instance, run)


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

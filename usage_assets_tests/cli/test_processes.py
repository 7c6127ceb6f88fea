"""Processes on this machine: they end with whoever started them, ports are probed, and nothing is started twice."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from usage_assets.cli import processes
from usage_assets.cli.dagster_dev import PATH_PREFIX, Dagster
from usage_assets.cli.main import cli
from usage_assets.cli.processes import LOCK, ManagedProcess, StartError, free_port, only_one
from usage_assets.config.settings import SettingsError
from usage_assets.local.home import dagster_home, make_home, missing_settings, open_instance
from usage_assets_tests.waiting import looks, until

SLEEPER = "import time; time.sleep(600)"
FAMILY = f"""
import pathlib, subprocess, sys
child = subprocess.Popen([sys.executable, '-c', {SLEEPER!r}])
pathlib.Path('child').write_text(str(child.pid))
child.wait()
"""
"""A process with a child, which notes the child's id."""


def is_running(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(") ")[2][0] != "Z"


def child_of(folder: Path) -> int:
    """The child that FAMILY has noted."""
    note = folder / "child"
    until(lambda: note.exists() and note.read_text() != "", "the child runs")
    return int(note.read_text())


# Children


def test_stopping_a_command_stops_what_it_has_started(tmp_path: Path) -> None:
    with only_one(tmp_path, "it") as lock:
        kept = ManagedProcess("it", [sys.executable, "-c", FAMILY], lock=lock, cwd=tmp_path, advice="see its log")
        child = child_of(tmp_path)
        kept.stop()
    assert not is_running(child)


def test_a_command_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    stubborn = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {FAMILY}"
    impatient = """
import sys
from usage_assets.cli import processes
processes.SECONDS_TO_STOP = 1
sys.exit(processes.keep(sys.argv[1:]))
"""
    with subprocess.Popen(
        [sys.executable, "-c", impatient, sys.executable, "-c", stubborn], stdin=subprocess.PIPE, cwd=tmp_path
    ) as keeper:
        child = child_of(tmp_path)
        assert keeper.stdin
        keeper.stdin.close()
        keeper.wait(timeout=30)
    assert not is_running(child)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_children_end_with_their_parent_however_it_ends(tmp_path: Path, number: signal.Signals) -> None:
    parent = f"""
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in a shell's background
signal.signal(signal.SIGTERM, signal.SIG_DFL)
from usage_assets.cli.processes import ManagedProcess, only_one
with only_one(Path('.'), 'it') as lock:
    ManagedProcess('it', [sys.executable, '-c', {FAMILY!r}], lock=lock, cwd=Path('.'), advice='')
    {SLEEPER}
"""
    with subprocess.Popen([sys.executable, "-c", parent], cwd=tmp_path, stderr=subprocess.DEVNULL) as started:
        child = child_of(tmp_path)
        started.send_signal(number)
    until(lambda: not is_running(child), "the child has ended")
    with only_one(tmp_path, "it"):
        pass


def test_a_command_that_ends_by_itself_is_noticed(tmp_path: Path) -> None:
    with only_one(tmp_path, "it") as lock:
        command = [sys.executable, "-c", "raise SystemExit(3)"]
        kept = ManagedProcess("it", command, lock=lock, cwd=tmp_path, advice="see its log")
        with pytest.raises(StartError, match=r"it ended by itself \(exit code 3\): see its log"):
            watch(kept)
        kept.stop()


def watch(kept: ManagedProcess) -> None:
    """Require that it runs, again and again."""
    for _ in looks():
        kept.require_running()


# A second start


def test_a_second_start_is_refused_with_the_firsts_process_id(tmp_path: Path) -> None:
    with only_one(tmp_path, "the demo"), pytest.raises(StartError) as refused, only_one(tmp_path, "the demo"):
        pass
    assert str(refused.value).startswith(f"the demo is already running in {tmp_path} (PID {os.getpid()}): ")


def test_a_start_waits_for_what_a_killed_one_has_left(tmp_path: Path) -> None:
    killed = subprocess.Popen([sys.executable, "-c", "pass"])
    killed.wait()
    with ExitStack() as stack:
        lock = stack.enter_context(only_one(tmp_path, "it"))
        left = ManagedProcess(
            "it", [sys.executable, "-c", "import time; time.sleep(1)"], lock=lock, cwd=tmp_path, advice="see its log"
        )
    (tmp_path / LOCK).write_text(str(killed.pid))
    said: list[str] = []
    with only_one(tmp_path, "it", said.append):
        assert said == [f"it (PID {killed.pid}) was killed: waiting until its processes have stopped"]
    left.stop()


# Ports


def test_the_next_free_port_is_taken_when_it_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert port < free_port(port) < port + processes.PORTS_TO_TRY


def test_no_free_port_is_said() -> None:
    with (
        socket.create_server(("127.0.0.1", 65535)),
        pytest.raises(StartError, match="ports 65535 to 65535 are all in use"),
    ):
        free_port(65535)


# make run


def test_a_path_that_nobody_can_guess_keeps_the_requests_of_web_pages_out(tmp_path: Path) -> None:
    """Dagster's web server answers mutations by GET from anywhere: docs/operations.md says so, and this is why."""
    (tmp_path / "nothing.py").write_text("import dagster\n\ndefs = dagster.Definitions()\n")
    (tmp_path / "workspace.yaml").write_text("load_from:\n  - python_file: nothing.py\n")
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    foreign = {"Accept": "image/*", "Host": "evil.example", "Origin": "https://evil.example"}
    mutation = {"query": "mutation { setNuxSeen }"}
    with (
        only_one(tmp_path / "lock", "it") as lock,
        Dagster(
            tmp_path,
            tmp_path / "workspace.yaml",
            3970,
            lock,
            cwd=tmp_path,
            env={**os.environ, PATH_PREFIX: "/unguessable"},
            log=tmp_path / "log",
        ) as dagster,
    ):
        dagster.wait_until_ready()
        assert dagster.url.endswith(f":{dagster.port}/unguessable")
        answers = [
            httpx.get(f"{url}/graphql", params=mutation, headers=foreign, timeout=60)
            for url in (f"http://127.0.0.1:{dagster.port}", dagster.url)
        ]
        assert [answer.status_code for answer in answers] == [404, 200]
        assert answers[1].json() == {"data": {"setNuxSeen": True}}


def test_dev_makes_a_home_of_the_current_folder_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", "")
    with pytest.raises(SettingsError, match="not set, and the current folder holds no dagster"):
        dagster_home()
    with only_one(tmp_path / ".run", "Dagster"):
        first, second = (CliRunner().invoke(cli, ["dev"]) for _ in range(2))
    assert first.stdout.startswith(f"made dagster.yaml: {tmp_path} is Dagster's home now\n")
    assert "made" not in second.stdout
    assert "is already running" in str(second.exception)
    assert dagster_home() == tmp_path
    with open_instance() as instance:
        assert missing_settings(instance) is None
        assert not instance.nux_enabled, "no newsletter dialog covers the first page"


def test_a_home_in_the_env_file_is_that_of_our_commands_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster's commands read `.env` before they open an instance."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", "")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".env").write_text(f"DAGSTER_HOME={tmp_path / 'elsewhere'}\n")
    assert not make_home(), "a home that somebody names is left as it is"
    assert dagster_home() == tmp_path / "elsewhere"

"""Processes that a command starts and that end with it, however it ends, and what keeps a second start out.

`python -m usage_assets.cli.processes COMMAND...` is a keeper: it runs the command in a process group of its own and
stops the whole group as soon as its own standard input closes, which also a `kill -9` of its parent does.
"""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Self

from usage_assets.core.errors import UserError

HOST = "127.0.0.1"
SECONDS_TO_STOP = 20
"""Dagster ends its runs and servers in a few seconds; what is left after this is killed."""
PORTS_TO_TRY = 100
HIGHEST_PORT = 65535
LOCK = "lock"


class StartError(UserError):
    """Something cannot be started, or has ended by itself: what, why and what to do, in one line."""


class ManagedProcess:
    """A running command with everything that it starts; ends with ``stop``, or with this process."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        lock: IO[str],
        cwd: Path,
        advice: str,
        env: Mapping[str, str] | None = None,
        stdout: int | IO[str] | None = None,
        stderr: int | IO[str] | None = None,
    ) -> None:
        """Start it. Its processes hold the lock, too: another start waits until the last of them has gone.

        ``advice`` says where to look when it ends by itself.
        """
        self.name = name
        self.advice = advice
        self._keeper = subprocess.Popen(  # noqa: S603 - a list of words, no shell
            [sys.executable, "-m", __name__, *command],
            cwd=cwd,
            env=env,
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=True,  # a Ctrl-C is for the parent, which stops its children in order
            pass_fds=[lock.fileno()],
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def first_line(self) -> str:
        """The first line of its standard output; empty if it has ended before. Needs ``stdout=PIPE``."""
        return self._keeper.stdout.readline().strip() if self._keeper.stdout else ""

    def require_running(self) -> None:
        """Raise StartError when it has ended by itself."""
        if self._keeper.poll() is not None:
            raise StartError(f"{self.name} ended by itself (exit code {self._keeper.returncode}): {self.advice}")

    def begin_stopping(self) -> None:
        """Tell it to end; ``stop`` waits until it has."""
        if self._keeper.stdin:
            with suppress(BrokenPipeError):
                self._keeper.stdin.close()

    def stop(self) -> None:
        self.begin_stopping()
        self._keeper.wait()
        if self._keeper.stdout:
            self._keeper.stdout.close()


@contextmanager
def only_one(home: Path, name: str, say: Callable[[str], object] = print) -> Iterator[IO[str]]:
    """Hold the home's lock. Raises StartError while another process holds it.

    What a killed one has left behind is waited for, and that is said.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / LOCK).open("a+", encoding="utf-8") as lock:
        _take(lock, home, name, say)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield lock


def _take(lock: IO[str], home: Path, name: str, say: Callable[[str], object]) -> None:
    if _took(lock):
        return
    lock.seek(0)
    holder = lock.read()
    if _is_alive(holder):
        raise StartError(
            f"{name} is already running in {home} (PID {holder}): stop it there with Ctrl-C, or kill {holder}"
        )
    say(f"{name} (PID {holder}) was killed: waiting until its processes have stopped")
    deadline = time.monotonic() + SECONDS_TO_STOP + 10
    while not _took(lock):
        if time.monotonic() > deadline:
            raise StartError(
                f"processes of a killed start (PID {holder}) still hold {lock.name}: "
                f"find them with `fuser {lock.name}`, stop them and start again"
            )
        time.sleep(0.2)


def _took(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def free_port(wanted: int) -> int:
    """The first port from ``wanted`` on that nobody on this machine uses. Raises StartError where there is none."""
    ports = range(wanted, min(wanted + PORTS_TO_TRY, HIGHEST_PORT + 1))
    for port in ports:
        if _is_free(port):
            return port
    raise StartError(f"ports {ports[0]} to {ports[-1]} are all in use: choose another one")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a port in TIME_WAIT is free
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def terminate_like_ctrl_c() -> None:
    """Let SIGTERM end this process as Ctrl-C does: once it has stopped what it has started, however long that takes."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    signal.set_wakeup_fd(-1)  # cli/interrupts.py does not look any more


def keep(command: Sequence[str]) -> int:
    """Run the command until it ends or standard input closes, then stop its whole group. Returns its exit code."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored below a shell's `&`, and then Dagster ignores SIGTERM, too
    child = subprocess.Popen(  # noqa: S603 - a list of words, no shell
        command,
        stdin=subprocess.DEVNULL,
        close_fds=False,  # the lock
        process_group=0,
    )
    let_go = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: let_go.set())
    threading.Thread(target=_wait_for_end_of_input, args=(let_go,), daemon=True).start()
    while child.poll() is None and not let_go.wait(0.2):
        pass
    _stop_group(child)
    return child.wait()


def _wait_for_end_of_input(let_go: threading.Event) -> None:
    os.read(sys.stdin.fileno(), 1)
    let_go.set()


def _stop_group(leader: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + SECONDS_TO_STOP
        try:
            os.killpg(leader.pid, number)
            while time.monotonic() < deadline:
                leader.poll()
                os.killpg(leader.pid, 0)
                time.sleep(0.05)
        except (ProcessLookupError, PermissionError):
            return


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:]))

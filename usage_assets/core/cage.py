"""Runs what strangers wrote in a process of its own with hard limits. ``caged.py`` is the other end.

Questions and answers are lines of JSON. The process has no environment but what it is given, and no standard error. It
is started with the first question, and again after a question has ended it.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Timer
from typing import Any

CHILD = Path(__file__).with_name("caged.py")
PLAIN = {"LC_CTYPE": "C.UTF-8", "TZ": "UTC"}
"""The environment of the process. Python would set the first variable itself."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much one question may take."""

    cpu_seconds: int
    wall_seconds: float
    memory_bytes: int
    """Address space of the whole process."""
    open_files: int = 3
    """stdin, stdout, stderr."""


class CageError(Exception):
    """A question was not answered: the message says what it took too much of, and what to do."""


@dataclass
class Cage:
    """A process that answers one question at a time. Threads may share it."""

    work: Path
    """The module that answers: its ``begin`` gets ``setup`` and returns a function of a question."""
    setup: Mapping[str, Any]
    limits: Limits
    what: str
    """What runs there, in messages."""
    paths: Sequence[str] = ()
    """Where the process imports from, besides Python's own modules."""
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None
    _lock: Lock = field(default_factory=Lock)

    @property
    def is_running(self) -> bool:
        """Whether a process is there to be asked."""
        return self._process is not None

    def ask(self, asked: Mapping[str, Any], most_bytes: int) -> dict[str, Any]:
        """Return the answer to a question, which may have so many bytes.

        Raises CageError if the process ended over it, or had to be ended.
        """
        with self._lock:
            process, is_late = self._process or self._start(), Event()
            assert process.stdin  # noqa: S101
            assert process.stdout  # noqa: S101

            def end() -> None:
                is_late.set()
                process.kill()

            timer = Timer(self.limits.wall_seconds, end)
            timer.start()
            try:
                process.stdin.write(json.dumps(asked).encode() + b"\n")
                process.stdin.flush()
                line = process.stdout.readline(most_bytes)
            except BrokenPipeError:
                line = b""
            finally:
                timer.cancel()
            if not line.endswith(b"\n"):
                raise CageError(self._why(is_late))
            answer: dict[str, Any] = json.loads(line)
            if "broken" in answer:
                raise CageError(f"cannot be answered ({answer['broken']}): write it in another way")
            return answer

    def kill(self) -> None:
        """End the process, also while it answers: whoever waits for it gets a CageError."""
        if process := self._process:
            process.kill()

    def close(self) -> None:
        """End the process when it has answered."""
        with self._lock:
            self._end()

    def _start(self) -> subprocess.Popen[bytes]:
        limits = self.limits
        numbers = (limits.memory_bytes, limits.cpu_seconds, limits.open_files)
        self._process = process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", CHILD, self.work, *map(str, numbers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=PLAIN | {**self.environment},
            start_new_session=True,
        )
        assert process.stdin  # noqa: S101
        with suppress(BrokenPipeError):  # the question will find that it has ended
            process.stdin.write(json.dumps({"paths": [*self.paths], "setup": self.setup}).encode() + b"\n")
            process.stdin.flush()
        return process

    def _why(self, is_late: Event) -> str:
        """Say why the process ended, and let it go."""
        code, limits = self._end(), self.limits
        if is_late.is_set():
            return f"has not ended after {limits.wall_seconds:g} s: simplify it"
        if code == -signal.SIGXCPU:
            return f"takes more than {limits.cpu_seconds} s of CPU time: simplify it"
        if code and code > 0:
            what = self.what
            return (
                f"{what} cannot be run here (exit code {code}): install it again, on a system with limits for processes"
            )
        return f"takes more than {limits.memory_bytes >> 20} MB of memory, or nests too deep: simplify it"

    def _end(self) -> int | None:
        if not self._process:
            return None
        process, self._process = self._process, None
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with suppress(BrokenPipeError):  # what was not written is lost with it
                    pipe.close()
        try:
            return process.wait(1)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

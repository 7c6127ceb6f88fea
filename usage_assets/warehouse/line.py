"""Waiting in line for the database file: the process that has waited longest opens it next.

The line is a lock on a file next to the database. A process holds the lock only until it has opened the database. The
kernel grants the lock to one waiter after the other, and releases it when a process is killed.

DuckDB's own lock protects the database; the line only keeps the order, and other programs do not know it. But DuckDB
takes its lock too late for a new file: if two processes create it at the same time, one of them reads a file that is no
database yet. The line prevents that, too.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import IO


def line_of(database: str | Path) -> Path:
    """Return the lock file. It is never deleted, because another process may be about to wait for it."""
    return Path(f"{database}.line")


@contextmanager
def first_in_line(line: Path, seconds: float) -> Iterator[None]:
    """Wait to be first in line, for at most ``seconds``. Do not wait if the file system has no such locks.

    A process that has the database open must not wait here to open it again: the first in line waits for that process.
    """
    try:
        waiting = line.open("a")
    except OSError:
        yield
        return
    at_front, gone = Event(), Event()
    Thread(target=_wait, args=(waiting, at_front, gone), name="waits in line", daemon=True).start()
    try:
        at_front.wait(seconds)
        yield
    finally:
        gone.set()


def _wait(waiting: IO[str], at_front: Event, gone: Event) -> None:
    """Take the lock and hold it until ``gone`` is set. This runs in a thread, because ``flock`` has no timeout."""
    with waiting:
        with suppress(OSError):  # a network file system without locks
            fcntl.flock(waiting, fcntl.LOCK_EX)
        at_front.set()
        gone.wait()

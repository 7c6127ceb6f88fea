"""Waiting in line for the database file, so that whoever has waited longest opens it next.

The line is a lock on a file next to the database, held only until the database is open: the kernel lets waiters in one
after the other, and whoever is killed leaves the line with their process. It is a courtesy. DuckDB's own lock protects
the file, and other programs that hold it know of no line. DuckDB's lock comes too late for a file that is being made:
of two processes that make it at once, one reads what is not a database yet.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import IO


def line_of(database: str | Path) -> Path:
    """Return the file that the line is. It stays: nobody can tell whether someone is about to wait there."""
    return Path(f"{database}.line")


@contextmanager
def first_in_line(line: Path, seconds: float) -> Iterator[None]:
    """Go on as the first in line, or after so many seconds, or where this place has no such locks.

    Whoever has the database open must not wait here to open it again: the first in line waits for them.
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
    """Hold the lock until whom it is for has gone, in a thread: waiting for a lock has no time limit of its own."""
    with waiting:
        with suppress(OSError):  # a network file system without locks
            fcntl.flock(waiting, fcntl.LOCK_EX)
        at_front.set()
        gone.wait()

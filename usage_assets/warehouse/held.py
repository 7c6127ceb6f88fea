"""Keeps the database file open between the steps of a run: to open and to close it takes longer than most writes.

One more connection keeps it open and does nothing. It is closed when another process waits in line (line.py), when
nothing was done for some seconds, after an error, and while the file is copied. The next use opens the file again.
"""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Event, RLock, Thread
from time import monotonic

import duckdb

from usage_assets.warehouse.line import line_of

LOOK_SECONDS = 0.02
"""Between two looks at the line."""
IDLE_SECONDS = 5.0
"""Other programs do not know the line. They get the file while a run waits for a provider."""
_HOLDERS: dict[str, "_Holder"] = {}


class _Holder:
    """The connection that keeps a file open; None while the file is let go."""

    def __init__(self, database: str, *, is_suspended: bool = False) -> None:
        self.database = database
        self.connection: duckdb.DuckDBPyConnection | None = None
        self.lock = RLock()
        self.used_at = monotonic()
        self.is_suspended = is_suspended

    def keep(self, connect: Callable[[], duckdb.DuckDBPyConnection]) -> None:
        with self.lock:
            self.used_at = monotonic()
            if self.connection is None and not self.is_suspended:
                self.connection = connect()

    def let_go(self) -> None:
        with self.lock:
            if self.connection is not None:
                self.connection.close()
                self.connection = None

    def watch(self, ended: Event) -> None:
        """Let go when somebody waits, or nothing happens."""
        while not ended.wait(LOOK_SECONDS):
            if self.connection is not None and (
                monotonic() - self.used_at > IDLE_SECONDS or _is_waited_for(self.database)
            ):
                self.let_go()


@contextmanager
def held(database: str) -> Iterator[None]:
    """Keep a file open from its first use on, in this process."""
    if database in _HOLDERS:
        yield
        return
    holder, ended = _HOLDERS.setdefault(database, _Holder(database)), Event()
    watcher = Thread(target=holder.watch, args=(ended,), name="lets the database file go", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        del _HOLDERS[database]
        ended.set()
        watcher.join()
        holder.let_go()


def is_held(database: str) -> bool:
    """Whether this process keeps the file open, so that it need not wait to open it."""
    return _holder(database).connection is not None


def opening(database: str) -> AbstractContextManager[object]:
    """Open a file in here: it is not let go at the same time."""
    return _holder(database).lock


@contextmanager
def keeping_open(database: str, connect: Callable[[], duckdb.DuckDBPyConnection]) -> Iterator[None]:
    """Keep a file that is open in here open after it, if this process is to hold it. After an error, let it go: a
    database that has failed stays broken until it is closed.

    ``connect`` makes one more connection to what is open. A cursor would not do: it is closed with its connection.
    """
    holder = _holder(database)
    try:
        yield
    except BaseException:
        holder.let_go()
        raise
    holder.keep(connect)


def let_go(database: str) -> None:
    """Close the file as soon as nobody uses it in this process."""
    _holder(database).let_go()


@contextmanager
def suspended(database: str) -> Iterator[None]:
    """Let the file go, and do not keep it open in here."""
    holder = _holder(database)
    with holder.lock:
        holder.let_go()
        holder.is_suspended = True
    try:
        yield
    finally:
        holder.is_suspended = False


def _holder(database: str) -> _Holder:
    """Return what keeps the file open; where nobody holds it, what keeps nothing open."""
    return _HOLDERS.get(database) or _Holder(database, is_suspended=True)


def _is_waited_for(database: str) -> bool:
    try:
        with line_of(database).open("a" if line_of(database).exists() else "r") as line:
            fcntl.flock(line, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # nobody ever waited, or a file system without locks
        return False
    return False

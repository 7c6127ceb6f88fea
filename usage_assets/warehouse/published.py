"""The published copy of the database, ``<stem>-latest.duckdb`` next to it. A run replaces it when it ends.

DuckDB lets only one process open the file that runs write. Any number of notebooks and BI tools can open the copy, for
as long as they like: a new copy takes over the name, and open connections keep the old one.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import duckdb

from usage_assets.warehouse.database import Warehouse, write_ahead_log
from usage_assets.warehouse.held import let_go, suspended
from usage_assets.warehouse.values import WarehouseError

GIGABYTE = 1 << 30


def copy_of(database: str | Path) -> Path:
    """Return where the copy of a database file is."""
    return Warehouse(database=str(database)).published


def is_current(database: str | Path) -> bool:
    """Whether the copy holds what the database holds: it has the database's size and time of change."""
    path, copy = Path(database), copy_of(database)
    if write_ahead_log(path).exists() or not copy.is_file():
        return False
    now, then = path.stat(), copy.stat()
    return (now.st_mtime_ns, now.st_size) == (then.st_mtime_ns, then.st_size)


def publish(warehouse: Warehouse) -> None:
    """Make the copy equal to the database, unless it already is.

    The copy is always complete, and a state between two transactions. Writers wait while the bytes are copied: 0.1 s
    for 200 MB, up to 0.5 s on a busy machine, where DuckDB's ``copy from database`` takes 2.8 s. Raises WarehouseError,
    and keeps the old copy.
    """
    if warehouse.is_shared or not warehouse.exists:
        return
    database, copy = Path(warehouse.database), copy_of(warehouse.database)
    try:
        let_go(warehouse.database)  # which writes what is in the log into the file
        with _alone_in(database.parent):
            if not is_current(database):
                _replace(copy, warehouse)
    except OSError as error:
        raise WarehouseError(f"{copy}: {error.strerror}: what was published before stays") from error


@contextmanager
def snapshot_of(warehouse: Warehouse) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection to the state of this moment, for whoever reads for long: no writer waits for it.

    It is the published copy, or a state of a lake. Raises WarehouseError.
    """
    publish(warehouse)
    with warehouse.reading() as database:
        yield database


def _replace(copy: Path, warehouse: Warehouse) -> None:
    draft = copy.with_name(f"{copy.name}.new")
    draft.unlink(missing_ok=True)  # left by a process that was killed
    try:
        with draft.open("xb") as file:
            state = _copy(warehouse, file)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), state.st_mode & 0o444)
            os.utime(file.fileno(), ns=(state.st_mtime_ns, state.st_mtime_ns))
        # changes that somebody wrote to the old copy would be read as part of the new one
        write_ahead_log(copy).unlink(missing_ok=True)
        draft.replace(copy)
    finally:
        draft.unlink(missing_ok=True)


def _copy(warehouse: Warehouse, file: BinaryIO) -> os.stat_result:
    """Copy the database while nobody can write it; return the state that was copied.

    The source is closed after the database: a process that closes any handle of a file gives up its locks on it.
    """
    path = Path(warehouse.database)
    with suspended(warehouse.database), path.open("rb") as source, warehouse.get_connection() as connection:
        connection.execute("checkpoint")  # takes in what a killed process has left next to the file
        _copy_bytes(source, file)
        return os.fstat(source.fileno())


def _copy_bytes(source: BinaryIO, target: BinaryIO) -> None:
    """Copy a file within the kernel. XFS and Btrfs let both files share the blocks: that takes no time, at any size."""
    with suppress(AttributeError, OSError):  # macOS has no such call, and some file systems refuse it
        while os.copy_file_range(source.fileno(), target.fileno(), GIGABYTE):
            pass
    shutil.copyfileobj(source, target)  # what is left: nothing, or everything


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Let one process at a time publish; the lock goes with the process, and leaves no file."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)

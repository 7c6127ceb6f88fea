"""The published copy of the database, ``<stem>-latest.duckdb`` next to it. A run replaces it when it ends.

A backfill replaces it while it goes on, too. DuckDB lets only one process open the file that runs write. Any number of
notebooks and BI tools can open the copy, for as long as they like: a new copy takes over the name, and open connections
keep the old one. The copy before the newest one of a large database stays as ``<stem>-latest.duckdb.former``: if nobody
has it open, only what has changed is written into it, and it becomes the next copy.
"""

import fcntl
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep, time
from typing import BinaryIO

import duckdb

from usage_assets.core.alone import alone_in
from usage_assets.warehouse.database import Warehouse, write_ahead_log
from usage_assets.warehouse.held import let_go, suspended
from usage_assets.warehouse.migrate import refuse_lost
from usage_assets.warehouse.values import WarehouseError

GIGABYTE = 1 << 30
FICLONE = 0x40049409
"""Linux: let a file share the blocks of another one."""
LARGE = 256 << 20
"""Of a smaller database no former copy is kept: it is copied in 0.1 s."""
PIECE = 64 << 10
"""What is compared and written at a time."""
TICK = 0.1
"""Seconds. Linux before 6.13 states the same time of all changes within 10 ms."""


def copy_of(database: str | Path) -> Path:
    """Return where the copy of a database file is."""
    return Warehouse(database=str(database)).published


def former_of(database: str | Path) -> Path:
    """Return where the copy before the newest one is. It has what was deleted from the database since."""
    copy = copy_of(database)
    return copy.with_name(f"{copy.name}.former")


def draft_of(database: str | Path) -> Path:
    """Return where the next copy is written, before it takes over the name."""
    copy = copy_of(database)
    return copy.with_name(f"{copy.name}.new")


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
    for 200 MB, up to 0.5 s on a busy machine, where DuckDB's ``copy from database`` takes 2.8 s. A former copy
    is compared before that, so of a large database they wait for a few milliseconds (docs/benchmarks.md).

    Raises WarehouseError, and keeps the old copy: also where a table is missing whose days were stored, because the
    copy is what brings it back.
    """
    if warehouse.is_shared or not warehouse.exists:
        return
    database, copy = Path(warehouse.database), warehouse.published
    try:
        let_go(warehouse.database)  # which writes what is in the log into the file
        with alone_in(database.parent):
            if not is_current(database) or not _can_be_opened(warehouse):
                _replace(copy, warehouse)
    except OSError as error:
        path = error.filename2 or error.filename or copy
        raise WarehouseError(f"{path}: {error.strerror}: what was published before stays") from error


def _can_be_opened(warehouse: Warehouse) -> bool:
    """Whether the copy can be opened: the bytes of a file may be lost while its size and time stay."""
    with suppress(WarehouseError), warehouse.reading():
        return True
    return False


@contextmanager
def snapshot_of(warehouse: Warehouse) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection to the state of this moment, for whoever reads for long: no writer waits for it.

    It is the published copy, or a state of a lake. Raises WarehouseError.
    """
    publish(warehouse)
    with warehouse.reading() as database:
        yield database


def _replace(copy: Path, warehouse: Warehouse) -> None:
    draft, former = draft_of(warehouse.database), former_of(warehouse.database)
    with suppress(FileNotFoundError):
        former.replace(draft)
    try:
        with _opened(draft, Path(warehouse.database).stat().st_size) as file:
            is_shared, state = _copy(warehouse, file)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), state.st_mode & 0o444)
            os.utime(file.fileno(), ns=(state.st_mtime_ns, state.st_mtime_ns))
            is_kept = state.st_size >= LARGE and not is_shared and _is_alone(file)
        # changes that somebody wrote to the old copy would be read as part of the new one
        write_ahead_log(copy).unlink(missing_ok=True)
        if is_kept:
            with suppress(OSError):  # there is no copy yet, or the file system has no links
                os.link(copy, former)
        draft.replace(copy)
    finally:
        draft.unlink(missing_ok=True)


def _opened(draft: Path, size: int) -> BinaryIO:
    """Open what becomes the copy: a former copy, or what a killed process has left of one, if nobody else can read it.

    Otherwise a new file. A process killed between ``link`` and ``replace`` leaves a draft that is the copy itself.
    """
    with suppress(OSError):  # there is none, or it belongs to another user
        state = draft.stat()
        if min(size, state.st_size) >= LARGE and state.st_nlink == 1:
            draft.chmod(0o600)
            file = draft.open("r+b")
            if _is_alone(file):
                return file
            file.close()
    draft.unlink(missing_ok=True)
    return draft.open("xb")


def _is_alone(file: BinaryIO) -> bool:
    """Whether nobody else, in any process, has the file open: the kernel grants a lease only then.

    DuckDB's locks would not show a backup that reads the copy, nor a reader in this process. macOS and network file
    systems grant none. FUSE does, whoever reads the file below it, so it has to be a file system on a disk.
    """
    try:
        if os.major(os.fstat(file.fileno()).st_dev) == 0:
            return False
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)  # who opens the file meanwhile would end this process
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except (AttributeError, OSError):
        return False
    return True


def _copy(warehouse: Warehouse, file: BinaryIO) -> tuple[bool, os.stat_result]:
    """Copy the database while nobody can write it; return whether both share blocks, and the state that was copied.

    A former copy is made equal before that: writers wait only for a look whether the database is still as it was.
    Otherwise the two are compared once more. The source is closed after the database: a process that closes any handle
    of a file gives up its locks on it.
    """
    path, is_former, is_shared = Path(warehouse.database), os.fstat(file.fileno()).st_size > 0, False
    with suspended(warehouse.database), path.open("rb", buffering=0) as source:
        if is_former:
            seen = _settled(warehouse)
            _write_changes(source, file)
        with warehouse.transaction(keep=False) as connection:  # which refuses a file without its ledger
            refuse_lost(connection)
            connection.rollback()
            connection.execute("checkpoint")  # takes in what a killed process has left next to the file
            if not is_former:
                is_shared = _copy_bytes(source, file)
            elif warehouse.fingerprint != seen:
                _write_changes(source, file)
            return is_shared, os.fstat(source.fileno())


def _settled(warehouse: Warehouse) -> str | None:
    """Return the fingerprint, which every later change changes; None if the last change is too recent for that."""
    sleep(TICK)
    seen = warehouse.fingerprint
    return seen if time() - Path(warehouse.database).stat().st_mtime > TICK / 2 else None


def _write_changes(source: BinaryIO, target: BinaryIO) -> None:
    """Make a former copy equal to the database.

    All bytes are compared: DuckDB's checksum of a block stays when two of its words change places.
    """
    target.truncate(source.seek(0, os.SEEK_END))
    source.seek(0)
    target.seek(0)
    while piece := source.read(PIECE):
        if piece != target.read(len(piece)):
            target.seek(source.tell() - len(piece))
            target.write(piece)


def _copy_bytes(source: BinaryIO, target: BinaryIO) -> bool:
    """Copy a file within the kernel. XFS and Btrfs let both files share the blocks: that takes no time, at any size.

    Return whether they do.
    """
    with suppress(OSError):
        fcntl.ioctl(target, FICLONE, source.fileno())
        return True
    with suppress(AttributeError, OSError):  # macOS has no such call, and some file systems refuse it
        while os.copy_file_range(source.fileno(), target.fileno(), GIGABYTE):
            pass
    shutil.copyfileobj(source, target)  # what is left: nothing, or everything
    return False

"""The one helper that opens the database file: it waits for the lock, does one thing and always closes.

A day is replaced whole or not at all: ``Warehouse.replace`` is the only way into a declared data table.
"""

import errno
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import tenacity

from usage_assets.core.errors import ANOTHER_USER, first_line
from usage_assets.core.schema import declarations
from usage_assets.core.ticking import log_progress
from usage_assets.warehouse.arrow import fetch_arrow
from usage_assets.warehouse.found import finding
from usage_assets.warehouse.held import held, is_held, keeping_open, opening
from usage_assets.warehouse.ledger import (
    LATE_DAYS,
    NAMINGS,
    PORT_ENTITIES,
    STATEMENTS,
    VERSIONS,
    VIEWS,
    AcceptedBillDay,
    BillDay,
)
from usage_assets.warehouse.line import first_in_line, line_of
from usage_assets.warehouse.migrate import create_or_alter, refuse_newer
from usage_assets.warehouse.readable import FAILED, SESSION, ReadableFile
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Alone, Batch, Query, Version, View, WarehouseError
from usage_assets.warehouse.views import are_declared, are_made, broken_views, broken_views_apart, make_views
from usage_assets.warehouse.write import replace_slice

CONFIG: dict[str, str | bool | int | float | list[str]] = {"custom_user_agent": "usage-assets", "threads": 1}
"""Two threads take half as much CPU time again as one, and hardly less time: what is written here is small."""

STORAGE: Mapping[str, str | int] = {"storage_compatibility_version": "v1.4.0", "default_block_size": 16384}
"""How a new database file is written: DuckDB 1.4 and newer can read it. DuckDB's own choice, blocks of 256 KiB
and version 1.0, makes the file of a demo six times as large. A file keeps its blocks until rewrite.py rewrites it."""

PATIENCE = 120.0
"""Seconds that a run waits for others."""
_HOLDER = re.compile(r"lock is held in (?:(?P<program>.+) \()?PID (?P<pid>\d+)")
LOST = f"Table with name {VERSIONS.name.partition('.')[2]} does not exist"
_DAMAGE = re.compile(
    r"(?P<log>replaying WAL file)|(?P<newer>database file with version number)"
    r"|Corrupt database file|Could not read enough bytes|not a valid DuckDB database file"
    rf"|{LOST}"
)
"""What DuckDB 1.5 says of a file that it cannot read, or of one without the ledger (``migrate.py``)."""

_MISSING = re.compile(r"Table with name (?P<name>\w+) does not exist")
LEDGERS = (VERSIONS, NAMINGS, LATE_DAYS, PORT_ENTITIES, STATEMENTS)
"""Tables that every transaction finds, with VIEWS."""
_OPEN: Counter[str] = Counter()
"""How often this process has each database open."""
_FOUND: dict[str, set[Hashable]] = {}
"""What was found in it since then (found.py): nobody else can alter it meanwhile."""
LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Warehouse(ReadableFile):
    """The DuckDB file. One process has it open at a time; the others wait for at most ``wait_seconds``."""

    wait_seconds: float = PATIENCE

    @property
    def is_shared(self) -> bool:
        """Whether many processes have it open at a time: then nothing is copied for readers."""
        return False

    @property
    def exists(self) -> bool:
        """Whether anything was ever stored."""
        return Path(self.database).exists()

    @property
    def fingerprint(self) -> str:
        """What changes with every write, however the file came to be what it is; asking for it opens nothing.

        A file that a run holds open does not change: what was committed is in the log next to it.
        """
        path = Path(self.database)
        states = [state for state in map(_state, (path, write_ahead_log(path))) if state]
        return "+".join(f"{state.st_ino}-{state.st_mtime_ns}-{state.st_size}" for state in states)

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the file, in UTC, and close it whatever happens. Raises WarehouseError.

        Writers wait in line (line.py). dagster-duckdb's own ``get_connection`` leaves the file locked after an
        exception, and doubles its wait: of 12 writers, the slowest waited 26 s, and 8 s with random waits of 50-150 ms.
        """
        keeping = keeping_open(self.database, self._connect)
        with closing(self._open()) as connection, _used(self.database, connection), keeping, rolled_back(connection):
            try:
                connection.execute(SESSION)
                connection.execute("set variable usage_now = $now", {"now": datetime.now(UTC)})
                yield connection
            except FAILED as error:
                way_out = self._way_out(first_line(error))
                raise WarehouseError(f"{self.database}: {way_out or first_line(error)}") from error

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the file open between uses, until somebody else wants it (held.py). A lake is open to everybody."""
        with held(self.database):
            yield

    @contextmanager
    def one_moment(self) -> Iterator["Warehouse"]:
        """Yield it for several reads, which see one state. A file is opened once for all of them."""
        with self.get_connection():
            yield self

    @contextmanager
    def locked(self, *tables: str) -> Iterator[Alone]:  # noqa: ARG002 - those of a lake that are written
        """Be the only one who writes these tables, or any if none is named. A file's writers have it alone anyway.

        What is yielded is for the commit. Commits to a lake race for the number of the next snapshot, whatever they
        have written: who loses eleven times in a row fails.
        """
        yield nullcontext

    @contextmanager
    def transaction(self, *tables: str, keep: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open it with the ledgers in place and run one transaction: committed whole or not at all.

        ``tables`` are those that it writes; where none is named, it may be any. Without ``keep`` it is not
        committed: for whoever only looks.
        """
        with self.locked(*tables) if keep else nullcontext(nullcontext) as alone, self.get_connection() as connection:
            _begin(connection)
            yield connection
            if keep:
                with alone():
                    connection.commit()

    def declare(
        self, connection: duckdb.DuckDBPyConnection, tables: Collection[Table], views: Collection[View] = ()
    ) -> Sequence[str]:
        """Make the tables and views that are missing or differ from this release's, in a transaction of their own.

        Nobody is waited for where there are none. Return what is wrong with each view that cannot be made. Raises
        WarehouseError.
        """
        if are_declared(connection, tables, views):
            return ()
        with self.locked(*(table.name for table in tables)) as alone, alone():
            connection.begin()
            for table in tables:
                create_or_alter(connection, table)
            broken = broken_views(connection, views)
            connection.commit()
        return tuple(broken)

    def replace(
        self,
        table: Table,
        content: Batch | Query,
        target: Slice,
        run_id: str,
        warn: Callable[[str], object] = LOGGER.warning,
    ) -> list[Version]:
        """Replace the slice by the content and record the version of each day, in one transaction.

        The views over the table are made after it is committed: ``warn`` gets the message of one that cannot be made.

        Raises WarehouseError, with nothing written, where the content lies outside the slice, repeats a row of the
        table's grain, contradicts a reconciliation, needs days that were never stored, or was requested before another
        run stored something else.
        """
        with log_progress(LOGGER.info, f"{table.name} of {target}") as note:
            note("waiting for the database file")
            return self._replace(table, content, target, run_id, warn, note)

    def _replace(
        self,
        table: Table,
        content: Batch | Query,
        target: Slice,
        run_id: str,
        warn: Callable[[str], object],
        note: Callable[[str], object],
    ) -> list[Version]:
        other = content.control if isinstance(content, Batch) else content.sums
        names = [table.name, *([other[0].name] if other else [])]
        if isinstance(content, Batch) and content.bills:
            names += [BillDay.table, AcceptedBillDay.table]
        with self.locked(*names) as alone, self.get_connection() as connection:
            _begin(connection)
            if isinstance(content, Batch) and content.control:
                control, totals = content.control
                replace_slice(connection, control, replace(content, rows=totals, control=None), target, run_id, note)
            versions = replace_slice(connection, table, content, target, run_id, note)
            note("committing")
            with alone():
                connection.commit()
            if isinstance(content, Query) and not are_made(connection, content.views):
                with alone():
                    broken = broken_views_apart(connection, content.views)
                for text in broken:
                    warn(text)
            return versions

    def refuse_lost_catalog(self) -> None:
        """Raise WarehouseError where the files of a lake are there, and its catalog is empty. A file is one thing."""

    def try_writing(self) -> None:
        """Write something where a lake has its files, and delete it. Raises WarehouseError.

        A file is opened for writing anyway.
        """

    def maintain(self, keep: timedelta, *, wipe: bool = False) -> None:
        """Merge small files and delete what only states older than ``keep`` need. A file has none of either.

        ``wipe``: let the server of a lake's catalog keep no value that is no longer stored.
        """

    def read(self, query: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Return the answer of a query as Arrow (exact decimals)."""
        with self.get_connection() as connection:
            return fetch_arrow(connection.execute(query, dict(parameters or {})))

    def _connect(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(self.database, config={**CONFIG, **STORAGE})

    def _open(self) -> duckdb.DuckDBPyConnection:
        try:
            Path(self.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with ExitStack() as waiting:
                line, is_waiting = line_of(self.database), False
                for attempt in tenacity.Retrying(
                    retry=tenacity.retry_if_exception_message(match=f"(?s).*{_HOLDER.pattern}"),
                    wait=tenacity.wait_random(0.005, 0.015),
                    stop=tenacity.stop_after_delay(self.wait_seconds),
                    reraise=True,
                ):
                    with attempt:
                        # a file that another process is about to make is no database yet; where one was never waited
                        # for, there is no line; whoever is first in line waits for this process if it has it open
                        is_open = _OPEN[self.database] or is_held(self.database)
                        is_due = attempt.retry_state.attempt_number > 1 or (line.exists() and not is_open)
                        if not is_waiting and (is_due or not Path(self.database).exists()):
                            waiting.enter_context(first_in_line(line, self.wait_seconds))
                            is_waiting = True
                        opened = _inode(self.database)
                        with opening(self.database):
                            connection = self._connect()
                        if opened in (None, _inode(self.database)):
                            return connection
                        connection.close()  # while it was opened, another process put a rewritten file in its place
                        raise tenacity.TryAgain
        except duckdb.Error as error:
            raise WarehouseError(self._explained(error)) from error
        except OSError as error:
            raise WarehouseError(
                f"{self.database}: {error.strerror}: set USAGE_WAREHOUSE to a writable path"
            ) from error
        raise AssertionError("unreachable: tenacity re-raises")

    def _explained(self, error: duckdb.Error) -> str:
        message = first_line(error)
        if holder := _HOLDER.search(message):
            return (
                f"{self.database}: in use by another process (PID {holder['pid']}, {holder['program'] or 'unknown'}); "
                f"waited {self.wait_seconds:.0f} s: close the notebook, DuckDB shell or run that has it open"
            )
        advice = "set USAGE_WAREHOUSE to a DuckDB file or a new, writable path"
        if way_out := self._way_out(message):
            return f"{self.database}: {way_out}. If this never was the warehouse: {advice}"
        return f"{self.database}: {message.rstrip('.!')}: {advice}"

    def _way_out(self, message: str) -> str | None:
        """Return what is wrong with a file that is damaged or lacks our tables, and what to do about it; None where
        DuckDB says something else."""
        damage = _DAMAGE.search(message)
        if any(os.strerror(number) in message for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)):
            return f"{message.rstrip('.!')}: make room, then run this again; what is stored stays"
        if any(os.strerror(number) in message for number in (errno.EACCES, errno.EROFS)):
            return f"{message.rstrip('.!')}: {ANOTHER_USER}"
        if not damage:
            return missing_table(message)
        file, copy = Path(self.database), self.published
        again = "`usage-assets backfill --from-archive --start D --end D`"
        if copy.is_file():
            made = datetime.fromtimestamp(copy.stat().st_mtime, UTC)
            again = f"`install -m 600 {copy.name} {file.name}` there (the copy of {made:%Y-%m-%d %H:%M} UTC) or {again}"
        log = write_ahead_log(file).name  # of an older copy, too, DuckDB would apply it
        steps = f"move {file.name} and {log} away, then {again}"
        if damage["log"]:
            steps = f"move {log} away; if the file still cannot be opened, {steps}"
        if damage["newer"]:
            steps = f"upgrade duckdb, or {steps}"
        return f"{message.rstrip('.!')}: stop Dagster and {steps} (docs/operations.md)"


def missing_table(message: str) -> str | None:
    """Return what to do where DuckDB says that a declared table is missing; None where it says something else."""
    missing = _MISSING.search(message)
    if missing and any(name.endswith(f".{missing['name']}") for name in declarations()):
        return f"its table {missing['name']} is missing: usage-assets doctor says what to do"
    return None


@contextmanager
def _used(database: str, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Count it, and know what was found in it while this process had it open without a break."""
    if not (_OPEN[database] or is_held(database)):
        _FOUND[database] = set()
    _OPEN[database] += 1
    try:
        with finding(connection, _FOUND[database]):
            yield
    finally:
        _OPEN[database] -= 1


def _state(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _inode(database: str) -> int | None:
    state = _state(Path(database))
    return state.st_ino if state else None


def _begin(connection: duckdb.DuckDBPyConnection) -> None:
    """Begin a transaction, with the ledgers in place. Raises WarehouseError for a database of a newer release."""
    connection.begin()
    made = [create_or_alter(connection, ledger) for ledger in LEDGERS]
    if made[0] and not all(made):  # an empty one would make all days due, and nobody would miss those of long ago
        raise duckdb.CatalogException(LOST)
    refuse_newer(connection)
    make_views(connection, VIEWS)


@contextmanager
def rolled_back(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Roll back what is not committed, however it ends.

    To close the connection would do it, too. But it would abort the process where the catalog's server is gone, and
    after an interrupted statement this process could never open the file again (DuckDB 1.5 waits for itself).
    """
    try:
        yield
    finally:
        with suppress(duckdb.Error):  # there is no transaction, or the server has ended it
            connection.rollback()


def write_ahead_log(database: Path) -> Path:
    """Return where DuckDB keeps what it has not yet written into the file itself."""
    return database.with_name(f"{database.name}.wal")

"""Pruning Dagster's history by age: which runs, events, check results, ticks and files are deleted.

Everything that the UI and the sensors read is kept: each partition's newest event of each kind, each check's newest
result, and their runs. Dagster's ``delete_run`` would also delete the only event of a partition.
"""

import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
from sqlalchemy import Connection, Row, TextClause, bindparam, text

from usage_assets.config.settings import SettingsError
from usage_assets.dagster_internals.storage import (
    SQLITE_BUSY_TIMEOUT_SECONDS,
    SqlEventLogStorage,
    SqliteEventLogStorage,
    SqliteRunStorage,
    SqliteScheduleStorage,
    SqlRunStorage,
    SqlScheduleStorage,
)

ROWS_AT_ONCE = 500
"""Rows deleted in one transaction: few, so that writers of events wait for milliseconds only."""
SMALL_PAGE = 512
"""SQLite's page size in a shortened log, in bytes: each of its tables and indexes takes at least a page."""
WORTH_A_VACUUM = 16 << 20
"""A file is vacuumed if its free pages have at least this many bytes and are at least a quarter of the file."""

# Events that are not the log of a step, which its run's page shows. SQLite has that in a file for each run.
STEPS = """
(dagster_event_type like 'PIPELINE%' or dagster_event_type in (
  'ENGINE_EVENT',
  'LOGS_CAPTURED',
  'STEP_FAILURE',
  'STEP_RESTARTED',
  'STEP_SKIPPED',
  'STEP_START',
  'STEP_SUCCESS',
  'STEP_UP_FOR_RETRY'
))
"""
# The highest id stays: once its row is deleted, SQLite reuses the id, and cursors would skip the row that gets it.
EVENTS = """
with kept as (
  select max(id) as id
  from event_logs
  where asset_key is not null and dagster_event_type not like 'ASSET_CHECK%' and coalesce("partition", :first) >= :first
  group by asset_key, dagster_event_type, "partition"
  union
  select max(id) from event_logs
)
select id, run_id, length(event) as bytes, {is_step} as is_step
from event_logs
where timestamp < :before and id not in (select id from kept)
"""
CHECKS = """
with kept as (
  select max(id) as id
  from asset_check_executions
  where coalesce("partition", :first) >= :first
  group by asset_key, check_name, "partition"
  union
  select max(id)
  from asset_check_executions
  where execution_status in ('SUCCEEDED', 'FAILED') and coalesce("partition", :first) >= :first
  group by asset_key, check_name, "partition"
)
select id, run_id, coalesce(length(evaluation_event), 0) as bytes
from asset_check_executions
where coalesce(evaluation_event_timestamp, create_timestamp) < :before and id not in (select id from kept)
"""
# The newest tick stays: the scheduler continues from it.
TICKS = """
select id, {log_key} as log_key, length(tick_body) as bytes
from job_ticks
where timestamp < :before and id not in (select max(id) from job_ticks group by job_origin_id, selector_id)
"""
RUNS = """
select run_id, length(run_body) as bytes
from runs
where status in ('SUCCESS', 'CANCELED', 'FAILURE')
  and coalesce({ended_at}, update_timestamp) < :before
  and id < (select max(id) from runs)
"""
ROWS_OF_RUNS = """
select run_id, count(*) as rows_of_it
from (select run_id from event_logs union all select run_id from asset_check_executions)
group by run_id
"""
# Lines of a run's log that its page in the UI does not need. The newest events of its days are in the index, too.
LOG_LINES = f"from event_logs where dagster_event_type is null or not {STEPS}"
LAST_RUNS = "select last_run_id from asset_keys where last_run_id is not null"
DELETE_EVENTS = (
    "delete from asset_event_tags where event_id in :these",
    "delete from event_logs where id in :these",
)
DELETE_CHECKS = ("delete from asset_check_executions where id in :these",)
DELETE_TICKS = ("delete from job_ticks where id in :these",)
DELETE_RUNS = (
    "delete from run_tags where run_id in :these",
    "delete from runs where run_id in :these",
)
IN_FILES = (SqliteEventLogStorage, SqliteRunStorage, SqliteScheduleStorage)
IN_SQLITE = {
    "is_step": "false",
    "log_key": "json_extract(tick_body, '$.tick_data.log_key')",
    "ended_at": "datetime(end_time, 'unixepoch')",
}
"""What the statements say in SQLite."""
IN_POSTGRESQL = {
    "is_step": f"coalesce({STEPS}, false)",
    "log_key": "cast(tick_body as json) #>> '{tick_data,log_key}'",
    "ended_at": "to_timestamp(end_time) at time zone 'UTC'",
}
"""What they say in PostgreSQL, which has no files of runs: ``event_logs`` has their logs, too."""


@dataclass(frozen=True)
class Prunable:
    """What can be deleted of a home's history: ids of rows, or files -> bytes."""

    runs: Mapping[str, int]
    events: Mapping[int, int]
    checks: Mapping[int, int]
    ticks: Mapping[int, int]
    files: Mapping[Path, int]
    """Event logs of these runs, and captured output of all old runs and of these ticks."""
    logs: Mapping[Path, int]
    """Event logs to shorten: those of old runs that stay, because one of their events is the newest of its kind."""

    @property
    def table(self) -> Sequence[tuple[str, int, int]]:
        """Kind, count and bytes."""
        parts: Mapping[str, Mapping[Any, int]] = {
            "runs": self.runs,
            "events": self.events,
            "check results": self.checks,
            "ticks": self.ticks,
            "files": self.files,
            "long logs": self.logs,
        }
        return [(name, len(part), sum(part.values())) for name, part in parts.items()]


class Old(NamedTuple):
    """What is older than a moment, as the databases have it."""

    ended: Mapping[str, int]
    """Runs -> bytes."""
    known: Collection[str]
    """Runs of whatever age."""
    needed: Collection[str]
    """Runs that keep some of their events."""
    events: Sequence[Row[Any]]
    checks: Sequence[Row[Any]]
    ticks: Sequence[Row[Any]]


@dataclass(frozen=True)
class History:
    """An instance's history, in PostgreSQL or in SQLite files. In SQLite, each run also has a log file of its own."""

    instance: dg.DagsterInstance
    events: SqlEventLogStorage
    runs: SqlRunStorage
    schedules: SqlScheduleStorage
    is_in_files: bool

    @staticmethod
    def of(instance: dg.DagsterInstance) -> "History":
        """Return the history of an instance. Raises SettingsError for another database than SQLite and PostgreSQL."""
        events, runs, schedules = instance.event_log_storage, instance.run_storage, instance.schedule_storage
        if (
            isinstance(events, SqlEventLogStorage)
            and isinstance(runs, SqlRunStorage)
            and isinstance(schedules, SqlScheduleStorage)
        ):
            is_in_files = all(map(isinstance, (events, runs, schedules), IN_FILES))
            with events.index_connection() as database:
                if is_in_files or database.dialect.name == "postgresql":
                    return History(instance, events, runs, schedules, is_in_files)
        raise SettingsError(
            "the history of this Dagster instance is in neither SQLite files nor PostgreSQL: prune it where it is kept"
        )

    def prunable(self, before: datetime, first: date = date.min) -> Prunable:
        """Find what is older than ``before`` and not needed any more. ``first`` is the first day that is kept."""
        old = self._old({"before": before.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"), "first": str(first)})
        runs = {run: size for run, size in old.ended.items() if run not in old.needed}
        gone = {*runs, *(row.run_id for row in old.events if row.run_id not in old.known)}
        return Prunable(
            runs,
            {row.id: row.bytes for row in old.events if row.run_id in gone or not row.is_step},
            {row.id: row.bytes for row in old.checks},
            {row.id: row.bytes for row in old.ticks},
            {
                file: file.stat().st_size
                for files in (
                    chain.from_iterable(map(self._shard, runs)),
                    self._printed_by(old.ended),
                    self._logs_of(old.ticks),
                    self._orphans(old.known, before),
                )
                for file in files
            },
            {log: _long_lines(log) for run in old.ended.keys() - runs for log in self._shard(run) if _is_long(log)},
        )

    def _old(self, moment: Mapping[str, str]) -> "Old":
        """Read what is old; the runs first: one that ends meanwhile is left for the next pruning."""
        awaited = self._awaited
        with self.runs.connect() as database:
            ended = {row.run_id: row.bytes for row in database.execute(self._said(RUNS), moment)}
            known = {run for (run,) in database.execute(text("select run_id from runs"))}
        with self.events.index_connection() as database:
            events = [row for row in database.execute(self._said(EVENTS), moment) if row.id not in awaited]
            checks = database.execute(self._said(CHECKS), moment).all()
            left = Counter({row.run_id: row.rows_of_it for row in database.execute(text(ROWS_OF_RUNS))})
            last = {run for (run,) in database.execute(text(LAST_RUNS))}
        with self.schedules.connect() as database:
            ticks = database.execute(self._said(TICKS), moment).all()
        left.subtract(row.run_id for row in (*events, *checks))
        return Old(ended, known, {*last, *(run for run, count in left.items() if count)}, events, checks, ticks)

    @property
    def _awaited(self) -> Collection[int]:
        """Events that plan several days, where the last attempt of one of them did not store it."""
        newest = self.events.get_latest_asset_partition_materialization_attempts_without_materializations
        return {number for key in self.instance.get_asset_keys() for _, number in newest(key).values()}

    def _printed_by(self, runs: Iterable[str]) -> Iterator[Path]:
        """Yield captured output of runs."""
        for run in runs:
            yield from (Path(self.instance.storage_directory()) / run).rglob("*.*")

    def _logs_of(self, ticks: Iterable[Row[Any]]) -> Iterator[Path]:
        """Yield captured output of ticks."""
        for log_key in (json.loads(tick.log_key) for tick in ticks if tick.log_key):
            log = Path(self.instance.storage_directory()).joinpath(*log_key)
            yield from log.parent.glob(f"{log.name}.*")

    def prune(self, found: Prunable) -> None:
        """Delete what was found, and free the disk space.

        If this is killed, the next pruning finds the rest, because the row of a run is deleted last.
        """
        for statements, ids in ((DELETE_EVENTS, found.events), (DELETE_CHECKS, found.checks)):
            for these in _portions(ids):
                with self.events.index_connection() as database:
                    _execute(database, statements, these)
        for log in found.logs:
            shorten(log)
        for file in found.files:
            file.unlink(missing_ok=True)
        for folder in sorted({file.parent for file in found.files}, reverse=True):
            _remove_empty(folder, Path(self.instance.storage_directory()))
        for these in _portions(found.runs):
            with self.runs.connect() as database:
                _execute(database, DELETE_RUNS, these)
        for these in _portions(found.ticks):
            with self.schedules.connect() as database:
                _execute(database, DELETE_TICKS, these)
        for file in self.files:
            give_back(file)

    @property
    def files(self) -> Sequence[Path]:
        """The SQLite files of all events, of the runs and of the ticks."""
        if not self.is_in_files:
            return []
        with (
            self.events.index_connection() as index,
            self.runs.connect() as runs,
            self.schedules.connect() as schedules,
        ):
            return [Path(str(each.engine.url.database)) for each in (index, runs, schedules)]

    def _said(self, statement: str) -> TextClause:
        return text(statement.format(**(IN_SQLITE if self.is_in_files else IN_POSTGRESQL)))

    def _shard(self, run: str) -> Iterator[Path]:
        if isinstance(self.events, SqliteEventLogStorage):
            path = Path(self.events.path_for_shard(run))
            yield from (each for end in ("", "-wal", "-shm") if (each := path.with_name(path.name + end)).exists())

    def _orphans(self, known: Collection[str], before: datetime) -> Iterator[Path]:
        """Yield old log files of runs that were deleted in the UI: Dagster leaves the files, empty."""
        if not isinstance(self.events, SqliteEventLogStorage):
            return
        for run in self.events.get_all_run_ids():
            if run not in known and Path(self.events.path_for_shard(run)).stat().st_mtime < before.timestamp():
                yield from self._shard(run)


def give_back(file: Path) -> None:
    """Vacuum a SQLite file if that makes it much smaller.

    Meanwhile, writers wait (2 s per 100 MB that stay; they give up after 30 s). Readers do not.
    """
    with closing(sqlite3.connect(file, timeout=SQLITE_BUSY_TIMEOUT_SECONDS, isolation_level=None)) as database:
        pages, free, size = (
            database.execute(f"pragma {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        if free * size >= WORTH_A_VACUUM and free * 4 >= pages:
            database.execute("vacuum")
            database.execute("pragma wal_checkpoint(truncate)")


def shorten(log: Path) -> None:
    """Keep only the step events of a run's log. A web server that has the log open keeps the long one."""
    short = log.with_name(f"{log.name}.new")
    short.unlink(missing_ok=True)  # left by a process that was killed
    with closing(sqlite3.connect(log, timeout=SQLITE_BUSY_TIMEOUT_SECONDS, isolation_level=None)) as database:
        database.execute(f"delete {LOG_LINES}")
        database.execute(f"pragma page_size = {SMALL_PAGE}")
        database.execute("vacuum into ?", [str(short)])
        database.execute("pragma wal_checkpoint(truncate)")
    shutil.copymode(log, short)
    for former in ("-wal", "-shm"):  # SQLite would apply them to the short log
        log.with_name(log.name + former).unlink(missing_ok=True)
    short.replace(log)


def _is_long(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.read(18)
    return path.suffix == ".db" and int.from_bytes(header[16:18]) != SMALL_PAGE


def _long_lines(log: Path) -> int:
    with closing(sqlite3.connect(log, timeout=SQLITE_BUSY_TIMEOUT_SECONDS)) as database:
        return int(database.execute(f"select coalesce(sum(length(event)), 0) {LOG_LINES}").fetchone()[0])


def _execute(database: Connection, statements: Iterable[str], these: Sequence[int | str]) -> None:
    for statement in statements:
        database.execute(text(statement).bindparams(bindparam("these", expanding=True)), {"these": these})


def _portions(ids: Iterable[int | str]) -> Iterator[list[int | str]]:
    rest = iter(ids)
    while portion := [*islice(rest, ROWS_AT_ONCE)]:
        yield portion


def _remove_empty(folder: Path, root: Path) -> None:
    while root in folder.parents and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent

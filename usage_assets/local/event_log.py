"""Dagster's event log in SQLite files that stay open. Dagster's own class opens one three times for each event.

By default a range run writes an event for each planned and each stored day: 730 for a year of one asset. With Dagster's
class each event is two or three transactions, and whoever closes a SQLite file last writes its write-ahead log back.
That was most of what a backfill cost (`make bench` runs both sides).
"""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from dagster import EventLogEntry
from sqlalchemy.pool import StaticPool
from sqlalchemy.schema import CreateTable

from usage_assets.dagster_internals.storage import (
    ASSET_CHECK_EVENTS,
    ASSET_EVENTS,
    EVENT_TYPE_TO_PIPELINE_RUN_STATUS,
    INDEX_SHARD_NAME,
    SQLITE_BUSY_TIMEOUT_SECONDS,
    ConfigurableClassData,
    SqlEventLogStorageTable,
    SqliteEventLogStorage,
)
from usage_assets.local.bulk_events import BulkEventLogStorage
from usage_assets.local.storages import InHome, is_made

PAGE_BYTES = {"index": 16384, "run": 8192}
"""Of new files. SQLite's own 4,096 bytes hold one event and much air; but each table and index takes a page."""
TABLES_OF_RUNS = (SqlEventLogStorageTable.name, "asset_event_tags")
"""Of a run's file. The second stays empty: Dagster deletes from it when a run is deleted.

They have no indexes: all rows are of one run, and to read the 26 MB of 20,000 events takes 8 ms.
"""
VERSION = "create table if not exists alembic_version (version_num varchar(32) not null primary key)"
"""Which of Dagster's migrations a file has: all that there were when it was made."""
OF_ALL_RUNS = {*ASSET_EVENTS, *ASSET_CHECK_EVENTS, *EVENT_TYPE_TO_PIPELINE_RUN_STATUS}
"""Events that Dagster looks for in the index."""
FILES_KEPT = 8
"""How many files stay open. There is one index, and one file for each run: a web server reads those of many runs."""


class KeptSqliteEventLogStorage(InHome, BulkEventLogStorage, SqliteEventLogStorage):
    """Dagster's SQLite event log, in the same files, with its connections kept.

    ``_connect`` is not public API of Dagster; a test compares what this and Dagster's class store (1.13.27). A run's
    file lacks the tables and indexes that nobody asks it for; bulk_events.py says what else differs.
    """

    folder, file, makes_file = "history/runs", INDEX_SHARD_NAME, True

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._kept: dict[str, sqlalchemy.Engine] = {}
        self._begun: dict[str, sqlalchemy.Connection] = {}
        super().__init__(base_dir, inst_data)
        self._db_lock: Any = threading.RLock()  # a batch holds both files, and what it calls asks for them again

    def store_rows(self, rows: Sequence[Mapping[str, Any]], events: Sequence[EventLogEntry]) -> None:
        """Store events of a run as these rows: each file gets its own in one transaction, or none of them.

        Followers of the run watch its file, and a write to its log leaves it as it is: so it is touched.
        """
        of_all = [
            (row, event) for row, event in zip(rows, events, strict=True) if event.dagster_event_type in OF_ALL_RUNS
        ]
        with self.run_connection(events[0].run_id) as run:
            run.execute(SqlEventLogStorageTable.insert(), rows)
            if of_all:
                super().store_rows(*zip(*of_all, strict=True))
        os.utime(self.path_for_shard(events[0].run_id))

    def wipe(self) -> None:
        self._close(keep=0)
        super().wipe()

    def dispose(self) -> None:
        super().dispose()
        self._close(keep=0)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sqlalchemy.Connection]:
        with self._db_lock:
            if begun := self._begun.get(shard):
                yield begun
                return
            self._kept[shard] = engine = self._kept.pop(shard, None) or self._open(shard)  # the last used is the last
            with engine.connect() as connection, connection.begin():
                self._begun[shard] = connection
                try:
                    yield connection
                finally:
                    del self._begun[shard]
            self._close(keep=FILES_KEPT)

    def _open(self, shard: str) -> sqlalchemy.Engine:
        engine = sqlalchemy.create_engine(
            self.conn_string_for_shard(shard),
            poolclass=StaticPool,
            connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},  # _db_lock guards it
        )
        self._initdb(engine, for_index_shard=shard == INDEX_SHARD_NAME)  # its file may be empty: its maker was killed
        return engine

    def _initdb(self, engine: sqlalchemy.Engine, for_index_shard: bool = False) -> None:
        if is_made(Path(str(engine.url.database))):
            return
        size = PAGE_BYTES["index" if for_index_shard else "run"]
        sqlalchemy.event.listen(engine, "connect", lambda file, _: file.execute(f"pragma page_size = {size}"))
        if for_index_shard or sqlalchemy.inspect(engine).has_table(SqlEventLogStorageTable.name):
            super()._initdb(engine, for_index_shard)
        else:
            self._make_run_file(engine)

    def _make_run_file(self, engine: sqlalchemy.Engine) -> None:
        """Make the tables that a run's file is asked for. Dagster makes its twelve in each, with 15 indexes."""
        with self.index_connection() as index:
            version = index.exec_driver_sql("select version_num from alembic_version").scalar_one()
        with engine.connect() as connection:
            connection.exec_driver_sql("pragma journal_mode = wal")
            for table in TABLES_OF_RUNS:
                connection.execute(CreateTable(SqlEventLogStorageTable.metadata.tables[table], if_not_exists=True))
            connection.exec_driver_sql(VERSION)
            connection.exec_driver_sql("insert or ignore into alembic_version values (?)", (version,))  # now it is made
            connection.commit()

    def _close(self, *, keep: int) -> None:
        while len(self._kept) > keep:
            self._kept.pop(next(iter(self._kept))).dispose()

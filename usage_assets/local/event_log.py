"""Dagster's event log in SQLite files that stay open. Dagster's own class opens one three times for each event.

A range run writes an event for each planned and each stored day: 730 for a year of one asset. With Dagster's class each
event is two or three transactions, and whoever closes a SQLite file last writes its write-ahead log back. That was most
of what a backfill cost (`make bench` runs both sides).
"""

import os
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import sqlalchemy
from dagster import DagsterEventType, EventLogEntry
from sqlalchemy.pool import StaticPool

from usage_assets.dagster_internals import (
    ASSET_CHECK_EVENTS,
    ASSET_EVENTS,
    SQLITE_BUSY_TIMEOUT_SECONDS,
    ConfigurableClassData,
    SqlEventLogStorageTable,
    SqliteEventLogStorage,
)

BATCH = "DAGSTER_EVENT_BATCH_SIZE"
"""Dagster's variable: how many of a step's planned or stored days it hands over at once. It is 0 by default."""
BATCH_SIZE = 200
FILES_KEPT = 8
"""How many files stay open. There is one index, and one file for each run: a web server reads those of many runs."""
TEMPORARY = "USAGE_TEMPORARY_HOME"


class KeptSqliteEventLogStorage(SqliteEventLogStorage):
    """Dagster's SQLite event log, in the same files, with its connections kept.

    ``_connect`` is not public API of Dagster; a test compares what this and Dagster's class store. It is the same,
    except for planned executions of checks.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        """Open the event log in a folder."""
        self._kept: dict[str, sqlalchemy.Engine] = {}
        self._begun: dict[str, sqlalchemy.Connection] = {}
        self._found_tables: set[str] = set()
        os.environ.setdefault(BATCH, str(BATCH_SIZE))
        super().__init__(base_dir, inst_data)
        self._db_lock: Any = threading.RLock()  # a batch holds both files, and what it calls asks for them again

    @classmethod
    def config_type(cls) -> Any:
        """Nothing is configured: the files are where Dagster has them by default."""
        return {}

    @classmethod
    def from_config_value(
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Mapping[str, Any],  # noqa: ARG003  (there is nothing to configure)
    ) -> Self:
        """Open the event log of DAGSTER_HOME. Without one, all processes of `dagster dev` share a temporary one."""
        home = os.environ.get("DAGSTER_HOME") or os.environ.get(TEMPORARY)
        if not home:
            home = os.environ[TEMPORARY] = tempfile.mkdtemp(prefix="usage_assets_")
        return cls(str(Path(home) / "history" / "runs"), inst_data)

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event and touch the run's file: followers of the run watch it, and a write leaves it as it is."""
        super().store_event(event)
        os.utime(self.path_for_shard(event.run_id))

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events of a run: each file gets all of them in one insert, or none of them.

        The row of an asset names the newest of its events of each kind, as if they had been stored one by one.
        """
        rows = [self._event_to_row(event) for event in events]
        with self.run_connection(events[0].run_id) as run, self.index_connection() as index:
            run.execute(SqlEventLogStorageTable.insert(), rows)
            index.execute(SqlEventLogStorageTable.insert(), rows)
            last = index.execute(sqlalchemy.select(sqlalchemy.func.max(SqlEventLogStorageTable.c.id))).scalar_one()
            stored = list(zip(range(last - len(events) + 1, last + 1), events, strict=True))
            about_assets = [(number, event) for number, event in stored if event.dagster_event_type in ASSET_EVENTS]
            self._store_asset_event_tags(index, [event for _, event in about_assets], [n for n, _ in about_assets])
            newest = {(event.get_dagster_event().asset_key, event.dagster_event_type): n for n, event in about_assets}
            for number, event in about_assets:
                if number in newest.values():
                    self._store_asset_event(index, event, number)
            for number, event in stored:
                if event.dagster_event_type in ASSET_CHECK_EVENTS:
                    self.store_asset_check_event(event, number)
        os.utime(self.path_for_shard(events[0].run_id))

    def store_asset_check_event(self, event: EventLogEntry, event_id: int | None) -> None:
        """Store the execution of a check when it has ended, not when it is planned.

        For a run over days, Dagster plans one execution of each check per day, even if the check has no days. Nothing
        would ever end these, and the UI lists them as skipped (a year of two checks: 730 rows, 1 MB).
        """
        if event.dagster_event_type is not DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
            super().store_asset_check_event(event, event_id)

    def has_table(self, table_name: str) -> bool:
        """Whether Dagster's schema has the table. Dagster asks for each event, but no table is ever removed."""
        if table_name not in self._found_tables and super().has_table(table_name):
            self._found_tables.add(table_name)
        return table_name in self._found_tables

    def wipe(self) -> None:
        """Forget all runs: their files are removed."""
        self._close(keep=0)
        super().wipe()

    def dispose(self) -> None:
        """Close the files."""
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
        self._initdb(engine)
        return engine

    def _close(self, *, keep: int) -> None:
        while len(self._kept) > keep:
            self._kept.pop(next(iter(self._kept))).dispose()

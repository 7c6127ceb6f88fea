"""Dagster's event log in SQLite files, which stay open where Dagster's own class opens one three times for each event.

A range run writes an event for each planned, each stored and each checked day: 1,000 for a year of one asset. The last
to close a SQLite file writes its journal back, which was most of what a backfill cost (`make bench` runs both sides).
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import sqlalchemy
from dagster import EventLogEntry
from sqlalchemy.pool import StaticPool

from usage_assets.dagster_internals import SQLITE_BUSY_TIMEOUT_SECONDS, ConfigurableClassData, SqliteEventLogStorage

FILES_KEPT = 8
"""The index of all runs, and of each run its own file: a web server reads those of many."""
TEMPORARY = "USAGE_TEMPORARY_HOME"


class KeptSqliteEventLogStorage(SqliteEventLogStorage):
    """Dagster's SQLite event log, in the same files, with its connections kept.

    ``_connect`` is not public API of Dagster; a test compares what this and Dagster's class store.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        """Open the event log in a folder."""
        self._kept: dict[str, sqlalchemy.Engine] = {}
        self._found_tables: set[str] = set()
        super().__init__(base_dir, inst_data)

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
        """Open the event log of DAGSTER_HOME. `dagster dev` without one has a temporary one for all its processes."""
        home = os.environ.get("DAGSTER_HOME") or os.environ.get(TEMPORARY)
        if not home:
            home = os.environ[TEMPORARY] = tempfile.mkdtemp(prefix="usage_assets_")
        return cls(str(Path(home) / "history" / "runs"), inst_data)

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event and touch the run's file: those who follow the run watch it, and the journal stays open."""
        super().store_event(event)
        os.utime(self.path_for_shard(event.run_id))

    def has_table(self, table_name: str) -> bool:
        """Whether Dagster's schema has the table, which is asked for each event; what was there once stays there."""
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
            self._kept[shard] = engine = self._kept.pop(shard, None) or self._open(shard)  # the last used is the last
            with engine.connect() as connection, connection.begin():
                yield connection
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

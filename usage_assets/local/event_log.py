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
from typing import Any, Self

import msgspec
import sqlalchemy
from dagster import AssetKey, DagsterEventType, EventLogEntry, EventRecordsFilter
from sqlalchemy.pool import StaticPool
from sqlalchemy.schema import CreateIndex, CreateTable

from usage_assets.dagster_internals import ASSET_CHECK_EVENTS, ASSET_EVENTS, ConfigurableClassData, PartitionsSubset
from usage_assets.dagster_internals.storage import (
    SQLITE_BUSY_TIMEOUT_SECONDS,
    PlannedMaterializationInfo,
    SqlEventLogStorageTable,
    SqliteEventLogStorage,
)
from usage_assets.local.storages import home_of_storages, is_made

BATCH = "DAGSTER_EVENT_BATCH_SIZE"
"""Dagster's variable: how many of a step's planned or stored days it hands over at once. It is 0 by default."""
BATCH_SIZE = 200
PAGE_BYTES = {"index": 16384, "run": 8192}
"""Of new files. SQLite's own 4,096 bytes hold one event and much air; but each table and index takes a page."""
TABLES_OF_RUNS = (SqlEventLogStorageTable.name, "asset_event_tags")
"""Of a run's file. The second stays empty: Dagster deletes from it when a run is deleted."""
UNUSED_IN_RUNS = ("idx_events_by_asset", "idx_events_by_asset_partition")
"""Indexes of a run's file that nobody asks: events of an asset are looked for in the index."""
VERSION = "create table if not exists alembic_version (version_num varchar(32) not null primary key)"
"""Which of Dagster's migrations a file has: all that there were when it was made."""
FILES_KEPT = 8
"""How many files stay open. There is one index, and one file for each run: a web server reads those of many runs."""


class KeptSqliteEventLogStorage(SqliteEventLogStorage):
    """Dagster's SQLite event log, in the same files, with its connections kept.

    ``_connect`` and ``_event_to_row`` are not public API of Dagster; a test compares what this and Dagster's class
    store (1.13.27). It is the same, except for white space and logging tags in the JSON, planned executions of checks,
    and tables and indexes that nobody asks a run's file for.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
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
        return cls(str(home_of_storages() / "history" / "runs"), inst_data)

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
        self._close(keep=0)
        super().wipe()

    def dispose(self) -> None:
        super().dispose()
        self._close(keep=0)

    @property
    def supports_partition_subset_in_asset_materialization_planned_events(self) -> bool:
        """Dagster plans all days of an asset in one event; by default in one event a day, two files each.

        Dagster leaves this off because its own storage cannot tell then which days of a run failed, or are in
        progress. This one can: the two methods below read the days from the event.
        """
        return True

    def get_latest_asset_partition_materialization_attempts_without_materializations(
        self, asset_key: AssetKey, after_storage_id: int | None = None
    ) -> Mapping[str, tuple[str, int]]:
        """Return the days whose newest attempt has stored nothing: its run and the id of the event that planned it.

        The UI shows these days as failed or in progress.
        """
        attempts = dict(
            super().get_latest_asset_partition_materialization_attempts_without_materializations(
                asset_key, after_storage_id
            )
        )
        stored = self.get_latest_storage_id_by_partition(
            asset_key, DagsterEventType.ASSET_MATERIALIZATION, after_cursor=after_storage_id
        )
        for plan, days in self._plans(asset_key, after_storage_id):
            for day in days.get_partition_keys():
                if plan.storage_id > max(stored.get(day, 0), attempts.get(day, ("", 0))[1]):
                    attempts[day] = (plan.run_id, plan.storage_id)
        return attempts

    def get_latest_planned_materialization_info(
        self, asset_key: AssetKey, partition: str | None = None
    ) -> PlannedMaterializationInfo | None:
        """Return the newest event that plans the asset, or a day of it; if that was pruned, the one that stored it."""
        newest = super().get_latest_planned_materialization_info(asset_key, partition)
        if partition:
            for plan, days in self._plans(asset_key, newest.storage_id if newest else None):
                if partition in days:
                    return plan
        if partition and not newest:
            stored = EventRecordsFilter(
                DagsterEventType.ASSET_MATERIALIZATION, asset_key=asset_key, asset_partitions=[partition]
            )
            for record in self.get_event_records(stored, limit=1):
                if record.run_id:  # none of what a person reports by hand
                    return PlannedMaterializationInfo(storage_id=record.storage_id, run_id=record.run_id)
        return newest

    def _plans(
        self, asset_key: AssetKey, after_storage_id: int | None
    ) -> Iterator[tuple[PlannedMaterializationInfo, PartitionsSubset]]:
        """Yield the events that plan several days, the newest first, with their days."""
        planned = EventRecordsFilter(
            DagsterEventType.ASSET_MATERIALIZATION_PLANNED, asset_key=asset_key, after_cursor=after_storage_id
        )
        for record in self.get_event_records(planned):
            event = record.event_log_entry.get_dagster_event()
            if days := event.asset_materialization_planned_data.partitions_subset:
                yield PlannedMaterializationInfo(storage_id=record.storage_id, run_id=record.run_id), days

    def _event_to_row(self, event: EventLogEntry) -> dict[str, Any]:
        if said := event.dagster_event:  # its tags, those of Python's log record, repeat what the event has elsewhere
            event = event._replace(dagster_event=said._replace(logging_tags={}))
        row = super()._event_to_row(event)
        return row | {"event": msgspec.json.format(row["event"], indent=-1)}

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
            for each in SqlEventLogStorageTable.indexes:
                if each.name not in UNUSED_IN_RUNS:
                    connection.execute(CreateIndex(each, if_not_exists=True))
            connection.exec_driver_sql(VERSION)
            connection.exec_driver_sql("insert or ignore into alembic_version values (?)", (version,))  # now it is made
            connection.commit()

    def _close(self, *, keep: int) -> None:
        while len(self._kept) > keep:
            self._kept.pop(next(iter(self._kept))).dispose()

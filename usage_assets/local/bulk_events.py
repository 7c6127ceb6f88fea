"""What our event logs store, in SQLite and in PostgreSQL: batches in one insert, one plan for all days of a run.

How a database is reached is in event_log.py (SQLite files) and postgres.py.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec
import sqlalchemy
from dagster import AssetKey, DagsterEventType, DagsterInstance, EventLogEntry, EventRecordsFilter

from usage_assets.dagster_internals.storage import (
    ASSET_CHECK_EVENTS,
    ASSET_EVENTS,
    PartitionsSubset,
    PlannedMaterializationInfo,
    SqlEventLogStorage,
    SqlEventLogStorageTable,
)

BATCH = "DAGSTER_EVENT_BATCH_SIZE"
"""Dagster's variable: how many of a step's planned or stored days it hands over at once. It is 0 by default."""
BATCH_SIZE = 200


class BulkEventLogStorage(SqlEventLogStorage):
    """Dagster's event log with what a backfill of many days needs. Comes before Dagster's class among the bases.

    ``_event_to_row`` and ``_has_asset_key_col_on_connection`` are not public API of Dagster; a test compares what this
    and Dagster's classes store (1.13.27). It is the same, except for white space and logging tags in the JSON, and
    plans of checks.
    """

    def register_instance(self, instance: DagsterInstance) -> None:
        """Let Dagster hand over the days of a step in batches, unless somebody has set their size."""
        super().register_instance(instance)
        os.environ.setdefault(BATCH, str(BATCH_SIZE))

    @cached_property
    def _found_tables(self) -> set[str]:
        return set()

    @cached_property
    def _found_columns(self) -> set[str]:
        return set()

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event of a run, and what else the database keeps of it."""
        self.store_event_batch([event])

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events of a run: all of them in one transaction, or none.

        The row of an asset names the newest of its events of each kind, as if they had been stored one by one.

        Plans of checks are not stored. For a run over days, Dagster plans one execution of each check per day, even if
        the check has no days. Nothing would ever end these, and the UI lists them as skipped (a year of two checks: 730
        rows, 1 MB). Their events were an eighth of what a morning adds to the history.
        """
        kept = [e for e in events if e.dagster_event_type is not DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED]
        if kept:
            self.store_rows([self._event_to_row(event) for event in kept], kept)

    def store_rows(self, rows: Sequence[Mapping[str, Any]], events: Sequence[EventLogEntry]) -> None:
        """Store events, and what else the database keeps of them, as these rows."""
        id_ = SqlEventLogStorageTable.c.id
        insert = SqlEventLogStorageTable.insert().returning(id_, sort_by_parameter_order=True)
        with self.index_transaction() as connection:
            stored = list(zip(connection.execute(insert, rows).scalars(), events, strict=True))
            about_assets = [(number, event) for number, event in stored if event.dagster_event_type in ASSET_EVENTS]
            self.store_asset_event_tags([event for _, event in about_assets], [number for number, _ in about_assets])
            newest = {(event.get_dagster_event().asset_key, event.dagster_event_type): n for n, event in about_assets}
            for number, event in about_assets:
                if number in newest.values():
                    self.store_asset_event(event, number)
            for number, event in stored:
                if event.dagster_event_type in ASSET_CHECK_EVENTS:
                    self.store_asset_check_event(event, number)

    def has_table(self, table_name: str) -> bool:
        """Whether Dagster's schema has the table. Dagster asks for each event, but no table is ever removed."""
        if table_name not in self._found_tables:
            with self.index_connection() as connection:
                if not sqlalchemy.inspect(connection).has_table(table_name):
                    return False
            self._found_tables.add(table_name)
        return True

    def _has_asset_key_col_on_connection(self, conn: sqlalchemy.Connection, column_name: str) -> bool:
        """Whether Dagster's schema has the column. Dagster reads the schema for each look at an asset."""
        if column_name not in self._found_columns:
            if not super()._has_asset_key_col_on_connection(conn, column_name):
                return False
            self._found_columns.add(column_name)
        return True

    @property
    def supports_partition_subset_in_asset_materialization_planned_events(self) -> bool:
        """Dagster plans all days of an asset in one event; by default in one event a day.

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
        if not partition:
            return newest
        for plan, days in self._plans(asset_key, newest.storage_id if newest else None):
            if partition in days:
                return plan
        if newest:
            return newest
        stored = EventRecordsFilter(
            DagsterEventType.ASSET_MATERIALIZATION, asset_key=asset_key, asset_partitions=[partition]
        )
        for record in self.get_event_records(stored, limit=1):
            if record.run_id:  # none of what a person reports by hand
                return PlannedMaterializationInfo(storage_id=record.storage_id, run_id=record.run_id)
        return None

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

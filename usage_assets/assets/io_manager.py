"""The IO manager: replaces the requested days in the warehouse in one transaction, and records a version of each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache, cached_property
from hashlib import sha256
from math import ceil
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa
from dagster_duckdb import DuckDBIOManager
from pydantic import Field

from usage_assets.assets.days_to_store import DaysToStore, refusal
from usage_assets.assets.failures import explained, failure
from usage_assets.assets.materializations import announced_hashes, event_metadata
from usage_assets.assets.names import WAREHOUSE
from usage_assets.core.days import DAY, counted, days_of, windows
from usage_assets.core.schema import TableRow, declared
from usage_assets.dagster_internals.db_io_manager import DbIOManager, DbTypeHandler, DuckDbClient, TableSlice
from usage_assets.dagster_internals.outputs import events_of
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.late import note_late
from usage_assets.warehouse.slices import Slice, in_slice
from usage_assets.warehouse.tables import SQL_TYPES, Table, described
from usage_assets.warehouse.values import Batch, Query, Version, WarehouseError

if TYPE_CHECKING:
    import pandas as pd

TABLE, CONNECTION, PART = "dagster/table_name", "usage_assets/connection", "usage_assets/part"


def table_metadata(row: type[TableRow], connection: str, part: str = "") -> dict[str, Any]:
    """Return an asset's metadata about its table. The UI shows it; the IO manager reads from it what to replace."""
    return {
        TABLE: row.table,
        "dagster/column_schema": column_schema(row),
        "dagster/storage_kind": "duckdb",
        CONNECTION: connection,
        **({PART: part} if part else {}),
    }


@cache
def column_schema(row: type[TableRow]) -> dg.TableSchema:
    """Return the columns of a table as Dagster's UI shows them on an asset: the same for every connection."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                SQL_TYPES[column.type],
                description=described(column),
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in Table(row).columns
        ]
    )


@cache
def code_version(row: type[TableRow], *code: str) -> str:
    """Return a digest of a table's columns and code. After an upgrade, the UI shows which assets have other code."""
    table = Table(row)
    columns = map(table.column_ddl, table.columns)
    return sha256("\n".join((table.name, *table.grain, *columns, *code)).encode()).hexdigest()[:12]


class UsageIOManager(DuckDBIOManager):
    """Replaces days of a declared table with what an asset returns, and gives assets the rows of their days."""

    database: str = Field(description="The database file, or the catalog of a lake")
    resource: str = Field(default=WAREHOUSE, description="The resource that opens it")

    @staticmethod
    def type_handlers() -> Sequence["Days"]:
        """Return the handler of all types."""
        return [Days()]

    def create_io_manager(self, context: dg.InitResourceContext) -> "InOneTransaction":
        """Return what stores the values of a run."""
        return InOneTransaction(self.type_handlers(), getattr(context.resources, self.resource).warehouse)

    def get_resource_definition(self) -> dg.IOManagerDefinition:  # type: ignore[override]  # one that requires a resource
        """Return a definition that requires the resource: every run that stores opens it, and publishes when it ends.

        A nested resource would be one of its own: opened once more, and published twice.
        """
        return self._definition

    @cached_property
    def _definition(self) -> dg.IOManagerDefinition:
        return dg.IOManagerDefinition(
            self.create_io_manager, description=self.__doc__, required_resource_keys={self.resource}
        )


class InOneTransaction(DbIOManager):
    """Lets the handler delete and insert in one transaction of the warehouse, which is the connection that it gets.

    Dagster's own deletes first, and commits: where the insert fails, the days are lost. It also adds a query to each
    day's event.
    """

    def __init__(self, handlers: Sequence["Days"], warehouse: Warehouse) -> None:
        super().__init__(type_handlers=handlers, db_client=DuckDbClient(), database=warehouse.database)
        self._warehouse = warehouse

    def handle_output(  # type: ignore[override]  # Dagster's own writes all events
        self, context: dg.OutputContext, obj: object
    ) -> Iterator[dg.DagsterEvent]:
        """Store a value. Of ``DaysToStore``, yield the events of the days that are stored. Raises dg.Failure."""
        at = _table_slice(context.definition_metadata)
        with explained():
            self._resolve_handler(type(obj)).handle_output(context, at, obj, self._warehouse)
        if isinstance(obj, DaysToStore):
            # the same code gets other answers on other days; names and rates change rows of the same sources
            version = dg.DataVersion(context.run_id[:8])  # short: each event repeats it for each source
            yield from events_of(context, [day.isoformat() for day in sorted(obj.stored)], version)

    def load_input(self, context: dg.InputContext) -> object:
        """Return what is stored."""
        if context.upstream_output is None:
            raise dg.DagsterInvariantViolationError("the usage IO manager loads assets only")
        at = _table_slice(context.upstream_output.definition_metadata)
        with explained():
            return self._resolve_handler(object).load_input(context, at, self._warehouse)


class Days(DbTypeHandler[Any]):
    """Stores and reads days of a declared table, as batches, queries, Arrow tables and exact pandas frames."""

    @property
    def supported_types(self) -> Sequence[type[object]]:
        """Every type: to name that of frames would import pandas into each run. Others are refused below."""
        return [object]

    def handle_output(
        self,
        context: dg.OutputContext,
        table_slice: TableSlice,
        obj: "DaysToStore | Batch | Query | pa.Table | pd.DataFrame",
        connection: Warehouse,
    ) -> None:
        """Replace the days of the partitions with the value, and add metadata to the event of each day.

        Raises dg.Failure if the warehouse refuses the value, with nothing written. Of ``DaysToStore``, it stores the
        days that are not refused, and only these have an event.
        """
        warehouse, table = connection, _declared(table_slice)
        target = _slice(context.definition_metadata, context.asset_partition_keys)
        try:
            value = obj.content if isinstance(obj, DaysToStore) else obj
            rows = value if isinstance(value, (Batch, Query, pa.Table)) else _from_frame(table, value)
            content = Batch(rows=rows, began=datetime.now(UTC)) if isinstance(rows, pa.Table) else rows
            if isinstance(obj, DaysToStore):
                versions = _replace_days(context, warehouse, table, obj, target)
            else:
                versions = warehouse.replace(table, content, target, context.run_id, context.log.warning)
        except (WarehouseError, ValueError) as error:
            raise failure(str(error), error.days if isinstance(error, WarehouseError) else ()) from error
        changed = {version.day for version in versions if version.changed} | _unannounced(context, versions)
        for version in versions:
            is_last = version is versions[-1]
            facts = event_metadata(table, content, version, changed=version.day in changed, is_last=is_last)
            _put_on_event(context, version.day, facts)
        context.log.info(
            f"{table.name}: replaced {versions[0].day} to {versions[-1].day} of {target.connection}: "
            f"{sum(version.row_count for version in versions)} rows, "
            f"{sum(version.changed for version in versions)} of {len(versions)} days changed"
        )

    def load_input(
        self, context: dg.InputContext, table_slice: TableSlice, connection: Warehouse
    ) -> "pd.DataFrame | pa.Table":
        """Return the upstream rows of the days: an Arrow table where the input is annotated as one, else a frame with
        exact decimals. For assets of others, people and notebooks, not on the money path.

        Raises dg.Failure for a day that another partition would be given, too.
        """
        upstream, table = context.upstream_output, _declared(table_slice)
        _refuse_shared_days(table, len(context.asset_partition_keys))
        target = _slice(upstream.definition_metadata if upstream else {}, context.asset_partition_keys)
        where = in_slice(table, target) if target.connection else "usage_date between $first and $last"
        bounds = target.bounds if target.connection else {"first": target.first, "last": target.last}
        rows = connection.read(f"select * from {table.name} where {where}", bounds)
        if context.dagster_type.typing_type is pa.Table:
            return rows
        from usage_assets.warehouse.frames import to_frame  # noqa: PLC0415 - as below

        return to_frame(rows)


def _refuse_shared_days(table: Table, loaded: int) -> None:
    """Raise dg.Failure if the partitions of the run are shorter than the UTC days that are loaded for them.

    Dagster maps a day that begins at 06:00 to both UTC days that it touches: each would be counted twice.
    """
    try:
        reader = dg.AssetExecutionContext.get()
        window = reader.partition_time_window if reader.assets_def.partitions_def else None
    except dg.DagsterError:  # a notebook reads, or an asset whose partitions are no times
        return
    owned = ceil((window.end - window.start) / DAY) if window else loaded
    if loaded > owned:
        what = f"{loaded} UTC days for a partition of {counted(owned)}, so two partitions would count the same day"
        raise failure(f"{table.name}: {what}: give the input partition_mapping=dg.IdentityPartitionMapping()")


def _replace_days(
    context: dg.OutputContext, warehouse: Warehouse, table: Table, obj: DaysToStore, target: Slice
) -> Sequence[Version]:
    """Replace the days that the warehouse accepts, in one transaction for each run of days, and note the others.

    Raises WarehouseError that names no days, and dg.Failure if no day is left.
    """
    versions: list[Version] = []
    waiting: dict[date, WarehouseError] = {}
    unread = windows(obj.days, len(obj.days))
    while unread:
        window = unread.pop(0)
        content = obj.content
        if isinstance(content, Batch) and window.days != target.days:
            content = content.of(window.days)
        part = replace(target, first=window.first, last=window.last)
        try:
            versions += warehouse.replace(table, content, part, context.run_id, context.log.warning)
        except WarehouseError as error:
            named = {day for day in window.days if day in error.days}
            if not named:
                raise
            (waiting if error.waits else obj.refused).update(dict.fromkeys(named, error))
            unread[:0] = windows(set(window.days) - named, len(window.days))
    if waiting:
        note_late(warehouse, [table.name], target.connection, waiting, context.run_id, target.part)
        context.log.info(str(waiting[min(waiting)]))
    if not versions:
        raise refusal({**waiting, **obj.refused})
    obj.stored = {version.day for version in versions}
    return versions


def _from_frame(table: Table, frame: "pd.DataFrame") -> pa.Table:
    from usage_assets.warehouse.frames import from_frame  # noqa: PLC0415 - pandas is slow to import and rarely needed

    return from_frame(table, frame)


def _table_slice(metadata: Mapping[str, Any]) -> TableSlice:
    """Return where an asset is stored. Dagster would take the last part of the asset's key for the table's name."""
    schema, _, table = metadata[TABLE].partition(".")
    return TableSlice(table=table, schema=schema)


def _declared(at: TableSlice) -> Table:
    return Table(declared(f"{at.schema}.{at.table}"))


def _slice(metadata: Mapping[str, Any], partition_keys: Sequence[str]) -> Slice:
    days = days_of(partition_keys)
    target = Slice(metadata.get(CONNECTION, ""), days[0], days[-1], metadata.get(PART, ""))
    if target.days != days:
        raise failure(f"the run's partitions are not contiguous: {len(days)} days from {days[0]} to {days[-1]}")
    return target


def _unannounced(context: dg.OutputContext, versions: Sequence[Version]) -> set[date]:
    """Return the unchanged days whose newest event has another content hash than the warehouse.

    If a process is killed between the commit and the event, the UI does not show the change. The next run writes the
    same content, so it has to announce the change, once. Runs that succeeded have written all of their events.
    """
    instance = context.step_context.instance
    doubtful = {version.changed_run_id for version in versions if not version.changed}
    for run_id in list(doubtful):
        run = instance.get_run_by_id(run_id)
        if run is not None and run.is_success:
            doubtful.discard(run_id)
    stored = {v.day: v.content_hash for v in versions if not v.changed and v.changed_run_id in doubtful}
    announced = announced_hashes(instance, context.asset_key, stored)
    return {day for day, content_hash in stored.items() if announced.get(day) != content_hash}


def _put_on_event(context: dg.OutputContext, day: date, metadata: Mapping[str, Any]) -> None:
    """Add a day's metadata to the event of that day.

    Dagster puts a result's own metadata first, so the results of our assets have none. To call
    ``AssetExecutionContext.get`` in an IO manager is not documented. It works in single, range, daemon and
    ``dg.materialize`` runs of Dagster 1.13. Only this function relies on it.
    """
    dg.AssetExecutionContext.get().add_asset_metadata(
        metadata, asset_key=context.asset_key, partition_key=day.isoformat()
    )

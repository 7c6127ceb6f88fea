"""Assets of models: each recomputes the requested days of one derived table from stored rows."""

from collections.abc import Iterator, Sequence

import dagster as dg

from usage_assets.assets.days_to_store import DaysToStore
from usage_assets.assets.io_manager import TABLE, code_version, column_schema, table_metadata
from usage_assets.assets.location import Location
from usage_assets.assets.looks import days_to_write, is_scheduled
from usage_assets.assets.materializations import FOLLOWS, VERIFIED
from usage_assets.assets.names import IO_MANAGER
from usage_assets.config.settings import Connection
from usage_assets.core.days import days_of
from usage_assets.models.costs import DailyCost
from usage_assets.models.model import Model, Sources
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Query

COSTS = "costs"
"""The asset that is downstream of every connection's costs."""


def build_model_asset(
    model: Model,
    connection: Connection,
    query: Query,
    sources: Sources,
    location: Location,
) -> dg.AssetsDefinition:
    """Build the asset that recomputes the requested days of one derived table from stored rows."""
    names = location.names

    @names.stored_asset(
        model.asset_of(connection.name),
        model.group,
        deps=names.keys([sources[table][part] for table, part in query.sources]),
        partitions_def=location.partitions,
        output_required=False,  # nothing is computed if no day has changed
        backfill_policy=location.policy,
        description=f"{Table(model.row).description}\n\nA run makes no request: it computes its days from stored rows. "
        f"{FOLLOWS}\n\n{VERIFIED}",
        metadata={
            **table_metadata(model.row, connection.name, model.part),
            "query": dg.MetadataValue.md(f"```sql\n{query.sql}```"),
        },
        kinds={"duckdb", "sql"},
        code_version=code_version(model.row, query.code),
    )
    def model_asset(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.MaterializeResult[DaysToStore]]:
        location.refuse_other_shard(warehouse, connection)
        days = days_of(context.partition_keys)
        target = Slice(connection.name, days[0], days[-1], model.part)
        content, without = model.compute(query, warehouse, days) if model.compute else (query, {})
        is_asked_for = not is_scheduled(context)
        refused = {day: error for day, error in without.items() if is_asked_for or not error.waits}
        left = [day for day in days if day not in without]
        stale = days_to_write(context, warehouse, Table(model.row), content, target, left)
        computed = DaysToStore(content, stale, {**refused}, unchanged=len(left) - len(stale))
        if stale:
            yield computed.result
        computed.raise_refused()

    return model_asset


def costs_of_all_connections(parts: Sequence[str], joined: Sequence[str], location: Location) -> dg.AssetSpec:
    """Describe the whole table of costs. Nothing materializes it: the assets of its ``parts`` write it, and the sensor
    of due days tells Dagster of each day that has changed. ``joined``: what the views of costs join to it."""
    table, names = Table(DailyCost), location.names
    spec = dg.AssetSpec(
        names.key(COSTS),
        deps=names.keys([*parts, *joined]),
        group_name=names.group("costs"),
        description=f"{table.description}\n\nThe table `{table.name}` of all connections. Nothing runs here: "
        "the upstream assets write the table, and `due_days_sensor` reports each day that has changed.",
        metadata={TABLE: table.name, "dagster/column_schema": column_schema(DailyCost)},
        kinds={"duckdb"},
        partitions_def=location.partitions,
    )
    return spec.with_io_manager_key(names.own(IO_MANAGER))

"""The warehouse as Dagster's resource for DuckDB: what a run has stored is published when the run ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Self

import dagster as dg
import duckdb
from dagster_duckdb import DuckDBResource
from pydantic import Field

from usage_assets.assets.names import ALONE, REPOSITORY_LABEL_TAG, Names
from usage_assets.core.redaction import redacted
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.published import publish
from usage_assets.warehouse.values import WarehouseError

PATIENCE = timedelta(minutes=15)
"""A run leaves the copy to others that are under way, but for no longer than this."""
LIFETIME = timedelta(hours=1)
"""A run without an event for longer is not waited for: one that was killed stays "started"."""
UNDER_WAY = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
)


class WarehouseResource(DuckDBResource):
    """The warehouse: a DuckDB connection in UTC that waits in line, and is closed whatever happens."""

    database: str = Field(description="The database file, or the catalog of a lake")
    publishes: bool = Field(default=True, description="Whether the copy that people read is made when a run ends")
    warehouse: dg.ResourceDependency[Warehouse]
    names: dg.ResourceDependency[Names]

    @classmethod
    def of(cls, warehouse: Warehouse, names: Names = ALONE, *, publishes: bool = True) -> Self:
        """Return the resource of an instance."""
        return cls(database=redacted(warehouse.database), warehouse=warehouse, names=names, publishes=publishes)

    def get_resource_definition(self) -> dg.ResourceDefinition:  # type: ignore[override]  # nothing to configure later
        """Return a definition that holds this resource as it is.

        Dagster's own infers and validates the configuration anew for each run and each tick of a sensor: 2.6 ms.
        """
        return self._definition

    @cached_property
    def _definition(self) -> dg.ResourceDefinition:
        def of_run(context: dg.InitResourceContext) -> Iterator[DuckDBResource]:
            with self.yield_for_execution(context) as opened:
                yield opened

        return dg.ResourceDefinition(of_run, description=self.__doc__)

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the warehouse. Raises WarehouseError."""
        with self.warehouse.get_connection() as connection:
            yield connection

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:
        """Hold the file open during a run, and publish when the run ends, unless another run soon will.

        The run has its outcome by then: a failure is one line in its log. A run that failed publishes, too: where one
        endpoint is refused, the days of all the others are stored.
        """
        warehouse = self.warehouse
        with warehouse.held():
            yield self
        if context.run is None or context.instance is None or warehouse.is_shared or not self.publishes:
            return
        try:
            if not _is_left_to_others(warehouse, context.run, context.instance, self.names):
                publish(warehouse)
        except WarehouseError as error:
            if context.log:
                context.log.warning(f"the published copy is out of date: {error}")


def _is_left_to_others(warehouse: Warehouse, run: dg.DagsterRun, instance: dg.DagsterInstance, names: Names) -> bool:
    """Whether a run that is queued or under way will publish soon: of many in a row not each copies everything.

    This run is no longer under way, so the last of them finds no other.
    """
    now, copy = datetime.now(UTC), warehouse.published
    if not copy.exists() or datetime.fromtimestamp(copy.stat().st_mtime, UTC) + PATIENCE <= now:
        return False
    origin = run.remote_job_origin
    ours = {REPOSITORY_LABEL_TAG: origin.repository_origin.get_label()} if origin else {}
    under_way = dg.RunsFilter(statuses=UNDER_WAY, tags=ours, updated_after=now - LIFETIME)
    if names.is_guest:
        return any(each.run_id != run.run_id and names.has_run(each) for each in instance.get_runs(under_way))
    return any(run_id != run.run_id for run_id in instance.get_run_ids(under_way, limit=2))

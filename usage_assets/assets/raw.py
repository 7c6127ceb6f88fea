"""Raw assets: one per connection and endpoint, all from one factory. providers/ declares the endpoints."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import dagster as dg

from usage_assets.assets.bills import read_bills
from usage_assets.assets.days_to_store import DaysToStore
from usage_assets.assets.io_manager import code_version, table_metadata
from usage_assets.assets.location import Location
from usage_assets.assets.looks import days_to_write, is_scheduled
from usage_assets.assets.materializations import FOLLOWS, VERIFIED, fetch_facts
from usage_assets.config.settings import Connection, SettingsError
from usage_assets.core.days import counted, days_of, spans
from usage_assets.fetching.archive.replay import Replay
from usage_assets.fetching.archive.store import Archive, ArchivedResponse
from usage_assets.fetching.client import Client, FetchResult
from usage_assets.fetching.connected import earliest_day, filters_of, settling_days
from usage_assets.fetching.control_totals import fetch_with_totals
from usage_assets.fetching.shapes import Shapes, money_columns, unverified
from usage_assets.fetching.transport import HeldUpError, NotServedYetError, ProviderError
from usage_assets.models.due import question_of
from usage_assets.providers.endpoint import Endpoint, Provider
from usage_assets.providers.records import as_json
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.late import note_late
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch, WarehouseError

FROM_ARCHIVE = "usage_assets/from_archive"
"""Tag of runs that derive days again from the archive."""


@dataclass(frozen=True)
class Report:
    """One endpoint of a connection, and where its answers are read and kept."""

    endpoint: Endpoint
    provider: Provider
    connection: Connection
    client: Callable[[], Client]
    replay: Callable[[], Replay]
    archive: Archive | None
    shapes: Callable[[], Shapes]

    def materialize(
        self, context: dg.AssetExecutionContext, warehouse: Warehouse
    ) -> Iterator[dg.MaterializeResult[DaysToStore]]:
        """Read the days of the run and yield those that have changed; once they are stored, archive their answers.

        Raises dg.Failure if days were refused, SettingsError, WarehouseError and ProviderError.
        """
        days, began = days_of(context.partition_keys), datetime.now(UTC)
        fetched = self._read(days, warehouse, context)
        refused: dict[date, ProviderError | WarehouseError] = {
            day: error for day, error in fetched.not_fetched.items() if not isinstance(error, NotServedYetError)
        }
        served = [day for day in days if day not in fetched.not_fetched and day not in fetched.kept]
        can_lack = self.archive and served and is_scheduled(context)
        lacking = self.replay().days_without_answer(self.endpoint, served) if can_lack else ()
        answer, target = self._batch(fetched, began, len(served)), Slice(self.connection.name, days[0], days[-1])
        changed = days_to_write(context, warehouse, Table(self.endpoint.row), answer, target, served, lacking=lacking)
        handed = DaysToStore(answer, changed, refused, unchanged=len(served) - len(changed))
        if changed:
            yield handed.result
            self._keep(fetched.responses, handed, context)
        handed.raise_refused()

    def _read(self, days: Sequence[date], warehouse: Warehouse, context: dg.AssetExecutionContext) -> FetchResult:
        """Read the days from the provider, its files or the archive, and note those that are not served yet.

        Raises SettingsError, WarehouseError and ProviderError.
        """
        from_archive = FROM_ARCHIVE in context.run.tags
        _refuse_days_out_of_reach(days, self.connection, self.provider, self.endpoint, from_archive=from_archive)
        if self.endpoint.files and not from_archive:
            fetched = read_bills(self.client(), warehouse, self.connection, self.endpoint, days, context)
        else:
            source = self.replay() if from_archive else self.client()
            fetched = fetch_with_totals(source, self.endpoint, days, partly=True)
        late = {day: error for day, error in fetched.not_fetched.items() if isinstance(error, NotServedYetError)}
        if late:
            broken = {day for day, error in late.items() if isinstance(error, HeldUpError)}
            run_id, tables = context.run.run_id, self.endpoint.tables
            again = note_late(warehouse, tables, self.connection.name, late, run_id, broken=broken)
            context.log.warning(
                f"not served yet, tried again from {again:%Y-%m-%d %H:%M} UTC on: {spans(late)} ({late[min(late)]})"
            )
        return fetched

    def _batch(self, fetched: FetchResult, began: datetime, days: int) -> Batch:
        """Return what was read as the warehouse stores it, for so many days."""
        endpoint, verified = self.endpoint, None
        filters = {name: list(values) for name, values in filters_of(endpoint, self.connection).items()}
        if money_columns(endpoint):
            captured = self.shapes().get(f"{self.provider.name}/{endpoint.name}")
            verified = not unverified(endpoint, fetched.rows, captured)
        source = self.connection.base_url
        return Batch(
            rows=fetched.rows,
            began=began,
            filters=as_json(filters) if filters else None,
            question=question_of(endpoint, self.connection),
            control=(Table(endpoint.control.row), fetched.totals) if endpoint.control else None,
            stored_at=fetched.stored_at,
            facts=fetch_facts(fetched, began, source, days, filters, shape_verified=verified),
            settling_days=settling_days(self.connection, self.provider),
            bills=fetched.bills,
            earliest=earliest_day(self.connection, self.provider, endpoint),
        )

    def _keep(
        self, answers: Sequence[ArchivedResponse], handed: DaysToStore, context: dg.AssetExecutionContext
    ) -> None:
        """Archive the answers whose days are stored: what the warehouse refuses must never be derived from."""
        is_whole = handed.refused.keys().isdisjoint
        whole = [each for each in answers if is_whole(each.window.days)]
        if self.archive and whole:
            self.archive.write(whole)
        others = (day for each in answers if not is_whole(each.window.days) for day in each.window.days)
        if left_out := handed.stored.intersection(others):
            context.log.warning(
                f"stored, but not archived, because their answer also has days that were refused: {spans(left_out)}. "
                "Run these days again, so that --from-archive and explain have them"
            )


def build_raw_asset(report: Report, location: Location) -> dg.AssetsDefinition:
    """Build the asset that fetches the requested days of one endpoint. Each is stored whole or not at all.

    Days that the provider does not serve yet are left out, and noted (``ledger.late_days``). If days are refused, the
    step fails after it has stored the others. A run with the tag FROM_ARCHIVE reads them from the archive, without a
    request to the provider.
    """
    endpoint, connection = report.endpoint, report.connection
    table = Table(endpoint.row)
    source = "the connection's files" if endpoint.files else f"`{endpoint.method} {endpoint.path}`"
    run = f"A run {_takes(endpoint)} and replaces its days whole. {FOLLOWS}"
    asked = (endpoint.path, *endpoint.group_by, repr(sorted(endpoint.params.items())))

    @location.names.stored_asset(
        f"{connection.name}/{endpoint.name}",
        endpoint.group,
        partitions_def=location.partitions,
        output_required=False,  # nothing is stored if no day is served yet, or none has changed
        backfill_policy=location.policy,
        description=f"{table.description}\n\n{run}\n\n{VERIFIED}\n\nSource: {source}.",
        metadata=table_metadata(endpoint.row, connection.name),
        kinds={"duckdb"},
        code_version=code_version(endpoint.row, *asked),
    )
    def raw_asset(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.MaterializeResult[DaysToStore]]:
        location.refuse_other_shard(warehouse, connection)
        yield from report.materialize(context, warehouse)

    return raw_asset


def _takes(endpoint: Endpoint) -> str:
    """Say what a run of an endpoint's days takes."""
    if endpoint.files:
        return "reads the files of its days"
    days = "day" if endpoint.window_days == 1 else f"{endpoint.window_days} days"
    return f"makes at least {counted(len(endpoint.queries), 'request')} for each {days}"


def _refuse_days_out_of_reach(
    days: Sequence[date], connection: Connection, provider: Provider, endpoint: Endpoint, *, from_archive: bool
) -> None:
    earliest = earliest_day(connection, provider, endpoint, from_archive=from_archive)
    if days[0] < earliest:
        reasons = {
            connection.first_day: "USAGE_RETENTION_MONTHS keeps nothing before it",
            connection.start_date: "the connection's start date",
            provider.first_day: f"{provider.name} serves none before it",
            endpoint.first_day: f"{provider.name} serves no {endpoint.name} before it",
        }
        what, served = (f" of {endpoint.name}", endpoint) if endpoint.lookback_days else ("", provider)
        reason = reasons.get(earliest, f"{provider.name} serves the last {served.lookback_days} days{what}")
        raise SettingsError(
            f"connection {connection.name}: {days[0]} cannot be fetched: the earliest day is {earliest} ({reason}); "
            "choose later days, nothing was fetched or changed"
        )

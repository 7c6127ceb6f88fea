"""Raw assets: one per connection and endpoint, all from one factory. providers/ declares the endpoints."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime

import dagster as dg

from usage_assets.assets.bills import BillsRead, read_bills
from usage_assets.assets.days_to_store import DaysToStore, refusal
from usage_assets.assets.failures import failure
from usage_assets.assets.io_manager import code_version, table_metadata
from usage_assets.assets.looks import days_to_write, is_scheduled
from usage_assets.assets.materializations import VERIFIED, data_version, fetch_facts
from usage_assets.assets.signatures import share_signature
from usage_assets.config.settings import Connection, SettingsError
from usage_assets.core.days import Window, days_of, spans
from usage_assets.fetching.archive.replay import Replay
from usage_assets.fetching.archive.store import Archive
from usage_assets.fetching.client import Client
from usage_assets.fetching.connected import earliest_day, filters_of, settling_days
from usage_assets.fetching.control_totals import fetch_with_totals
from usage_assets.fetching.shapes import Shapes, money_columns, unverified
from usage_assets.fetching.transport import NotServedYetError, ProviderError
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


def build_raw_asset(
    endpoint: Endpoint,
    provider: Provider,
    connection: Connection,
    client: Callable[[], Client],
    replay: Callable[[], Replay],
    archive: Archive | None,
    shapes: Callable[[], Shapes],
    partitions: dg.PartitionsDefinition[str],
    policy: dg.BackfillPolicy,
) -> dg.AssetsDefinition:
    """Build the asset that fetches the requested days of one endpoint. Each is stored whole or not at all.

    Days that the provider does not serve yet are left out, and noted (``ledger.late_days``). If days are refused, the
    step fails after it has stored the others. A run with the tag FROM_ARCHIVE reads them from the archive, without a
    request to the provider.
    """
    has_money = bool(money_columns(endpoint))
    filters = {name: list(values) for name, values in filters_of(endpoint, connection).items()}
    source = "the connection's files" if endpoint.files else f"`{'POST' if endpoint.post else 'GET'} {endpoint.path}`"

    @dg.asset(
        key=[connection.name, endpoint.name],
        group_name=f"{connection.name}_{endpoint.group}",
        partitions_def=partitions,
        output_required=False,  # nothing is stored if no day is served yet, or none has changed
        backfill_policy=policy,
        description=f"{Table(endpoint.row).description}\n\n{VERIFIED}\n\nSource: {source}.",
        metadata=table_metadata(endpoint.row, connection.name),
        kinds={connection.provider, "duckdb"},
        code_version=code_version(
            endpoint.row, endpoint.path, *endpoint.group_by, repr(sorted(endpoint.params.items()))
        ),
    )
    @share_signature
    def raw_asset(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.MaterializeResult[DaysToStore]]:
        days, began = days_of(context.partition_keys), datetime.now(UTC)
        from_archive = FROM_ARCHIVE in context.run.tags
        try:
            _refuse_days_out_of_reach(days, connection, provider, endpoint, from_archive=from_archive)
            if endpoint.files and not from_archive:
                read = read_bills(client(), warehouse, connection, endpoint, days, context)
            else:
                source_of_rows = replay() if from_archive else client()
                read = BillsRead(*fetch_with_totals(source_of_rows, endpoint, days, partly=True))
            fetched, totals = read.fetched, read.totals
            late = {day: error for day, error in fetched.not_fetched.items() if isinstance(error, NotServedYetError)}
            if late:
                again = note_late(warehouse, endpoint.tables, connection.name, late, context.run.run_id)
                context.log.warning(
                    f"not served yet, tried again from {again:%Y-%m-%d %H:%M} UTC on: {spans(late)} ({late[min(late)]})"
                )
        except (SettingsError, WarehouseError) as error:
            raise failure(str(error)) from None
        except ProviderError as error:
            raise failure(str(error), error.days, error.cause) from None
        refused = {day: error for day, error in fetched.not_fetched.items() if day not in late}
        served = [day for day in days if day not in fetched.not_fetched and day not in read.kept]
        if not served:
            if refused:
                raise refusal(refused)
            return
        captured = shapes().get(f"{provider.name}/{endpoint.name}") if has_money else None
        answer = Batch(
            rows=fetched.rows,
            began=began,
            filters=as_json(filters) if filters else None,
            question=question_of(endpoint, connection),
            control=(Table(endpoint.control.row), totals) if endpoint.control else None,
            stored_at=fetched.stored_at,
            facts=fetch_facts(
                fetched,
                began,
                connection.base_url,
                len(served),
                filters,
                shape_verified=not unverified(endpoint, fetched.rows, captured) if has_money else None,
            ),
            settling_days=settling_days(connection, provider),
            bills=read.bills,
            earliest=earliest_day(connection, provider, endpoint),
        )
        lacking = replay().days_without_answer(endpoint, served) if archive and is_scheduled(context) else ()
        target = Slice(connection.name, days[0], days[-1])
        changed = days_to_write(context, warehouse, Table(endpoint.row), answer, target, served, lacking=lacking)
        if not changed:
            if refused:
                raise refusal(refused, len(served))
            return
        # the same code gets other answers on other days
        handed = DaysToStore(answer, changed, {**refused}, unchanged=len(served) - len(changed))
        yield dg.MaterializeResult(value=handed, data_version=data_version(context))
        # here the rows are stored: an answer that the warehouse refuses must never be derived from
        kept, left_out = [], set[date]()
        for each in fetched.responses:
            asked = Window(each.asked.first, each.asked.last).days
            if handed.refused.keys().isdisjoint(asked):
                kept.append(each)
            else:
                left_out |= handed.stored.intersection(asked)
        if archive and kept:
            archive.write(kept)
        if left_out:
            context.log.warning(
                f"stored, but not archived, because their answer also has days that were refused: {spans(left_out)}. "
                "Run these days again, so that --from-archive and explain have them"
            )
        handed.raise_refused()

    return raw_asset


def _refuse_days_out_of_reach(
    days: list[date], connection: Connection, provider: Provider, endpoint: Endpoint, *, from_archive: bool
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

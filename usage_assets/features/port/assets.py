"""A connection's assets for Port: the push of its days, the state of its data and the reconciliation."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import dagster as dg

from usage_assets.assets.failures import failure
from usage_assets.assets.names import Names
from usage_assets.config.settings import Connection, PortRelation, SettingsError
from usage_assets.core.blueprints import CONNECTION
from usage_assets.core.days import DAY, days_of
from usage_assets.core.people import People
from usage_assets.features.port.catalog.client import PortClient, PortError
from usage_assets.features.port.catalog.sync import PushReport
from usage_assets.features.port.ledger import PortLedger
from usage_assets.features.port.push import MOST_NAMED, in_words, missing_in_words, push_until_equal, read_back
from usage_assets.features.port.state import state_of
from usage_assets.models.due import PUSH
from usage_assets.models.model import Related
from usage_assets.providers.endpoint import Endpoint
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.values import WarehouseError

STATE, RECONCILE = "port_connection", "port_reconcile"
"""Assets, besides the push."""


@dataclass(frozen=True)
class PortAssets:
    """Builds the Port assets of one connection. The fields are what these assets share."""

    connection: Connection
    endpoints: Sequence[Endpoint]
    entities: Sequence[Related]
    """Including those of endpoints that were switched off: their stored days stay in Port."""
    relations: Sequence[PortRelation]
    client: Callable[[], PortClient]
    people: Callable[[], People]
    names: Names

    def build_sync(
        self,
        computed: Sequence[dg.AssetKey],
        partitions: dg.PartitionsDefinition[str],
        policy: dg.BackfillPolicy,
    ) -> dg.AssetsDefinition:
        """Build the asset that makes Port equal to the entity tables for the requested days. It sends the difference.

        ``computed``: the assets that write the entity tables.
        """

        @self._asset(
            PUSH,
            deps=computed,
            partitions_def=partitions,
            backfill_policy=policy,
            description="One push per day: makes the day's entities in Port equal to the tables `port_entities.*`.\n\n"
            "Sends entities that differ from what Port has acknowledged, and deletes entities that are in no table any "
            "more. A day without changes makes no request. Entities of blueprints that were not computed for the day "
            "stay as they are.",
        )
        def port_sync(
            context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
        ) -> dg.MaterializeResult[None]:
            days = days_of(context.partition_keys)
            with self._opened(context, warehouse, days) as (port, ledger):
                report, unchanged = push_until_equal(port, ledger)
            self._judge(context, report, days)
            context.log.info(f"Port: {report.upserted} sent, {report.deleted} deleted, {unchanged} unchanged")
            facts = {
                "entities_sent": report.upserted,
                "entities_deleted": report.deleted,
                "entities_unchanged": unchanged,
                "requests": report.requests,
                "days_in_push": len(days),
                **({"targets_not_in_port": len(report.missing)} if self.relations else {}),
            }
            context.add_asset_metadata(facts, partition_key=context.partition_keys[-1])  # facts about the whole run
            return dg.MaterializeResult()

        return port_sync

    def build_connection(self) -> dg.AssetsDefinition:
        """Build the asset that pushes the state of a connection's data, even after failures, when nothing else is."""

        @self._asset(
            STATE,
            description="One entity: whether the last runs of a connection succeeded, and which days are complete and "
            "settled.\n\nMakes no request if nothing has changed.",
        )
        def port_connection(
            context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
        ) -> dg.MaterializeResult[None]:
            with self._opened(context, warehouse) as (port, ledger):
                report, _ = push_until_equal(port, ledger)
                requests = port.requests
            self._judge(context, report)
            return dg.MaterializeResult(metadata={"state_sent": requests > 0, "requests": requests})

        return port_connection

    def build_reconcile(self) -> dg.AssetsDefinition:
        """Build the asset that reads a connection's entities back from Port and repairs what people changed."""

        @self._asset(
            RECONCILE,
            description="One comparison per run: reads back every entity that Port has acknowledged, of all days.\n\n"
            "Resends entities that people deleted or edited (the title, our properties and our relations). "
            "Entities of this connection that the ledger does not know are resent, too, or deleted if no table has "
            "them. Entities of others in the same blueprints, and properties that people added to ours, stay as they "
            "are.",
        )
        def port_reconcile(
            context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
        ) -> dg.MaterializeResult[None]:
            with self._opened(context, warehouse) as (port, ledger):
                return reconcile(context, port, ledger, self.people())

        return port_reconcile

    @contextmanager
    def _opened(
        self, context: dg.AssetExecutionContext, warehouse: Warehouse, days: Sequence[date] = ()
    ) -> Iterator[tuple[PortClient, PortLedger]]:
        """Open Port and the ledger of these days. Raises dg.Failure if Port or the database cannot be used."""
        with in_one_line(self.people), self.client() as port:
            state = partial(state_of, warehouse, context.instance, self.connection, self.endpoints, self.names)
            start = self.connection.start_date
            first, last = (days[0], days[-1]) if days else (start, start - DAY)
            target = Slice(self.connection.name, first, last)
            relations = self.relations
            yield port, PortLedger(warehouse, port.account, target, self.entities, relations=relations, state=state)

    def _asset(self, name: str, **stated: Any) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
        connection = self.connection.name
        return self.names.stored_asset(f"{connection}/{name}", "port", kinds={"port"}, **stated)

    def _judge(self, context: dg.AssetExecutionContext, report: PushReport, days: Sequence[date] = ()) -> None:
        judge(context, report, self.people(), days=days)


def reconcile(
    context: dg.AssetExecutionContext, port: PortClient, ledger: PortLedger, people: People
) -> dg.MaterializeResult[None]:
    """Read entities back from Port and push what differs. Raises dg.Failure if Port refused entities."""
    done = read_back(port, ledger)
    metadata: dict[str, int | str] = {
        "entities_checked": done.checked,
        "deleted_in_port": done.deleted,
        "edited_in_port": done.edited,
        "not_in_ledger": len(done.not_in_ledger),
        "requests": port.requests,
        **({"targets_not_in_port": len(done.report.missing)} if ledger.relations else {}),
    }
    if done.not_in_ledger:
        metadata["not_in_ledger_first"] = people.scrubbed("; ".join(sorted(done.not_in_ledger)[:MOST_NAMED]))
    judge(context, done.report, people, metadata)
    context.log.info(f"Port: {', '.join(f'{name} {count}' for name, count in metadata.items())}")
    return dg.MaterializeResult(metadata=metadata)


@contextmanager
def in_one_line(people: Callable[[], People]) -> Iterator[None]:
    """Turn an error that a user can fix into dg.Failure: one line without addresses of people."""
    try:
        yield
    except (SettingsError, PortError, WarehouseError) as error:
        cause = "" if isinstance(error, SettingsError) else error.cause
        raise failure(people().scrubbed(str(error)), cause=people().scrubbed(cause)) from None


def judge(
    context: dg.AssetExecutionContext,
    report: PushReport,
    people: People,
    metadata: Mapping[str, int | str] | None = None,
    days: Collection[date] = (),
) -> None:
    """Warn about targets that do not exist in Port. Raises dg.Failure if Port refused entities, with their days: the
    others have been pushed. All of them relate to the connection's own entity.

    ``days``: those that were pushed. All are named where an entity is not of one of them: none has been noted.
    """
    if report.missing:
        context.log.warning(people.scrubbed(missing_in_words(report)))
    if report.failures:
        cause = people.scrubbed(f"Port refuses entities: {report.failures[0].reason}")
        refused = {each.blueprint for each in report.failures}
        named = {each.usage_date for each in report.failures} if CONNECTION not in refused else set()
        if days and not named <= {*days}:
            named = {*days}
        raise failure(people.scrubbed(in_words(report)), sorted(named), cause=cause, facts=metadata or {})

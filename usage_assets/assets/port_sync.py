"""The push: Port's entities of some days become those of the tables, and only the difference is sent."""

from collections.abc import Callable, Sequence

import dagster as dg

from usage_assets.assets.port_connection import state_of
from usage_assets.assets.port_ledger import PortLedger
from usage_assets.assets.port_push import in_words, missing_in_words, push_until_equal
from usage_assets.config.settings import Connection, PortRelation, SettingsError
from usage_assets.core.days import days_of
from usage_assets.core.people import People
from usage_assets.models.model import Model
from usage_assets.port.client import PortClient, PortError
from usage_assets.providers.endpoint import Endpoint
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.values import WarehouseError


def build_port_sync(
    connection: Connection,
    endpoints: Sequence[Endpoint],
    computed: Sequence[dg.AssetKey],
    entities: Sequence[Model],
    relations: Sequence[PortRelation],
    client: Callable[[], PortClient],
    people: Callable[[], People],
    partitions: dg.PartitionsDefinition[str],
    policy: dg.BackfillPolicy,
) -> dg.AssetsDefinition:
    """Build the asset that makes Port equal to the connection's entity tables for the requested days.

    ``computed`` are the assets that write them; there are more ``entities`` where endpoints were switched off.
    """

    @dg.asset(
        key=[connection.name, "port_sync"],
        group_name=f"{connection.name}_port",
        deps=computed,
        partitions_def=partitions,
        backfill_policy=policy,
        description="One push per day: the day's entities in Port equal the tables `port_entities.*`.\n\n"
        "What differs from what Port has acknowledged is sent, what has vanished is deleted; a day without changes "
        "makes no request. Entities of blueprints that were not computed for a day are left alone.",
        kinds={"port"},
    )
    def port_sync(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[None]:
        days = days_of(context.partition_keys)
        try:
            with client() as port:
                target = Slice(connection.name, days[0], days[-1])
                state = state_of(warehouse, context.instance, connection, endpoints)
                ledger = PortLedger(warehouse, port.account, target, entities, relations=relations, state=state)
                report, unchanged = push_until_equal(port, ledger)
        except (SettingsError, PortError, WarehouseError) as error:
            raise dg.Failure(people().scrubbed(str(error)), allow_retries=False) from None
        if report.failures:
            raise dg.Failure(people().scrubbed(in_words(report)), allow_retries=False)
        if report.missing:
            context.log.warning(people().scrubbed(missing_in_words(report)))
        context.log.info(f"Port: {report.upserted} sent, {report.deleted} deleted, {unchanged} unchanged")
        facts = {
            "entities_sent": report.upserted,
            "entities_deleted": report.deleted,
            "entities_unchanged": unchanged,
            "requests": report.requests,
            "days_in_push": len(days),
            **({"targets_not_in_port": len(report.missing)} if relations else {}),
        }
        context.add_asset_metadata(facts, partition_key=context.partition_keys[-1])  # true of the run, so said once
        return dg.MaterializeResult()

    return port_sync

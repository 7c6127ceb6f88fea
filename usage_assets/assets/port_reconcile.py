"""The reconciliation: everything is read back from Port, and what people deleted or edited there is sent again."""

from collections.abc import Callable, Sequence

import dagster as dg

from usage_assets.assets.port_connection import state_of
from usage_assets.assets.port_ledger import PortLedger
from usage_assets.assets.port_push import in_words, missing_in_words, read_back
from usage_assets.config.settings import Connection, PortRelation, SettingsError
from usage_assets.core.people import People
from usage_assets.models.model import Model
from usage_assets.port.client import PortClient, PortError
from usage_assets.providers.endpoint import Endpoint
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.values import WarehouseError

MOST_NAMED = 5


def build_port_reconcile(
    connection: Connection,
    endpoints: Sequence[Endpoint],
    entities: Sequence[Model],
    relations: Sequence[PortRelation],
    client: Callable[[], PortClient],
    people: Callable[[], People],
) -> dg.AssetsDefinition:
    """Build the asset that reads a connection's entities back from Port and repairs what people did to them."""

    @dg.asset(
        key=[connection.name, "port_reconcile"],
        group_name=f"{connection.name}_port",
        description="One comparison per run: all that Port has acknowledged, on whatever day, is read back.\n\n"
        "Entities that people deleted, or whose title, properties of ours or relations of ours they edited, are sent "
        "again; so are those of this connection that the ledger had lost track of, or deleted where no table has them. "
        "What others have in the same blueprints, and their properties on our entities, stay as they are.",
        kinds={"port"},
    )
    def port_reconcile(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[None]:
        try:
            with client() as port:
                state = state_of(warehouse, context.instance, connection, endpoints)
                days = Slice(connection.name, state.usage_date, state.usage_date)
                ledger = PortLedger(warehouse, port.account, days, entities, relations=relations, state=state)
                done = read_back(port, ledger)
                requests = port.requests
        except (SettingsError, PortError, WarehouseError) as error:
            raise dg.Failure(people().scrubbed(str(error)), allow_retries=False) from None
        metadata: dict[str, int | str] = {
            "entities_checked": done.checked,
            "deleted_in_port": done.deleted,
            "edited_in_port": done.edited,
            "not_in_ledger": len(done.not_in_ledger),
            "requests": requests,
            **({"targets_not_in_port": len(done.report.missing)} if relations else {}),
        }
        if done.not_in_ledger:
            metadata["not_in_ledger_first"] = people().scrubbed("; ".join(sorted(done.not_in_ledger)[:MOST_NAMED]))
        if done.report.missing:
            context.log.warning(people().scrubbed(missing_in_words(done.report)))
        if done.report.failures:
            raise dg.Failure(people().scrubbed(in_words(done.report)), metadata=metadata, allow_retries=False)
        context.log.info(f"Port: {', '.join(f'{name} {count}' for name, count in metadata.items())}")
        return dg.MaterializeResult(metadata=metadata)

    return port_reconcile

"""Deletes entities of a connection in Port, whatever they are deleted for."""

from collections.abc import Sequence

from usage_assets.core.blueprints import CONNECTION
from usage_assets.features.port.catalog.client import PortClient
from usage_assets.features.port.catalog.sync import Acknowledged, Changes, Failure, push
from usage_assets.features.port.ledger import PortLedger
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import Slice


def delete_in_port(
    warehouse: Warehouse, port: PortClient, connection: str, lines: Sequence[Acknowledged]
) -> Sequence[Failure]:
    """Delete what the lines name, and the lines. Return what Port refused to delete; then it stopped there.

    The connection's own entity goes last: Port keeps an entity that others relate to. Raises PortError and
    WarehouseError.
    """
    days = [line.usage_date for line in lines]
    ledger = PortLedger(warehouse, port.account, Slice(connection, min(days), max(days)), ())
    related = tuple(line for line in lines if line.blueprint != CONNECTION)
    for deletes in filter(None, (related, tuple(set(lines) - {*related}))):
        if failures := push(port, Changes(deletes=deletes), ledger).failures:
            return failures
    return ()

"""Deletes entities of a connection in Port, whatever they are deleted for."""

from collections.abc import Sequence

from usage_assets.features.port.catalog.client import PortClient
from usage_assets.features.port.catalog.sync import Acknowledged, Changes, Failure, push
from usage_assets.features.port.ledger import PortLedger
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import Slice


def delete_in_port(
    warehouse: Warehouse, port: PortClient, connection: str, lines: Sequence[Acknowledged]
) -> Sequence[Failure]:
    """Delete what the lines name, and the lines. Return what Port refused to delete.

    Raises PortError and WarehouseError.
    """
    days = [line.usage_date for line in lines]
    ledger = PortLedger(warehouse, port.account, Slice(connection, min(days), max(days)), ())
    return push(port, Changes(deletes=tuple(lines)), ledger).failures

"""The warehouse at an address: a DuckDB file, or a lake that many processes and hosts share."""

from usage_assets.core.features import LAKE, hooks, reason
from usage_assets.core.warehouse_address import AddressError, WarehouseAddress
from usage_assets.warehouse.database import PATIENCE, Warehouse


def warehouse_at(address: WarehouseAddress, wait_seconds: float = PATIENCE) -> Warehouse:
    """Return the warehouse; it is not opened. Raises AddressError for a lake without its package."""
    if not address.is_lake:
        return Warehouse(database=str(address.file), wait_seconds=wait_seconds)
    lake_at = next(hooks(LAKE), None)
    if lake_at is None:
        raise AddressError(f"the warehouse is a lake, and {reason('lake')}")
    lake: Warehouse = lake_at(address, wait_seconds)
    return lake

"""The warehouse at an address: a DuckDB file, or a lake that many processes and hosts share."""

from usage_assets.core.features import LAKE, hooks
from usage_assets.core.warehouse_address import AddressError, WarehouseAddress
from usage_assets.warehouse.database import PATIENCE, Warehouse


def warehouse_at(address: WarehouseAddress, wait_seconds: float = PATIENCE) -> Warehouse:
    """Return the warehouse; it is not opened. Raises AddressError for a lake without the packages that it needs."""
    if not address.is_lake:
        return Warehouse(database=str(address.file), wait_seconds=wait_seconds)
    try:
        lake_at = next(hooks(LAKE), None)
    except ModuleNotFoundError as error:
        missing = f"the package {error.name} is missing: pip install 'usage-assets[lake]'"
        raise AddressError(f"the warehouse is a lake, and {missing}") from None
    if lake_at is None:
        raise AddressError("the warehouse is a lake, and the feature is left out: features/lake is missing")
    lake: Warehouse = lake_at(address, wait_seconds)
    return lake

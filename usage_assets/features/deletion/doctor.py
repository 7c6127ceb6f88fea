"""What the doctor finds of connections that were removed in part."""

from collections.abc import Iterator

from usage_assets.cli.findings import Finding, Level
from usage_assets.config.settings import Settings, SettingsError
from usage_assets.features.deletion.rows import left_behind
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.values import WarehouseError


def findings(settings: Settings, warehouse: Warehouse) -> Iterator[Finding]:
    """Rows of connections that nothing fetches and that have no stored day: their costs still count."""
    try:
        left = left_behind(warehouse, {each.name for each in settings.connections()})
    except (SettingsError, WarehouseError):  # said before
        return
    for name, count in left.items():
        how = f"usage-assets connection remove {name} --yes"
        yield Finding(Level.FAIL, f"connection {name}", f"{count:,} rows are left of its removal, and count: {how}")

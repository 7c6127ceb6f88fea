"""What the doctor finds of bills of several vendors."""

from collections.abc import Iterator

from usage_assets.cli.findings import Finding, Level
from usage_assets.config.settings import Settings
from usage_assets.warehouse.database import Warehouse
from usage_assets_finance.billed_twice import billed_twice


def findings(_: Settings, warehouse: Warehouse) -> Iterator[Finding]:
    """Services that two connections bill. Raises WarehouseError."""
    for bill in billed_twice(warehouse):
        level = Level.FAIL if bill.is_same_account else Level.WARN
        yield Finding(level, f"connections {bill.connection} and {bill.billed_by}", bill.text)

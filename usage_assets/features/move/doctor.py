"""What the doctor finds of the warehouse's format."""

import shlex
from collections.abc import Iterator

from usage_assets.cli.findings import Finding, Level
from usage_assets.config.settings import Settings
from usage_assets.features.move.rewrite import is_in_format
from usage_assets.warehouse.database import Warehouse


def findings(settings: Settings, warehouse: Warehouse) -> Iterator[Finding]:  # noqa: ARG001 - it is a hook
    """A file of an earlier release that takes more space or time than a new one."""
    if not is_in_format(warehouse):
        command = f"usage-assets move --to {shlex.quote(warehouse.database)}"
        text = f"{warehouse.database} has blocks or a format that take more space or time: {command} rewrites it"
        yield Finding(Level.OK, "warehouse", text)

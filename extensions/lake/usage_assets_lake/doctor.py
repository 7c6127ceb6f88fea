"""What the doctor finds: the format of a file, a lake's server and files, and with --deep each stored day."""

import shlex
from collections.abc import Iterator

from usage_assets.cli.findings import Finding, Level
from usage_assets.config.settings import Settings
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.opened import warehouse_at
from usage_assets.warehouse.rewrite import is_in_format
from usage_assets.warehouse.values import WarehouseError
from usage_assets_lake import is_lake
from usage_assets_lake.repair.doctor import deep, files

__all__ = ["deep"]


def findings(settings: Settings, warehouse: Warehouse) -> Iterator[Finding]:  # noqa: ARG001 - it is a hook
    """A file of an earlier release that takes more space or time than a new one."""
    if not is_in_format(warehouse):
        command = f"usage-assets move --to {shlex.quote(warehouse.database)}"
        text = f"{warehouse.database} has blocks or a format that take more space or time: {command} rewrites it"
        yield Finding(Level.OK, "warehouse", text)


def services(settings: Settings) -> Iterator[Finding]:
    """What is found of a lake: a pooler before its catalog, and damaged files."""
    yield from _pooler(settings)
    yield from files(settings)


def _pooler(settings: Settings) -> Iterator[Finding]:
    """A pooler between us and the catalog."""
    lake = warehouse_at(settings.warehouse)
    if not is_lake(lake):
        return
    from usage_assets_lake.pooling import REFUSED, WARNED, pooling_of  # noqa: PLC0415 - it loads psycopg

    try:
        with lake.session() as session:
            pooling = pooling_of(session, lake.session)
    except WarehouseError:
        return  # the doctor says so of the warehouse
    if pooling == "transaction":
        yield Finding(Level.FAIL, "warehouse", f"the catalog {REFUSED}")
    if pooling == "session":
        yield Finding(Level.WARN, "warehouse", f"the catalog {WARNED}")

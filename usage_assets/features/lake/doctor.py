"""What the doctor finds of a lake's server."""

from collections.abc import Iterator

from usage_assets.cli.findings import Finding, Level
from usage_assets.config.settings import Settings
from usage_assets.features.lake import is_lake
from usage_assets.warehouse.opened import warehouse_at
from usage_assets.warehouse.values import WarehouseError


def services(settings: Settings) -> Iterator[Finding]:
    """A pooler between us and the catalog."""
    lake = warehouse_at(settings.warehouse)
    if not is_lake(lake):
        return
    from usage_assets.features.lake.pooling import REFUSED, WARNED, pooling_of  # noqa: PLC0415 - psycopg may be missing

    try:
        with lake.session() as session:
            pooling = pooling_of(session, lake.session)
    except WarehouseError:
        return  # the doctor says so of the warehouse
    if pooling == "transaction":
        yield Finding(Level.FAIL, "warehouse", f"the catalog {REFUSED}")
    if pooling == "session":
        yield Finding(Level.WARN, "warehouse", f"the catalog {WARNED}")

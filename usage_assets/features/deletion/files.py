"""The files that hold what is deleted, but for the archive and Dagster's history: which are made again, which stay."""

from collections.abc import Iterator

from usage_assets.config.settings import Settings
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.published import former_of, publish
from usage_assets.warehouse.rewrite import rewrite

NOT_REACHED = (
    "statements, exports, samples of usage-assets capture --out and sources.yml that you have written, copies of the "
    "database, and backups"
)
"""What nobody but the user knows the place of. An issued statement is a document of record."""


def clean(settings: Settings, warehouse: Warehouse) -> None:
    """Rewrite the warehouse, because DuckDB leaves deleted rows in its file until it needs the room; publish it; and
    remove the older copy and the report, which the next run writes. Raises WarehouseError."""
    rewrite(warehouse)
    publish(warehouse)
    former_of(warehouse.database).unlink(missing_ok=True)
    settings.report_path.unlink(missing_ok=True)


def not_reached(settings: Settings, *, is_connection: bool) -> Iterator[str]:
    """Yield what still holds what was deleted, a line each."""
    yield f"not reached: {NOT_REACHED}"
    if is_connection:
        days = settings.usage_history_days
        yield f"Dagster's runs and their logs name it until they are {days} days old (usage-assets prune)"

"""Days to derive from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from usage_assets.warehouse.database import Warehouse
from usage_assets_tests.ephemeral import ephemeral_instances_keep_their_connection
from usage_assets_tests.models.days import Days

__all__ = ["ephemeral_instances_keep_their_connection"]

FILLED = "select schema_name || '.' || table_name from duckdb_tables() where not temporary and estimated_size > 0"


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """The session's warehouse, whose file stays open: to make the file and its tables is a third of most tests."""
    warehouse = Warehouse(database=str(tmp_path_factory.mktemp("models") / "usage.duckdb"))
    with warehouse.get_connection():
        yield warehouse


@pytest.fixture
def days(warehouse: Warehouse) -> Iterator[Days]:
    """A warehouse in which nothing is stored: there may be tables and views, but no row."""
    yield Days(warehouse)
    with warehouse.get_connection() as database:
        for (table,) in database.execute(FILLED).fetchall():
            database.execute(f"delete from {table}")


@pytest.fixture
def new_days(tmp_path: Path) -> Iterator[Days]:
    """A warehouse in a new file: for what is about tables and views."""
    warehouse = Warehouse(database=str(tmp_path / "usage.duckdb"))
    with warehouse.get_connection():
        yield Days(warehouse)

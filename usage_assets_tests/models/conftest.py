"""Days to derive from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from usage_assets.warehouse.database import Warehouse
from usage_assets_tests.ephemeral import ephemeral_instances_keep_their_connection
from usage_assets_tests.models.days import Days, emptied

__all__ = ["ephemeral_instances_keep_their_connection"]


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """The session's warehouse, whose file stays open."""
    warehouse = Warehouse(database=str(tmp_path_factory.mktemp("models") / "usage.duckdb"))
    with warehouse.get_connection():
        yield warehouse


@pytest.fixture
def days(warehouse: Warehouse) -> Iterator[Days]:
    """A warehouse in which nothing is stored: there may be tables and views, but no row."""
    with emptied(warehouse):
        yield Days(warehouse)


@pytest.fixture
def new_days(tmp_path: Path) -> Iterator[Days]:
    """A warehouse in a new file: for what is about tables and views."""
    warehouse = Warehouse(database=str(tmp_path / "usage.duckdb"))
    with warehouse.get_connection():
        yield Days(warehouse)

"""A warehouse in a new file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from usage_assets.warehouse.database import Warehouse
from usage_assets_tests.ephemeral import ephemeral_instances_keep_their_connection

__all__ = ["ephemeral_instances_keep_their_connection"]


@pytest.fixture
def new_warehouse(tmp_path: Path) -> Warehouse:
    """A warehouse whose file does not exist yet, which each access opens and closes."""
    return Warehouse(database=str(tmp_path / "data" / "usage.duckdb"))


@pytest.fixture
def warehouse(new_warehouse: Warehouse) -> Iterator[Warehouse]:
    """A warehouse in which nothing is stored. Its file stays open: opening it is a third of most tests."""
    with new_warehouse.get_connection():
        yield new_warehouse

"""Days to look at as FOCUS has them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from usage_assets.warehouse.database import Warehouse
from usage_assets_tests.models.days import Days


@pytest.fixture
def days(tmp_path: Path) -> Iterator[Days]:
    """A warehouse in which nothing has been fetched. Its file stays open: opening it is half of most tests."""
    warehouse = Warehouse(database=str(tmp_path / "usage.duckdb"))
    with warehouse.get_connection():
        yield Days(warehouse)

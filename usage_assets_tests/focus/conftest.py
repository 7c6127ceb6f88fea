"""Days to export."""

from pathlib import Path

import pytest

from usage_assets.warehouse.database import Warehouse
from usage_assets_tests.models.days import Days


@pytest.fixture
def days(tmp_path: Path) -> Days:
    """A warehouse in which nothing has been fetched."""
    return Days(Warehouse(database=str(tmp_path / "usage.duckdb")))

"""A warehouse in a new file."""

from pathlib import Path

import pytest

from usage_assets.warehouse.database import Warehouse


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """A warehouse whose file does not exist yet."""
    return Warehouse(database=str(tmp_path / "data" / "usage.duckdb"))

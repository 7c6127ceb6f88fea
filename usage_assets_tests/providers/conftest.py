"""Clients of the sandbox's providers, as the tests of the engine use them, and a warehouse of recorded bodies."""

from collections.abc import Iterator

import pytest

from usage_assets.warehouse.database import Warehouse
from usage_assets_tests.fetching.conftest import answers, new_client
from usage_assets_tests.models.days import Days
from usage_assets_tests.providers import recorded

__all__ = ["answers", "new_client"]


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Days]:
    """One warehouse for all bodies: each is a connection of its own."""
    warehouse = Warehouse(database=str(tmp_path_factory.mktemp("recorded") / "usage.duckdb"))
    with warehouse.get_connection():
        recorded.declare(warehouse)
        yield Days(warehouse)

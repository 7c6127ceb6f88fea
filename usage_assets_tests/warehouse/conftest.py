"""A new warehouse, in a file or in a lake: each test of ``warehouse`` runs on both."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from usage_assets.core.warehouse_address import LAKE
from usage_assets.features.lake.warehouse import Lake
from usage_assets.warehouse.database import Warehouse
from usage_assets_tests.ephemeral import ephemeral_instances_keep_their_connection
from usage_assets_tests.object_store import CREDENTIALS
from usage_assets_tests.postgres import new_database

__all__ = ["ephemeral_instances_keep_their_connection"]


@pytest.fixture
def new_warehouse(tmp_path: Path) -> Warehouse:
    """A warehouse whose file does not exist yet, which each access opens and closes."""
    return Warehouse(database=str(tmp_path / "data" / "usage.duckdb"))


@pytest.fixture
def lake(postgres: str, tmp_path: Path) -> Iterator[Lake]:
    """A lake that holds nothing yet."""
    new = Lake(database=f"{LAKE}{new_database(postgres)}", data=str(tmp_path / "lake"))
    yield new
    new.detach()


@pytest.fixture
def lake_in_store(postgres: str, object_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """A lake that holds nothing yet, whose files are objects."""
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": object_store}.items():
        monkeypatch.setenv(name, value)
    new = Lake(database=f"{LAKE}{new_database(postgres)}", data=f"s3://lakes/{tmp_path.name}")
    yield new
    new.detach()


@pytest.fixture(params=["file", pytest.param("lake", marks=pytest.mark.slow)])
def warehouse(request: pytest.FixtureRequest) -> Iterator[Warehouse]:
    """A warehouse in which nothing is stored. A file stays open: opening it is a third of most tests."""
    if request.param == "lake":
        yield request.getfixturevalue("lake")
        return
    file: Warehouse = request.getfixturevalue("new_warehouse")
    with file.get_connection():
        yield file

"""A new warehouse, in a file or in a lake: tests that are marked ON_BOTH run on both."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from usage_assets.core.warehouse_address import LAKE
from usage_assets.warehouse.database import Warehouse
from usage_assets_tests.alone import needs
from usage_assets_tests.ephemeral import ephemeral_instances_keep_their_connection
from usage_assets_tests.fixtures import instance, set_all
from usage_assets_tests.object_store import CREDENTIALS
from usage_assets_tests.postgres import name_of, new_database

if TYPE_CHECKING:
    from usage_assets_lake.warehouse import Lake

__all__ = ["ON_BOTH", "ephemeral_instances_keep_their_connection", "instance"]


@pytest.fixture
def new_warehouse(tmp_path: Path) -> Warehouse:
    """A warehouse whose file does not exist yet, which each access opens and closes."""
    return Warehouse(database=str(tmp_path / "data" / "usage.duckdb"))


def lake_at(catalog: str, data: str) -> "Lake":
    """The lake of a database and a folder."""
    from usage_assets_lake.warehouse import Lake  # noqa: PLC0415 - tests of files run without lakes, too

    return Lake(database=f"{LAKE}{catalog}", data=data)


@contextmanager
def empty_lake(server: str, folder: Path) -> Iterator["Lake"]:
    """A lake that holds nothing yet."""
    new = lake_at(new_database(server), str(folder))
    yield new
    new.detach()


@pytest.fixture
def lake(postgres: str, tmp_path: Path) -> Iterator["Lake"]:
    """A lake that holds nothing yet."""
    with empty_lake(postgres, tmp_path / "lake") as new:
        yield new


@pytest.fixture
def lake_in_store(
    postgres: str, object_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator["Lake"]:
    """A lake that holds nothing yet, whose files are objects."""
    set_all(monkeypatch, {**CREDENTIALS, "AWS_ENDPOINT_URL": object_store})
    new = lake_at(new_database(postgres), f"s3://lakes/{tmp_path.name}")
    yield new
    new.detach()


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that has the ledgers, and no rows. To make them is half of a small test, to copy the file nothing."""
    file = Warehouse(database=str(tmp_path_factory.mktemp("empty") / "usage.duckdb"))
    with file.transaction():
        pass
    return Path(file.database)


@pytest.fixture(scope="session")
def empty_catalog(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of the catalog of a lake that has the ledgers, and no rows. Nobody uses it."""
    made = new_database(postgres)
    lake = lake_at(made, str(tmp_path_factory.mktemp("empty") / "lake"))
    with lake.transaction():
        pass
    lake.detach()
    return name_of(made)


@contextmanager
def copied_lake(server: str, catalog: str, folder: Path) -> Iterator["Lake"]:
    """A lake whose catalog is a copy, with a folder of its own."""
    copied = new_database(server, catalog)
    with psycopg.connect(copied) as session:
        session.execute("update ducklake_metadata set value = %s where key = 'data_path'", [f"{folder}/"])
    lake = lake_at(copied, str(folder))
    yield lake
    lake.detach()


ON_BOTH = pytest.mark.parametrize("warehouse", ["file", pytest.param("lake", marks=needs("lake"))], indirect=True)
"""Tests of what DuckDB may do otherwise in a lake: types, constraints, transactions. All others are about a file."""


@pytest.fixture
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    """A warehouse in which nothing is stored. A file stays open: opening it is a third of most tests."""
    if getattr(request, "param", "file") == "lake":
        server, catalog = (request.getfixturevalue(name) for name in ("postgres", "empty_catalog"))
        with copied_lake(server, catalog, tmp_path / "lake") as lake:
            yield lake
        return
    file = Warehouse(database=str(shutil.copy2(request.getfixturevalue("empty_file"), tmp_path)))
    with file.get_connection():
        yield file

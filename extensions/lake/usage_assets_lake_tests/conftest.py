"""Warehouses, in files and in lakes."""

from usage_assets_tests.ephemeral import ephemeral_instances_keep_their_connection
from usage_assets_tests.warehouse.conftest import (
    empty_catalog,
    empty_file,
    instance,
    lake,
    lake_in_store,
    new_warehouse,
    warehouse,
)

__all__ = [
    "empty_catalog",
    "empty_file",
    "ephemeral_instances_keep_their_connection",
    "instance",
    "lake",
    "lake_in_store",
    "new_warehouse",
    "warehouse",
]

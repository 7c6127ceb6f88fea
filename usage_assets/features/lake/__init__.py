"""A lake instead of a file: a warehouse that many processes and hosts share."""

from typing import TYPE_CHECKING, TypeGuard

from usage_assets.core.features import LAKE, SERVICES, Feature

if TYPE_CHECKING:
    from usage_assets.features.lake.warehouse import Lake
    from usage_assets.warehouse.database import Warehouse

FEATURE = Feature(hooks=[LAKE, SERVICES])


def is_lake(warehouse: "Warehouse") -> TypeGuard["Lake"]:
    """Whether it is one. The module of lakes needs psycopg, which comes with the extra ``lake`` only."""
    return warehouse.is_shared

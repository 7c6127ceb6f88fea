"""A lake instead of a file: a warehouse that many processes and hosts share.

``warehouse.py`` is DuckLake, with its catalog in PostgreSQL. ``move/`` copies a warehouse from a file into a lake, or
back. ``repair/`` compares what is stored with what was written, in a file as in a lake: the files of a lake beside its
catalog (``files.py``), stored days beside their hashes (``days.py``).
"""

from typing import TYPE_CHECKING, TypeGuard

from usage_assets.core.features import DEEP, DOCTOR, GRAPH, LAKE, SERVICES, Feature

if TYPE_CHECKING:
    from usage_assets.warehouse.database import Warehouse
    from usage_assets_lake.warehouse import Lake

FEATURE = Feature(
    commands={
        "move": "Copy the warehouse into a lake or a file, and compare both.",
        "repair": "Make days due whose files are lost or whose rows changed.",
    },
    hooks=[DEEP, DOCTOR, GRAPH, LAKE, SERVICES],
)


def is_lake(warehouse: "Warehouse") -> TypeGuard["Lake"]:
    """Whether it is one. Its module loads psycopg, which files do not need."""
    return warehouse.is_shared

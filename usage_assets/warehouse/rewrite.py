"""Rewrites the database file, so that the file no longer contains deleted and replaced values.

DuckDB only marks their space as free: after two checkpoints (1.5.5), the file still contained a text that had been
updated.
"""

import os
import shutil
from datetime import timedelta
from pathlib import Path

from usage_assets.warehouse.database import Warehouse, write_ahead_log
from usage_assets.warehouse.tables import quoted
from usage_assets.warehouse.values import WarehouseError


def rewrite(warehouse: Warehouse) -> None:
    """Replace the file by a copy of what is in it, while nobody else has it open. A lake keeps its newest state only.

    A file needs room for its content once more. Raises WarehouseError, with the file as it was.
    """
    if warehouse.is_shared:
        warehouse.maintain(timedelta(0))
        return
    path = Path(warehouse.database)
    fresh = path.with_name(f"{path.name}.new")
    try:
        _remove(fresh)  # left by a process that was killed
        with warehouse.get_connection() as database:
            [(name,)] = database.execute("select current_database()").fetchall()
            database.execute("checkpoint")
            database.execute(f"attach {quoted(str(fresh))} as fresh")
            database.execute(f'copy from database "{name}" to fresh')
            database.execute("detach fresh")
            shutil.copymode(path, fresh)
            with fresh.open("rb") as file:
                os.fsync(file.fileno())
            fresh.replace(path)  # whoever waits for the file opens it by its name
    except OSError as error:
        raise WarehouseError(f"{path}: {error.strerror}: it holds free space that is not overwritten") from error
    finally:
        _remove(fresh)


def _remove(file: Path) -> None:
    for each in (file, write_ahead_log(file)):
        each.unlink(missing_ok=True)

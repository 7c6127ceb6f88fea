"""Dagster's tables of runs and of ticks, in its own SQLite files, opened without a look at Dagster's migrations.

Dagster's classes read its 90 migrations from disk whenever they are opened, and use them only if the file is new. The
code server opens an instance for each tick of a sensor or schedule: 14,400 times a day, and that took 60 of 70 ms.
"""

import os
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Self

from usage_assets.dagster_internals import ConfigurableClassData
from usage_assets.dagster_internals.storage import SqliteRunStorage, SqliteScheduleStorage, create_db_conn_string

TEMPORARY = "USAGE_TEMPORARY_HOME"


def home_of_storages() -> Path:
    """DAGSTER_HOME. Without one, all processes of `dagster dev` share a temporary folder."""
    home = os.environ.get("DAGSTER_HOME") or os.environ.get(TEMPORARY)
    if not home:
        home = os.environ[TEMPORARY] = tempfile.mkdtemp(prefix="usage_assets_")
    return Path(home)


def is_made(file: Path) -> bool:
    """Whether a file has Dagster's tables, of this release or an earlier one: it names their version."""
    if not file.exists():
        return False
    with closing(sqlite3.connect(file)) as database:
        try:
            return database.execute("select 1 from alembic_version").fetchone() is not None
        except sqlite3.OperationalError:  # no such table, or another process is making it
            return False


class MadeSqliteRunStorage(SqliteRunStorage):
    """Dagster's table of runs, in history/runs.db."""

    @classmethod
    def config_type(cls) -> Any:
        """Nothing is configured: the file is where Dagster has it by default."""
        return {}

    @classmethod
    def from_config_value(
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Mapping[str, Any],  # noqa: ARG003  (there is nothing to configure)
    ) -> Self:
        """Open the file of DAGSTER_HOME; make it if there is none."""
        folder = home_of_storages() / "history"
        if not is_made(folder / "runs.db"):
            return cls.from_local(str(folder), inst_data)
        return cls(create_db_conn_string(str(folder), "runs"), inst_data)


class MadeSqliteScheduleStorage(SqliteScheduleStorage):
    """Dagster's tables of schedules, sensors and their ticks, in schedules/schedules.db."""

    @classmethod
    def config_type(cls) -> Any:
        """Nothing is configured: the file is where Dagster has it by default."""
        return {}

    @classmethod
    def from_config_value(
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Mapping[str, Any],  # noqa: ARG003  (there is nothing to configure)
    ) -> Self:
        """Open the file of DAGSTER_HOME; make it if there is none."""
        folder = home_of_storages() / "schedules"
        if not is_made(folder / "schedules.db"):
            cls.from_local(str(folder), inst_data)
        return cls(create_db_conn_string(str(folder), "schedules"), inst_data)

"""Dagster's tables of runs and of ticks, in its own SQLite files, opened without a look at Dagster's migrations.

Dagster's classes read its 90 migrations from disk whenever they are opened, and use them only if the file is new. The
code server opens an instance for each tick of a sensor or schedule: 14,400 times a day, and that took 60 of 70 ms.
"""

import logging
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from time import time
from typing import Any, ClassVar

from usage_assets.core.alone import alone_in
from usage_assets.dagster_internals.storage import (
    ConfigurableClassData,
    InstigatorState,
    SqliteRunStorage,
    SqliteScheduleStorage,
    SqlScheduleStorage,
    create_db_conn_string,
)

logger = logging.getLogger("dagster.usage_assets")  # shown beside what `dagster dev` says


def home_of_storages() -> Path:
    """DAGSTER_HOME. `dagster dev` without one reads the dagster.yaml of the current folder: then that is the home.

    Dagster then means to forget everything at its end, and a schedule that was stopped would run again.
    """
    if not os.environ.get("DAGSTER_HOME"):
        home = os.environ["DAGSTER_HOME"] = str(Path.cwd())  # its other processes inherit it
        logger.info(
            f"DAGSTER_HOME is not set: runs, schedules and sensors are those of {home}, which holds dagster.yaml. "
            "Only the output of steps is in the temporary directory."
        )
    return Path(os.environ["DAGSTER_HOME"])


def is_made(file: Path) -> bool:
    """Whether a file has Dagster's tables, of this release or an earlier one: it names their version."""
    if not file.exists():
        return False
    with closing(sqlite3.connect(file)) as database:
        try:
            return database.execute("select 1 from alembic_version").fetchone() is not None
        except sqlite3.OperationalError:  # no such table, or another process is making it
            return False


class InHome:
    """A storage of Dagster in the files of DAGSTER_HOME that Dagster has by default: nothing is configured.

    Comes before Dagster's class among the bases.
    """

    folder: ClassVar[str]
    file: ClassVar[str]
    makes_file = False
    """Whether the storage makes its files itself."""

    @classmethod
    def config_type(cls) -> Any:
        return {}

    @classmethod
    def from_config_value(cls: Any, inst_data: ConfigurableClassData | None, config_value: Any) -> Any:  # noqa: ARG003
        home = home_of_storages()
        folder, file = str(home / cls.folder), home / cls.folder / f"{cls.file}.db"
        with (
            nullcontext() if is_made(file) else alone_in(home)
        ):  # two processes that make the tables disturb each other
            if not cls.makes_file and not is_made(file):
                cls.from_local(folder, inst_data)
            return cls(folder if cls.makes_file else create_db_conn_string(folder, cls.file), inst_data)


class MadeSqliteRunStorage(InHome, SqliteRunStorage):
    """Dagster's table of runs."""

    folder, file = "history", "runs"


class AwakeScheduleStorage(SqlScheduleStorage):
    """Lets sensors go on after the clock was set back. Comes before Dagster's class among the bases.

    Dagster's daemon counts from the last tick to the next one, also while the last one is still to come.
    """

    def has_instigators_table(self, conn: Any = None) -> bool:  # noqa: ARG002
        """Dagster lists all tables for this, several times a tick. No home is so old that it has none."""
        return True

    _has_instigators_table = has_instigators_table

    def all_instigator_state(self, *asked: Any, **named: Any) -> Sequence[InstigatorState]:
        return [_without_times_to_come(state) for state in super().all_instigator_state(*asked, **named)]

    def get_instigator_state(self, origin_id: str, selector_id: str) -> InstigatorState | None:
        state = super().get_instigator_state(origin_id, selector_id)
        return state and _without_times_to_come(state)


def _without_times_to_come(state: InstigatorState) -> InstigatorState:
    data, now = state.sensor_instigator_data, time()
    if not data:
        return state
    names = ("last_tick_timestamp", "last_tick_start_timestamp")
    return state.with_data(data._replace(**{name: None for name in names if (getattr(data, name) or 0) > now}))


class MadeSqliteScheduleStorage(InHome, AwakeScheduleStorage, SqliteScheduleStorage):
    """Dagster's tables of schedules, sensors and their ticks."""

    folder, file = "schedules", "schedules"

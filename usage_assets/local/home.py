"""The Dagster home: the folder whose instance UI, schedules and command line share."""

import os
import shlex
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy
import sqlalchemy.exc
import yaml  # type: ignore[import-untyped]  # Dagster's, without types

from usage_assets.config.address import env_file
from usage_assets.config.settings import SettingsError
from usage_assets.core.errors import first_line
from usage_assets.dagster_internals.storage import (
    CheckError,
    SqliteEventLogStorage,
    SqliteRunStorage,
    SqliteScheduleStorage,
)

CONFIGURATION, WORKSPACE = (Path(__file__).with_name(name) for name in ("dagster.yaml", "workspace.yaml"))
"""What a home and a code location of this project look like."""
CODE_LOCATION = "usage_assets"
"""As workspace.yaml and pyproject.toml call it: Dagster stores the states of schedules under this name."""
UNCAPTURED: Any = {
    "compute_logs": {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
}
"""Settings of an instance whose runs capture nothing that is printed."""
REPOSITORY = "__repository__"
"""As Dagster calls what is in the code location."""


def configured_home() -> str | None:
    """DAGSTER_HOME of the environment or of ``.env``, which Dagster's commands read, too. Raises SettingsError."""
    return os.environ.get("DAGSTER_HOME") or env_file().get("DAGSTER_HOME")


def workspace_of(folder: Path) -> Path:
    """The file that names the code locations of a folder in which `usage-assets dev` is started."""
    return next(file for file in (folder / WORKSPACE.name, WORKSPACE) if file.is_file())


def dagster_home() -> Path:
    """DAGSTER_HOME, or the current folder if it holds dagster.yaml. Raises SettingsError where there is neither."""
    configured = configured_home()
    home = Path(configured) if configured else Path.cwd()
    if not home.is_absolute() or not home.is_dir():
        raise SettingsError(f"DAGSTER_HOME: {configured} is not the absolute path of a folder")
    if not configured and not Path(CONFIGURATION.name).is_file():
        raise SettingsError(
            "DAGSTER_HOME: not set, and the current folder holds no dagster.yaml: "
            "set it, start this in the folder of usage-assets, or make this folder a home with usage-assets dev"
        )
    if sqlalchemy.make_url(f"sqlite:///{home}").database != str(home):  # its files would be in another folder
        raise SettingsError(f"DAGSTER_HOME: {home}: Dagster misreads ? and % in a path: use a folder without them")
    return home


def make_home() -> bool:
    """Make a home of the current folder, where DAGSTER_HOME names no other; return whether it was none yet."""
    if configured_home() or Path(CONFIGURATION.name).is_file():
        return False
    shutil.copyfile(CONFIGURATION, CONFIGURATION.name)
    return True


def missing_settings(instance: dg.DagsterInstance) -> str | None:
    """Say what a home lacks that keeps Dagster's slow defaults; None where it lacks nothing."""
    used = {type(each) for each in (instance.event_log_storage, instance.run_storage, instance.schedule_storage)}
    copy = "its dagster.yaml lacks our settings: runs take more CPU, and a clock that is set back stops sensors. Copy"
    if used & {SqliteEventLogStorage, SqliteRunStorage, SqliteScheduleStorage}:
        return f"{copy} {CONFIGURATION} into it"
    if any(each.__module__.startswith("dagster_postgres.") for each in used):
        return f"{copy} deploy/dagster.postgres.yaml of the repository into it"
    return None


@contextmanager
def open_instance(*, captures: bool = True) -> Iterator[dg.DagsterInstance]:
    """Open the home's instance. Raises SettingsError where its dagster.yaml or its files cannot be used.

    Runs in a terminal capture nothing that is printed: Dagster would start four processes for each, to print it here,
    too, and Ctrl-C ends two of them with a stack.
    """
    home = dagster_home()
    os.environ["DAGSTER_HOME"] = str(home)
    with storing_events(home), _opened(home, captures=captures) as instance:
        yield instance


@contextmanager
def storing_events(home: Path) -> Iterator[None]:
    """Raise SettingsError where Dagster's storage fails in here: a file is damaged, the disk is full, PostgreSQL is
    gone."""
    try:
        yield
    except Exception as error:
        # of a server that cannot be reached, Dagster makes an error of its own, which only the extra `postgres` has
        cause = error.__cause__ if type(error).__name__ == "DagsterPostgresException" else error
        if not isinstance(cause, sqlite3.DatabaseError | sqlalchemy.exc.SQLAlchemyError):
            raise
        for text in damaged_files(home):
            raise SettingsError(text) from None
        way_out = "once its disk, permissions or server are mended, run this again; what is stored stays"
        raise SettingsError(f"{home}: Dagster cannot store its events: {first_line(cause)}: {way_out}") from None


def _opened(home: Path, *, captures: bool) -> dg.DagsterInstance:
    try:
        # what get() does: a home is a folder
        return dg.DagsterInstance.local_temp(str(home), None if captures else UNCAPTURED)
    except (dg.DagsterError, CheckError, yaml.YAMLError, ValueError, ImportError) as error:
        raise SettingsError(f"{home / 'dagster.yaml'}: {_reason(error)}") from None
    except (FileExistsError, NotADirectoryError) as error:  # it makes folders
        raise SettingsError(_way_out(home, Path(error.filename), str(error.strerror))) from None
    except OSError as error:
        raise SettingsError(f"{error.filename or home}: {error.strerror or error}") from None


def _reason(error: Exception) -> str:
    """Return what Dagster says is wrong with its configuration, without the stack that is part of its words."""
    said = [each.message for each in getattr(error, "errors", ())] or [str(error), str(error.__context__ or "")]
    texts = [text.partition("Stack Trace:")[0].rpartition("Error: ")[2] for text in said if text]
    return " ".join("; ".join(texts).split())[:300]


def damaged_files(home: Path) -> Iterator[str]:
    """Say of each file of Dagster in a home that is damaged what to do."""
    for file in [*home.glob("history/*.db"), *home.glob("history/runs/index.db"), *home.glob("schedules/*.db")]:
        with closing(sqlite3.connect(file)) as database:
            if _is_damaged(database):
                yield _way_out(home, file, "is damaged")


def _is_damaged(database: sqlite3.Connection) -> bool:
    try:
        return database.execute("pragma quick_check(1)").fetchall() != [("ok",)]
    except sqlite3.OperationalError:  # in use
        return False
    except sqlite3.DatabaseError:
        return True


def _way_out(home: Path, path: Path, reason: str) -> str:
    folder = home / path.relative_to(home).parts[0] if path.is_relative_to(home) else path
    move = shlex.join(["mv", str(folder), f"{folder}.damaged"])
    anew = "Dagster begins a new one, and what the warehouse holds stays"
    return f"{path}: {reason}: stop Dagster and `{move}`: {anew}"

"""Where DuckDB puts what does not fit in memory: a folder of this process, which no other one uses.

By default it is ``.tmp`` in the working directory, or next to the file that is read. Two processes that spilled there
crashed, or read each other's blocks (DuckDB 1.5.5). What a killed process leaves behind is removed by the next one.
"""

import atexit
import fcntl
import os
import shutil
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import gettempdir, mkdtemp

PREFIX = "usage_assets_"
LOCK = "lock"
"""The file in each folder whose lock its process holds: a process id says nothing in another container."""
SECONDS_TO_LOCK = 60
"""A folder that is younger may be one whose process has not locked it yet."""


def spilling() -> dict[str, str | bool | int | float | list[str]]:
    """Return the setting of DuckDB that names the folder of this process."""
    return {"temp_directory": _folder_of(os.getpid())}


@cache
def _folder_of(process: int) -> str:
    for left in Path(gettempdir()).glob(f"{PREFIX}[0-9]*_*/{LOCK}"):
        _remove_if_left(left)
    folder = mkdtemp(prefix=f"{PREFIX}{process}_")
    lock = os.open(Path(folder, LOCK), os.O_CREAT | os.O_RDWR, 0o600)  # open for as long as the process lives
    fcntl.flock(lock, fcntl.LOCK_EX)
    atexit.register(_remove, folder, process)
    return folder


def _remove(folder: str, process: int) -> None:
    if os.getpid() == process:  # and not one that it forked
        shutil.rmtree(folder, ignore_errors=True)


def _remove_if_left(path: Path) -> None:
    """Remove the folder of a lock whose process has ended. A folder without one is not ours, or another user's."""
    with suppress(OSError):
        if time.time() - path.parent.stat().st_mtime >= SECONDS_TO_LOCK:
            with path.open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path.parent, ignore_errors=True)

"""Files that only their owner can read, because they contain personal data and keys."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

OTHERS = 0o077
"""What group and others may do."""


def keep_private() -> None:
    """Create files as 0600 and folders as 0700 from now on, in this process and those it starts, whatever the umask is.

    The umask and not a mode for each file: DuckDB and Dagster create files, too. What exists keeps its mode, because
    people share folders on purpose.
    """
    os.umask(os.umask(OTHERS) | OTHERS)


def shared(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the existing paths that group or others may open."""
    return (path for path in paths if path.exists() and path.stat().st_mode & OTHERS)


def is_dedicated(folder: Path) -> bool:
    """Whether nobody would miss access to the folder: it is no home, no working directory and above neither."""
    places = [Path.cwd(), Path.home()]
    return not any(folder in (place, *place.parents) for place in places) and not folder.stat().st_mode & 0o1000

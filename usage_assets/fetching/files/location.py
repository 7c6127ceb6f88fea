"""Where the files of a connection are: which exist, and their bytes. What is in them: tables.py."""

import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pyarrow as pa

from usage_assets.core.errors import first_line

if TYPE_CHECKING:
    from pyarrow import fs

logger = logging.getLogger(__name__)

TABLES = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".parquet")
"""How the names of files with rows end."""
MANIFEST = re.compile(r"manifest\.json$", re.I)
_HIDDEN = re.compile(r"(^|/)[._]")
_WILD = re.compile(r"[*?\[]")


class FileError(Exception):
    """Files that cannot be used: which, where in them, why and what to do, in one line."""

    def __init__(self, what: str, *, waits: bool = False, is_broken: bool = False) -> None:
        super().__init__(what)
        self.waits = waits
        """Whether days have to wait: a delivery is not complete."""
        self.is_broken = is_broken
        """Whether waiting does not help: somebody has to look at the files."""


@dataclass(frozen=True, order=True)
class File:
    """A file as it was when it was found."""

    path: str
    """Below the root of its file system."""
    size: int
    changed_at: datetime

    @property
    def name(self) -> PurePosixPath:
        return PurePosixPath(self.path)


@dataclass(frozen=True)
class Location:
    """A file, a folder, a pattern, or a prefix in an object store, with everything below it."""

    text: str

    @cached_property
    def _opened(self) -> "tuple[fs.FileSystem, str]":
        from pyarrow import fs  # noqa: PLC0415 - slow to import, and most connections have no files

        if "://" not in self.text:
            return fs.LocalFileSystem(), self.text
        has_options = "=" in self.text.rpartition("?")[2] and "?" in self.text  # a question mark may be a pattern's
        path, mark, options = self.text.rpartition("?") if has_options else (self.text, "", "")
        start = _WILD.search(path)
        root = path[: path.rindex("/", 0, start.start()) + 1] if start else path
        system, opened = fs.FileSystem.from_uri(f"{root}{mark}{options}")
        return system, f"{opened.rstrip('/')}/{path[len(root) :]}" if start else opened.rstrip("/")

    def found(self) -> list[File]:
        """Return the files with rows and the manifests, by name. Raises FileError."""
        try:
            system, path = self._opened
            files = sorted(self._found(system, path))
            if "://" not in self.text:
                files = sorted(_once(files, _root(path)))
        except (OSError, pa.ArrowException) as error:
            raise FileError(f"{self.text}: cannot be listed: {first_line(error)}") from None
        if not any(file.path.endswith(TABLES) for file in files):
            raise FileError(f"{self.text}: has no file whose name ends in {', '.join(TABLES)}")
        return files

    def _found(self, system: "fs.FileSystem", path: str) -> Iterator[File]:
        from pyarrow import fs  # noqa: PLC0415 - as above

        start, root = _WILD.search(path), _root(path)
        info = system.get_file_info(root)
        if info.is_file:
            yield _file(info)
            return
        for info in system.get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=True)):
            below = info.path[len(root) :].lstrip("/")
            is_wanted = info.path.endswith(TABLES) or MANIFEST.search(info.path)
            if not info.is_file or not is_wanted or _HIDDEN.search(below):
                continue
            if start is None or fnmatchcase(info.path, path) or MANIFEST.search(info.path):
                yield _file(info)

    def below(self, file: File) -> str:
        """Return the path of a file below the location; the name of a location that is a file itself."""
        return file.path.removeprefix(_root(self._opened[1])).lstrip("/") or file.name.name

    def open(self, file: File) -> pa.NativeFile:
        """Open a file to be read at any place. Raises OSError."""
        return self._opened[0].open_input_file(file.path)

    @contextmanager
    def unchanged(self, file: File) -> Iterator[None]:
        """Raise FileError unless the file is, before and after the body, as it was found."""
        try:
            yield
        finally:
            info = self._opened[0].get_file_info(file.path)
            if not info.is_file or _file(info) != file:
                raise FileError(f"{file.path}: was changed while it was read", waits=True)


def _root(path: str) -> str:
    """Return the folder of a pattern; the path itself, if it is none."""
    start = _WILD.search(path)
    return path[: path.rindex("/", 0, start.start())] if start else path


def _once(files: Iterable[File], root: str) -> Iterator[File]:
    """Yield each file once, however many links lead to it: under its own name, if that is below the root."""
    same: defaultdict[Path, list[File]] = defaultdict(list)
    for file in files:
        same[Path(file.path).resolve()].append(file)
    for real, found in same.items():
        own = {file: Path(root).resolve() / file.path.removeprefix(root).lstrip("/") == real for file in found}
        kept, *links = sorted(found, key=lambda file: (not own[file], file.path))
        if links:
            logger.info("%s is read once; links to it are skipped, such as %s", kept.path, links[0].path)
        yield kept


def _file(info: "fs.FileInfo") -> File:
    return File(info.path, info.size, datetime.fromtimestamp((info.mtime_ns or 0) / 1e9, UTC))

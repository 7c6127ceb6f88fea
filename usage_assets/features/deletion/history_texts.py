"""Replaces texts that name a person in Dagster's own history: its SQLite files and its logs.

Deleting history by age is in history.py.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from usage_assets.config.settings import SettingsError
from usage_assets.core.forgotten import Person
from usage_assets.dagster_internals.storage import SQLITE_BUSY_TIMEOUT_SECONDS
from usage_assets.features.deletion.history import History

_SQLITE = b"SQLite format 3\0"
_BESIDE = ("-wal", "-shm", "-journal")
_PIECE, _OVERLAP = 16 << 20, 1 << 10


@dataclass(frozen=True)
class Named:
    """Where a person is in the history."""

    rows: Mapping[Path, int]
    """SQLite file -> rows; none where only free space of the file has the bytes."""
    logs: list[Path]


def find_texts(instance: dg.DagsterInstance, person: Person) -> Named:
    """Find what names the person: in rows, in space that is free, in logs. Raises SettingsError."""
    rows: dict[Path, int] = {}
    logs: list[Path] = []
    for file in _files(instance):
        if not _is_sqlite(file):
            if person.in_text(text := _text(file)) != text:
                logs.append(file)
        elif _has_bytes(file, person) | bool(count := _in_rows(file, person)):
            rows[file] = count
    return Named(rows, logs)


def replace_texts(named: Named, person: Person) -> None:
    """Replace what names the person, and leave no byte of it in the files. Raises SettingsError."""
    for file in named.rows:
        _in_rows(file, person, is_replaced=True)
    for file in named.logs:
        replace_in_file(file, person)


def replace_in_file(file: Path, person: Person) -> None:
    """Rewrite a text file where it is: a process may be writing to it."""
    file.write_text(person.in_text(_text(file)), encoding="utf-8", errors="surrogateescape", newline="")


def _files(instance: dg.DagsterInstance) -> Iterator[Path]:
    history, root = History.of(instance), Path(instance.root_directory)
    if not history.is_in_files:
        raise SettingsError("Dagster's history is not in SQLite files: nobody can be forgotten there")
    folders = {file.parent for file in history.files} | {root / "logs", Path(instance.storage_directory())}
    found = {file for folder in folders for file in folder.rglob("*")} | {*root.glob("*.log")}
    yield from sorted(file for file in found if file.is_file() and not file.name.endswith(_BESIDE))


def _is_sqlite(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(_SQLITE)) == _SQLITE


def _text(file: Path) -> str:
    with file.open(encoding="utf-8", errors="surrogateescape", newline="") as opened:
        return opened.read()


def _has_bytes(file: Path, person: Person) -> bool:
    """Whether the file, or what SQLite keeps beside it, has the bytes anywhere: also where rows were deleted."""
    needles = [needle.encode() for needle in person.needles]
    for each in (file, *(file.with_name(file.name + end) for end in _BESIDE)):
        if each.exists():
            with each.open("rb") as opened:
                before = b""
                while piece := opened.read(_PIECE):
                    lowered = (before + piece).lower()
                    if any(needle in lowered for needle in needles):
                        return True
                    before = piece[-_OVERLAP:]
    return False


def _in_rows(file: Path, person: Person, *, is_replaced: bool = False) -> int:
    """Count the rows of a file that name the person, or replace what names them there."""

    def without_them(value: Any) -> Any:
        lowered = value.lower() if isinstance(value, str) else ""
        return person.in_text(value) if any(needle in lowered for needle in person.needles) else value

    count = 0
    try:
        with closing(sqlite3.connect(file, timeout=SQLITE_BUSY_TIMEOUT_SECONDS, isolation_level=None)) as database:
            database.create_function("without_them", 1, without_them, deterministic=True)
            for (table,) in database.execute("select name from sqlite_master where type = 'table'").fetchall():
                columns = [f'"{name}"' for _, name, *_ in database.execute(f'pragma table_info("{table}")').fetchall()]
                differs = " or ".join(f"{column} is not without_them({column})" for column in columns)
                sets = ", ".join(f"{column} = without_them({column})" for column in columns)
                if is_replaced:
                    database.execute(f'update "{table}" set {sets} where {differs}')
                else:
                    query = f'select count(*) from "{table}" where {differs}'
                    count += database.execute(query).fetchone()[0]
            if is_replaced:
                database.execute("vacuum")
                [is_busy] = database.execute("pragma wal_checkpoint(truncate)").fetchone()[:1]
                if is_busy:
                    raise sqlite3.OperationalError("another process is reading it")
    except sqlite3.OperationalError as error:
        raise SettingsError(f"{file}: {error}: stop Dagster and run this again") from None
    return count

"""A warehouse file whose writers can die: what is on the disk at that moment is what the next one finds.

The file stays open in between, because opening and closing it costs three times as much as replacing a few days.
"""

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import duckdb
import pytest

from usage_assets.warehouse.database import Warehouse

_TABLES = "select schema_name || '.' || table_name as name from duckdb_tables() where not temporary"


class Killed(BaseException):
    """The process is no more: no handler of the product catches this."""


class Moment(Enum):
    """When a process dies, if not before its n-th step."""

    BEFORE_COMMIT = "before commit"
    AFTER_COMMIT = "after commit"


class Mortal:
    """A connection whose process dies at a moment, or before its n-th step: at the latest after its commit."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, moment: Moment | int, on_death: Callable[[], None]
    ) -> None:
        self.connection, self.moment, self.on_death = connection, moment, on_death
        self.steps = 0
        self.has_committed = False

    def __getattr__(self, name: str) -> Any:
        if name in ("begin", "register", "execute"):
            self.steps += 1
            if self.steps == self.moment:
                self.die()
        return getattr(self.connection, name)

    def commit(self) -> None:
        """Commit and die, or die before."""
        if self.moment is not Moment.BEFORE_COMMIT:
            self.connection.commit()
            self.has_committed = True
        self.die()

    def die(self) -> None:
        """End here."""
        self.on_death()
        raise Killed


class WarehouseFile:
    """The file, and the warehouse on it."""

    def __init__(self, path: Path) -> None:
        self.paths = (path, path.with_name(f"{path.name}.wal"))
        self.warehouse = Warehouse(database=str(path))
        self._hold()

    def _hold(self) -> None:
        self.held = self.warehouse._open()
        self.held.execute("set threads = 1")  # for all connections: the days are too small for two

    def close(self) -> None:
        """Let go of the file."""
        self.held.close()

    def reopen(self) -> None:
        """Read everything from the disk again."""
        self.close()
        self._hold()

    def read(self, query: str) -> list[dict[str, Any]]:
        """What is committed, as rows."""
        found = self.held.execute(query)
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def tables(self) -> list[str]:
        """Every table that exists."""
        return [row["name"] for row in self.read(_TABLES)]

    def killed_at(self, moment: Moment | int, write: Callable[[], object], *, abruptly: bool) -> bool:
        """Let a write die (see Mortal); returns whether it had committed.

        If it dies abruptly, nothing reaches the disk that is done afterwards: no rollback, no checkpoint.
        """
        disk: dict[Path, bytes] = {}
        process = Mortal(
            self.warehouse._open(),
            moment,
            lambda: disk.update((path, path.read_bytes()) for path in self.paths if path.exists()),
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Warehouse, "_open", lambda _: process)
            with pytest.raises(Killed):
                write()
        if abruptly:
            self.close()
            for path in self.paths:
                path.unlink(missing_ok=True)
            for path, content in disk.items():
                path.write_bytes(content)
            self._hold()
        return process.has_committed

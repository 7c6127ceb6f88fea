"""What readers open: the published copy of a database file. ``database.py`` writes the file, ``published.py`` the copy.

`usage-assets query` loads this module without what writing needs: that takes longer to import than most queries take.
"""

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from usage_assets.core.errors import first_line
from usage_assets.core.warehouse_address import WarehouseAddress
from usage_assets.warehouse.errors import WarehouseError
from usage_assets.warehouse.spilling import spilling

SESSION = "set TimeZone = 'UTC'; set enable_progress_bar = false; set streaming_buffer_size = '1TB'"
"""For each connection. Where Python runs no file (``python -c``, a notebook), DuckDB would draw a bar on stdout during
a query of more than two seconds, in the middle of what a command prints. DuckDB 1.5 can wait forever for itself where a
union is larger than the buffer (https://github.com/duckdb/duckdb/issues/22215)."""
ONE_THREAD = "set threads = 1"
"""For whoever reads much: two threads took 23 instead of 19 CPU s for the report of a large company."""
NOT_PUBLISHED = "does not exist yet: a run makes it when it ends, or with the first rows of usage-assets backfill --due"
"""What is said of a published copy that is missing."""
FAILED = (duckdb.Error, UnicodeDecodeError, OverflowError)
"""What a statement of somebody else may raise (``text_of``)."""


@dataclass(frozen=True, kw_only=True)
class ReadableFile:
    """The DuckDB file, for whoever only reads what is published of it."""

    database: str

    @property
    def published(self) -> Path:
        """Where the copy is that people read (published.py)."""
        path = Path(self.database)
        return path.with_name(f"{path.stem}-latest.duckdb")

    @contextmanager
    def reading(self, moment: datetime | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a connection to one state, for whoever only reads: no writer waits for it, and it waits for none.

        That is the published copy, or the newest state of a lake; with a ``moment``, what a lake held then. Raises
        WarehouseError where nothing is published, or that state is not kept. A mistake in a query is a duckdb.Error.
        """
        if moment:
            raise WarehouseError(
                f"{self.database}: a file holds only its newest state, past ones are in a lake "
                "(extensions/lake/README.md); ledger.restatements says how totals have changed"
            )
        with self._opened(str(self.published), read_only=True) as connection:
            connection.execute(SESSION)
            yield connection

    @contextmanager
    def reading_apart(self, catalog: str = "usage") -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a connection whose settings may be locked. DuckDB has one instance for all connections of a process to
        a file, and a lock is of the instance: a second connection could not be set up."""
        attach = f"attach {quoted(str(self.published))} as {catalog} (read_only); use {catalog}"
        with self._opened(":memory:", attach) as connection:
            connection.execute(SESSION)
            yield connection

    def _opened(self, database: str, attach: str = "", *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
        """Open the copy. Raises WarehouseError where there is none, or it cannot be read."""
        try:
            self._require_published()
            connection = duckdb.connect(database, read_only=read_only, config=spilling())
            connection.execute(attach or "select 1")
        except (duckdb.Error, OSError) as error:
            reason = first_line(error)
            way_out = f"{'move the folder away, and ' if self.published.is_dir() else ''}the next run makes it again"
            if isinstance(error, OSError) or not os.access(self.published, os.R_OK):
                reason, way_out = "you may not read it", "who may is said in docs/operations.md"
            raise WarehouseError(f"{self.published}: {reason}: {way_out}") from None
        return connection

    def _require_published(self) -> None:
        """Raise WarehouseError where nothing is published."""
        if self.published.exists():
            return
        path = Path(self.database)
        if path.stem.endswith("-latest"):
            original = path.with_name(f"{path.stem.removesuffix('-latest')}.duckdb")
            raise WarehouseError(f"{path}: is the published copy; USAGE_WAREHOUSE names the database: {original}")
        raise WarehouseError(f"{self.published}: {NOT_PUBLISHED}. USAGE_WAREHOUSE names the database")


def without_costs(database: duckdb.DuckDBPyConnection, reason: str = "") -> WarehouseError | None:
    """Return what to say where no costs were ever computed: the first rows are published before them. Else None."""
    try:
        database.execute("describe costs.daily_costs")
    except duckdb.CatalogException:
        how = "wait until the run under way ends, or start usage-assets backfill --due"
        return WarehouseError(f"no costs are stored yet: {how}{reason and f' ({reason})'}")
    return None


def reading_at(address: WarehouseAddress, moment: datetime | None) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
    """``reading`` of the warehouse at an address."""
    if not address.is_lake:
        return ReadableFile(database=str(address.file)).reading(moment)
    from usage_assets.warehouse.opened import warehouse_at  # noqa: PLC0415 - a file needs nothing of it

    return warehouse_at(address).reading(moment)


def quoted(text: str) -> str:
    """Text as SQL."""
    return "'" + text.replace("'", "''") + "'"


def without_version(comment: str | None) -> str:
    """Return the comment of a table or view without the digest that ``views.py`` notes at its end."""
    return re.sub(r" ?\[[0-9a-f]{12}\]$", "", comment or "")

"""The warehouse that answers come from: opened once for each state of it, locked, and read by one question at a time.

A question of an assistant is asked on the views of what it may see (``sight.py``). What the product computes itself
reads the warehouse behind them, and says no more than the assistant may see.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import duckdb

from usage_assets.core.cage import Cage, Limits
from usage_assets.core.warehouse_address import WarehouseAddress
from usage_assets.warehouse.errors import WarehouseError
from usage_assets.warehouse.readable import ONE_THREAD, ReadableFile, without_costs
from usage_assets_assistant.mcp.sight import KEY, Sight
from usage_assets_assistant.query.untrusted import LOCK, Relation, limited, read_by

if TYPE_CHECKING:
    from usage_assets.warehouse.database import Warehouse

MACRO = """
select parameters, macro_definition
from duckdb_functions()
where database_name = $catalog and schema_name = $schema and function_name = $name
"""
SECONDS, SECONDS_OF_QUERY = 50, 10
"""After which what the product computes is interrupted, and what an assistant wrote: clients wait for a minute."""
LIMITS = Limits(cpu_seconds=11, wall_seconds=30, memory_bytes=2_400 << 20, open_files=256)
"""Of what an assistant wrote, where DuckDB does not keep to its own: within a function over one long text. The time
includes that of starting the process."""
STORED, LAKE = "warehouse", "lake"
"""The catalog with what is stored, of a file and of a lake."""
SEEN, WHOLE = "memory", "seen_whole"
"""The catalogs of views: as the assistant sees them, and with people, for what adds up people and shows none."""
MEMORY = "set memory_limit = '2GB'"
LOST = (duckdb.IOException, duckdb.FatalException, duckdb.InternalException, duckdb.TransactionException)
"""After which a connection may be of no use: a catalog's server has ended it, files are gone, a token has expired."""
COLUMNS = """
select lower(schema_name), lower(table_name), column_name, data_type
from duckdb_columns()
where database_name = $catalog and not internal
order by schema_name, table_name, column_index
"""


class Opened:
    """One state of the warehouse. Not for two threads at once."""

    def __init__(self, database: duckdb.DuckDBPyConnection, catalog: str, sight: Sight, state: object) -> None:
        self.database, self.catalog, self.sight, self.state = database, catalog, sight, state
        self.known: dict[str, Any] = {}
        """What was computed of this state before, by name."""
        self._made: set[tuple[str, Relation]] = set()
        database.execute(f"attach ':memory:' as {WHOLE}")
        database.execute(f"set variable {KEY} = $key", {"key": sight.key})

    @cached_property
    def columns(self) -> Mapping[Relation, Mapping[str, str]]:
        """The columns of each table and view, with their types."""
        found: dict[Relation, dict[str, str]] = {}
        for schema, table, column, type_ in self.database.execute(COLUMNS, {"catalog": self.catalog}).fetchall():
            found.setdefault((schema, table), {})[column] = type_
        return found

    @cached_property
    def offered(self) -> Mapping[Relation, Mapping[str, str]]:
        """The tables and views that an assistant may ask for, with the columns that it sees of them."""
        return {
            relation: {
                name: type_
                for name, type_ in columns.items()
                if self.sight.column_sql(name, type_, columns) is not None
            }
            for relation, columns in self.columns.items()
            if self.sight.offers(relation) and self.sight.condition(relation, columns) is not None
        }

    def allow(self, sql: str, *, is_ours: bool = False) -> None:
        """Make the views that a SELECT reads. Raises WarehouseError for anything else, and for what is not offered,
        unless it is one of ours: it joins what says more to rows that are seen."""
        for relation in read_by(sql, self.columns.keys()):
            if not (is_ours or self.sight.offers(relation)):
                raise WarehouseError(
                    f"{'.'.join(relation)} is not offered: describe lists the tables and views that are"
                )
            self._make(SEEN, relation, self.sight)

    def seen(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """Return a connection to what the assistant sees."""
        return self._using(SEEN, SECONDS_OF_QUERY)

    def stored(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """Return a connection to all that is stored."""
        return self._using(self.catalog)

    def whole(self, *schemas: str) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """Return a connection to the seen connections, with their people and teams: for sums that name neither."""
        if not self.sight.connections:
            return self.stored()
        sight = Sight(people="names", connections=self.sight.connections)
        for relation, columns in self.columns.items():
            if relation[0] in schemas and sight.condition(relation, columns) is not None:
                self._make(WHOLE, relation, sight)
        self._make_macro(WHOLE, "costs", "compared_days")
        return self._using(WHOLE)

    def _make(self, catalog: str, relation: Relation, sight: Sight) -> None:
        if (catalog, relation) not in self._made:
            schema, name = relation
            view = sight.view_of(relation, self.columns[relation], self.catalog)
            self.database.execute(f"create schema if not exists {catalog}.{schema}")
            self.database.execute(f"create or replace view {catalog}.{schema}.{name} as {view}")
            self._made.add((catalog, relation))

    def _make_macro(self, catalog: str, schema: str, name: str) -> None:
        """Make a macro without defaults: it reads the views of the catalog that is used."""
        if (catalog, (schema, name)) in self._made:
            return
        asked = {"catalog": self.catalog, "schema": schema, "name": name}
        if found := self.database.execute(MACRO, asked).fetchone():
            made = f"{catalog}.{schema}.{name}({', '.join(found[0])})"
            self.database.execute(f"create or replace macro {made} as table {found[1]}")
            self._made.add((catalog, (schema, name)))

    @contextmanager
    def _using(self, catalog: str, seconds: float = SECONDS) -> Iterator[duckdb.DuckDBPyConnection]:
        self.database.execute(f"use {catalog}")
        with limited(self.database, seconds):
            try:
                yield self.database
            except duckdb.InterruptException:
                raise WarehouseError(f"not answered in {seconds} s: ask for fewer days or rows") from None


@dataclass
class Store:
    """The warehouse at an address, as it is at each question."""

    address: WarehouseAddress
    sight: Sight
    _lock: Lock = field(default_factory=Lock)
    _stack: ExitStack = field(default_factory=ExitStack)
    _opened: Opened | None = None

    @contextmanager
    def opened(self) -> Iterator[Opened]:
        """Yield the newest state. Raises WarehouseError where nothing is stored or published."""
        with self._lock:
            state = self._state()
            if self._opened is None or self._opened.state != state:
                self._close()
                self._opened = self._open(state)
            if self.address.is_lake:
                self._opened.database.execute("set variable usage_now = $now", {"now": datetime.now(UTC)})
            try:
                yield self._opened
            except Exception as error:
                if is_of(error, *LOST):  # whatever is stored is as it was: the next question opens it again
                    self._close()
                raise

    @cached_property
    def cage(self) -> Cage:
        """The process in which an assistant's SQL runs. It opens the warehouse for itself (``caged.py``)."""
        setup = {"address": asdict(self.address), "sight": asdict(self.sight)}
        given = os.environ if self.address.is_lake else {}  # the catalog's password, the keys of an object store
        return Cage(Path(__file__).with_name("caged.py"), setup, LIMITS, "the query", [*sys.path], given)

    def interrupt(self) -> None:
        """End what runs."""
        if opened := self._opened:
            opened.database.interrupt()
        self.cage.kill()

    def close(self) -> None:
        """Close what is open."""
        self.cage.close()
        self._close()

    def _close(self) -> None:
        self._opened = None
        self._stack.close()

    def _state(self) -> object:
        """Return what differs between two states."""
        if self.address.is_lake:
            return self._lake().fingerprint
        file = self._file
        if not file.published.exists():
            with file.reading():  # which says why there is none
                pass
        stat = file.published.stat()
        return stat.st_ino, stat.st_mtime_ns, stat.st_size

    def _open(self, state: object) -> Opened:
        is_lake = self.address.is_lake
        reading = self._lake().reading() if is_lake else self._file.reading_apart(STORED)
        database = self._stack.enter_context(reading)
        database.execute(f"{ONE_THREAD}; {MEMORY}")
        if refusal := without_costs(database):
            self._close()
            raise refusal
        opened = Opened(database, LAKE if is_lake else STORED, self.sight, state)
        if not is_lake:
            database.execute(LOCK)
        return opened

    def _lake(self) -> "Warehouse":
        from usage_assets.warehouse.opened import warehouse_at  # noqa: PLC0415 - a file needs nothing of it

        return warehouse_at(self.address)

    @property
    def _file(self) -> ReadableFile:
        return ReadableFile(database=str(self.address.file))


def is_of(error: BaseException | None, *kinds: type[BaseException]) -> bool:
    """Whether an error, or what it was raised for, is of one of these kinds."""
    while error is not None and not isinstance(error, kinds):
        error = error.__context__
    return error is not None

"""What a process has found to be as declared in the database file that it holds: it need not look again.

To look takes a third of a millisecond for a table, and a run would look 600 times.
"""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import duckdb


@dataclass
class _Found:
    connection: duckdb.DuckDBPyConnection
    things: set[Hashable]
    is_altered: bool = False
    """Whether this connection has made or altered something: what it finds from then on may never be committed."""


_FOUND: ContextVar[_Found | None] = ContextVar("found", default=None)


@contextmanager
def finding(connection: duckdb.DuckDBPyConnection, things: set[Hashable]) -> Iterator[None]:
    """Keep what is found in here with a connection. Nobody else may alter the database while ``things`` is in use."""
    token = _FOUND.set(_Found(connection, things))
    try:
        yield
    finally:
        _FOUND.reset(token)


def is_found(connection: duckdb.DuckDBPyConnection, thing: Hashable) -> bool:
    """Whether a table, a view, what a query computes, or the release that has used all of it was found to be fine."""
    found = _of(connection)
    return found is not None and thing in found.things


def note_found(connection: duckdb.DuckDBPyConnection, thing: Hashable) -> None:
    """Note that it is as declared."""
    found = _of(connection)
    if found and not found.is_altered:
        found.things.add(thing)


def note_altered(connection: duckdb.DuckDBPyConnection) -> None:
    """Note that this connection has made or altered a table or view."""
    if found := _of(connection):
        found.is_altered = True


def _of(connection: duckdb.DuckDBPyConnection) -> _Found | None:
    """Return what is kept for this connection, which need not be the one that was opened last."""
    found = _FOUND.get()
    return found if found and found.connection is connection else None

"""What a process has found to be as declared in the database file that it has open: it need not look again.

To look takes a third of a millisecond for a table, and a run would look 600 times.
"""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb


@dataclass
class _Found:
    things: set[Hashable]
    is_altered: bool = False
    """Whether this connection has made or altered something: what it finds from then on may never be committed."""


_FOUND: dict[int, _Found] = {}
"""By the id of an open connection."""


@contextmanager
def finding(connection: duckdb.DuckDBPyConnection, things: set[Hashable]) -> Iterator[None]:
    """Keep what is found in here with a connection. Nobody else may alter the database while ``things`` is in use."""
    _FOUND[id(connection)] = _Found(things)
    try:
        yield
    finally:
        del _FOUND[id(connection)]


def is_found(connection: duckdb.DuckDBPyConnection, thing: Hashable) -> bool:
    """Whether a table, a view, what a query computes, or the release that has used all of it was found to be fine."""
    found = _FOUND.get(id(connection))
    return found is not None and thing in found.things


def note_found(connection: duckdb.DuckDBPyConnection, thing: Hashable) -> None:
    """Note that it is as declared."""
    found = _FOUND.get(id(connection))
    if found and not found.is_altered:
        found.things.add(thing)


def note_altered(connection: duckdb.DuckDBPyConnection) -> None:
    """Note that this connection has made or altered a table or view: all of them are looked for again."""
    if found := _FOUND.get(id(connection)):
        found.is_altered = True
        found.things.clear()

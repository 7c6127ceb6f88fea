"""What is between us and PostgreSQL: behind a pooler, a lock may hold nobody off.

A pooler in transaction mode gives the session of one client to another one between two statements. Then both have the
advisory locks of that session (pgbouncer 1.18).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Literal

import psycopg

Session = psycopg.Connection[Any]
Pooling = Literal["none", "session", "transaction"]
LOOKS = 4
REFUSED = (
    "is reached through a pooler in transaction mode, where two processes get the same lock and lose rows: name "
    "PostgreSQL itself, or a pooler in session mode"
)
WARNED = (
    "is reached through a pooler in session mode: each lock and each run takes one of its connections, and a lock of a "
    "lost process is held until the pooler notices; PostgreSQL itself is better"
)


def pooling_of(one: Session, open_session: Callable[[], AbstractContextManager[Session]]) -> Pooling:
    """Return whether a session is PostgreSQL's own, or that of a pooler, and whether it is ours alone."""
    if one.info.backend_pid == _backend(one):
        return "none"
    with open_session() as other:
        seen = [(_backend(one), _backend(other)) for _ in range(LOOKS)]
    ours, others = map(set, zip(*seen, strict=True))
    return "session" if len(ours) == len(others) == 1 and ours != others else "transaction"


def _backend(session: Session) -> int:
    """Return the process that answers a session."""
    [(pid,)] = session.execute("select pg_backend_pid()").fetchall()
    return int(pid)

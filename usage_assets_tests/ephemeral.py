"""Cheaper instances in memory: a conftest.py that imports the fixture has them in all of its folder's tests."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from dagster._core.storage import event_log
from sqlalchemy import Connection

from usage_assets.local.bulk_events import BATCH, BATCH_SIZE, BulkEventLogStorage


class EphemeralEventLog(BulkEventLogStorage, event_log.InMemoryEventLogStorage):
    """The product's event log in memory, where Dagster's own connects for each statement."""

    def __init__(self, preload: Any = None) -> None:
        super().__init__(preload=preload)
        self._db_lock: Any = threading.RLock()  # a batch holds the connection, and what it calls asks for it again

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        if threading.current_thread() is not threading.main_thread():  # the connection is that of the main thread
            with super()._connect() as connection:
                yield connection
            return
        with self._db_lock:
            if self._held_conn.in_transaction():
                yield self._held_conn
                return
            with self._held_conn.begin():
                yield self._held_conn


@pytest.fixture(scope="session", autouse=True)
def ephemeral_instances_keep_their_connection() -> Iterator[None]:
    """Let instances in memory store events as those of a user do: a run of many days writes thousands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_log, "InMemoryEventLogStorage", EphemeralEventLog)
        patch.setenv(BATCH, str(BATCH_SIZE))
        yield

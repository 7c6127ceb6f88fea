"""Cheaper instances in memory: a conftest.py that imports the fixture has them in all of its folder's tests."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from dagster._core.storage.event_log.in_memory import InMemoryEventLogStorage
from sqlalchemy import Connection


@pytest.fixture(scope="session", autouse=True)
def ephemeral_instances_keep_their_connection() -> Iterator[None]:
    """An instance in memory connects for each statement; a run of one asset makes hundreds."""
    connect = InMemoryEventLogStorage._connect

    @contextmanager
    def connected(storage: InMemoryEventLogStorage) -> Iterator[Connection]:
        if threading.current_thread() is not threading.main_thread():  # the connection is that of the main thread
            with connect(storage) as connection:
                yield connection
            return
        with storage._db_lock, storage._held_conn.begin():
            yield storage._held_conn

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InMemoryEventLogStorage, "_connect", connected)
        yield

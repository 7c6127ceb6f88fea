"""Processes of tests, and what they hold."""

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess
from typing import Any

from usage_assets.warehouse.database import Warehouse
from usage_assets_tests.forks import FORKS


def in_process(target: Any, *args: Any) -> int | None:
    """Run a function in a process of its own and return its exit code."""
    with child(target, *args) as process:
        process.join(60)
        return process.exitcode


@contextmanager
def child(target: Any, *args: Any) -> Iterator[BaseProcess]:
    """A process that runs a function, killed at the end if it has not ended."""
    process = FORKS.Process(target=target, args=args)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def hold(database: str, pipe: Pipe) -> None:
    with Warehouse(database=database).get_connection():
        pipe.send("held")
        pipe.recv()


@contextmanager
def held_by_another(database: str) -> Iterator[BaseProcess]:
    """A process that has the file open."""
    ours, theirs = FORKS.Pipe()
    with child(hold, database, theirs) as process:
        assert ours.recv() == "held"
        yield process
        ours.send("enough")
        process.join(60)

"""Threads of long work: those that do it, and one that calls a function every few seconds until it has ended."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Thread

SECONDS_BETWEEN_LINES = 5
"""Between two lines of a run's log while a fetch, write or push takes long."""


@contextmanager
def threads(most: int, name: str = "") -> Iterator[ThreadPoolExecutor]:
    """A pool. After an error it starts nothing more and waits for what has begun; after an interrupt for nothing."""
    pool = ThreadPoolExecutor(most, name)
    try:
        yield pool
    except BaseException as error:
        pool.shutdown(wait=isinstance(error, Exception), cancel_futures=True)
        raise
    pool.shutdown()


@contextmanager
def every(seconds: float, call: Callable[[], object]) -> Iterator[None]:
    """While the block runs, call ``call`` every ``seconds`` in a thread; the first time after ``seconds``."""
    ended = Event()

    def repeat() -> None:
        while not ended.wait(seconds):
            call()

    thread = Thread(target=repeat, name="every", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def log_progress(log: Callable[[str], object], what: str) -> Iterator[Callable[[str], None]]:
    """While the block runs, log every few seconds which step it is at. Yields the function that sets the step.

    A block that ends before the first line logs nothing. Dagster shows the loggers of this package in the run's log.
    """
    at = ["beginning"]
    with every(SECONDS_BETWEEN_LINES, lambda: log(f"{what}: {at[-1]}")):
        yield at.append

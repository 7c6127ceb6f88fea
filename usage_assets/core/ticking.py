"""How long work shows that it goes on: something is called every few seconds, until the work has ended."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

SECONDS_BETWEEN_LINES = 5
"""Of what a run logs while one thing takes long."""


@contextmanager
def every(seconds: float, call: Callable[[], object]) -> Iterator[None]:
    """Call it every so many seconds, in a thread of its own, while the block runs; first after that time."""
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
def told(log: Callable[[str], object], what: str) -> Iterator[Callable[[str], None]]:
    """Log what long work is at, in a line every few seconds; yields the function that notes what that is.

    What ends before is not told of. Loggers of this package show in the log of the run.
    """
    at = ["beginning"]
    with every(SECONDS_BETWEEN_LINES, lambda: log(f"{what}: {at[-1]}")):
        yield at.append

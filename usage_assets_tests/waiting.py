"""Waiting for what another process does."""

import time
from collections.abc import Callable, Iterator


def looks(seconds: float = 30) -> Iterator[None]:
    """Times to look again, until it is too late."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        time.sleep(0.05)


def until(is_so: Callable[[], bool], what: str) -> None:
    """Return as soon as it is so."""
    assert any(is_so() for _ in looks()), f"too late: {what}"

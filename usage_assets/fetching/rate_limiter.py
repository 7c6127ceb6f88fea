"""The rate limit of one connection, over all its threads."""

import time
from threading import Event, Lock

SLOWEST_SECONDS = 60.0
QUIET_SECONDS = 60.0
"""So long without a 429, and the rate doubles again."""


class RateLimiter:
    """Spaces requests evenly. A 429 holds all of them and halves the rate, so that refusals do not multiply: one
    connector without this had 492 of them in a run and loaded nothing. Each quiet minute undoes one halving."""

    def __init__(self, requests_per_second: float) -> None:
        self._configured = self._seconds = 1 / requests_per_second
        self._quiet_since = 0.0
        self._next = 0.0
        self._held_until = 0.0
        self._lock = Lock()

    def wait(self, stop: Event) -> None:
        """Return when the next request may be made, or at once when ``stop`` is set."""
        with self._lock:
            now = time.monotonic()
            self._recover(now)
            turn = max(now, self._next)
            self._next = turn + self._seconds
        if turn > now:
            stop.wait(turn - now)

    def penalize(self, seconds: float) -> None:
        """Make no request for so long, and half as many a second afterwards (halved once per hold)."""
        with self._lock:
            now = time.monotonic()
            if now >= self._held_until:
                self._seconds = min(2 * self._seconds, SLOWEST_SECONDS)
            self._held_until = max(self._held_until, now + seconds)
            self._next = max(self._next, self._held_until)
            self._quiet_since = self._held_until

    def _recover(self, now: float) -> None:
        while self._seconds > self._configured and now - self._quiet_since >= QUIET_SECONDS:
            self._seconds = max(self._seconds / 2, self._configured)
            self._quiet_since += QUIET_SECONDS

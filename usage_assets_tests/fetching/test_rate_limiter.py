"""Requests are spaced, and a 429 holds and slows all threads of a connection."""

from threading import Event

import pytest

from usage_assets.fetching.rate_limiter import RateLimiter


class Clock(Event):
    """A clock that stands still unless somebody waits for this event."""

    now = 1000.0

    def wait(self, timeout: float | None = None) -> bool:
        """Let the time pass."""
        self.now += timeout or 0
        return False

    def spacing(self, pace: RateLimiter) -> float:
        """Seconds between two requests of now."""
        pace.wait(self)
        first = self.now
        pace.wait(self)
        return self.now - first


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What the pace sees as the time."""
    clock = Clock()
    monkeypatch.setattr("usage_assets.fetching.rate_limiter.time.monotonic", lambda: clock.now)
    return clock


def test_a_refusal_holds_everyone_and_halves_the_rate_once(clock: Clock) -> None:
    pace = RateLimiter(100)
    for _ in range(4):  # four threads are refused at the same time
        pace.penalize(0.2)
    begun = clock.now
    pace.wait(clock)
    assert clock.now - begun == pytest.approx(0.2)
    assert clock.spacing(pace) == pytest.approx(0.02)


def test_every_quiet_minute_doubles_the_rate_until_it_is_the_configured_one(clock: Clock) -> None:
    pace = RateLimiter(2)
    for _ in range(3):
        pace.penalize(10)
        clock.wait(10)
    spacings = []
    for _ in range(5):
        spacings.append(clock.spacing(pace))
        clock.wait(60 - spacings[-1])
    assert spacings == pytest.approx([4, 2, 1, 0.5, 0.5])


def test_a_minute_is_quiet_only_after_the_hold_and_without_another_refusal(clock: Clock) -> None:
    pace = RateLimiter(2)
    pace.penalize(120)
    clock.wait(150)
    assert clock.spacing(pace) == pytest.approx(1)
    pace.penalize(0)
    clock.wait(40)
    assert clock.spacing(pace) == pytest.approx(2)
    clock.wait(600)
    assert clock.spacing(pace) == pytest.approx(0.5)

"""Requests are spaced, and a 429 holds and slows all threads of a connection."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from usage_assets.providers.pace import Pace


def seconds_for(pace: Pace, requests: int, threads: int = 4) -> float:
    """How long so many requests of several threads take."""
    started = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: pace.wait(Event()), range(requests)))
    return time.monotonic() - started


def test_requests_of_all_threads_are_spaced() -> None:
    assert seconds_for(Pace(100), 21) >= 0.2


def test_a_refusal_holds_everyone_and_halves_the_rate_once() -> None:
    pace = Pace(100)
    for _ in range(4):  # four threads are refused at the same time
        pace.hold(0.2)
    assert seconds_for(pace, 1) >= 0.2
    assert 0.2 <= seconds_for(pace, 11) < 0.8


def test_a_stop_ends_the_wait() -> None:
    pace, stop = Pace(100), Event()
    pace.hold(60)
    stop.set()
    started = time.monotonic()
    pace.wait(stop)
    assert time.monotonic() - started < 30

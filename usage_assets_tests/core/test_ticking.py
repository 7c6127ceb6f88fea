"""Long work is told of every few seconds, short work never."""

import pytest

from usage_assets.core import ticking
from usage_assets.core.ticking import SECONDS_BETWEEN_LINES, every, log_progress
from usage_assets_tests.core.clocks import LongUntilTheEnd


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> type[LongUntilTheEnd]:
    """The clock of the blocks."""
    monkeypatch.setattr(LongUntilTheEnd, "pauses", [])
    monkeypatch.setattr(ticking, "Event", LongUntilTheEnd)
    return LongUntilTheEnd


def test_it_is_called_after_each_pause(clock: type[LongUntilTheEnd]) -> None:
    calls: list[int] = []
    with every(7, lambda: calls.append(1)):
        assert not calls
    assert clock.pauses == [7, 7]
    assert len(calls) == 1


def test_what_is_told_is_what_was_noted_last(clock: type[LongUntilTheEnd]) -> None:
    lines: list[str] = []
    with log_progress(lines.append, "openai.costs") as note:
        note("storing")
        note("verifying")
    assert lines == ["openai.costs: verifying"]
    assert clock.pauses == [SECONDS_BETWEEN_LINES] * 2

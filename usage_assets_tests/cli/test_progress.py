"""How far a backfill is: one bar on a terminal, a line where none has come for a while elsewhere."""

from dataclasses import dataclass, replace
from io import StringIO

from rich.console import Console

from usage_assets.cli.progress import AssetProgress, Display
from usage_assets.core.days import Window
from usage_assets_tests.fixtures import last_days
from usage_assets_tests.loaded import loaded_by

DAYS = last_days(100)
COSTS = AssetProgress("openai/costs", Window(DAYS[0], DAYS[-1]))
USERS = AssetProgress("openai/users", None)


@dataclass
class Clock:
    """A clock that stands still."""

    now: float = 1000

    def __call__(self) -> float:
        """The time."""
        return self.now


class Watched:
    """A display and what it has printed."""

    def __init__(self, *, has_bar: bool = False) -> None:
        self.printed, self.clock = StringIO(), Clock()
        console = Console(file=self.printed, force_terminal=has_bar, width=120)
        self.display = Display(console, has_bar=has_bar, clock=self.clock)

    def wait(self, seconds: float) -> list[str]:
        """Let time pass, look, and return the lines that have come."""
        before = len(self.printed.getvalue())
        self.clock.now += seconds
        self.display.look()
        return self.printed.getvalue()[before:].splitlines()

    def store(self, days: int) -> None:
        """Store days of costs."""
        for number in range(days):
            self.display.show(replace(COSTS, days=number + 1))


def test_the_time_left_follows_from_the_rate_since_the_first_day_began() -> None:
    watched = Watched()
    watched.display.plan(300)
    watched.display.show(USERS)
    watched.wait(1000)
    assert watched.display.how_far() == "0/300 days of assets, 0 requests", "lookups have no days"
    watched.display.show(COSTS)
    watched.wait(10)
    watched.store(100)
    watched.display.count_request()
    assert watched.display.how_far() == "100/300 days of assets, 1 requests, 10/s, 0:20 left"
    watched.wait(90)
    assert watched.display.how_far() == "100/300 days of assets, 1 requests, 1.0/s, 3:20 left"


def test_without_a_terminal_a_line_comes_where_none_came_for_four_seconds() -> None:
    watched = Watched()
    watched.display.plan(300)
    watched.display.show(USERS)
    assert not watched.wait(3.9)
    assert watched.wait(0.1) == ["  0/300 days of assets, 0 requests: openai/users"]
    assert not watched.wait(3.9)
    watched.display.show(replace(USERS, rows=3, done=True))
    assert not watched.wait(3.9), "a line has come"
    assert len(watched.wait(0.1)) == 1


def test_without_a_terminal_nothing_is_said_before_it_is_known_that_the_backfill_can_begin() -> None:
    watched = Watched()
    watched.display.do("planning")
    assert not watched.wait(60)


def test_a_terminal_has_one_bar_from_the_first_moment() -> None:
    watched = Watched(has_bar=True)
    with watched.display.bar:
        assert "loading" in watched.printed.getvalue()
        watched.display.do("planning")
        watched.display.plan(300)
        watched.display.show(COSTS)
        watched.store(100)
        watched.wait(10)
        watched.display.bar.refresh()
        shown = watched.printed.getvalue()
    assert "planning" not in shown.rpartition("openai/costs")[2]
    assert shown.rstrip().endswith("100/300 days of assets, 0 requests, 10/s, 0:20 left")
    assert len(watched.display.bar.tasks) == 1


def test_the_bar_is_there_before_dagster_is_loaded() -> None:
    assert not {"dagster", "duckdb", "pyarrow", "pydantic"} & loaded_by("usage_assets.cli.backfill")

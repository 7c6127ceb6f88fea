"""The progress of a backfill, as a user sees it: a line per finished asset, and how much is done.

On a terminal, a progress bar is shown below the lines. Elsewhere, the same numbers are printed as a line after a few
seconds of silence. This module does not import Dagster, so that the bar appears before Dagster is loaded.
"""

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import date

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from usage_assets.core.days import Window
from usage_assets.core.errors import Reason
from usage_assets.core.ticking import every

SECONDS_OF_SILENCE = 4
"""How long no line may come where there is no terminal."""
SECONDS_BETWEEN_LOOKS = 0.5
COUNTS: Mapping[str, str] = {
    "requests": "requests",
    "requests_for_control": "requests for control totals",
    "requests_refused": "refused for their grouping",
    "windows_split": "for windows that this split",
    "retries": "repeated",
    "skipped": "skipped",
    "entities_sent": "entities sent",
    "entities_deleted": "entities deleted",
}
"""What an asset's metadata says of a whole run -> what people call it."""


@dataclass
class AssetProgress:
    """One asset of a part: how far it is, and what became of it."""

    asset: str
    window: Window | None
    days: int = 0
    rows: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    """Each of COUNTS."""
    done: bool = False
    failure: str = ""
    """Why it failed, in one line."""
    cause: str = ""
    """The same, without the days and ids that differ between requests."""
    days_refused: frozenset[date] = frozenset()
    """The days that it failed for, where others may succeed."""
    run_id: str = ""

    @property
    def fault(self) -> str:
        """What failures of one cause have in common."""
        return Reason(self.failure, self.cause or self.failure).fault

    def __str__(self) -> str:
        return f"{self.asset} {self.window}" if self.window else self.asset


class Display:
    """The lines, and how far it is."""

    def __init__(self, console: Console, *, has_bar: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.bar = Progress(
            TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
            BarColumn(bar_width=12),
            TextColumn("{task.fields[numbers]}", table_column=Column(no_wrap=True)),
            console=console,
            disable=not has_bar,
            expand=True,
            refresh_per_second=4,
            redirect_stdout=False,  # which may be a file
            transient=True,
        )
        self._task = self.bar.add_task("loading", total=None, numbers="")
        self._clock = clock
        self._last_line = clock()
        self._doing = "loading"
        self._planned: int | None = None
        self._days = self._requests = 0
        self._began: float | None = None
        """When the first days began: lookups have none."""
        self._failed: dict[str, AssetProgress] = {}
        """Fault -> the first that failed because of it: a reason is shown once."""

    def say(self, text: str) -> None:
        self._last_line = self._clock()
        self.bar.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def plan(self, asset_days: int) -> None:
        """Note how much there is to do."""
        self._planned = asset_days
        self.bar.update(self._task, total=asset_days)

    def do(self, what: str) -> None:
        """Note what is being done."""
        self._doing = what
        self.look()

    def count_request(self) -> None:
        """Count a request that was answered, also one that does not end in a row."""
        self._requests += 1

    def show(self, step: AssetProgress) -> None:
        if step.window and self._began is None:
            self._began = self._clock()
        if step.failure:
            first = self._failed.setdefault(step.fault, step)
            self.say(f"  {step}: FAILED: {step.failure if first is step else f'as {first}'}")
        elif step.done:
            self.say(f"  {step}: {in_words(step.days, step.rows, step.counts)}")
        elif step.days:
            self._days += 1
        else:
            self.do(step.asset)

    def look(self) -> None:
        """Show how far it is: in the bar, or as a line where none has come for a while.

        Until it is planned, bad input may still be one line, and no other.
        """
        if not self.bar.disable:
            numbers = "" if self._planned is None else self.how_far()
            self.bar.update(self._task, description=self._doing, completed=self._days, numbers=numbers)
        elif self._planned is not None and self._clock() - self._last_line >= SECONDS_OF_SILENCE:
            self.say(f"  {self.how_far()}: {self._doing}")

    def how_far(self) -> str:
        """What is done, how fast it goes and how long the rest will take at this rate."""
        parts = [f"{self._days:,}/{self._planned:,} days of assets", f"{self._requests:,} requests"]
        seconds = self._clock() - self._began if self._began is not None else 0
        if self._planned and self._days and seconds:
            rate = self._days / seconds
            minutes, rest = divmod(round((self._planned - self._days) / rate), 60)
            parts += [f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s", f"{minutes}:{rest:02} left"]
        return ", ".join(parts)


def in_words(days: int, rows: int, counts: Mapping[str, int]) -> str:
    """What was done; of what is zero, nothing is said."""
    numbers = {"days": days, "rows": rows} | {words: counts[name] for name, words in COUNTS.items()}
    return ", ".join(f"{words} {number:,}" for words, number in numbers.items() if number)


class Listener(logging.Handler):
    """Hears what the clients log: each request, and why one is repeated."""

    def __init__(self, display: Display) -> None:
        super().__init__()
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "httpx":
            self._display.count_request()
        elif record.levelno >= logging.WARNING:
            self._display.say(f"  {record.getMessage()}")


@contextmanager
def display(*, verbose: bool) -> Iterator[Display]:
    """Show a backfill on stderr; ``verbose`` leaves the bar's place to Dagster's messages."""
    shown = Display(Console(stderr=True), has_bar=sys.stderr.isatty() and not verbose)
    looking = nullcontext() if verbose else every(SECONDS_BETWEEN_LOOKS, shown.look)
    with shown.bar, looking, _listening(shown):
        yield shown


@contextmanager
def _listening(shown: Display) -> Iterator[None]:
    listener = Listener(shown)
    loggers = logging.getLogger("httpx"), logging.getLogger("usage_assets")
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(listener)
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(listener)
            logger.setLevel(level)

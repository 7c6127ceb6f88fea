"""What a person sees of a backfill while it runs: a line per asset and, on a terminal, a bar below them."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from usage_assets.assets.failures import Reason
from usage_assets.cli.backfill_plan import COUNTS, AssetProgress

STDERR = 2


class Display:
    """The lines and the bar."""

    def __init__(self, console: Console, asset_days: int) -> None:
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} days of assets"),
            TextColumn("{task.fields[requests]:,} requests"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self.bar.add_task("", total=asset_days, requests=0)
        self._requests = 0
        self._failed: dict[str, AssetProgress] = {}
        """Fault -> the first that failed because of it: a reason is shown once."""

    def say(self, text: str) -> None:
        self.bar.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def count_request(self) -> None:
        """Count a request that was answered, also one that does not end in a row."""
        self._requests += 1
        self.bar.update(self._task, requests=self._requests)

    def show(self, step: AssetProgress) -> None:
        if step.failure:
            reason = Reason(step.failure, step.cause or step.failure)
            first = self._failed.setdefault(reason.fault, step)
            self.say(f"  {step}: FAILED: {step.failure if first is step else f'as {first}'}")
        elif step.done:
            self.say(f"  {step}: {in_words(step.days, step.rows, step.counts)}")
        elif step.days:
            self.bar.advance(self._task)
        else:
            self.bar.update(self._task, description=step.asset)


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
def display(asset_days: int, *, verbose: bool) -> Iterator[Display]:
    """Show a backfill of so many partitions on stderr; ``verbose`` leaves the bar's place to Dagster's messages."""
    # Dagster keeps what a run writes to stderr as the run's own output: this writes to a copy of it.
    with os.fdopen(os.dup(STDERR), "w", encoding="utf-8") as stderr:
        shown = Display(Console(file=stderr), asset_days)
        live = shown.bar if stderr.isatty() and not verbose else nullcontext()
        with live, _listening(shown):
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

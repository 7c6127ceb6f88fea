"""What 100 runs leave in one home, folder by folder, and what pruning takes back. Nothing is demanded.

The days are those of months.py, with a history of seven days: all assets of three connections, pushes and the report.
At the end the clock is moved on until every run is old, and `usage-assets prune` deletes what it may.
"""

import json
import sys
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, time
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory

import time_machine

from benchmarks.commands import PYTHON_PATH, make_home, run
from benchmarks.figures import Figure
from benchmarks.months import FIRST, Standing, months_of
from benchmarks.server import running
from usage_assets.cli.main import load
from usage_assets.core.days import DAY

DAYS = 16
"""At most. From the ninth on, the daily schedule finds something to delete."""
HISTORY_DAYS = 7
"""The fewest that are allowed."""
RUNS = (50, 100)
PARTS = ("logs", "index", "runs", "schedules", "storage", "database", "published", "archive", "other")


def figures(days: int, *accounts: str) -> Iterator[Figure]:
    """Every folder of a new home, after 50 and 100 runs, after so many days, and after pruning all of these."""
    days = min(days, DAYS)
    with running("usage_assets_sandbox") as url, TemporaryDirectory() as folder:
        home = Path(folder)
        settings = make_home(home, url, *accounts) | {
            "USAGE_HISTORY_DAYS": str(HISTORY_DAYS),
            "PYTHONPATH": PYTHON_PATH,
        }
        command = [sys.executable, "-m", __name__]
        yield from figures_of("new home", _pruned(run([*command, "0"], home, settings).output))
        months = [*months_of(url, home, days, *accounts, history_days=HISTORY_DAYS)]
        stood = [standing for month in months for standing in month.stood]
        ended = [*accumulate(sum(day.runs.values()) for month in months for day in month.lived)]
        for day in sorted({*(n for n in (bisect_left(ended, least) for least in RUNS) if n < days), days - 1}):
            yield from figures_of(f"day {day + 1}, {ended[day]} runs", stood[day])
        pruned = run([*command, str(days + HISTORY_DAYS + 1)], home, settings)
        yield from figures_of(f"pruned {HISTORY_DAYS + 1} days later", _pruned(pruned.output))


def figures_of(when: str, standing: Standing) -> Iterator[Figure]:
    """The size of each folder."""
    for part in PARTS:
        yield Figure(name=f"{when}: {part}", ours=getattr(standing, part) / 2**20, unit="MiB")


def _pruned(output: str) -> Standing:
    return Standing(**json.loads(output.splitlines()[-1]))


def main() -> None:
    """Prune this home on a day, and print what it holds then."""
    moment = datetime.combine(FIRST + DAY * int(sys.argv[1]), time(12), UTC)
    with time_machine.travel(moment, tick=True):
        load("prune").main([], standalone_mode=False)
    print(json.dumps(asdict(Standing.of(Path.cwd()))))


if __name__ == "__main__":
    main()

"""What the mornings of 100 connections cost: Anthropic's organizations, each of the sandbox's company.

The connections of benchmarks/year.py are few, so what a tick costs by itself weighs more there.
"""

from collections.abc import Iterator
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.commands import make_home, run, usage_assets
from benchmarks.figures import Figure
from benchmarks.growth import of_connections, settings_of
from benchmarks.server import running
from benchmarks.year import TICKS, Allowed, figures_of_ticks
from usage_assets.core.days import DAY, Window, utc_today

CONNECTIONS = 100
DAYS = 3
"""That are stored before the first morning."""
ALLOWED = {name: Allowed(inf, inf) for name in TICKS} | {"a tick that finds nothing": Allowed(70, inf)}
RESTATED = ("anthropic", "cost_report", 2)


def figures(days: int, count: int = CONNECTIONS) -> Iterator[Figure]:
    """Measure the mornings after a backfill of at most DAYS days."""
    window = Window(utc_today() - DAY * (min(days, DAYS) + 1), utc_today() - DAY * 2)
    with running("usage_assets_sandbox") as url, TemporaryDirectory() as folder:
        home = Path(folder)
        settings = make_home(home, url, "PORT") | settings_of(home, of_connections(url, count), count, window)
        run(usage_assets("backfill", "--start", str(window.first), "--end", str(window.last), "--push"), home, settings)
        names = [f"anthropic_{number}" for number in range(count)]
        yield from figures_of_ticks(url, home, settings, names, RESTATED, ALLOWED)

"""What the definitions of 200 connections cost, beside as many assets of plain Dagster that do nothing.

Each side is a process that imports, builds its definitions and writes the snapshot that a code server sends to the
webserver and the daemon.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.commands import PYTHON_PATH, make_home, run
from benchmarks.figures import Figure
from benchmarks.growth import of_connections, settings_of
from usage_assets.core.days import DAY, Window, utc_today

CONNECTIONS = 200
ALLOWED = 1.5
"""Times the CPU time and the bytes of the empty assets."""
NOBODY = "http://127.0.0.1:9"
"""Definitions send no request."""
SNAPSHOT = """
import dagster as dg
from dagster._core.remote_representation.external_data import RepositorySnap
from {} import defs
repository = (defs if isinstance(defs, dg.Definitions) else defs()).get_repository_def()
print(len(repository.asset_graph.get_all_asset_keys()), len(dg.serialize_value(RepositorySnap.from_def(repository))))
"""


def figures(days: int, count: int = CONNECTIONS, rounds: int = 3) -> Iterator[Figure]:
    """CPU time and size of the definitions of so many connections of Anthropic, with Port."""
    window = Window(utc_today() - DAY * days, utc_today() - DAY)
    with TemporaryDirectory() as folder:
        home = Path(folder)
        settings = make_home(home, NOBODY, "PORT") | settings_of(home, of_connections(NOBODY, count), count, window)
        seconds, sizes = [], []
        for _ in range(rounds):
            ours, assets, size = snapshot_of("usage_assets.definitions", home, settings)
            empty, _, smallest = snapshot_of("benchmarks.empty", home, {"ASSETS": str(assets)})
            seconds.append((ours, empty))
            sizes.append((float(size), float(smallest)))
    name, demanded = f"definitions of {assets:,} assets", 1 / ALLOWED
    theirs = "theirs: as many empty assets with daily partitions"
    yield Figure.of_rounds(seconds, name=name, unit="s", demanded=demanded, note=f"CPU time of a process; {theirs}")
    yield Figure.of_rounds(sizes, name=name, unit="MiB", demanded=demanded, scale=1 / 2**20, note=f"snapshot; {theirs}")


def snapshot_of(module: str, home: Path, settings: Mapping[str, str]) -> tuple[float, int, int]:
    """CPU seconds of a process, the number of its assets, and the bytes of their snapshot."""
    took = run([sys.executable, "-c", SNAPSHOT.format(module)], home, {**settings, "PYTHONPATH": PYTHON_PATH})
    assets, size = took.output.split()[-2:]
    return took.cpu, int(assets), int(size)

"""A backfill of three connections whose Dagster history is in PostgreSQL, and the same in SQLite files.

CPU time is that of all processes, PostgreSQL's included; its server is of a wheel, and writes durably.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.commands import ROOT, make_home, run, stored_days, usage_assets
from benchmarks.figures import Figure
from benchmarks.server import running
from usage_assets.core.days import DAY, Window, utc_today
from usage_assets_tests.postgres import folder_of, running_postgres, url_of

CONFIGURATION = ROOT / "deploy" / "dagster.postgres.yaml"
ACCOUNTS = ("OPENAI", "ANTHROPIC", "CHATGPT")
ROUNDS = 3
WALL_DEMANDED = 1 / 1.5


def figures(days: int, rounds: int = ROUNDS) -> Iterator[Figure]:
    """CPU and wall time of the backfill, both sides in turn."""
    cpu: list[tuple[float, float]] = []
    wall: list[tuple[float, float]] = []
    window = Window(utc_today() - DAY * days, utc_today() - DAY)
    with running("usage_assets_sandbox") as url:
        for _ in range(rounds):
            ours, theirs = in_postgresql(url, window), backfill(url, window)
            if ours[2] != theirs[2]:
                raise RuntimeError(f"{ours[2]} asset-days are stored, and {theirs[2]} with SQLite")
            cpu.append((ours[0], theirs[0]))
            wall.append((ours[1], theirs[1]))
    name = f"{days} days of {len(ACCOUNTS)} connections"
    note = f"{theirs[2]:,} asset-days, history in PostgreSQL; theirs: in SQLite"
    yield Figure.of_rounds(cpu, name=name, unit="s", demanded=1, note=f"CPU time of all processes, {note}")
    yield Figure.of_rounds(wall, name=name, unit="s", demanded=WALL_DEMANDED, note=f"wall time, {note}")


def in_postgresql(url: str, window: Window) -> tuple[float, float, int]:
    """Backfill with the history in a new PostgreSQL server; return CPU and wall seconds, and asset-days."""
    with running_postgres(is_durable=True) as server:
        postmaster = int(Path(folder_of(server), "postmaster.pid").read_text().split("\n")[0])
        return backfill(
            url, window, CONFIGURATION, {"DAGSTER_POSTGRES_URL": url_of(server)}, lambda: cpu_so_far(postmaster)
        )


def backfill(
    url: str,
    window: Window,
    configuration: Path | None = None,
    more: Mapping[str, str] | None = None,
    elsewhere: Callable[[], float] = float,
) -> tuple[float, float, int]:
    """Backfill an empty home; return CPU and wall seconds, and asset-days. ``elsewhere``: CPU seconds of a server."""
    with TemporaryDirectory() as folder:
        home = Path(folder)
        settings = {**make_home(home, url, *ACCOUNTS), "USAGE_START_DATE": str(window.first), **(more or {})}
        if configuration:
            (home / "dagster.yaml").write_bytes(configuration.read_bytes())
        before = elsewhere()
        took = run(usage_assets("backfill", "--start", str(window.first), "--end", str(window.last)), home, settings)
        return took.cpu + elsewhere() - before, took.wall, stored_days(home)[1]


def cpu_so_far(postmaster: int) -> float:
    """Return the CPU seconds of a PostgreSQL server: of its processes, and of those that have ended."""
    server = psutil.Process(postmaster)
    alive = []
    for child in server.children():
        with suppress(psutil.NoSuchProcess):  # it ended just now: the server's own times have it
            alive.append(child.cpu_times())
    own = server.cpu_times()
    return float(sum(each.user + each.system for each in (own, *alive)) + own.children_user + own.children_system)

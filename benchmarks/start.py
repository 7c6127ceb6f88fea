"""What a person waits for before anything is fetched, and for a whole demo: imports, ``--help``, ``make demo UI=0``.

Everything is installed. Each command is a process of its own; the first of each is not measured: it may compile.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.commands import run, usage_assets
from benchmarks.figures import ROUNDS, Figure
from usage_assets.local.processes import free_port

IMPORT_CPU_SECONDS, HELP_SECONDS, DEMO_SECONDS = 0.4, 0.3, 60
DEMO_DAYS, UI_PORT = 90, 3100


def figures(days: int) -> Iterator[Figure]:
    """The figures of imports, and of a demo of its usual days, or of fewer."""
    with TemporaryDirectory() as folder:
        yield from figures_of_imports(Path(folder))
        yield figure_of_demo(Path(folder), min(days, DEMO_DAYS))


def figures_of_imports(folder: Path, rounds: int = ROUNDS) -> Iterator[Figure]:
    """CPU time of ``import usage_assets.definitions`` beyond that of ``import dagster``; wall time of ``--help``."""
    dagster, ours = ([sys.executable, "-c", f"import {name}"] for name in ("dagster", "usage_assets.definitions"))
    for command in (dagster, ours, usage_assets("--help")):
        run(command, folder, {})
    sides = [(run(dagster, folder, {}).cpu, run(ours, folder, {}).cpu) for _ in range(rounds)]
    helped = [run(usage_assets("--help"), folder, {}) for _ in range(rounds)]
    yield Figure.of_rounds(
        [(both - alone, IMPORT_CPU_SECONDS) for alone, both in sides],
        name="import usage_assets.definitions",
        unit="s",
        demanded=1,
        is_at_factor_1=True,
        note=f"CPU time beyond `import dagster`, which takes {min(alone for alone, _ in sides):.2f} s; "
        "theirs: what is allowed",
    )
    yield Figure.of_rounds(
        [(took.wall, HELP_SECONDS) for took in helped],
        name="usage-assets --help",
        unit="s",
        demanded=1,
        is_at_factor_1=True,
        note=f"wall time, {min(took.cpu for took in helped):.2f} s of CPU; theirs: what is allowed",
    )


def figure_of_demo(folder: Path, days: int) -> Figure:
    """Wall time of ``make demo UI=0`` but for make. Raises RuntimeError where the demo finds a difference."""
    command = [sys.executable, "-m", "usage_assets.demo", "--days", str(days), "--port", str(free_port(UI_PORT))]
    took = run([*command, "--no-ui"], folder, {})
    parts = ", ".join(re.findall(r"(until Dagster was ready +\d+|backfills and pushes +\d+)", took.output))
    return Figure(
        name=f"make demo UI=0, {days} days",
        ours=took.wall,
        theirs=DEMO_SECONDS,
        unit="s",
        demanded=1,
        is_at_factor_1=True,
        note=f"wall time, {took.cpu:.0f} s of CPU; {re.sub(' +', ' ', parts)}; theirs: what is allowed",
    )

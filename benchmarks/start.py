"""What a person waits for before anything is fetched, and for a whole demo: imports, ``--help``, a query of nothing,
``make demo UI=0``.

Everything is installed. Each command is a process of its own; the first of each is not measured: it may compile.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.commands import DATABASE, run, usage_assets
from benchmarks.figures import ROUNDS, Figure
from usage_assets.cli.processes import free_port
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.published import publish

IMPORT_CPU_SECONDS, HELP_SECONDS, QUERY_CPU_SECONDS, DEMO_SECONDS = 0.4, 0.3, 0.4, 60
CHECKED = "select sum(amount_usd) from (select 1 as amount_usd) as costs"
"""A query that is looked at for amounts that must not be added."""
DEMO_DAYS, UI_PORT = 90, 3100


def figures(days: int) -> Iterator[Figure]:
    """The figures of imports, and of a demo of its usual days, or of fewer."""
    with TemporaryDirectory() as folder:
        yield from figures_of_imports(Path(folder))
        yield figure_of_query(Path(folder))
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


def figure_of_query(folder: Path, rounds: int = ROUNDS) -> Figure:
    """CPU time of the whole process of a query that reads nothing, from a warehouse that holds nothing."""
    warehouse = Warehouse(database=str(folder / DATABASE))
    with warehouse.transaction():
        pass
    publish(warehouse)
    sides = [
        [run(usage_assets("query", sql), folder, {"USAGE_WAREHOUSE": warehouse.database}).cpu for sql in queries]
        for queries in (1 + rounds) * [("select 1", CHECKED)]
    ]
    return Figure.of_rounds(
        [(took, QUERY_CPU_SECONDS) for took, _ in sides[1:]],
        name='usage-assets query "select 1"',
        unit="s",
        demanded=1,
        is_at_factor_1=True,
        note=f"CPU time; {min(took for _, took in sides[1:]):.2f} s for one that adds amounts; theirs: what is allowed",
    )


def figure_of_demo(folder: Path, days: int) -> Figure:
    """Wall time of ``make demo UI=0`` but for make. Raises RuntimeError where the demo finds a difference."""
    command = [sys.executable, "-m", "demo", "--days", str(days), "--port", str(free_port(UI_PORT))]
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

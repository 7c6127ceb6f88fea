"""What it takes to plan every view of a warehouse, and how long its SQL is once the views that it reads are put in.

DuckDB binds a view again wherever it is named, each time that it is read.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from benchmarks.commands import DATABASE, make_home, run, usage_assets
from benchmarks.figures import ROUNDS, Figure, cpu_of
from benchmarks.server import running
from usage_assets.core.days import DAY, utc_today
from usage_assets.warehouse.readable import ONE_THREAD

DAYS = 10
"""At most: to plan a view, DuckDB reads no row."""
ALLOWED_CPU_SECONDS, ALLOWED_CHARACTERS = 5.5 / 4, 15_000
VIEWS = "select schema_name || '.' || view_name, sql from duckdb_views() where not internal order by all"
NAMED = re.compile(r"\b(?:from|join)\s+\(*(\w+\.\w+)", re.IGNORECASE)


def figures(days: int) -> Iterator[Figure]:
    """Of the demo's accounts: CPU time of planning all views once, and the longest view."""
    last = utc_today() - DAY
    with running("usage_assets_sandbox") as url, TemporaryDirectory() as folder:
        settings = make_home(Path(folder), url)
        first = last - DAY * (min(days, DAYS) - 1)
        run(usage_assets("backfill", "--start", str(first), "--end", str(last)), Path(folder), settings)
        with duckdb.connect(Path(folder) / DATABASE, read_only=True) as database:
            yield from figures_of(database)


def figures_of(database: duckdb.DuckDBPyConnection) -> Iterator[Figure]:
    """The figures of the views of this database."""
    views = dict(database.execute(VIEWS).fetchall())
    database.execute(ONE_THREAD)

    def plan() -> None:
        for view in views:
            database.execute(f"prepare planned as select * from {view}")  # noqa: S608 - its own names

    yield Figure.of_rounds(
        [(cpu_of(plan), ALLOWED_CPU_SECONDS) for _ in range(ROUNDS)],
        name=f"plan {len(views)} views",
        unit="s",
        demanded=1,
        is_at_factor_1=True,
        note="CPU time; theirs: a quarter of what it took before",
    )

    @cache
    def characters(view: str) -> int:
        return len(views[view]) + sum(characters(name) for name in NAMED.findall(views[view]) if name in views)

    longest = max(views, key=characters)
    long = sum(characters(view) > ALLOWED_CHARACTERS for view in views)
    yield Figure(
        name="the longest view, expanded",
        ours=characters(longest),
        theirs=ALLOWED_CHARACTERS,
        demanded=1,
        unit="characters",
        note=f"{longest}; {long} views are longer than what is allowed",
    )

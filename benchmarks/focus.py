"""Charges that an export as FOCUS writes in a CPU second: a year of the sandbox's company, with all of its providers.

It is made as `make focus` makes it, about 73,000 charges. Each round exports a copy of it into a CSV file.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory

import duckdb

from benchmarks.commands import DATABASE, PYTHON_PATH, run, usage_assets
from benchmarks.figures import Figure
from demo.__main__ import keys_of_others
from usage_assets.core.days import DAY, utc_today
from usage_assets_sandbox import credentials

CHARGES_A_CPU_SECOND = 25_000
ROUNDS = 3
YEAR = ".focus"
NOWHERE = "http://127.0.0.1:9"
"""Nothing is asked: what is exported is stored."""


def figures(days: int) -> Iterator[Figure]:
    """The figure of that year; ``days`` are how many of its last days are exported."""
    with TemporaryDirectory() as folder:
        home = Path(folder)
        run([sys.executable, "-m", "demo.focus_year"], home, {"PYTHONPATH": PYTHON_PATH})
        yield figure_of_export(home, home / YEAR, days)


def figure_of_export(home: Path, year: Path, days: int, rounds: int = ROUNDS) -> Figure:
    """What it takes to export these days, with the start of the command and what the connections file says."""
    last = utc_today() - DAY
    out, database = home / "focus.csv", home / DATABASE
    settings = credentials.variables(NOWHERE) | keys_of_others(NOWHERE)
    settings |= {"USAGE_WAREHOUSE": str(database), "USAGE_CONNECTIONS": str(year / "connections.toml")}
    asked = ("--start", str(last - DAY * (days - 1)), "--end", str(last), "--out", str(out), "--force")
    sides = []
    for _ in range(rounds):
        copy(year / DATABASE, database)
        cpu = run(usage_assets("export", "focus", *asked), home, settings).cpu
        [(charges,)] = duckdb.sql(f"select count(*) from read_csv('{out}', all_varchar = true)").fetchall()  # noqa: S608
        sides.append((cpu, charges / CHARGES_A_CPU_SECOND))
    return Figure.of_rounds(
        sides,
        name=f"export of {charges:,} charges",
        unit="s",
        demanded=1,
        is_at_factor_1=True,
        note=f"CPU time of the command: {min(charges / cpu for cpu, _ in sides):,.0f} charges a CPU second at least; "
        f"theirs: {CHARGES_A_CPU_SECOND:,} a CPU second",
    )

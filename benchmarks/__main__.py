"""``make bench BENCHMARKS="[NAME]... [--days N]"``: one line a figure; exit 1 where one misses what is demanded."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import click

from benchmarks import (
    assets,
    assistant,
    backfill,
    connections,
    costs,
    dlt_reports,
    due,
    events,
    fixed,
    focus,
    growth,
    idle,
    installed,
    lake,
    memory,
    months,
    parsing,
    port,
    postgres,
    report,
    runs,
    start,
    statistics,
    views,
    volume,
    waiting,
    windows,
    year,
)
from benchmarks.calibrate import calibrate
from benchmarks.figures import HEADER, Figure

BENCHMARKS: Mapping[str, Callable[[int], Iterator[Figure]]] = {
    "parsing": parsing.figures,
    "windows": windows.figures,
    "memory": memory.figures,
    "port": port.figures,
    "costs": costs.figures,
    "events": events.figures,
    "due": due.figures,
    "backfill": backfill.figures,
    "year": year.figures,
    "fixed": fixed.figures,
    "dlt": dlt_reports.figures,
    "views": views.figures,
    "assets": assets.figures,
    "start": start.figures,
    "assistant": assistant.figures,
    "statistics": statistics.figures,
    "waiting": waiting.figures,
}
LONG: Mapping[str, Callable[[int], Iterator[Figure]]] = {
    "connections": connections.figures,
    "focus": focus.figures,
    "growth": growth.figures,
    "idle": idle.figures,
    "installed": installed.figures,
    "lake": lake.figures,
    "months": months.figures,
    "postgres": postgres.figures,
    "report": report.figures,
    "runs": runs.figures,
    "volume": volume.figures,
}
"""Only where they are named."""


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([*BENCHMARKS, *LONG]))
@click.option("--days", default=365, show_default=True, help="fewer for a quick look; demands may then miss")
@click.option("--rows", default=volume.SMALL, show_default=True, help="of volume; 72000000 is what is demanded")
def main(names: Sequence[str], days: int, rows: int) -> None:
    """Run the named benchmarks, or all but the long ones, and print their figures as they come.

    Before each, the machine is calibrated: times that are demanded are multiplied by its factor.
    """
    click.echo(HEADER)
    holds = True
    for name in names or BENCHMARKS:
        calibration = calibrate()
        click.echo(f"{name}: {calibration}, {os.cpu_count()} cores, load {_load()}")
        work = partial(volume.figures, rows=rows) if name == "volume" else {**BENCHMARKS, **LONG}[name]
        for figure in work(days):
            judged = figure.at(calibration.factor)
            click.echo(f"{judged}, load {_load()}")
            holds = holds and judged.holds
    sys.exit(0 if holds else 1)


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    main()

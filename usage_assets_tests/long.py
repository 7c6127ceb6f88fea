"""What takes long: ``make nightly`` runs a seventh of it, by weekday, ``make release-check`` all of it."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import click

from usage_assets.core.installed import EXTENSIONS

ROOT = Path(__file__).resolve().parents[1]
NIGHTS = 7


class Job(NamedTuple):
    """A command that takes long."""

    command: str
    minutes: int
    """On two quiet cores, about."""
    night: int
    """The night that runs it, from 1; 0 where only a release is checked with it."""


PLAYED = "{python} -m pytest -q -o timeout=3600"
QUERIES = "extensions/assistant/usage_assets_assistant_tests/query/test_generated.py"
STATEMENTS = "extensions/assistant/usage_assets_assistant_tests/mcp/test_fuzzed.py"
GAMES = " ".join(
    f"extensions/report/usage_assets_report_tests/{name}.py"
    for name in ("statistics/test_delivered_again", "statistics/test_forecast", "test_compared")
)
JOBS: Sequence[Job] = tuple(
    Job(command, int(minutes), int(night))
    for minutes, night, command in (
        line.split(maxsplit=2)
        for line in f"""\
            1   0  make check
            20  1  make test
            5   1  make focus
            2   1  make litellm
            1   1  make drift
            30  2  make audit
            30  2  make bench
            30  3  make drill SEED={{seed}}
            7   3  make distributed
            2   3  make test-browser
            2   3  make wheel
            12  3  make newest
            30  4  make drill-lake SEED={{seed}}
            30  4  make drill-postgres SEED={{seed}}
            5   5  {{python}} -m usage_assets_tests.forked_children 1000
            15  6  make alone PYTHON=python3.12
            15  6  make alone PYTHON=python3.13
            12  6  env USAGE_EXAMPLES=20000 {PLAYED} {QUERIES}
            30  6  env USAGE_EXAMPLES=2500 {PLAYED} -n 2 {STATEMENTS}
            90  7  make audit WAREHOUSE=lake
            17  7  env USAGE_EXAMPLES=10000 {PLAYED} -n 2 {GAMES}
            3   0  make demo UI=0""".splitlines()
    )
) + tuple(Job(f"make alone EXTENSION={each}", 6, 5) for each in EXTENSIONS)


@click.group()
def main() -> None:
    """Run what takes long."""


@main.command()
@click.option("--part", type=click.IntRange(1, NIGHTS), help="default: by the weekday, Monday is 1")
def nightly(part: int | None) -> None:
    """Run one of seven parts. Random games have the date's seed."""
    night = part or datetime.now(UTC).isoweekday()
    click.echo(f"part {night} of {NIGHTS}")
    _run([job for job in JOBS if job.night == night])


@main.command()
def release() -> None:
    """Run everything."""
    _run(JOBS)


def _run(jobs: Sequence[Job]) -> None:
    """Run commands in turn, also after one has failed; print a table, and exit with 1 where one has."""
    seed = int(f"{datetime.now(UTC):%Y%m%d}")
    click.echo(f"seed {seed}")
    environment = os.environ | {"USAGE_FIRST_SEED": str(seed), "PYTEST_ADDOPTS": f"--hypothesis-seed={seed}"}
    lines, failed = ["| what | result | minutes |", "|---|---|---|"], False
    for job in jobs:
        words = [word.format(seed=seed, python=sys.executable) for word in shlex.split(job.command)]
        click.echo(f"{job.command}, about {job.minutes} minutes")
        began = time.monotonic()
        code = subprocess.run(words, cwd=ROOT, env=environment, check=False).returncode
        failed = failed or code != 0
        result, minutes = f"failed ({code})" if code else "passed", (time.monotonic() - began) / 60
        lines.append(f"| `{job.command.format(seed=seed, python='python')}` | {result} | {minutes:.0f} |")
    click.echo("\n".join(lines))
    sys.exit(failed)


if __name__ == "__main__":
    main()

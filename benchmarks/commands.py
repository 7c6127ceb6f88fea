"""Commands that are measured with everything they start, in a folder and an environment of their own."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic

import duckdb

from benchmarks.events import CONFIGURATION
from demo.__main__ import isolated
from usage_assets_sandbox.credentials import dotenv

ROOT = Path(__file__).parent.parent
PYTHON_PATH = f"{ROOT}{os.pathsep}{ROOT / 'extensions' / 'report'}"
"""Where a process finds benchmarks/, and the books of the report's tests."""
KIB = 1 if sys.platform == "darwin" else 1024
"""What the system counts memory in."""
DATABASE = "usage.duckdb"


@dataclass(frozen=True)
class Took:
    """What a command took, with all processes that it started and waited for."""

    wall: float
    cpu: float
    mib: float
    """Peak memory of the largest process. Linux gives a command at least that of the process which starts it."""
    output: str


def run(command: Sequence[str | Path], folder: Path, settings: Mapping[str, str]) -> Took:
    """Run a command in a folder, with nothing of this environment but what the demo takes. Raises RuntimeError with
    the end of its output where it fails."""
    with TemporaryFile() as output:
        began = monotonic()
        process = subprocess.Popen(  # noqa: S603 - our own commands
            command,
            cwd=folder,
            env={**isolated(os.environ), **settings},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:  # whoever gave up waiting leaves nothing running
            process.kill()
            raise
        wall = monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read().decode()
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} failed ({process.returncode}): {said[-2000:]}")
    return Took(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * KIB / 2**20, said)


def usage_assets(*arguments: str) -> Sequence[str | Path]:
    """The command line of the product in this environment."""
    return [Path(sys.executable).with_name("usage-assets"), *arguments]


def make_home(folder: Path, url: str, *accounts: str) -> dict[str, str]:
    """Make a Dagster home of an empty folder; return the settings of a user who has these accounts at the sandbox, or
    all of them."""
    (folder / CONFIGURATION.name).write_bytes(CONFIGURATION.read_bytes())
    keys = dict(line.split("=", 1) for line in dotenv(url).splitlines() if line.startswith(accounts or ""))
    return {"DAGSTER_HOME": str(folder), "USAGE_WAREHOUSE": str(folder / DATABASE), **keys}


def stored_days(folder: Path) -> tuple[int, int]:
    """How many assets with days have stored one, and the days of all of them together."""
    query = "select count(distinct (connection, table_name, slice)), count(*) from ledger.stored_days"
    with duckdb.connect(folder / DATABASE, read_only=True) as database:
        [(assets, days)] = database.execute(query).fetchall()
    return assets, days


def history_bytes(home: Path) -> int:
    """The size of the SQLite files of a Dagster home, after a checkpoint of each. Nothing may be using them."""
    files = list(home.rglob("*.db"))
    for file in files:
        with closing(sqlite3.connect(file)) as database:
            database.execute("pragma wal_checkpoint(truncate)")
    return sum(file.stat().st_size for file in files)

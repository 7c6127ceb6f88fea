"""How fast this machine is now: a fixed workload, against the machine that the demands are written for.

Nothing of the product is in it, so its factor changes with the machine and its load alone.
"""

import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import geometric_mean, median
from tempfile import TemporaryDirectory

import duckdb

from benchmarks.figures import cpu_of

ROUNDS = 5
REFERENCE: Mapping[str, float] = {"Python": 0.140, "JSON": 0.142, "DuckDB": 0.143, "SQLite": 0.132}
"""CPU seconds of each part at factor 1: the machine on which parsing's naive side takes 0.66 CPU s for costs."""
RECORD = {"id": "key_0123456789abcdef", "amount": {"value": 0.13080438340307526, "currency": "usd"}, "tokens": [1, 2]}


@dataclass(frozen=True)
class Calibration:
    """How many times slower this machine is than the one of factor 1."""

    parts: Mapping[str, float]
    """The factor of each part of the workload."""

    @property
    def factor(self) -> float:
        """Of all parts together."""
        return geometric_mean(self.parts.values())

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {factor:.2f}" for name, factor in self.parts.items())
        return f"factor {self.factor:.2f} ({parts})"


def calibrate(rounds: int = ROUNDS) -> Calibration:
    """Run the workload, its parts in turn; each part's factor is the median of its rounds."""
    with TemporaryDirectory() as folder:
        work: Mapping[str, Callable[[], object]] = {
            "Python": compute,
            "JSON": read_and_write_json,
            "DuckDB": partial(insert_and_aggregate, Path(folder)),
            "SQLite": partial(commit, Path(folder)),
        }
        seconds = [{name: cpu_of(part) for name, part in work.items()} for _ in range(rounds)]
    return Calibration({name: median(each[name] for each in seconds) / REFERENCE[name] for name in work})


def compute() -> int:
    """Call, count and make objects."""
    counts: dict[str, int] = {}
    for n in range(650_000):
        key = f"key_{n % 1000}"
        counts[key] = counts.get(key, 0) + n
    return sum(counts.values())


def read_and_write_json() -> object:
    """Write records as text and read them again."""
    return json.loads(json.dumps([RECORD] * 25_000))


def insert_and_aggregate(folder: Path) -> object:
    """Store rows in a new file and add them up, with one thread."""
    path = folder / "calibrate.duckdb"
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path), config={"threads": 1}) as database:
        database.execute(
            "create table rows as select n, hash(n)::varchar as id, (n % 997)::decimal(38, 24) as amount "
            "from range(150_000) as numbers(n)"
        )
        return database.execute("select n % 100, count(distinct id), sum(amount) from rows group by all").fetchall()


def commit(folder: Path) -> None:
    """Commit one row at a time, as Dagster's event log does."""
    with closing(sqlite3.connect(folder / "calibrate.db")) as database:
        database.execute("pragma journal_mode = wal")
        database.execute("create table if not exists events (id integer primary key, event text)")
        for _ in range(1_000):
            database.execute("insert into events (event) values (?)", ["x" * 1_000])
            database.commit()

"""The lake drill: processes write side by side, and are killed, and nothing is lost, doubled, partial or left over.

`make drill-lake`. The tests run a small one.
"""

import logging
import os
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from time import monotonic
from typing import Any

import click

from usage_assets.core.schema import to_arrow
from usage_assets.core.warehouse_address import LAKE
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch
from usage_assets_lake.warehouse import Lake
from usage_assets_tests.forks import FORKS
from usage_assets_tests.postgres import folder_of, new_database, running_postgres
from usage_assets_tests.warehouse.samples import DAY, SAMPLE, Sample, sample, stored

Target = tuple[str, str]
"""A connection and a table."""
ONE = ("c", SAMPLE.name)
LOST = re.compile(
    r'"ducklake_snapshot_pkey"\n[^\n]+DETAIL:[^\n]+\n[^\n]+STATEMENT:(.+?)(?=\n\d{4}-\d\d-\d\d |\Z)', re.S
)
"""What the server writes down of a commit that finds the number of its snapshot taken."""
FILE = re.compile(r"ducklake-[0-9a-f-]+[.]parquet")
NEVER_OVERTAKEN = datetime(2030, 1, 1, tzinfo=UTC)
"""An answer that was requested later than any other was stored is never refused."""
WRITTEN = """
select
  count(*)::integer as writes,
  count(distinct (connection, version))::integer as versions,
  sum(distinct_last)::integer as last
from (
  select connection, version, if(version = max(version) over (partition by connection), version, 0) as distinct_last
  from ledger.partition_versions
  where starts_with(table_name, 'tests.sample')
)
"""
FILES = """
select (select count(*) from glob($1))::integer as found, sum(file_count + delete_file_count)::integer as known
from ducklake_table_info(current_database())
"""


def side_by_side(processes: int) -> dict[str, list[Target]]:
    """What so many processes may write."""
    return {
        "tables of their own": [(f"c{n}", f"{SAMPLE.name}_{n}") for n in range(processes)],
        "days of their own": [(f"c{n}", SAMPLE.name) for n in range(processes)],
        "one day": [ONE] * processes,
    }


def rewrite(database: str, data: str, connection: str, name: str, times: int) -> None:
    """Write one day of a connection so many times, each time other rows: all have one number, which says how many."""
    lake, written = Lake(database=database, data=data), Slice(connection, DAY, DAY)
    row = Sample if name == Sample.table else type("Own", (Sample,), {"table": name, "__doc__": Sample.__doc__})
    for number in range(times):
        rows = [
            sample(connection=connection, model=f"{number}-{row}", requests=number) for row in range(number % 7 + 1)
        ]
        lake.replace(Table(row), Batch(rows=to_arrow(Sample, rows), began=NEVER_OVERTAKEN), written, f"run-{number}")


def rewrite_apart(environment: Mapping[str, str], log: str, *write: Any) -> None:
    """Rewrite in a process that was forked before the environment got its last variables."""
    os.environ.update(environment)
    logging.basicConfig(filename=log)
    rewrite(*write)


@contextmanager
def writers(lake: Lake, *targets: Target, times: int, log: str = os.devnull) -> Iterator[list[ForkServerProcess]]:
    """Processes that write side by side, and log what they had to try again; those that still run are killed."""
    processes = [
        FORKS.Process(target=rewrite_apart, args=(dict(os.environ), log, lake.database, lake.data, *each, times))
        for each in targets
    ]
    for process in processes:
        process.start()
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.join()


def is_whole(lake: Lake) -> bool:
    """Whether the day of the connection ``c`` is one that a process has written."""
    rows = stored(lake)
    return len({row["requests"] for row in rows}) == 1 and len(rows) == rows[0]["requests"] % 7 + 1


@dataclass(frozen=True)
class SideBySide:
    """What became of writes."""

    writes: int
    versions: int
    last: int
    """The last versions of all connections, added up: as many as writes, where none is missing."""
    retries: int
    """How often a write began again, and how many commits were overtaken although their turn had come."""

    @classmethod
    def of(cls, lake: Lake, targets: Sequence[Target], times: int) -> "SideBySide":
        """Let a process for each target write a day so many times. Raises RuntimeError where one fails."""
        server_log = Path(folder_of(lake.database.removeprefix(LAKE)), "log")
        before = overtaken(server_log)
        with lake.transaction() as database:  # of those who would make it at once, all but one would begin again
            database.execute("create schema if not exists tests")
        with NamedTemporaryFile("r") as log, writers(lake, *targets, times=times, log=log.name) as processes:
            for process in processes:
                process.join()
            said = log.read()
            if any(process.exitcode for process in processes):
                raise RuntimeError(f"a writer failed: {said}")
        [row] = lake.read(WRITTEN).to_pylist()
        return cls(**row, retries=said.count("Retrying") + overtaken(server_log) - before)


def overtaken(log: Path) -> int:
    """How many commits of new files lost the race for the number of a snapshot more than once, says the server's log.

    The first number that DuckLake tries is the one after the snapshot that the transaction has read.
    """
    lost = Counter(file for statement in LOST.findall(log.read_text()) for file in {*FILE.findall(statement)})
    return sum(times > 1 for times in lost.values())


def kill_writers(lake: Lake, times: int, dice: random.Random) -> int:
    """Kill a process in its rewrites, again and again; return how many had written.

    Raises RuntimeError after a part of a day.
    """
    rewrite(lake.database, lake.data, *ONE, 1)
    before, wrote = lake.fingerprint, 0
    for _ in range(times):
        with writers(lake, ONE, times=1000) as [process]:
            while lake.fingerprint == before:  # until it writes
                process.join(0.05)
            process.join(dice.uniform(0, 1))
            wrote += process.is_alive()
        if not is_whole(lake):
            raise RuntimeError(f"a part of a day is stored: {stored(lake)}")
        before = lake.fingerprint
    return wrote


def left_over(lake: Lake) -> tuple[int, int]:
    """How many files there are, and how many of them the catalog knows."""
    with lake.get_connection() as database:
        [(found, known)] = database.execute(FILES, [f"{lake.data}/**/*.parquet"]).fetchall()
    return found, known


@click.command()
@click.option("--processes", default=8)
@click.option("--rewrites", default=50)
@click.option("--kills", default=50)
@click.option("--seed", default=1)
def main(processes: int, rewrites: int, kills: int, seed: int) -> None:
    total = processes * rewrites
    expected = SideBySide(writes=total, versions=total, last=total, retries=0)
    with running_postgres() as server, TemporaryDirectory() as folder:
        for name, targets in side_by_side(processes).items():
            lake, began = new_lake(server, Path(folder)), monotonic()
            found = SideBySide.of(lake, targets, rewrites)
            click.echo(f"{processes} processes x {rewrites} rewrites of {name}: {found}; {monotonic() - began:.0f} s")
            if found != expected:
                raise SystemExit(1)
        lake = new_lake(server, Path(folder))
        wrote = kill_writers(lake, kills, random.Random(seed))
        found_before, known_before = left_over(lake)
        lake.maintain(timedelta(0))
        found_after, known_after = left_over(lake)
        click.echo(
            f"{kills} kills, {wrote} of them while it wrote: 0 parts of days; "
            f"{found_before} files, {known_before} known; after maintenance {found_after}, {known_after} known"
        )
        if found_after != known_after or not is_whole(lake):
            raise SystemExit(1)


def new_lake(server: str, folder: Path) -> Lake:
    database = new_database(server)
    return Lake(database=f"{LAKE}{database}", data=str(folder / database.rpartition("=")[2]))


if __name__ == "__main__":
    main()

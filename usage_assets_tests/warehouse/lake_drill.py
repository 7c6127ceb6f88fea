"""The lake drill: processes write side by side, and are killed, and nothing is lost, doubled, partial or left over.

`python -m usage_assets_tests.warehouse.lake_drill` (`make drill-lake`). The tests run a small one.
"""

import logging
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import click

from usage_assets.core.schema import to_arrow
from usage_assets.core.warehouse_address import LAKE
from usage_assets.warehouse.lake import Lake
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.values import Batch
from usage_assets_tests.postgres import new_database, running_postgres
from usage_assets_tests.warehouse.samples import DAY, SAMPLE, Sample, sample, stored

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
  where table_name = 'tests.sample'
)
"""
FILES = """
select (select count(*) from glob($1))::integer as found, sum(file_count + delete_file_count)::integer as known
from ducklake_table_info(current_database())
"""


def rewrite(database: str, data: str, connection: str, times: int) -> None:
    """Write one day of a connection so many times, each time other rows: all have one number, which says how many."""
    lake, written = Lake(database=database, data=data), Slice(connection, DAY, DAY)
    for number in range(times):
        rows = [
            sample(connection=connection, model=f"{number}-{row}", requests=number) for row in range(number % 7 + 1)
        ]
        lake.replace(SAMPLE, Batch(rows=to_arrow(Sample, rows), began=NEVER_OVERTAKEN), written, f"run-{number}")


@contextmanager
def writers(lake: Lake, *connections: str, times: int) -> Iterator[list["subprocess.Popen[str]"]]:
    """Processes that write side by side, and print what they had to try again; those that still run are killed."""
    command = [sys.executable, "-m", __spec__.name, "--write", lake.database, lake.data]
    with ExitStack() as ending:
        processes = [
            ending.enter_context(
                subprocess.Popen([*command, connection, str(times)], stdout=subprocess.PIPE, text=True)
            )
            for connection in connections
        ]
        try:
            yield processes
        finally:
            for process in processes:
                process.kill()


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

    @classmethod
    def of(cls, lake: Lake, connections: Sequence[str], times: int) -> "SideBySide":
        """Let a process for each connection write a day so many times. Raises RuntimeError where one fails."""
        with writers(lake, *connections, times=times) as processes:
            said = [process.communicate()[0] for process in processes]
            if any(process.returncode for process in processes):
                raise RuntimeError(f"a writer failed: {said}")
        [row] = lake.read(WRITTEN).to_pylist()
        return cls(**row, retries="".join(said).count("Retrying"))


def kill_writers(lake: Lake, times: int, dice: random.Random) -> int:
    """Kill a process in its rewrites, again and again; return how many had written.

    Raises RuntimeError after a part of a day.
    """
    rewrite(lake.database, lake.data, "c", 1)
    before, wrote = lake.fingerprint, 0
    for _ in range(times):
        with writers(lake, "c", times=1000) as [process]:
            while lake.fingerprint == before:  # until it writes
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.05)
            try:
                process.wait(dice.uniform(0, 1))
            except subprocess.TimeoutExpired:
                wrote += 1
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
@click.option("--write", nargs=4, hidden=True)
def main(processes: int, rewrites: int, kills: int, seed: int, write: tuple[str, str, str, str] | None) -> None:
    if write:
        logging.basicConfig(stream=sys.stdout)
        rewrite(*write[:3], int(write[3]))
        return
    total = processes * rewrites
    expected = SideBySide(writes=total, versions=total, last=total, retries=0)
    with running_postgres() as server, TemporaryDirectory() as folder:
        for name, connections in (
            ("days of their own", [f"c{n}" for n in range(processes)]),
            ("one day", ["c"] * processes),
        ):
            lake, began, cpu = new_lake(server, Path(folder)), monotonic(), sum(os.times()[:4])
            found = SideBySide.of(lake, connections, rewrites)
            took = f"{monotonic() - began:.0f} s, {sum(os.times()[:4]) - cpu:.0f} CPU s"
            click.echo(f"{processes} processes x {rewrites} rewrites of {name}: {found}; {took}")
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

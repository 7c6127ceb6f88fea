"""Many processes that write into one database file: the longest wait for it, against the average.

Each opens the file, writes and closes it, again and again, without a pause. The first and the last wait of each process
are left out: not all of them wait then.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from time import monotonic

from benchmarks.figures import Figure
from usage_assets.warehouse.database import Warehouse

PROCESSES, WRITES = 16, 20
DEMANDED = 0.5
"""The average in parts of the longest: at most twice the average."""
WRITE = "create or replace table written as select n, hash(n)::varchar as id from range(20_000) as rows(n)"


def figures(_days: int, processes: int = PROCESSES, writes: int = WRITES) -> Iterator[Figure]:
    """The longest of all waits beside their average."""
    with TemporaryDirectory() as folder, ExitStack() as started:
        warehouse = Warehouse(database=str(Path(folder, "usage.duckdb")))
        with warehouse.get_connection() as connection:
            connection.execute(WRITE)
        command = [sys.executable, "-m", "benchmarks.waiting", warehouse.database, str(writes)]
        writers = [
            started.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - this module
            )
            for _ in range(processes)
        ]
        for writer in writers:
            if not (writer.stdout and writer.stdout.readline()):
                raise RuntimeError("a writer did not start")
        for writer in writers:
            if writer.stdin:
                writer.stdin.close()
        waits = [wait for writer in writers if writer.stdout for wait in json.loads(writer.stdout.read())[1:-1]]
    yield Figure(
        name=f"longest of {len(waits)} waits for the database",
        ours=max(waits) * 1000,
        theirs=mean(waits) * 1000,
        unit="ms",
        demanded=DEMANDED,
        note=f"wall time, {processes} processes; theirs: the average wait",
    )


def main() -> None:
    """Say that this process is ready, wait for the end of input, write so many times and print the waits in seconds."""
    _, database, writes = sys.argv
    warehouse = Warehouse(database=database)
    with warehouse.get_connection() as connection:
        connection.execute(WRITE)  # the first one takes six times as long, and all others would wait for it
    print("ready", flush=True)
    sys.stdin.read()
    waits: list[float] = []
    for _ in range(int(writes)):
        began = monotonic()
        with warehouse.get_connection() as connection:
            waits.append(monotonic() - began)
            connection.execute(WRITE)
    print(json.dumps(waits))


if __name__ == "__main__":
    main()

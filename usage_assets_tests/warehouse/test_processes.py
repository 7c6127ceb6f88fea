"""Other processes, files that cannot be used, and kill -9: who holds the file is named, and no day is ever partial.

Each child process does one thing and is started from a server that has imported what it needs.
"""

import hashlib
import os
import random
import resource
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import date
from math import inf
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from usage_assets.warehouse import held
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.line import line_of
from usage_assets.warehouse.published import copy_of
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.values import WarehouseError
from usage_assets_tests.fixtures import IS_NIGHT
from usage_assets_tests.forks import FORKS
from usage_assets_tests.warehouse.processes import child, held_by_another, hold, in_process
from usage_assets_tests.warehouse.samples import (
    SAMPLE,
    answer,
    day,
    days,
    ledger,
    models,
    nothing_changes,
    sample,
    stored,
    write,
)


@pytest.fixture
def warehouse(empty_file: Path, tmp_path: Path) -> Warehouse:
    """One without rows that is closed, so that other processes can open it."""
    return Warehouse(database=str(shutil.copy2(empty_file, tmp_path)))


def add_a_day(database: str, number: int) -> None:
    write(Warehouse(database=database, wait_seconds=1), [sample(number)], days(number))


def test_the_holder_of_the_file_is_named_and_nothing_changes(warehouse: Warehouse) -> None:
    write(warehouse, [sample(model="old")])
    hurried = Warehouse(database=warehouse.database, wait_seconds=0.2)
    with nothing_changes(warehouse), held_by_another(warehouse.database) as holder:
        with pytest.raises(WarehouseError) as error:
            write(hurried, [sample(model="new")])
        assert f"{warehouse.database}: in use by another process (PID {holder.pid}, /" in str(error.value)
        assert str(error.value).endswith("waited 0 s: close the notebook, DuckDB shell or run that has it open")
        with pytest.raises(WarehouseError, match=f"PID {holder.pid}"):
            hurried.read("select 1")


def say_when_open(database: str, name: str, pipe: Pipe) -> None:
    with Warehouse(database=database).get_connection():
        pipe.send(name)


@contextmanager
def in_line(warehouse: Warehouse, name: str, pipe: Pipe, length: int) -> Iterator[BaseProcess]:
    """A process that is in line by now, so many with those before it. It says its name when it has the file open."""
    line = line_of(warehouse.database)
    line.touch()
    with child(say_when_open, warehouse.database, name, pipe) as process:
        while locks_of(line) < length:
            time.sleep(0.01)
        yield process


def locks_of(file: Path) -> int:
    """How many processes hold the lock of a file or wait for it."""
    return Path("/proc/locks").read_text().count(f":{file.stat().st_ino} 0 EOF")


def test_whoever_came_first_opens_the_file_first(warehouse: Warehouse) -> None:
    names = ["first", "killed", "third", "fourth"]
    ours, theirs = FORKS.Pipe(duplex=False)
    with ExitStack() as waiting:
        with held_by_another(warehouse.database):
            _, killed, *_ = [
                waiting.enter_context(in_line(warehouse, name, theirs, number)) for number, name in enumerate(names, 1)
            ]
            killed.kill()
            killed.join()
        assert [ours.recv() for _ in range(3)] == ["first", "third", "fourth"]


def test_where_there_can_be_no_line_the_file_is_waited_for_all_the_same(new_warehouse: Warehouse) -> None:
    warehouse = new_warehouse
    write(warehouse, [sample(model="old")])
    line_of(warehouse.database).unlink()
    line_of(warehouse.database).mkdir()
    ours, theirs = FORKS.Pipe()
    with child(hold, warehouse.database, theirs):
        assert ours.recv() == "held"
        with child(add_a_day, warehouse.database, 1) as waiting:
            ours.send("enough")
            waiting.join(60)
            assert waiting.exitcode == 0
    assert models(warehouse, days(0, 1)) == ["old", "m"]


def hold_between_uses(database: str, pipe: Pipe) -> None:
    warehouse = Warehouse(database=database)
    held.IDLE_SECONDS = inf  # only for whoever waits
    with warehouse.held():
        write(warehouse, [sample(model="held")])
        pipe.send("held")
        pipe.recv()
        write(warehouse, [sample(9, model="held again")], days(9))
    pipe.send("ended")


def test_a_file_that_is_held_between_uses_is_let_go_for_whoever_waits(warehouse: Warehouse) -> None:
    ours, theirs = FORKS.Pipe()
    with child(hold_between_uses, warehouse.database, theirs) as holder:
        assert ours.recv() == "held"
        with pytest.raises(duckdb.IOException, match=f"PID {holder.pid}"):  # which does not wait
            duckdb.connect(warehouse.database)
        before = warehouse.fingerprint
        assert in_process(add_a_day, warehouse.database, 1) == 0, "it waits for a second at most"
        assert warehouse.fingerprint != before
        ours.send("go on")
        assert ours.recv() == "ended"
    assert models(warehouse, days(0, 9)) == ["held", "m", "held again"]


def test_a_commit_into_the_log_of_a_held_file_changes_its_fingerprint(warehouse: Warehouse) -> None:
    with warehouse.held():
        write(warehouse, [sample()])
        before = warehouse.fingerprint
        write(warehouse, [sample(requests=9)])
        assert warehouse.fingerprint != before


def test_what_was_found_while_the_file_was_held_is_looked_for_again_after_another_process_had_it(
    warehouse: Warehouse,
) -> None:
    with warehouse.held():
        write(warehouse, [sample(trial=True)])
        write(warehouse, [sample(1, trial=True)], days(1))
        assert in_process(alter_what_is_declared, warehouse.database) == 0
        warehouse.read("select 1")  # from here on it is held again
        write(warehouse, [sample(2, trial=True)], days(2))
        rows = warehouse.read("select trial from tests.sample order by usage_date")["trial"].to_pylist()
    assert rows == [None, None, True]


def alter_what_is_declared(database: str) -> None:
    with Warehouse(database=database).transaction() as connection:
        connection.execute("alter table tests.sample drop column trial")
        connection.execute("drop view ledger.day_states")


def write_while_holding(database: str, number: int, pipe: Pipe) -> None:
    """Write a day of its own again and again, and say after each commit what it holds."""
    warehouse = Warehouse(database=database)
    with warehouse.held():
        for requests in range(1, 200):
            write(warehouse, [sample(number, requests=requests)], days(number))
            pipe.send(requests)


@pytest.mark.parametrize("seed", range(2) if IS_NIGHT else [0])
def test_of_three_that_hold_the_file_in_turn_whoever_is_killed_loses_no_commit(warehouse: Warehouse, seed: int) -> None:
    chance = random.Random(seed)
    write(warehouse, [sample(9)], days(9))
    pipes = [FORKS.Pipe(duplex=False) for _ in range(3)]
    with ExitStack() as running:
        writers = [
            running.enter_context(child(write_while_holding, warehouse.database, number, theirs))
            for number, (_, theirs) in enumerate(pipes)
        ]
        said = [0, 0, 0]
        for number in chance.sample(range(3), 3):
            for _ in range(chance.randint(1, 12)):
                said[number] = pipes[number][0].recv()
            writers[number].kill()
            writers[number].join()
        for number, (ours, _) in enumerate(pipes):
            while ours.poll():
                said[number] = ours.recv()
    stored_ones = [row["requests"] for row in stored(warehouse, days(0, 2))]
    assert [there - told in (0, 1) for there, told in zip(stored_ones, said, strict=True)] == [True] * 3
    assert Counter(line["usage_date"] for line in ledger(warehouse))[day(0)] == stored_ones[0]


UNUSABLE = {
    "directory": "Is a directory",
    "diary": "not a valid DuckDB database file",
    "empty": "not a valid DuckDB database file",
    "diary/usage.duckdb": "File exists",
    "/proc/usage.duckdb": "No such file or directory",
    "/dev/full": "No space left on device",
}
"""Paths that cannot be a database, for root either, and why."""


def test_a_path_that_cannot_be_used_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "diary").write_text("dear diary\n" * 1000)
    (tmp_path / "empty").touch()
    for name, reason in UNUSABLE.items():
        path = tmp_path / name
        with pytest.raises(WarehouseError) as error:
            write(Warehouse(database=str(path)), [sample()])
        said = str(error.value)
        assert said.startswith(f"{path}: "), name
        assert reason in said, name
        assert "set USAGE_WAREHOUSE to a" in said, name
        assert "\n" not in said, name
    assert (tmp_path / "diary").read_text() == "dear diary\n" * 1000
    assert (tmp_path / "empty").read_bytes() == b""


def test_a_damaged_file_is_one_line_that_names_the_ways_out(warehouse: Warehouse) -> None:
    write(warehouse, [sample()])
    path = Path(warehouse.database)
    path.write_bytes(path.read_bytes()[:-1000])
    for has_copy in (False, True):
        if has_copy:
            copy_of(path).write_bytes(b"")
            os.utime(copy_of(path), (1_800_000_000, 1_800_000_000))
        with pytest.raises(WarehouseError) as error:
            write(warehouse, [sample()])
        said = str(error.value)
        assert said.startswith(f"{path}: IO Error: Could not read enough bytes from file")
        assert "stop Dagster and move usage.duckdb and usage.duckdb.wal away" in said
        assert "`usage-assets backfill --from-archive --start D --end D` (docs/operations.md)" in said
        assert "\n" not in said
        copying = "`install -m 600 usage-latest.duckdb usage.duckdb` there (the copy of 2027-01-15 08:00 UTC) or"
        assert (copying in said, "install" in said) == (has_copy, has_copy)


def write_as_nobody(database: str, pipe: Pipe) -> None:
    if os.geteuid() == 0:
        os.setuid(65534)  # root may write everything
    try:
        write(Warehouse(database=database), [sample(model="new")])
    except WarehouseError as error:
        pipe.send(str(error))


@pytest.mark.parametrize("protected", ["file", "folder"])
def test_a_file_or_folder_that_we_may_not_write_is_named(protected: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "usage.duckdb"
        if protected == "file":
            write(Warehouse(database=str(path)), [sample(model="old")])
            path.chmod(0o444)
        Path(folder).chmod(0o555)
        ours, theirs = FORKS.Pipe()
        assert in_process(write_as_nobody, str(path), theirs) == 0
        assert ours.recv() == (
            f'{path}: IO Error: Cannot open file "{path}": Permission denied: '
            "run this as the user who owns it, or give this one access. If this never was the warehouse: "
            "set USAGE_WAREHOUSE to a DuckDB file or a new, writable path"
        )
        Path(folder).chmod(0o755)
        assert path.exists() == (protected == "file")
        if protected == "file":
            assert models(Warehouse(database=str(path))) == ["old"]


def test_a_connection_that_somebody_left_open_in_this_process_is_one_line(warehouse: Warehouse) -> None:
    write(warehouse, [sample()])
    with (
        duckdb.connect(warehouse.database),
        pytest.raises(WarehouseError, match="different configuration than existing connections"),
    ):
        write(warehouse, [sample()])


def fill_the_disk(database: str, megabytes: int, pipe: Pipe) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (megabytes << 20, megabytes << 20))
    rows = [sample(model=os.urandom(64).hex()) for _ in range(50_000)]
    try:
        write(Warehouse(database=database), rows)
    except WarehouseError as error:
        pipe.send(str(error))


def test_a_disk_that_fills_up_loses_nothing(warehouse: Warehouse) -> None:
    write(warehouse, [sample(model="old")])
    ours, theirs = FORKS.Pipe()
    with nothing_changes(warehouse):
        assert in_process(fill_the_disk, warehouse.database, 2, theirs) == 0
        assert warehouse.database in ours.recv()


# kill -9. The plan of writes is a function of their number, so that parent and child need not agree on anything else.

KILLS = 20 if IS_NIGHT else 8
PLANNED_DAYS = 10


def planned(number: int) -> tuple[Slice, Counter[date]]:
    """The write of that number: some days, and how many rows each gets."""
    plan = random.Random(number)
    first = plan.randrange(PLANNED_DAYS)
    last = plan.randrange(first, PLANNED_DAYS)
    return days(first, last), Counter({day(n): plan.choice((0, 1, 500, 2_000)) for n in range(first, last + 1)})


def planned_rows(number: int) -> pa.Table:
    """The rows of that write; each carries its number."""
    _, counts = planned(number)
    total = counts.total()
    columns = {field.name: pa.nulls(total, field.type) for field in SAMPLE.arrow_schema} | {
        "connection": pa.repeat("c", total),
        "usage_date": pa.array(counts.elements(), pa.date32()),
        "model": pa.array((f"row {n}" for count in counts.values() for n in range(count)), pa.string()),
        "requests": pa.repeat(number, total),
    }
    return pa.Table.from_pydict(columns, schema=SAMPLE.arrow_schema)


def write_as_planned(database: str, number: int, done: Pipe) -> None:
    warehouse = Warehouse(database=database)
    while True:
        target, _ = planned(number)
        warehouse.replace(SAMPLE, answer(planned_rows(number)), target, run_id=str(number))
        done.send(number)
        number += 1


def intact_writes(warehouse: Warehouse) -> dict[date, int]:
    """The number of the write that each day holds, all of it and nothing else, in the table as in the ledger."""
    rows = warehouse.read(
        f"""
        select
          usage_date,
          [count(*), count(distinct model), min(requests), max(requests)] as content,
          {SAMPLE.content_hash} as content_hash
        from tests.sample
        group by usage_date
        """
    ).to_pylist()
    found = {row["usage_date"]: (row["content"], row["content_hash"]) for row in rows}
    empty = hashlib.sha256(b"").hexdigest()
    held = {}
    for line in warehouse.read("select usage_date, run_id, content_hash from ledger.stored_days").to_pylist():
        stored_day, number = line["usage_date"], int(line["run_id"])
        content, content_hash = found.pop(stored_day, ([0, 0, number, number], empty))
        count = planned(number)[1][stored_day]
        assert content == [count, count, number, number], f"{stored_day} is not what write {number} put there"
        assert content_hash == line["content_hash"], f"{stored_day} is not what the ledger says"
        held[stored_day] = number
    assert not found, "rows of days that the ledger does not know"
    return held


def test_kill_9_at_any_moment_leaves_every_day_whole(warehouse: Warehouse) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    moments = random.Random(seed)
    held: dict[date, int] = {}
    number = committed = 0
    for _ in range(KILLS):
        ours, theirs = FORKS.Pipe(duplex=False)
        with child(write_as_planned, warehouse.database, number, theirs) as process:
            theirs.close()
            held |= dict.fromkeys(planned(ours.recv())[0].days, number)
            time.sleep(moments.uniform(0, 0.15))  # a write takes about 0.1 s
            process.kill()
            process.join()
        with suppress(EOFError):
            while True:
                number = ours.recv()
                held |= dict.fromkeys(planned(number)[0].days, number)
        number += 1
        with_the_killed_write = held | dict.fromkeys(planned(number)[0].days, number)
        found = intact_writes(warehouse)
        assert found in (held, with_the_killed_write)
        committed += found == with_the_killed_write
        held = found
        number += 1
    print(f"{number} writes, {KILLS} of them killed, {committed} of these after their commit")
    target, _ = planned(number)
    warehouse.replace(SAMPLE, answer(planned_rows(number)), target, run_id=str(number))
    assert intact_writes(warehouse) == held | dict.fromkeys(target.days, number)


def interrupt_and_go_on(database: str) -> None:
    warehouse = Warehouse(database=database)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    with suppress(KeyboardInterrupt, RuntimeError), warehouse.transaction() as connection:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        connection.execute("create table endless as select sum(a.range) from range(1000000000) as a, range(1000000000)")
    write(warehouse, [sample()])


def test_a_process_opens_a_file_again_after_an_interrupted_statement(new_warehouse: Warehouse) -> None:
    """DuckDB 1.5 waits for itself for ever, once a connection is closed in the transaction of such a statement."""
    assert in_process(interrupt_and_go_on, new_warehouse.database) == 0
    assert len(stored(new_warehouse)) == 1

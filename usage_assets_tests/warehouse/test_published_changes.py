"""The copy of a large database is made of the former one: only what has changed is written, and into nobody's file."""

import fcntl
import io
import os
import random
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
import pytest

from usage_assets.warehouse import published
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.published import PIECE, copy_of, publish
from usage_assets_tests.forks import FORKS
from usage_assets_tests.warehouse.processes import child, in_process
from usage_assets_tests.warehouse.samples import days, sample, write
from usage_assets_tests.warehouse.test_published import files, in_copy, read_copy

ALL = ["usage-latest.duckdb", "usage-latest.duckdb.former", "usage.duckdb", "usage.duckdb.line"]


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """A warehouse that counts as large. It has been published twice, so that there is a former copy."""
    if not hasattr(fcntl, "F_SETLEASE") or os.major(tmp_path.stat().st_dev) == 0:
        pytest.skip("needs Linux, and the folder for temporary files on a disk")
    monkeypatch.setattr(published, "LARGE", 1)
    monkeypatch.setattr(published, "FICLONE", 0)  # XFS would share the blocks
    warehouse = Warehouse(database=str(tmp_path / "data" / "usage.duckdb"))
    publish_of(warehouse, "old")
    publish_of(warehouse, "new")
    assert files(warehouse) == ALL
    return warehouse


def publish_of(warehouse: Warehouse, model: str) -> None:
    """Publish a state with one row."""
    write(warehouse, [sample(model=model)])
    publish(warehouse)


def is_reused(warehouse: Warehouse, model: str = "newest") -> bool:
    """Whether the next copy is made of the former one; in any case it equals the database."""
    whole, calls = published._copy_bytes, list[BinaryIO]()

    def counted(source: BinaryIO, target: BinaryIO) -> bool:
        calls.append(target)
        return whole(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(published, "_copy_bytes", counted)
        publish_of(warehouse, model)
    assert in_copy(warehouse) == [model]
    assert copy_of(warehouse.database).read_bytes() == Path(warehouse.database).read_bytes()
    return not calls


class Counted(io.BytesIO):
    """A file that counts what is written into it."""

    written = 0

    def write(self, content: Any) -> int:
        self.written += len(content)
        return super().write(content)


def swapped(content: bytes, at: int) -> bytes:
    """Exchange two words of eight bytes: DuckDB's checksum of the block stays as it is."""
    return content[:at] + content[at + 8 : at + 16] + content[at : at + 8] + content[at + 16 :]


def test_whatever_has_changed_is_written_and_nothing_else() -> None:
    for seed in range(5):
        dice = random.Random(seed)
        before = dice.randbytes(PIECE * 20 + dice.randrange(PIECE))
        after = before
        changed = dice.sample(range(20), dice.randrange(6))
        for piece in changed:
            at = piece * PIECE + dice.randrange(PIECE - 16)
            after = dice.choice((swapped(after, at), after[:at] + bytes([after[at] ^ 1]) + after[at + 1 :]))
        target = Counted(before)
        published._write_changes(io.BytesIO(after), target)
        assert (seed, target.getvalue() == after, target.written) == (seed, True, len(changed) * PIECE)
    for size in (1, PIECE, PIECE + 1):
        for former in (1, PIECE, PIECE * 2 - 1):
            content = random.Random(size).randbytes(size)
            target = Counted(random.Random(former).randbytes(former))
            published._write_changes(io.BytesIO(content), target)
            assert target.getvalue() == content, (size, former)


# Writers


def meanwhile(warehouse: Warehouse, happens: Callable[[], object]) -> int:
    """How often everything is compared while a copy is made, if something happens after the first time."""
    times, compare = 0, published._write_changes

    def counted(source: BinaryIO, target: BinaryIO) -> None:
        nonlocal times
        compare(source, target)
        times += 1
        if times == 1:
            happens()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(published, "_write_changes", counted)
        publish(warehouse)
    return times


def write_model(database: str, model: str) -> None:
    write(Warehouse(database=database, wait_seconds=0.1), [sample(model=model)])


def test_nobody_waits_while_all_is_compared(warehouse: Warehouse) -> None:
    write(warehouse, [sample(model="before")])
    assert meanwhile(warehouse, lambda: None) == 1
    assert in_copy(warehouse) == ["before"]
    write(warehouse, [sample(model="later")])
    assert meanwhile(warehouse, lambda: in_process(write_model, warehouse.database, "meanwhile")) == 2
    assert in_copy(warehouse) == ["meanwhile"]


# Nobody's file is written


def test_a_reader_of_the_former_copy_keeps_its_view(warehouse: Warehouse) -> None:
    ours, theirs = FORKS.Pipe()
    with child(read_copy, str(copy_of(warehouse.database)), theirs) as reader:
        assert ours.recv() == [(["new"],)]
        publish_of(warehouse, "newer")
        for number in range(3):
            assert is_reused(warehouse, f"m{number}") == (number > 0)
            ours.send("again")
            assert ours.recv() == [(["new"],)]
        ours.send("enough")
        reader.join(60)
        assert reader.exitcode == 0


def test_a_copy_that_a_backup_reads_or_that_has_another_name_is_not_written(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    expected, kept = copy_of(warehouse.database).read_bytes(), tmp_path / "kept.duckdb"
    with copy_of(warehouse.database).open("rb") as backup:
        publish_of(warehouse, "newer")
        kept.hardlink_to(copy_of(warehouse.database))
        of_kept = kept.read_bytes()
        for _ in range(2):
            assert not is_reused(warehouse)
        assert backup.read() == expected
        assert kept.read_bytes() == of_kept


def no_lease(patch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    patch.delattr("fcntl.F_SETLEASE")


def no_disk(patch: pytest.MonkeyPatch) -> None:
    """As with FUSE, which grants leases and sees only its own readers (tried with bindfs)."""
    patch.setattr(os, "major", lambda _: 0)


def test_where_readers_cannot_be_seen_everything_is_copied(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    for lacking in (no_lease, no_disk):
        with monkeypatch.context() as patch:
            lacking(patch)
            assert not is_reused(warehouse), lacking.__name__
            assert files(warehouse) == [name for name in ALL if not name.endswith(".former")], lacking.__name__
        publish_of(warehouse, "another")  # so that there is a former copy again
        assert files(warehouse) == ALL


def read_and_check(copy: str, pipe: Pipe) -> None:
    """Open the copy again and again: a torn one would show two numbers, or not open."""
    seen = set[int]()
    while not pipe.poll():
        with duckdb.connect(copy, read_only=True) as connection:
            for _ in range(2):
                [(number,)] = connection.execute("select distinct requests from tests.sample").fetchall()
                if number not in seen:
                    seen.add(number)
                    pipe.send(len(seen))


def test_whoever_opens_the_copy_at_any_moment_reads_one_state(warehouse: Warehouse) -> None:
    write(warehouse, [sample(n, requests=0) for n in range(3)], days(0, 2))
    publish(warehouse)
    ours, theirs = FORKS.Pipe()
    with child(read_and_check, str(copy_of(warehouse.database)), theirs) as reader:
        seen, number = 0, 0
        while reader.is_alive() and (seen < 4 or number < 11):  # a busy machine lets the reader run seldom
            number += 1
            write(warehouse, [sample(n, requests=number) for n in range(3)], days(0, 2))
            publish(warehouse)
            while ours.poll():
                seen = ours.recv()
        ours.send("enough")
        reader.join(60)
        assert reader.exitcode == 0


# Kills


WHERE = {"Path": Path, "os": os, "published": published}
STEPS = [
    ("Path", "replace", 1),
    ("Path", "chmod", 1),
    ("published", "_write_changes", 1),
    ("os", "utime", 1),
    ("os", "link", 1),
    ("Path", "replace", 2),
]
"""What is called, one after the other, while the former copy becomes the next one: of what, and for which time."""


def die_at(database: str, owner: str, name: str, call: int, is_done: bool) -> None:
    """Publish, and be killed before or after the n-th call of a function."""
    published.LARGE = 1
    function, calls = getattr(WHERE[owner], name), iter(range(1, call + 1))

    def interrupted(*arguments: Any, **named: Any) -> Any:
        is_last = next(calls) == call
        result = None if is_last and not is_done else function(*arguments, **named)
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(WHERE[owner], name, interrupted)
    publish(Warehouse(database=database))


def test_a_kill_at_any_step_loses_nothing(warehouse: Warehouse) -> None:
    before = "new"
    for owner, name, call, is_done in (*((*step, False) for step in STEPS), (*STEPS[-1], True)):
        write(warehouse, [sample(model="killed")])
        assert in_process(die_at, warehouse.database, owner, name, call, is_done) == -signal.SIGKILL
        assert in_copy(warehouse) == ["killed" if is_done else before], (name, call, is_done)
        content = copy_of(warehouse.database).read_bytes()
        with copy_of(warehouse.database).open("rb") as reader:
            publish_of(warehouse, "after")
            publish_of(warehouse, "later")
            assert reader.read() == content, (name, call, is_done)
        before = "of the one"
        assert is_reused(warehouse, before), (name, call, is_done)

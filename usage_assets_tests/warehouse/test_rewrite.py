"""The format of the database file, and rewriting it: a kill at any moment and a full disk lose nothing."""

import os
import resource
import shutil
import signal
import sys
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import duckdb
import pytest

from usage_assets.warehouse.database import STORAGE, Warehouse
from usage_assets.warehouse.published import copy_of, publish
from usage_assets.warehouse.rewrite import rewrite
from usage_assets.warehouse.values import WarehouseError
from usage_assets_tests.forks import FORKS
from usage_assets_tests.warehouse.samples import FULL, days, ledger, models, sample, stored, write

FORMAT = (
    "select block_size, tags['storage_version'] from duckdb_databases() "
    "join pragma_database_size() using (database_name) where database_name = 'file'"
)
NEW, OLD = (16384, "v1.4.0+"), (262144, "v1.0.0+")
ROWS = 20_000


def format_of(path: Path | str) -> tuple[int, str]:
    """Block size and version of a file, as another DuckDB sees it."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{path}' as file (read_only)")
        [found] = connection.execute(FORMAT).fetchall()
    return found[0], found[1]


@pytest.fixture(scope="module")
def filled_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of an earlier release, with a table and views of a person's own."""
    path = tmp_path_factory.mktemp("old") / "usage.duckdb"
    duckdb.connect(str(path)).close()
    warehouse = Warehouse(database=str(path))
    write(warehouse, [FULL, sample(model="other")])
    write(warehouse, [sample(1, model="tomorrow")], days(1))
    with warehouse.get_connection() as connection:
        connection.execute('create schema "my own"')
        connection.execute(f'create table "my own"."a b" as select range as "c d" from range({ROWS})')
        connection.execute("create table main.number as select 1 as a")
        connection.execute("create view main.seen as select a + 1 as b from main.number")
        connection.execute("create table main.odd as select 1::union(x integer, y text) as either, 'a'::enum('a') as e")
    return path


@pytest.fixture
def old(filled_once: Path, tmp_path: Path) -> Warehouse:
    """A copy of that file."""
    return Warehouse(database=str(shutil.copy2(filled_once, tmp_path)))


def content(warehouse: Warehouse) -> list[Any]:
    """All that a person can read in it."""
    queries = (
        'from "my own"."a b" order by all',
        "from main.seen",
        "from main.odd",
        "from ledger.stored_days order by all",
    )
    return [stored(warehouse, days(0, 1)), ledger(warehouse), *map(warehouse.read, queries)]


def test_a_new_file_has_small_blocks_that_duckdb_1_4_reads_and_so_has_its_copy(tmp_path: Path) -> None:
    file = Warehouse(database=str(tmp_path / "usage.duckdb"))
    write(file, [FULL])
    publish(file)
    assert [format_of(path) for path in (file.database, copy_of(file.database))] == [NEW] * 2
    assert list(STORAGE.values()) == ["v1.4.0", 16384]


def rewrite_until(database: str, moment: str) -> None:
    """Rewrite and be killed at a step, or at an operation on a file."""

    def kill(now: str) -> None:
        if now == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    is_renamed = False

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal is_renamed
        if event == "os.rename":
            kill("before the rename")
            is_renamed = True
        elif event == "open" and is_renamed:
            kill("after the rename")

    sys.addaudithook(watch)
    rewrite(Warehouse(database=database), kill)


MOMENTS = ("copying the file", '"tests"."sample"', "before the rename", "after the rename", "never")


def test_a_kill_at_each_step_loses_nothing_and_the_next_one_ends_it(filled_once: Path, tmp_path: Path) -> None:
    path = tmp_path / "usage.duckdb"
    for moment in MOMENTS:
        shutil.copy2(filled_once, path)
        old = Warehouse(database=str(path))
        before = content(old)
        process = FORKS.Process(target=rewrite_until, args=(old.database, moment))
        process.start()
        process.join(60)
        assert process.exitcode == (0 if moment == "never" else -signal.SIGKILL), moment
        assert format_of(path) == (NEW if moment in ("after the rename", "never") else OLD), moment
        assert content(old) == before, moment
        write(old, [sample(5, model="later")], days(5))
        rewrite(old)
        assert (format_of(path), content(old)[0]) == (NEW, before[0]), moment
        assert models(old, days(5)) == ["later"], moment
        assert not list(tmp_path.glob("*.new*")), moment


def rewrite_on_a_full_disk(database: str, size: int, pipe: Pipe) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        rewrite(Warehouse(database=database))
    except WarehouseError as error:
        pipe.send(str(error))


def test_a_full_disk_is_one_line_and_the_file_is_as_it_was(old: Warehouse) -> None:
    path = Path(old.database)
    before, bytes_before = content(old), path.read_bytes()
    ours, theirs = FORKS.Pipe()
    process = FORKS.Process(target=rewrite_on_a_full_disk, args=(old.database, 200_000, theirs))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    said = ours.recv()
    assert said.startswith(f"{path}: ")
    assert "File too large" in said
    assert said.endswith("; it is as it was, not rewritten")
    assert "\n" not in said
    assert path.read_bytes() == bytes_before
    assert content(old) == before
    assert not list(path.parent.glob("*.new*"))


def test_whoever_opened_the_file_while_it_was_replaced_writes_into_the_new_one(
    old: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening a file and locking it, another process can put a rewritten file in its place."""
    connect, path = duckdb.connect, Path(old.database)
    other = path.with_name("other")
    shutil.copy(path, other)

    def replaced_meanwhile(*arguments: Any, **options: Any) -> duckdb.DuckDBPyConnection:
        opened = connect(*arguments, **options)
        if other.exists():
            other.replace(path)
        return opened

    monkeypatch.setattr(duckdb, "connect", replaced_meanwhile)
    write(old, [sample(model="new")])
    monkeypatch.undo()
    assert models(old) == ["new"]

"""The copy that people read: whole, of one state, never in anybody's way, made once for many runs in a row."""

import os
import resource
import shutil
import signal
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
import time_machine
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.utils import make_new_run_id

from usage_assets.assets.names import ALONE
from usage_assets.assets.warehouse_resource import PATIENCE, WarehouseResource
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.published import copy_of, is_current, publish
from usage_assets.warehouse.values import WarehouseError
from usage_assets_tests.fixtures import execute
from usage_assets_tests.forks import FORKS
from usage_assets_tests.warehouse.processes import child, held_by_another, in_process
from usage_assets_tests.warehouse.samples import days, sample, write

WRITES = 12


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """A warehouse whose runs publish, of which nothing exists yet."""
    return Warehouse(database=str(tmp_path / "data" / "usage.duckdb"))


def run(
    warehouse: Warehouse,
    instance: dg.DagsterInstance,
    model: str = "m",
    *,
    fails: bool = False,
) -> dg.ExecuteInProcessResult:
    """A run that stores one row of day 0, and may fail afterwards."""

    @dg.asset
    @ALONE.bound
    def stored(warehouse: dg.ResourceParam[Warehouse]) -> None:
        write(warehouse, [sample(model=model)])
        if fails:
            raise dg.Failure("refused")

    return dg.materialize(
        [stored], instance=instance, resources={"warehouse": WarehouseResource.of(warehouse)}, raise_on_error=False
    )


def open_copy(warehouse: Warehouse) -> duckdb.DuckDBPyConnection:
    """Open the copy as a notebook does."""
    return duckdb.connect(str(copy_of(warehouse.database)), read_only=True)


def in_copy(warehouse: Warehouse) -> list[str]:
    """The models in the copy."""
    with open_copy(warehouse) as copy:
        return [model for (model,) in copy.execute("select model from tests.sample order by all").fetchall()]


def files(warehouse: Warehouse) -> list[str]:
    """The names of what is in the database's folder."""
    return sorted(path.name for path in Path(warehouse.database).parent.iterdir())


def warnings(instance: dg.DagsterInstance, ended: dg.ExecuteInProcessResult) -> list[str]:
    """What a run's log warns of."""
    return [entry.user_message for entry in instance.all_logs(ended.run_id) if entry.level == 30]


def under_way(
    instance: dg.DagsterInstance,
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED,
) -> dg.DagsterRun:
    """Add a run that is queued or under way."""
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("usage_assets"), "__repository__")
    other = dg.DagsterRun(
        "usage", make_new_run_id(), status=status, remote_job_origin=RemoteJobOrigin(repository, "usage")
    )
    instance.add_run(other)
    return other


def test_a_run_publishes_what_it_has_stored_also_where_it_fails(
    warehouse: Warehouse, instance: dg.DagsterInstance
) -> None:
    publish(warehouse)
    assert not Path(warehouse.database).parent.exists(), "without a database, nothing is made"
    waiting = under_way(instance)
    assert run(warehouse, instance, "first").success
    assert in_copy(warehouse) == ["first"], "the first copy waits for no other run"
    instance.delete_run(waiting.run_id)
    assert not run(warehouse, instance, "second", fails=True).success
    assert in_copy(warehouse) == ["second"]
    assert is_current(warehouse.database)
    assert files(warehouse) == ["usage-latest.duckdb", "usage.duckdb", "usage.duckdb.line"]


def read_copy(copy: str, pipe: Pipe) -> None:
    with duckdb.connect(copy, read_only=True) as connection:
        while True:
            pipe.send(connection.execute("select list(model) from tests.sample").fetchall())
            if pipe.recv() == "enough":
                return


def test_nobody_can_write_the_copy_and_whoever_may_read_the_database_may_read_it(
    warehouse: Warehouse,
) -> None:
    for mode, expected in ((0o644, 0o444), (0o600, 0o400)):
        write(warehouse, [sample(model=oct(mode))])
        Path(warehouse.database).chmod(mode)
        publish(warehouse)
        assert copy_of(warehouse.database).stat().st_mode & 0o777 == expected


def test_without_a_change_nothing_is_copied(warehouse: Warehouse, instance: dg.DagsterInstance) -> None:
    def written() -> tuple[int, int]:
        """To open the copy changes when it was read, and no more."""
        found = copy_of(warehouse.database).stat()
        return found.st_ino, found.st_ctime_ns

    run(warehouse, instance)
    before = written()
    assert run_reader(warehouse, instance).success
    publish(warehouse)
    assert written() == before


def test_an_older_database_put_in_its_place_is_published(warehouse: Warehouse, tmp_path: Path) -> None:
    write(warehouse, [sample(model="old")])
    backup = tmp_path / "backup.duckdb"
    Path(warehouse.database).rename(backup)
    write(warehouse, [sample(model="new")])
    publish(warehouse)
    backup.rename(warehouse.database)
    publish(warehouse)
    assert in_copy(warehouse) == ["old"]


def test_a_table_that_is_lost_is_not_lost_in_the_copy(warehouse: Warehouse) -> None:
    """The copy is what brings it back."""
    write(warehouse, [sample(model="whole")])
    publish(warehouse)
    for lost, said in (
        ("tests.sample", "tests.sample: is missing, although 1 day of it was stored: restore a copy"),
        ("ledger.partition_versions", "move usage.duckdb and usage.duckdb.wal away, then `install -m 600 usage-latest"),
    ):
        execute(warehouse, f"drop table {lost}")
        with pytest.raises(WarehouseError) as error:
            publish(warehouse)
        assert said in str(error.value)
        assert in_copy(warehouse) == ["whole"]


# Many runs in a row


def test_of_many_runs_in_a_row_the_last_one_publishes(warehouse: Warehouse, instance: dg.DagsterInstance) -> None:
    queued = dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED
    run(warehouse, instance, "last")
    for status in (*queued, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED):
        others = [under_way(instance, status) for _ in range(2)]
        run(warehouse, instance, "new")
        assert in_copy(warehouse) == ["last"], status
        for other in others:
            instance.delete_run(other.run_id)
        run(warehouse, instance, "last")
        assert in_copy(warehouse) == ["last"], status


def test_a_queue_that_never_ends_delays_a_copy_for_minutes(warehouse: Warehouse, instance: dg.DagsterInstance) -> None:
    run(warehouse, instance, "old")
    published_at = datetime.fromtimestamp(copy_of(warehouse.database).stat().st_mtime, UTC)
    for passed, expected in ((PATIENCE / 2, "old"), (PATIENCE + timedelta(seconds=1), "new")):
        with time_machine.travel(published_at + passed, tick=False):
            under_way(instance)
            run(warehouse, instance, "new")
        assert in_copy(warehouse) == [expected]


# What goes wrong


def end_at_a_megabyte(database: str, at_the_limit: signal.Handlers, pipe: Pipe) -> None:
    """A run where no file can grow further: the disk is full, or the process dies in the middle of its copy."""
    signal.signal(signal.SIGXFSZ, at_the_limit)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    with dg.DagsterInstance.ephemeral() as instance:
        ended = run_reader(Warehouse(database=database), instance)
        pipe.send((ended.success, warnings(instance, ended)))


def run_reader(warehouse: Warehouse, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """A run that changes nothing, after others that did not publish."""

    @dg.asset
    @ALONE.bound
    def reads(warehouse: dg.ResourceParam[Warehouse]) -> None:
        warehouse.read("select 1")

    return dg.materialize(
        [reads], instance=instance, resources={"warehouse": WarehouseResource.of(warehouse)}, raise_on_error=False
    )


def large(warehouse: Warehouse) -> None:
    """Store some megabytes."""
    write(warehouse, [sample(model=os.urandom(64).hex()) for _ in range(40_000)])
    assert Path(warehouse.database).stat().st_size > 2 << 20


def test_a_full_disk_is_one_warning_and_the_former_copy_stays(warehouse: Warehouse) -> None:
    write(warehouse, [sample(model="old")])
    publish(warehouse)
    large(warehouse)
    ours, theirs = FORKS.Pipe()
    assert in_process(end_at_a_megabyte, warehouse.database, signal.SIG_IGN, theirs) == 0
    reason = f"{copy_of(warehouse.database)}: File too large: what was published before stays"
    assert ours.recv() == (True, [f"the published copy is out of date: {reason}"])
    (draft := Path(warehouse.database).with_name("usage-latest.duckdb.new")).mkdir()
    with pytest.raises(WarehouseError, match=f"^{draft}: Is a directory: what was published before stays$"):
        publish(warehouse)
    draft.rmdir()
    assert in_copy(warehouse) == ["old"]
    assert files(warehouse) == ["usage-latest.duckdb", "usage.duckdb", "usage.duckdb.line"]


def test_a_run_killed_while_it_publishes_leaves_the_former_copy_and_the_next_one_clears_up(
    warehouse: Warehouse, instance: dg.DagsterInstance
) -> None:
    write(warehouse, [sample(model="old")])
    publish(warehouse)
    large(warehouse)
    _, theirs = FORKS.Pipe()
    assert in_process(end_at_a_megabyte, warehouse.database, signal.SIG_DFL, theirs) == -signal.SIGXFSZ
    assert files(warehouse) == ["usage-latest.duckdb", "usage-latest.duckdb.new", "usage.duckdb", "usage.duckdb.line"]
    assert in_copy(warehouse) == ["old"]
    (Path(warehouse.database).parent / "usage-latest.duckdb.new").chmod(0o444)  # it may have been as good as done
    assert run_reader(warehouse, instance).success
    assert len(in_copy(warehouse)) == 40_000
    assert files(warehouse) == ["usage-latest.duckdb", "usage.duckdb", "usage.duckdb.line"]


def commit_and_die(database: str) -> None:
    with Warehouse(database=database).transaction() as connection:
        connection.execute("update tests.sample set model = 'committed'")
        connection.commit()
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_run_had_committed_is_in_the_copy(warehouse: Warehouse) -> None:
    write(warehouse, [sample(model="old")])
    publish(warehouse)
    in_process(commit_and_die, warehouse.database)
    assert "usage.duckdb.wal" in files(warehouse)
    assert not is_current(warehouse.database)
    publish(warehouse)
    assert in_copy(warehouse) == ["committed"]


def write_into_the_copy_and_die(copy: str) -> None:
    with duckdb.connect(copy) as connection:
        connection.execute("update tests.sample set model = 'mine'")
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_somebody_wrote_into_a_copy_does_not_get_into_the_next_one(warehouse: Warehouse) -> None:
    write(warehouse, [sample(model="old")])
    publish(warehouse)
    copy_of(warehouse.database).chmod(0o644)
    in_process(write_into_the_copy_and_die, str(copy_of(warehouse.database)))
    assert "usage-latest.duckdb.wal" in files(warehouse)
    write(warehouse, [sample(model="new")])
    publish(warehouse)
    assert in_copy(warehouse) == ["new"]


def test_a_database_that_somebody_holds_is_one_warning(warehouse: Warehouse, instance: dg.DagsterInstance) -> None:
    impatient = Warehouse(database=warehouse.database, wait_seconds=0.1)
    write(impatient, [sample()])

    @dg.asset
    @ALONE.bound
    def idle(warehouse: dg.ResourceParam[Warehouse]) -> None: ...

    with held_by_another(warehouse.database) as holder:
        ended = dg.materialize([idle], instance=instance, resources={"warehouse": WarehouseResource.of(impatient)})
    assert ended.success
    (warning,) = warnings(instance, ended)
    assert warning.startswith("the published copy is out of date: ")
    assert f"in use by another process (PID {holder.pid}" in warning
    assert not copy_of(warehouse.database).exists()


# Several processes at once


def try_to_write(database: str, pipe: Pipe) -> None:
    try:
        write(Warehouse(database=database, wait_seconds=0.1), [sample(model="torn")])
        pipe.send("written")
    except WarehouseError as error:
        pipe.send(str(error))


def test_nobody_can_write_before_the_last_byte_is_copied(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    write(warehouse, [sample(model="whole")])
    copy, said = shutil.copyfileobj, list[str]()

    def somebody_tries() -> None:
        ours, theirs = FORKS.Pipe()
        in_process(try_to_write, warehouse.database, theirs)
        said.append(ours.recv())

    def interrupted(*source_and_target: Any) -> None:
        somebody_tries()
        copy(*source_and_target)
        somebody_tries()

    monkeypatch.setattr(shutil, "copyfileobj", interrupted)
    publish(warehouse)
    assert len(said) == 2
    assert all(f"in use by another process (PID {os.getpid()}," in line for line in said)
    assert in_copy(warehouse) == ["whole"]


def keep_writing(database: str) -> None:
    for number in range(WRITES):
        write(Warehouse(database=database), [sample(n, requests=number) for n in range(3)], days(0, 2), str(number))
        publish(Warehouse(database=database))


def keep_publishing(database: str, pipe: Pipe) -> None:
    while not pipe.poll():
        publish(Warehouse(database=database))


def test_whatever_happens_at_once_every_copy_is_one_state(warehouse: Warehouse) -> None:
    """Each write says its number in three days and in the ledger: a torn copy would show two numbers, or not open."""
    write(warehouse, [sample(n, requests=0) for n in range(3)], days(0, 2), "0")
    publish(warehouse)
    seen: set[Any] = set()
    ours, theirs = FORKS.Pipe()
    with child(keep_writing, warehouse.database) as writer, child(keep_publishing, warehouse.database, theirs) as other:
        while writer.is_alive():
            with open_copy(warehouse) as copy:
                (state,) = copy.execute(
                    "select (select list(distinct requests) from tests.sample), "
                    "(select list(distinct run_id::int) from ledger.stored_days)"
                ).fetchall()
            assert state[0] == state[1]
            assert len(state[0]) == 1
            seen |= {*state[0]}
        ours.send("enough")
        for process in (writer, other):
            process.join(60)
            assert process.exitcode == 0
    assert in_copy(warehouse) == ["m"] * 3
    assert is_current(warehouse.database)
    assert len(seen) > 2, "there were copies to look at"
    assert files(warehouse) == ["usage-latest.duckdb", "usage.duckdb", "usage.duckdb.line"]

"""A lake: writers of one table wait for each other, readers for nobody, and what a process leaves undone is nowhere."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

import pytest
from psycopg.conninfo import conninfo_to_dict

from usage_assets.cli.backfill_days import _publisher
from usage_assets.config.settings import Settings
from usage_assets.core.redaction import redacted
from usage_assets.core.schema import declared, to_arrow
from usage_assets.core.warehouse_address import LAKE, AddressError, WarehouseAddress
from usage_assets.features.deletion.rows import Rows
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.readable import quoted
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch, View, WarehouseError
from usage_assets_lake.move.copying import move
from usage_assets_lake.warehouse import Lake
from usage_assets_lake_tests.lake_drill import (
    SideBySide,
    kill_writers,
    left_over,
    side_by_side,
)
from usage_assets_tests.fixtures import IS_NIGHT
from usage_assets_tests.object_store import CREDENTIALS
from usage_assets_tests.postgres import new_database
from usage_assets_tests.warehouse.conftest import copied_lake, empty_lake
from usage_assets_tests.warehouse.samples import DAY, FULL, SAMPLE, Sample, days, ledger, sample, stored, write

TABLE = SAMPLE.name


@pytest.fixture
def new_lake(postgres: str, tmp_path: Path) -> Iterator[Lake]:
    """A lake of which nothing exists."""
    with empty_lake(postgres, tmp_path / "new") as lake:
        yield lake


@pytest.fixture
def lake(postgres: str, empty_catalog: str, tmp_path: Path) -> Iterator[Lake]:
    """A lake that has the ledgers, and no rows."""
    with copied_lake(postgres, empty_catalog, tmp_path / "lake") as lake:
        yield lake


def hurried(lake: Lake) -> Lake:
    return Lake(database=lake.database, data=lake.data, wait_seconds=1)


# What it is


ADDRESSES = (
    ("ducklake:postgres:host=db password=geheim", "data", "has a password"),
    ("ducklake:postgres:host=db PASSWORD = 'ge heim' x", "data", "has a password"),
    ("ducklake:postgres:postgresql://me:geheim@db/usage", "data", "has a password"),
    ("ducklake:postgres:dbname=usage", "s3://key:geheim@bucket", "has a secret"),
    ("ducklake:postgres:dbname=usage", None, "set USAGE_WAREHOUSE_DATA"),
    ("ducklake:sqlite:usage.db", "data", "must be a path or ducklake:postgres:"),
    ("postgresql://db/usage", "data", "must be a path or ducklake:postgres:"),
)


def test_an_address_that_cannot_be_used_is_refused_without_its_password() -> None:
    for url, data, message in ADDRESSES:
        with pytest.raises(AddressError, match=message) as error:
            WarehouseAddress(url, data)
        assert "heim" not in str(error.value), url
    for text in (*(url for url, *_ in ADDRESSES[:3]), "://:geheim@db"):
        assert "heim" not in redacted(f"cannot connect: {text}"), text


# Side by side


def test_reads_of_one_moment_agree_while_others_write(lake: Lake) -> None:
    """What doctor, removals and prune read in several steps, and what exports and queries read."""
    write(lake, [sample(model="before"), sample(model="too")])
    with lake.transaction(TABLE) as writing:
        writing.execute(f"update {TABLE} set requests = 7")
        assert [row["requests"] for row in stored(hurried(lake))] == [1, 1], "a reader does not wait for a writer"
    with lake.one_moment() as now, lake.reading() as database:
        assert Rows.of_connection("c").count(now) == {"ledger.partition_versions": 1, TABLE: 2}
        write(lake, [sample(model="after")])
        write(lake, [sample(1)], days(1))
        assert [row["model"] for row in stored(now, days(0, 1))] == ["before", "too"]
        assert database.sql(f"select count(*) from {TABLE}").fetchall() == [(2,)]
        assert Rows.of_connection("c").count(now) == {"ledger.partition_versions": 1, TABLE: 2}
        with pytest.raises(WarehouseError, match="is only read here"):
            Rows.of_connection("c").delete(now)
    assert Rows.of_connection("c").count(lake) == {"ledger.partition_versions": 3, TABLE: 2}
    assert [row["model"] for row in stored(lake, days(0, 1))] == ["after", "m"]


def test_another_table_is_written_meanwhile_and_everything_waits_for_the_whole_lake(lake: Lake) -> None:
    write(lake, [sample()])
    with lake.locked(TABLE), pytest.raises(WarehouseError) as error:
        write(hurried(lake), [sample(model="other")])
    assert "\n" not in str(error.value)
    assert "tests.sample: locked by usage-assets on" in str(error.value)
    assert f"process {os.getpid()}" in str(error.value)
    with lake.locked("openai.costs"):
        write(hurried(lake), [sample(model="other")])
        with pytest.raises(WarehouseError, match="the lake: locked by"), hurried(lake).transaction():
            pass
        with pytest.raises(WarehouseError, match="the lake: locked by"):
            hurried(lake).maintain(timedelta(0))
        lake.detach()  # from here on, it knows no more of the lake than a process that has just started
        write(hurried(lake), [sample(model="after")])
        with lake.get_connection() as database:
            database.execute("drop view ledger.restatements")
        lake.detach()
        with pytest.raises(WarehouseError, match="the lake: locked by"):  # to make what an earlier release lacks
            write(hurried(lake), [sample(model="later")])
    with lake.locked(), pytest.raises(WarehouseError, match="locked by"):
        write(hurried(lake), [sample(model="third")])


def test_a_conflict_with_somebody_who_ignores_the_locks_is_tried_again(lake: Lake) -> None:
    """As a person does who edits a row in a notebook, just before the commit."""
    write(lake, [sample(model="before")])
    steps: list[str] = []

    def note(step: str) -> None:
        steps.append(step)
        if steps.count("committing") == 1 and step == "committing":
            with lake.get_connection() as connection:
                connection.execute(f"update {TABLE} set requests = 99")

    content = Batch(rows=to_arrow(Sample, [sample(model="after")]), began=datetime.now(UTC))
    [version] = lake._replace(SAMPLE, content, days(0), "run", print, note)
    assert steps.count("committing") == 2
    assert (version.version, [row["model"] for row in stored(lake)]) == (2, ["after"])


@pytest.mark.parametrize("what", side_by_side(1) if IS_NIGHT else ["tables of their own", "one day"])
def test_eight_processes_write_every_version_and_never_in_vain(lake: Lake, what: str) -> None:
    targets = side_by_side(8)[what]
    assert SideBySide.of(lake, targets, times=3) == SideBySide(writes=24, versions=24, last=24, retries=0)
    rows = " union all ".join(f"from {table}" for table in sorted({table for _, table in targets}))
    assert lake.read(f"select count(*) as rows from ({rows})")["rows"][0].as_py() == 3 * len({*targets})


def test_no_kill_leaves_a_part_of_a_day_or_a_file_that_maintenance_does_not_find(lake: Lake) -> None:
    assert kill_writers(lake, 3, Random(1)) == 3
    before = stored(lake)
    lake.maintain(timedelta(0))
    found, known = left_over(lake)
    assert (found, stored(lake)) == (known, before)


LOSING_ITS_SERVER = """
import sys
import psycopg
from usage_assets_lake.warehouse import Lake
database, data, *ways = sys.argv[1:]
lake = Lake(database=database, data=data)
for way in ways:
    done, left = way.split(" | ")
    print(way, end=": ", flush=True)
    try:
        with lake.get_connection() as connection:
            connection.begin()
            connection.execute(done)
            with psycopg.connect(lake._catalog, autocommit=True) as session:
                others = "from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()"
                session.execute(f"select pg_terminate_backend(pid) {others}")
            exec(left)
    except Exception as error:
        print(type(error).__name__, end=" ")
    print(lake.read("select count(*) from tests.sample").column(0)[0])
    lake.detach()
"""
DONE = ("from tests.sample", "delete from tests.sample", "select 1")
LEFT = {"pass": "", "raise KeyError": "KeyError ", "connection.commit()": "WarehouseError "}


def test_a_process_whose_server_goes_away_lives_on(lake: Lake) -> None:
    """DuckDB aborts a process that closes such a connection in a transaction: one failover ended the code server."""
    write(lake, [sample()])
    expected = {f"{done} | {left}": said for done in DONE for left, said in LEFT.items()}
    expected["select 1 | connection.commit()"] = ""  # nothing of the lake was used that the server could refuse
    command = [sys.executable, "-c", LOSING_ITS_SERVER, lake.database, lake.data, *expected]
    process = subprocess.run(command, capture_output=True, text=True)
    assert (process.returncode, process.stderr) == (0, ""), process.stdout
    assert process.stdout.splitlines() == [f"{way}: {said}1" for way, said in expected.items()]


def test_both_ends_of_a_session_notice_that_the_other_was_cut_off(lake: Lake) -> None:
    """Also during a commit, when an answer is under way: TCP sends no keepalives then, and tries for 15 minutes."""
    write(lake, [sample()])
    settings = "select name, reset_val from pg_settings where name like 'tcp%'"
    expected = {"tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3"}
    expected["tcp_user_timeout"] = "60000"
    with lake.session() as session:
        assert dict(session.execute(settings).fetchall()) == expected
        ours = session.info.get_parameters()
    assert {name: ours[name.removeprefix("tcp_") if "keep" in name else name] for name in expected} == expected
    with lake.get_connection() as connection:  # DuckDB's own session, in which rows are committed
        [(attached,)] = connection.execute("select current_database()").fetchall()
        query = f"from postgres_query('__ducklake_metadata_{attached}', {quoted(settings)})"
        assert dict(connection.execute(query).fetchall()) == expected


def test_a_catalog_that_cannot_be_reached_is_named_as_it_was_set(tmp_path: Path) -> None:
    lake = Lake(database=f"{LAKE}host={tmp_path} dbname=usage", data=str(tmp_path))
    for ask in (partial(lake.read, "select 1"), partial(write, lake, [sample()]), lambda: lake.exists):
        with pytest.raises(WarehouseError) as error:
            ask()
        assert "\n" not in str(error.value)
        assert str(error.value).startswith(f"{lake.database}: ")
        assert "No such file or directory" in str(error.value)
        assert str(error.value).count("dbname") == 1


def test_without_its_ledger_it_is_neither_read_nor_written_and_former_states_are(lake: Lake) -> None:
    write(lake, [sample()])
    before = datetime.now(UTC)
    with lake.transaction() as database:
        database.execute("drop table ledger.partition_versions")
    for opened in (lake.reading, lake.get_connection, lake.transaction):
        with pytest.raises(WarehouseError) as error, opened() as database:
            database.execute("from ledger.stored_days")
        assert str(error.value).startswith(f"{lake.database}: its table ledger.partition_versions is missing: ")
    with lake.reading(before) as database:
        assert database.execute(f"select count(*) from {TABLE}").fetchall() == [(1,)]


# Moving


def test_a_file_moves_into_a_lake_and_back(new_lake: Lake, tmp_path: Path) -> None:
    file, back = (Warehouse(database=str(tmp_path / name)) for name in ("usage.duckdb", "back.duckdb"))
    write(file, [sample(model="one")])
    write(file, [sample(1, model="two"), sample(2, model="three")], days(1, 2))
    with file.get_connection() as database:
        database.execute("create schema mine; create table mine.notes as select 'kept' as note, 0.5::double as share")
        database.execute("create view mine.seen as select note from mine.notes")
    moved = move(file, new_lake)
    assert (moved.days, [view for view in moved.views if view.startswith("mine")]) == (6, ["mine.seen"])
    move(new_lake, back)
    for held in (new_lake, back):
        for table in (TABLE, "ledger.partition_versions", "mine.notes"):
            query = f"from {table} order by all"
            assert held.read(query).to_pylist() == file.read(query).to_pylist()
    write(back, [sample(model="goes on")])
    assert [row["version"] for row in ledger(back) if row["usage_date"] == DAY] == [1, 2]


def test_nothing_is_moved_into_a_warehouse_that_holds_something(new_lake: Lake, tmp_path: Path) -> None:
    file = Warehouse(database=str(tmp_path / "usage.duckdb"))
    with pytest.raises(WarehouseError, match="nothing is stored yet"):
        move(file, new_lake)
    write(file, [sample(model="from")])
    write(new_lake, [sample(model="there")])
    with pytest.raises(WarehouseError, match="tables already; move into an empty one"):
        move(file, new_lake)
    assert [row["model"] for row in stored(new_lake)] == ["there"]


def test_a_value_that_a_lake_cannot_hold_moves_nothing(new_lake: Lake, tmp_path: Path) -> None:
    file = Warehouse(database=str(tmp_path / "usage.duckdb"))
    write(file, [sample()])
    with file.get_connection() as database:
        database.execute("create table main.odd as select 1::union(x integer, y text) as either")
    with pytest.raises(WarehouseError, match="nothing was copied") as error:
        move(file, new_lake)
    assert "\n" not in str(error.value)
    assert new_lake.read("select count(*) as tables from duckdb_tables() where database_name = current_database()")[
        "tables"
    ].to_pylist() == [0]


# In an object store


def test_an_object_store_holds_what_a_folder_holds(lake_in_store: Lake, tmp_path: Path) -> None:
    """Written, read by another process' DuckDB, rewritten, maintained, moved into a file and back."""
    lake, file = lake_in_store, Warehouse(database=str(tmp_path / "usage.duckdb"))
    for held in (lake, file):
        write(held, [sample(model="one"), sample(model="two")])
        write(held, [sample(1, model="three"), FULL], days(0, 1))
        write(held, [sample(2, connection="other")], days(2, connection="other"))
    assert stored(lake, days(0, 1)) == stored(file, days(0, 1))
    objects = files(lake)
    lake.detach()  # as another process, it finds its credentials again
    lake.maintain(timedelta(0))
    assert files(lake) == 2 < objects
    assert hashes(lake) == hashes(file)
    back, again = Warehouse(database=str(tmp_path / "back.duckdb")), sibling(lake, "again")
    assert move(lake, back).days == move(back, again).days == 6
    assert hashes(back) == hashes(again) == hashes(file)
    again.detach()


def test_whether_an_object_store_can_be_written_is_tried_and_leaves_nothing(
    lake_in_store: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake_in_store.try_writing()
    with monkeypatch.context() as patch:
        patch.setenv("AWS_SECRET_ACCESS_KEY", "a-wrong-secret")
        with pytest.raises(WarehouseError) as error:
            lake_in_store.try_writing()
    [said] = str(error.value).splitlines()
    assert said.startswith(f"{lake_in_store.data}: runs could not store anything, because nothing can be written there")
    assert "403" in said
    assert "a-wrong-secret" not in said
    assert files(lake_in_store) == 0


def test_a_store_without_credentials_says_so(lake: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in CREDENTIALS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    lost = Lake(database=lake.database, data="s3://lakes/lost")
    with pytest.raises(WarehouseError, match="no credentials for s3://lakes/lost: set AWS_ACCESS_KEY_ID") as error:
        write(lost, [sample()])
    assert "\n" not in str(error.value)


def test_an_endpoint_that_cannot_be_used_is_refused_without_its_secret(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for endpoint in ("minio:9000", "https://key:geheim@minio:9000", "https://"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with pytest.raises(WarehouseError, match="must look like https://host:port") as error:
            write(Lake(database=lake.database, data="s3://lakes/lost"), [sample()])
        assert "geheim" not in str(error.value), endpoint


# Maintenance


def files(lake: Lake) -> int:
    """How many Parquet files there are, known to the catalog or not."""
    with lake.get_connection() as database:
        [(count,)] = database.execute("select count(*) from glob($1)", [f"{lake.data}/**/*.parquet"]).fetchall()
    return int(count)


def files_of(lake: Lake) -> int:
    """How many Parquet files the table consists of now."""
    with lake.get_connection() as database:
        listed = "select * from ducklake_list_files(current_database(), 'sample', schema => 'tests')"
        return len(database.execute(listed).fetchall())


def hashes(warehouse: Warehouse) -> list[str]:
    """The content of every day."""
    with warehouse.transaction(keep=False) as database:  # with the views that nobody has made yet
        return [
            hash_
            for (hash_,) in database.execute("select content_hash from ledger.stored_days order by all").fetchall()
        ]


def sibling(lake: Lake, name: str) -> Lake:
    """An empty lake on the same servers."""
    catalog = lake.database.removeprefix(LAKE)
    server = catalog[: catalog.rindex("dbname=")] + "dbname=postgres"
    return Lake(database=f"{LAKE}{new_database(server)}", data=f"{lake.data}-{name}")


def test_tables_that_were_made_undivided_are_divided(lake: Lake) -> None:
    with lake.transaction() as database:
        for statement in SAMPLE.ddl():
            database.execute(statement)
    write(lake, [sample(n) for n in range(40)], days(0, 39))
    before, versions = stored(lake, days(0, 39)), ledger(lake)
    assert files_of(lake) == 1
    for _ in range(2):
        lake.maintain(timedelta(0))
        assert (stored(lake, days(0, 39)), ledger(lake), files_of(lake)) == (before, versions, 2)


def test_files_of_others_are_never_deleted(lake: Lake) -> None:
    """A lake owns its folder: whoever puts another one next to its files, or below them, is told so."""
    write(lake, [sample()])
    stray, ours = (Path(lake.data, *parts) for parts in (("mine", "a.parquet"), ("tests", "sample", "left.parquet")))
    stray.parent.mkdir()
    for file in (stray, ours):
        file.write_bytes(b"")
    with pytest.raises(WarehouseError, match=r"mine/a\.parquet: is not of this lake"):
        lake.maintain(timedelta(0))
    assert stray.exists()
    other = sibling(lake, "unused")
    with pytest.raises(WarehouseError, match="holds Parquet files, and the catalog is empty"):
        write(Lake(database=other.database, data=lake.data), [sample()])
    stray.unlink()
    left = Path(lake.data, "costs", "daily_costs", "killed.parquet")  # a schema that no commit has made yet
    left.parent.mkdir(parents=True)
    left.write_bytes(b"")
    lake.maintain(timedelta(0))
    assert (ours.exists(), left.exists(), len(stored(lake))) == (False, False, 1)


def test_a_wiped_catalog_keeps_no_deleted_value_in_its_files(lake: Lake) -> None:
    """The ranges of columns name people. PostgreSQL's log keeps them for some time, and is said to."""
    name = "dana.oezdemir@example.com"
    server = Path(str(conninfo_to_dict(lake.database.removeprefix(LAKE))["host"]))

    def is_in_files() -> bool:
        with lake.session() as session:
            session.execute("checkpoint")
            found = session.execute("select oid from pg_database where datname = current_database()").fetchone()
        assert found
        return any(name.encode() in path.read_bytes() for path in (server / "base" / str(found[0])).iterdir())

    target = days(0, 9)
    write(lake, [sample(number, model=name) for number in range(10)], target)
    with lake.session() as session:
        session.execute("analyze")
    assert is_in_files()
    write(lake, [sample(model="somebody")], target)
    lake.maintain(timedelta(0))
    assert is_in_files()
    lake.maintain(timedelta(0), wipe=True)
    assert not is_in_files()
    assert set(lake.read("select model from tests.sample").column(0).to_pylist()) == {"somebody"}


def test_what_is_missing_is_made_in_one_commit_and_waits_for_who_has_the_lake(lake: Lake) -> None:
    write(lake, [sample()])
    before = int(lake.fingerprint)
    checks, statements = (Table(declared(name)) for name in ("ledger.failed_checks", "ledger.statements"))
    view = View("create or replace view tests.both as select 1 as one from ledger.failed_checks, ledger.statements")
    with lake.get_connection() as database:
        with lake.locked(), pytest.raises(WarehouseError, match="locked by"):
            hurried(lake).declare(database, [checks, statements])
        for _ in range(2):
            assert lake.declare(database, [checks, statements, SAMPLE], [view]) == ()
            assert int(lake.fingerprint) == before + 1
        assert database.execute("from tests.both").fetchall() == []


def test_a_lake_with_an_address_that_is_no_name_of_a_file_has_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = ",".join(f"usage-warehouse-{n}.cluster-c9akciq32rwx.eu-central-1.rds.amazonaws.com" for n in range(4))
    monkeypatch.setenv("USAGE_WAREHOUSE", f"{LAKE}host={hosts} dbname=usage user=usage")
    monkeypatch.setenv("USAGE_WAREHOUSE_DATA", str(tmp_path))
    said: list[object] = []
    _publisher(Settings.load(), said.append)()
    assert said == []

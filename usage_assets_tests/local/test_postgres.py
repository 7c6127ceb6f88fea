"""Dagster's storages in PostgreSQL: how many connections, what a fork or a restart does to them, ids in order."""

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import dagster as dg
import psycopg
import pytest
import sqlalchemy

from usage_assets.config.settings import SettingsError
from usage_assets.core.forgotten import Person
from usage_assets.core.keepalives import CONNECTED, KEEPALIVES
from usage_assets.features.deletion.history_texts import find_texts
from usage_assets.local.home import open_instance
from usage_assets.local.postgres import KEPT, PooledPostgresEventLogStorage, _engine
from usage_assets_tests.postgres import (
    close,
    dagster_yaml,
    drop,
    instance_in,
    name_of,
    new_database,
    restart,
    running_postgres,
    url_of,
    with_password,
)
from usage_assets_tests.waiting import until


@pytest.fixture
def database(postgres: str, dagster_tables: str) -> Iterator[str]:
    """A database with Dagster's tables."""
    made = new_database(postgres, dagster_tables)
    yield made
    close(url_of(made))
    drop(made)


@pytest.fixture
def instance(database: str) -> Iterator[dg.DagsterInstance]:
    """An instance whose history is there."""
    with instance_in(database) as opened:
        yield opened


def report(instance: dg.DagsterInstance, message: str) -> None:
    """Store an event."""
    instance.report_engine_event(message, run_id="reported", job_name="reported")


def reported(instance: dg.DagsterInstance) -> list[str]:
    """The events that are stored."""
    return [record.event_log_entry.message for record in instance.get_records_for_run("reported").records]


def sessions(database: str) -> set[int]:
    """The processes of PostgreSQL that serve a database."""
    asked = "select pid from pg_stat_activity where datname = %s and pid <> pg_backend_pid()"
    with psycopg.connect(database) as session:
        return {pid for (pid,) in session.execute(asked, [name_of(database)])}


def test_nobody_is_forgotten_by_halves(instance: dg.DagsterInstance) -> None:
    with pytest.raises(SettingsError, match="nobody can be forgotten there"):
        find_texts(instance, Person({"user-1": "forgotten-1"}))


def test_all_instances_of_a_process_share_a_few_connections(database: str, tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(dagster_yaml(database))
    with ExitStack() as stack:
        opened = [stack.enter_context(dg.DagsterInstance.from_config(str(tmp_path))) for _ in range(3)]
        for number, each in enumerate(opened):
            report(each, str(number))
            assert each.all_instigator_state() == []
            assert each.get_runs() == []
        assert reported(opened[0]) == ["0", "1", "2"]
        assert 0 < len(sessions(database)) <= KEPT


def test_a_new_database_is_opened_with_dagsters_password_and_pgpassword_is_the_lakes(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Compose and Dagster's chart set them."""
    database, password = new_database(postgres), "of dagster: /@%"
    [user] = re.findall(r"user=(\w+)", with_password(database, password))
    monkeypatch.setenv("PGPASSWORD", "of the lake")
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", password)
    (tmp_path / "dagster.yaml").write_text(dagster_yaml(database).replace("//postgres@", f"//{user}@"))
    with dg.DagsterInstance.from_config(str(tmp_path)) as opened:
        report(opened, "0")
        assert (reported(opened), opened.get_runs(), opened.all_instigator_state()) == (["0"], [], [])
        close(opened.run_storage.postgres_url)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("more", "idle"), [("", "30"), ("&keepalives_idle=7", "7")])
def test_both_ends_of_a_session_notice_that_the_other_was_cut_off(database: str, more: str, idle: str) -> None:
    """Ours does after what the address says, where it says something."""
    address = f"{url_of(database)}{more}"
    with closing(_engine(address, None).raw_connection()) as session:
        cursor = session.cursor()
        cursor.execute("select reset_val from pg_settings where name like 'tcp%' order by name")
        assert cursor.fetchall() == [("3",), ("30",), ("10",), ("60000",)]
        assert session.driver_connection is not None
        ours = session.driver_connection.info.dsn_parameters
    close(address)
    assert [ours[name] for name in KEEPALIVES | CONNECTED] == [idle, "10", "3", "60000", "10"]


def test_a_child_makes_its_own_connections(instance: dg.DagsterInstance, database: str) -> None:
    report(instance, "parent")
    before = sessions(database)
    child = os.fork()
    if not child:
        report(instance, "child")
        os._exit(0 if before < sessions(database) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    report(instance, "parent again")
    assert reported(instance) == ["parent", "child", "parent again"]
    assert sessions(database) >= before, "the child has not closed them"


def test_a_process_and_a_web_server_find_their_connections_again_after_postgresql_was_restarted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that finds no server says so in one line. Seen: 204 lines, of the doctor, too."""
    with running_postgres() as server, instance_in(database := new_database(server)) as instance:
        report(instance, "before")
        restart(server)
        report(instance, "after")
        assert reported(instance) == ["before", "after"]
        assert instance.get_runs() == []
        instance.optimize_for_webserver(statement_timeout=5000, pool_recycle=3600, max_overflow=20)
        assert reported(instance) == ["before", "after"]
        restart(server)
        assert reported(instance) == ["before", "after"]
        with storage_of(instance).index_connection() as connection:
            assert connection.execute(sqlalchemy.text("show statement_timeout")).scalar_one() == "5s"
    monkeypatch.setattr("dagster_postgres.utils.calculate_delay", lambda **_: 0)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text(dagster_yaml(database))
    said = re.escape(f"{tmp_path}: Dagster cannot store its events: (psycopg2.OperationalError) ")
    with pytest.raises(SettingsError, match=said), open_instance():
        pass


def storage_of(instance: dg.DagsterInstance) -> PooledPostgresEventLogStorage:
    """The event log."""
    assert isinstance(instance.event_log_storage, PooledPostgresEventLogStorage)
    return instance.event_log_storage


def test_who_reads_after_an_id_misses_no_event_of_a_transaction_that_ended_later(
    instance: dg.DagsterInstance, database: str
) -> None:
    """Two writers: the first has its id, and has not committed when the second stores an event."""
    waits = "select count(*) from pg_stat_activity where datname = %s and wait_event_type = 'Lock'"

    def is_waiting() -> bool:
        with psycopg.connect(database) as session:
            return session.execute(waits, [name_of(database)]).fetchone() == (1,)

    with ThreadPoolExecutor(1) as second:
        with storage_of(instance).index_transaction():
            report(instance, "first")
            later = second.submit(report, instance, "second")
            until(is_waiting, "the second writer waits")
            read = instance.get_records_for_run("reported")
            assert [record.event_log_entry.message for record in read.records] == ["first"]
            with psycopg.connect(database) as session:
                assert session.execute("select count(*) from event_logs").fetchone() == (0,), "others see neither"
        later.result()
    assert reported(instance) == ["first", "second"]


def test_an_event_of_an_asset_is_stored_whole_or_not_at_all(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise SystemExit

    key = dg.AssetKey("asset")
    with monkeypatch.context() as patched:
        patched.setattr(PooledPostgresEventLogStorage, "_store_asset_event", die)
        with pytest.raises(SystemExit):
            instance.report_runless_asset_event(dg.AssetMaterialization(key))
    assert not instance.fetch_materializations(key, limit=1).records
    instance.report_runless_asset_event(dg.AssetMaterialization(key))
    [record] = instance.fetch_materializations(key, limit=2).records
    assert instance.get_asset_records([key])[0].asset_entry.last_materialization_storage_id == record.storage_id

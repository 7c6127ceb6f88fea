"""Dagster's storages in PostgreSQL, for homes on several hosts: the same tables, with a few connections per process.

Dagster's classes open a connection for each call, which is several for each event, and each is a process that
PostgreSQL forks and the two greet. That was most of what a backfill cost there (docs/benchmarks.md).
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import sqlalchemy
from sqlalchemy import make_url

from usage_assets.core.keepalives import CONNECTED, FREED_AFTER, KEEPALIVES
from usage_assets.dagster_internals.postgres import (
    CompositeStorage,
    PgTokenProvider,
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
    create_pg_connection,
    create_pg_engine,
    get_token_provider_from_config,
    pg_config,
    pg_url_from_config,
)
from usage_assets.dagster_internals.storage import ConfigurableClassData
from usage_assets.local.bulk_events import BulkEventLogStorage
from usage_assets.local.storages import AwakeScheduleStorage

OPTIONS = f"{FREED_AFTER} -c idle_in_transaction_session_timeout=60000"
"""A host that is cut off, or a process that is stopped, in mid-transaction holds others up for a minute at most."""
BEGIN = "begin; select pg_advisory_xact_lock(1970496871)"
"""Who stores events waits for whoever does. Ids are given out when rows are inserted, and seen when they are committed:
a sensor that has read number 12 would never look for number 11, of a transaction that ended later."""
OF_DAGSTER = "DAGSTER_PG_PASSWORD"
"""The variable of Dagster's Helm chart. PGPASSWORD is then the lake's alone."""
KEPT = 2
"""How many connections of a process stay open. More are made while more threads ask at once, and closed after use."""
RECYCLE_SECONDS = 1800
"""When a connection is replaced: firewalls forget those that are idle for hours."""

_ENGINES: dict[tuple[Any, ...], sqlalchemy.Engine] = {}
"""What asks for connections -> the pool of this process. Each tick of a sensor opens an instance: they share it."""
_MADE: set[tuple[type, str]] = set()
"""Storages and addresses whose tables this process has seen."""


def _in_child() -> None:
    """Leave the connections to the process that made them."""
    for engine in _ENGINES.values():
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_in_child)


def _engine(
    url: str,
    tokens: PgTokenProvider | None,
    *,
    recycle: int = RECYCLE_SECONDS,
    overflow: int = -1,
    statement_timeout: int | None = None,
) -> sqlalchemy.Engine:
    asked = (url, recycle, overflow, statement_timeout)
    if asked not in _ENGINES:
        given = make_url(url).query
        options = [str(given.get("options", "")), OPTIONS]
        options += [f"-c statement_timeout={statement_timeout}"] if statement_timeout is not None else []
        _ENGINES[asked] = create_pg_engine(
            url,
            tokens,
            isolation_level="AUTOCOMMIT",
            pool_size=KEPT,
            max_overflow=overflow,
            pool_recycle=recycle,
            pool_pre_ping=True,  # PostgreSQL may have been restarted since
            connect_args={
                **{name: value for name, value in (KEEPALIVES | CONNECTED).items() if name not in given},
                "options": " ".join(options),
            },
        )
    return _ENGINES[asked]


class _Pooled:
    """What the three storages share. Comes before Dagster's class among the bases."""

    postgres_url: str
    _token_provider: PgTokenProvider | None

    def __init__(self, **options: Any) -> None:
        made = (type(self), options["postgres_url"])
        if made in _MADE:
            options["should_autocreate_tables"] = False
        super().__init__(**options)
        _MADE.add(made)
        self._engine = _engine(self.postgres_url, self._token_provider)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        """Open what dagster.yaml names, as Dagster's classes do. These look for their tables with a connection of their
        own, so the password is in the address."""
        url = pg_url_from_config(config_value)
        if OF_DAGSTER in os.environ and not (address := make_url(url)).password:
            url = address.set(password=os.environ[OF_DAGSTER]).render_as_string(hide_password=False)
        return cls(
            postgres_url=url,
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
            inst_data=inst_data,
            token_provider=get_token_provider_from_config(config_value),
        )

    def optimize_for_webserver(self, statement_timeout: int, pool_recycle: int, max_overflow: int) -> None:
        """Let a statement of a web server end after a time."""
        self._engine = _engine(
            self.postgres_url,
            self._token_provider,
            recycle=pool_recycle,
            overflow=max_overflow,
            statement_timeout=statement_timeout,
        )


class PooledPostgresRunStorage(_Pooled, PostgresRunStorage):
    """Dagster's runs in PostgreSQL."""


class PooledPostgresScheduleStorage(_Pooled, AwakeScheduleStorage, PostgresScheduleStorage):
    """Dagster's schedules, sensors and their ticks in PostgreSQL."""


class PooledPostgresEventLogStorage(_Pooled, BulkEventLogStorage, PostgresEventLogStorage):
    """Dagster's event log in PostgreSQL: an event, or a batch of them, is one transaction on one connection.

    With Dagster's class, an event of an asset is four transactions on three connections, and a batch is stored without
    its plans. It also sends a NOTIFY, which its web servers no longer listen to. bulk_events.py says what else differs.
    """

    def __init__(self, **options: Any) -> None:
        self._begun = threading.local()
        super().__init__(**options)

    @contextmanager
    def index_transaction(self) -> Iterator[sqlalchemy.Connection]:
        """Begin a transaction of this thread: until it ends, whatever asks for a connection has this one."""
        if begun := getattr(self._begun, "connection", None):
            yield begun
            return
        with self._connect() as connection:  # its isolation level stays: to change it takes three more round trips
            connection.exec_driver_sql(BEGIN)
            self._begun.connection = connection
            try:
                yield connection
            except BaseException:
                connection.exec_driver_sql("rollback")
                raise
            else:
                connection.exec_driver_sql("commit")
            finally:
                del self._begun.connection

    @contextmanager
    def _connect(self) -> Iterator[sqlalchemy.Connection]:
        if begun := getattr(self._begun, "connection", None):
            yield begun
            return
        with create_pg_connection(self._engine) as connection:
            yield connection


class PooledPostgresStorage(CompositeStorage):
    """All three in one database: what ``storage`` names in dagster.yaml (deploy/dagster.postgres.yaml)."""

    @classmethod
    def config_type(cls) -> Any:
        """Dagster's own settings of a PostgreSQL database."""
        return pg_config()

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        """Open what dagster.yaml names."""
        return cls(
            PooledPostgresRunStorage.from_config_value(None, config_value),
            PooledPostgresEventLogStorage.from_config_value(None, config_value),
            PooledPostgresScheduleStorage.from_config_value(None, config_value),
            inst_data,
        )

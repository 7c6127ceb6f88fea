"""A lake as the warehouse: DuckLake, with its catalog in PostgreSQL and its rows in Parquet files.

``USAGE_WAREHOUSE=ducklake:postgres:host=db dbname=usage`` names the catalog, ``USAGE_WAREHOUSE_DATA`` the folder or the
object store of the files. Any number of processes and hosts use it: a reader sees the state of one moment and waits for
nobody, and who writes a table waits only for others who write the same table.

Nothing else knows how a lake is opened or locked. Who needs to know whether the warehouse is one asks ``is_shared``.
"""

import logging
import os
import re
import socket
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import duckdb
import psycopg
import tenacity
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from usage_assets.core.errors import first_line
from usage_assets.core.keepalives import CONNECTED, FREED_AFTER, KEEPALIVES
from usage_assets.core.redaction import redacted
from usage_assets.core.warehouse_address import LAKE, WarehouseAddress
from usage_assets.models.declared import declarations
from usage_assets.warehouse.database import CONFIG, LEDGERS, LOST, Warehouse, missing_table, rolled_back
from usage_assets.warehouse.ledger import VERSIONS, VIEWS
from usage_assets.warehouse.readable import SESSION, quoted
from usage_assets.warehouse.spilling import spilling
from usage_assets.warehouse.tables import STORED, Table
from usage_assets.warehouse.values import Alone, Version, WarehouseError
from usage_assets.warehouse.views import are_declared
from usage_assets_lake.files import DIFFERS, FORGET, LakeFile, current_files, different, noting, set_aside
from usage_assets_lake.pooling import REFUSED, WARNED, pooling_of

EXTENSIONS = ("postgres_scanner", "ducklake")
STORES = {"s3": ("httpfs", "aws")}
"""Scheme of an object store -> the extensions that read and write it, and that find credentials."""
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
"""Variables of an object store that is not Amazon's, as the AWS tools read them."""
OPTIONS = "data_inlining_row_limit 0"
"""Rows in the catalog are not safe yet: deleted ones came back, a delete was lost (duckdb/ducklake 1084, 1215, 917)."""
ANEW = "run usage-assets backfill --from-archive --start D --end D"
LOST_LEDGER = (
    f"its table {VERSIONS.name} is missing: stop Dagster and restore the catalog (docs/deploy.md), or set "
    f"USAGE_WAREHOUSE to an empty database and USAGE_WAREHOUSE_DATA to an empty folder and {ANEW}"
)
IS_LOST = """
select not bool_or(table_name = 'partition_versions')
from ducklake_table
join ducklake_schema using (schema_id)
where schema_name = 'ledger'
  and ducklake_table.begin_snapshot <= %(snapshot)s
  and coalesce(ducklake_table.end_snapshot > %(snapshot)s, true)
"""
"""Whether a state has ledgers, and the one of versions is not among them; null where it has none."""
OLDEST_KEPT = """
select coalesce(max(snapshot_time) filter (where snapshot_time <= now() - $keep), min(snapshot_time))
from ducklake_snapshots(current_database())
"""
DIVIDED = """
select schema_name || '.' || table_name
from ducklake_partition_info
join ducklake_table as tables using (table_id)
join ducklake_schema as schemas using (schema_id)
where ducklake_partition_info.end_snapshot is null and tables.end_snapshot is null and schemas.end_snapshot is null
"""
MERGE = (
    "call ducklake_rewrite_data_files(current_database(), delete_threshold => 0)",
    "call ducklake_merge_adjacent_files(current_database())",
)
MERGED = """
select unnest(files)
from (
  select array_agg(data_file_id) as files, count(*) as count, bool_or(has_deletions) as has_deletions
  from (
    select
      data_file_id,
      table_id,
      exists (
        select from ducklake_delete_file as deleted
        where deleted.data_file_id = ducklake_data_file.data_file_id and deleted.end_snapshot is null
      ) as has_deletions,
      (
        select string_agg(partition_value, '/' order by partition_key_index)
        from ducklake_file_partition_value as part
        where part.data_file_id = ducklake_data_file.data_file_id
      ) as month
    from ducklake_data_file
    where end_snapshot is null
  ) as files
  group by table_id, month
) as together
where count > 1 or has_deletions
"""
"""Files of a table's month that has several, or deleted rows."""
EXPIRE = "call ducklake_expire_snapshots(current_database(), older_than => $before)"
CLEAN_UP = "call ducklake_cleanup_old_files(current_database(), cleanup_all => true)"
ORPHANS = "select path from ducklake_delete_orphaned_files(current_database(), dry_run => true, cleanup_all => true)"
DELETE_ORPHANS = "call ducklake_delete_orphaned_files(current_database(), cleanup_all => true)"
"""They are all Parquet files below the lake's folder that its catalog does not know, whoever has written them."""
SCHEMAS = "select schema_name from duckdb_schemas() where database_name = current_database()"
KNOWN_VERSION = "1.0"
"""Of DuckLake's catalog: what we change in it ourselves, we know in this version."""
VERSION = "select value from ducklake_metadata where key = 'version'"
NARROW = """
update ducklake_table_column_stats as known
set (min_value, max_value) = (
  select min(min_value collate "C"), max(max_value collate "C")
  from ducklake_file_column_stats
  join ducklake_data_file using (data_file_id, table_id)
  where end_snapshot is null and table_id = known.table_id and column_id = known.column_id
)
where (table_id, column_id) in (
  select table_id, column_id from ducklake_column where column_type = 'varchar' and end_snapshot is null
)
"""
"""The range of a column's texts is that of its current files. DuckLake only ever widens it."""
OF_CATALOG = r"""
select format('%I.%I', schemaname, tablename)
from pg_tables
where tablename like 'ducklake\_%' or (schemaname, tablename) = ('pg_catalog', 'pg_statistic')
order by schemaname = 'pg_catalog'
"""
TRIAL = "usage_assets_trial"
"""The table that is written to see whether files can be."""
SPACE = 0x75736167
"""The first number of each of our advisory locks; the second is of a table, or 0 for the whole warehouse."""
COMMITS = SPACE + 1
"""The first number of the lock that every commit takes; the second is 0."""
_CONFLICT = "(?s).*(Transaction conflict|could not serialize|Failed to commit DuckLake transaction)"
_REPEATED = re.compile(r' at (?:path \+ )?"[^"]*"')
"""How DuckDB repeats the connection string, which the message begins with."""
_FILE = re.compile(r"""['"](?P<path>[^'"]+[.]parquet)([.]damaged)?['"]""")
_BROKEN = re.compile(
    "TProtocolException|TType|don't know what type|Out of buffer|Payload value bigger|Parquet|bit width|"
    "Invalid delete data|FIXED_LEN_BYTE_ARRAY|converted type|byte sequence mismatch"
)
"""What DuckDB 1.5 says of bytes that it cannot read, without a name: 1,800 random bits were flipped."""

LOGGER = logging.getLogger(__name__)
_OPENING = threading.Lock()
_ATTACHED: dict[tuple[str, str], str] = {}
"""Catalog and files -> the name under which this process has the lake attached."""
_PREPARED: set[tuple[str, str]] = set()
_LOCKABLE: set[str] = set()
"""Catalogs at which a lock holds others off."""
_NUMBERS = count()


@dataclass(frozen=True, kw_only=True)
class Lake(Warehouse):
    """The DuckLake catalog ``database``, with its files in ``data``."""

    data: str
    """Folder or address of the object store that holds the Parquet files."""

    @property
    def is_shared(self) -> bool:
        return True

    @property
    def exists(self) -> bool:
        with self.session() as session:
            found = session.execute("select to_regclass('ducklake_snapshot')").fetchone()
        return bool(found and found[0])

    @property
    def fingerprint(self) -> str:
        """The newest snapshot of the catalog."""
        try:
            with self.session() as session:
                newest = session.execute("select max(snapshot_id) from ducklake_snapshot").fetchone()
        except WarehouseError:
            return ""
        return str(newest[0]) if newest else ""

    @contextmanager
    def held(self) -> Iterator[None]:
        yield

    def detach(self) -> None:
        """Let this process forget the lake, which nobody may be reading here."""
        with _OPENING:
            _PREPARED.discard((self.database, self.data))
            if name := _ATTACHED.pop((self.database, self.data), None):
                _duckdb().execute(f"detach {name}")

    def attach(self, connection: duckdb.DuckDBPyConnection, name: str, *, read_only: bool = False) -> None:
        """Attach it to another DuckDB, under a name. Raises duckdb.Error."""
        self._attach(connection, name, "read_only" if read_only else "")

    def try_writing(self) -> None:
        with TemporaryDirectory() as folder, duckdb.connect(":memory:", config=_config()) as connection:
            try:
                self._load(connection, "trial")
                catalog = quoted(f"ducklake:{folder}/catalog")  # not the lake's: nothing is written to that
                connection.execute(f"attach {catalog} as trial (data_path {quoted(self.data)}, {OPTIONS})")
                connection.begin()
                connection.execute(f"create table trial.{TRIAL} as select 1 as written")
                connection.rollback()  # which deletes the file
            except duckdb.Error as error:
                raise WarehouseError(
                    f"{self.data}: runs could not store anything, because nothing can be written there: "
                    f"{first_line(error)}"
                ) from None
        for left in (Path(self.data, "main", TRIAL), Path(self.data, "main")):
            with suppress(OSError):  # an object store has no folders, and a lake with tables there keeps its own
                left.rmdir()

    def _load(self, connection: duckdb.DuckDBPyConnection, name: str) -> None:
        store = STORES.get(self.data.partition("://")[0], ())
        for extension in (*EXTENSIONS, *store):
            connection.execute(f"load {quoted(str(_wheel(extension) or extension))}")
        if store:
            self._find_credentials(connection, name)

    def _attach(self, connection: duckdb.DuckDBPyConnection, name: str, how: str) -> None:
        self._load(connection, name)
        self._refuse_lost_catalog(connection)
        options = ", ".join(filter(None, (f"data_path {quoted(self.data)}", OPTIONS, how)))
        connection.execute(f"attach {quoted(f'{LAKE}{self._catalog}')} as {name} ({options})")

    def refuse_lost_catalog(self) -> None:
        with duckdb.connect(":memory:", config=_config()) as connection:
            try:
                self._load(connection, "trial")
                self._refuse_lost_catalog(connection)
            except duckdb.Error as error:
                raise self._refused(error) from None

    def _refuse_lost_catalog(self, connection: duckdb.DuckDBPyConnection) -> None:
        if not self.exists and self._has_files(connection):
            raise WarehouseError(
                f"{self.data}: holds Parquet files, and the catalog is empty: restore the catalog of these files, or "
                f"set USAGE_WAREHOUSE_DATA to an empty folder and {ANEW}"
            )

    def _has_files(self, connection: duckdb.DuckDBPyConnection) -> bool:
        try:
            return bool(connection.execute("from glob($1)", [f"{self.data}/**/*.parquet"]).fetchone())
        except duckdb.HTTPException as error:
            if "HTTP 404" in str(error):  # some stores make a bucket with its first object
                return False
            raise

    def _find_credentials(self, connection: duckdb.DuckDBPyConnection, name: str) -> None:
        """Let DuckDB find what opens the object store. It reads keys itself, so that no statement of ours has one.

        It looks where the AWS tools do, in the environment, their files, the role of a pod or machine, and again where
        what it found is refused: tokens expire.
        """
        options = f"type s3, scope {quoted(self.data)}, provider credential_chain, refresh auto"
        if endpoint := next(filter(None, map(os.environ.get, ENDPOINTS)), None):
            address = urlsplit(endpoint)
            if address.scheme not in ("http", "https") or not address.hostname or address.username:
                raise WarehouseError("AWS_ENDPOINT_URL must look like https://host:port, without user or password")
            use_ssl = str(address.scheme != "http").lower()
            options += f", endpoint {quoted(address.netloc)}, use_ssl {use_ssl}, url_style path"
        try:
            connection.execute(f"create or replace temporary secret {name} ({options})")
        except duckdb.Error:
            raise WarehouseError(
                f"no credentials for {self.data}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give it a role"
            ) from None

    @contextmanager
    def reading(self, moment: datetime | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        snapshot, at = self._snapshot(moment), moment or datetime.now(UTC)
        with duckdb.connect(":memory:", config=_config()) as connection, rolled_back(connection):
            try:
                self._attach(connection, "lake", f"snapshot_version {snapshot}")
                connection.execute(f"use lake; {SESSION}")
                connection.execute("set variable usage_now = $now", {"now": at})
                yield connection
            except duckdb.Error as error:  # also while it is read: files of an old state may be gone, or the server
                raise self._refused(error) from None

    @contextmanager
    def one_moment(self) -> Iterator[Warehouse]:
        with self.transaction(keep=False) as connection:
            yield _Moment(database=self.database, data=self.data, wait_seconds=self.wait_seconds, connection=connection)

    def _snapshot(self, moment: datetime | None) -> int:
        """Return the newest state, or that of a moment. Raises WarehouseError where none is kept, or has no ledger."""
        if not self.exists:
            raise WarehouseError(f"{self.database}: nothing is stored yet")
        with self.session() as session:
            [(snapshot, first)] = session.execute(
                "select max(snapshot_id) filter (where snapshot_time <= coalesce(%(moment)s, snapshot_time)), "
                "min(snapshot_time) from ducklake_snapshot",
                {"moment": moment},
            ).fetchall()
            [(is_lost,)] = session.execute(IS_LOST, {"snapshot": snapshot}).fetchall()
        if snapshot is None:
            raise WarehouseError(
                f"{self.database}: the state of {moment:%Y-%m-%d %H:%M} UTC is not kept: "
                f"the oldest is of {first.astimezone(UTC):%Y-%m-%d %H:%M} UTC (USAGE_LAKE_DAYS)"
            )
        if is_lost:
            raise WarehouseError(f"{self.database}: {LOST_LEDGER}")
        return int(snapshot)

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a connection of its own to the lake, in UTC. Raises WarehouseError."""
        with closing(self._cursor()) as connection, rolled_back(connection):
            try:
                connection.execute(SESSION)
                connection.execute("set variable usage_now = $now", {"now": datetime.now(UTC)})
                yield connection
            except duckdb.Error as error:
                raise self._refused(error) from None

    @contextmanager
    def locked(self, *tables: str) -> Iterator[Alone]:
        """Hold the locks of these tables; without any, that of the whole lake. Raises WarehouseError.

        They are taken before a transaction begins: what it then reads is the newest. PostgreSQL releases them when the
        session ends, however it ends.
        """
        if tables:
            self._prepare()
        what = ", ".join(tables) or "the lake"
        with self.session() as session:
            self._refuse_pooler(session)
            session.execute(f"set lock_timeout = '{self.wait_seconds:.0f}s'")
            self._lock(session, what, f"pg_advisory_lock{'_shared' if tables else ''}", SPACE, "")
            for name in sorted(tables):
                self._lock(session, what, "pg_advisory_lock", SPACE, name)

            @contextmanager
            def alone() -> Iterator[None]:
                self._lock(session, f"the commit to {what}", "pg_advisory_lock", COMMITS, "")
                try:
                    with noting(session, self.data):
                        yield
                finally:
                    with suppress(psycopg.Error):  # it has ended, and with it its locks
                        session.execute(f"select pg_advisory_unlock({COMMITS}, 0)")

            yield alone

    def _refuse_pooler(self, session: psycopg.Connection[Any]) -> None:
        """Raise WarehouseError before this process's first lock, where a pooler would give it to others, too."""
        if self.database in _LOCKABLE:
            return
        pooling = pooling_of(session, self.session)
        if pooling == "transaction":
            raise WarehouseError(f"{self.database}: {REFUSED}")
        if pooling == "session":
            LOGGER.warning("%s: %s", self.database, WARNED)
        _LOCKABLE.add(self.database)

    def _lock(self, session: psycopg.Connection[Any], what: str, how: str, space: int, name: str) -> None:
        try:
            session.execute(f"select {how}({space}, {'hashtext(%(name)s)' if name else '0'})", {"name": name})
        except psycopg.errors.LockNotAvailable:
            raise WarehouseError(
                f"{self.database}: {what}: locked by {self._holders(session, space)}; waited "
                f"{self.wait_seconds:.0f} s: nothing was changed, run it again"
            ) from None

    def _prepare(self) -> None:
        """Make the lake and its ledgers before this process writes its first table: two who make one are in conflict.

        Where they are there, as nearly always, a process that has just started waits for nobody.
        """
        place = (self.database, self.data)
        if place in _PREPARED:
            return
        is_ready = self.exists  # or opening it would make it
        if is_ready:
            with self.get_connection() as connection:
                is_ready = are_declared(connection, LEDGERS, VIEWS)
        if not is_ready:
            with self.transaction():
                pass
        _PREPARED.add(place)

    def maintain(self, keep: timedelta, *, wipe: bool = False) -> None:
        """Merge small files, and delete those that only states older than ``keep`` need. Raises WarehouseError.

        The state that was the newest then stays: it is what the lake held at that moment.

        It has the lake alone: beside writers, a merge has brought deleted rows back (duckdb/ducklake 1094). What killed
        processes have left behind goes, too. Who still reads an older state finds its files gone.
        """
        with self.locked() as alone, self.get_connection() as connection, alone():
            self._divide(connection)
            self._refuse_damaged(connection)
            for step in MERGE:
                connection.execute(step)
            [(before,)] = connection.execute(OLDEST_KEPT, {"keep": keep}).fetchall()
            connection.execute(EXPIRE, {"before": before})
            connection.execute(CLEAN_UP)
            self._refuse_files_of_others(connection)
            connection.execute(DELETE_ORPHANS)
            if wipe:
                self._wipe_catalog()

    def compare(
        self, session: psycopg.Connection[Any], database: duckdb.DuckDBPyConnection, files: Collection[LakeFile]
    ) -> Mapping[LakeFile, str]:
        """Return those of the files whose bytes are not those that were written, in words, and set them aside; bring
        back those that were restored. Raises WarehouseError for a catalog of an unknown version."""
        found = different(database, files)
        wrong = [file for file, what in found.items() if what == DIFFERS and not file.is_set_aside]
        right = [file for file in files if file.is_set_aside and file not in found]
        if wrong or right:
            self.require_known_catalog(session)
            set_aside(session, wrong)
            set_aside(session, right, back=True)
        return found

    def _refuse_damaged(self, database: duckdb.DuckDBPyConnection) -> None:
        """Raise WarehouseError where a file is set aside, or one that would be merged is not what was written: then
        nobody would see that any more."""
        with self.session() as session:
            merged = {number for (number,) in session.execute(MERGED).fetchall()}
            files = [file for file in current_files(session) if file.is_set_aside or file.data_file_id in merged]
            for file, what in self.compare(session, database, files).items():
                raise WarehouseError(
                    f"{file.table}: {file.path} {what}, so nothing was merged: usage-assets repair shows what to do"
                )
            session.execute(FORGET)

    def _wipe_catalog(self) -> None:
        """Rewrite the catalog's tables: PostgreSQL keeps deleted values in their files, and samples of them in its
        statistics. Whoever owns the database may. Raises WarehouseError if somebody reads them for too long."""
        with self.session() as session:
            self.require_known_catalog(session)
            session.execute(f"set lock_timeout = '{self.wait_seconds:.0f}s'")
            session.execute(NARROW)
            for (table,) in session.execute(OF_CATALOG).fetchall():
                session.execute(f"vacuum (full, analyze) {table}")

    def _refuse_files_of_others(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Raise WarehouseError where a file that would be deleted is in no folder of a schema of the lake. A killed
        process may have left the first files of a schema that is declared, and not made yet."""
        schemas = {name for (name,) in connection.execute(SCHEMAS).fetchall()}
        schemas |= {name.partition(".")[0] for name in declarations()}
        root = f"{self.data.rstrip('/')}/"
        for (path,) in connection.execute(ORPHANS).fetchall():
            if path.partition(root)[2].partition("/")[0] not in schemas:
                raise WarehouseError(
                    f"{path}: is not of this lake, so no file is cleaned up: move it out of {self.data}"
                )

    def require_known_catalog(self, session: psycopg.Connection[Any]) -> None:
        """Raise WarehouseError for a catalog of a version that we do not know, before anything of it is changed."""
        [(version,)] = session.execute(VERSION).fetchall()
        if version != KNOWN_VERSION:
            raise WarehouseError(
                f"{self.database}: its catalog has version {version}, and this release knows {KNOWN_VERSION}: nothing "
                "of it was changed"
            )

    def _divide(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Divide the declared tables by month that were made before tables were: older files stay as they are."""
        with self.session() as session:
            divided = {name for (name,) in session.execute(DIVIDED).fetchall()}
        rows = declarations()
        for (name,) in connection.execute(STORED).fetchall():
            if name in rows.keys() - divided and (by_month := Table(rows[name]).by_month):
                connection.begin()
                connection.execute(f"create temp table undivided as from {name}")
                connection.execute(f"delete from {name}")
                connection.execute(by_month)
                connection.execute(f"insert into {name} from undivided")
                connection.execute("drop table temp.undivided")
                connection.commit()

    def _replace(self, *content: Any) -> list[Version]:
        for attempt in tenacity.Retrying(
            retry=tenacity.retry_if_exception_message(match=_CONFLICT),
            wait=tenacity.wait_random(0.05, 0.5),
            stop=tenacity.stop_after_delay(self.wait_seconds),
            before_sleep=tenacity.before_sleep_log(LOGGER, logging.WARNING),
            reraise=True,
        ):
            with attempt:
                return super()._replace(*content)
        raise AssertionError("unreachable: tenacity re-raises")

    def _holders(self, session: psycopg.Connection[Any], space: int) -> str:
        rows = session.execute(
            "select distinct application_name from pg_locks join pg_stat_activity using (pid) "
            "where locktype = 'advisory' and classid = %s and granted and pid <> pg_backend_pid()",
            [space],
        ).fetchall()
        return ", ".join(sorted(name for (name,) in rows)) or "somebody who has just finished"

    @contextmanager
    def session(self) -> Iterator[psycopg.Connection[Any]]:
        name = f"usage-assets on {socket.gethostname()}, process {os.getpid()}"
        try:
            with psycopg.connect(self._catalog, autocommit=True, application_name=name[:63]) as session:
                yield session
        except psycopg.Error as error:
            raise self._refused(error) from None

    @property
    def _catalog(self) -> str:
        """The connection string of the catalog, with which both ends notice when the other one was cut off."""
        try:
            given: dict[str, Any] = conninfo_to_dict(self.database.removeprefix(LAKE))
        except psycopg.Error as error:
            raise self._refused(error) from None
        options = f"{FREED_AFTER} {given.pop('options', '')}".strip()
        return make_conninfo(**CONNECTED | KEEPALIVES | given, options=options)

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        """Return a connection of its own to this process's DuckDB, with the lake attached."""
        place = (self.database, self.data)
        try:
            with _OPENING:
                connection = _duckdb().cursor()
                if place not in _ATTACHED:
                    self.attach(connection, name := f"lake_{next(_NUMBERS)}")
                    _ATTACHED[place] = name
            connection.execute(f"use {_ATTACHED[place]}")
        except duckdb.Error as error:
            raise self._refused(error) from None
        return connection

    def _refused(self, error: Exception) -> WarehouseError:
        lines = str(error).splitlines() or [type(error).__name__]
        if isinstance(error, duckdb.Error) and (file := self._broken_file(lines[0])):
            return WarehouseError(f"{self.database}: {file} cannot be read: usage-assets repair shows what to do")
        if way_out := LOST_LEDGER if LOST in lines[0] else missing_table(lines[0]):
            return WarehouseError(f"{self.database}: {way_out}")
        return WarehouseError(redacted(f"{self.database}: {_REPEATED.sub('', lines[0])}"))

    def _broken_file(self, message: str) -> str | None:
        """Return the file of the lake that DuckDB could not read, "a file" where it does not say which; None where it
        says something else."""
        path = _FILE.search(message)
        if path and path["path"].startswith(self.data) and "HTTP" not in message.replace("HTTP 404", ""):
            return path["path"]
        return "a file" if _BROKEN.search(message) else None


@dataclass(frozen=True, kw_only=True)
class _Moment(Lake):
    """A lake within a transaction that is not committed: each read sees the state of its beginning."""

    connection: duckdb.DuckDBPyConnection

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        try:
            yield self.connection
        except duckdb.Error as error:
            raise self._refused(error) from None

    @contextmanager
    def transaction(self, *tables: str, keep: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:  # noqa: ARG002 - none is written
        if keep:
            raise WarehouseError(f"{self.database}: is only read here")
        with self.get_connection() as connection:
            yield connection


@cache
def _duckdb() -> duckdb.DuckDBPyConnection:
    """Return this process's DuckDB. It is kept, with its lakes attached: the extensions take 0.3 s to load."""
    return duckdb.connect(":memory:", config=_config())


def _config() -> dict[str, str | bool | int | float | list[str]]:
    return {**CONFIG, **spilling()}


def _wheel(extension: str) -> Path | None:
    """Return the extension's file where a wheel has brought it; DuckDB's own folder has it otherwise."""
    spec = find_spec(f"duckdb_extension_{extension}")
    if spec is None or spec.origin is None:
        return None
    file = Path(spec.origin).parent / "extensions" / f"v{duckdb.__version__}" / f"{extension}.duckdb_extension"
    return file if file.is_file() else None


def lake_at(address: WarehouseAddress, wait_seconds: float) -> Lake:
    """Return the lake at an address; it is not opened."""
    return Lake(database=address.url, data=address.data or "", wait_seconds=wait_seconds)

"""The one helper that opens the database file: it waits for the lock, does one thing and always closes.

A day is replaced whole or not at all: ``Warehouse.replace`` is the only way into a declared data table.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
import tenacity
from dagster_duckdb import DuckDBResource
from pydantic import Field

from usage_assets.core import money
from usage_assets.core.schema import (
    columns,
    declarations,
    declared,
    packed_schema,
)
from usage_assets.warehouse.inputs import record_inputs, record_none
from usage_assets.warehouse.ledger import (
    VIEWS,
    Naming,
    PartitionVersion,
    PortEntity,
    Statement,
)
from usage_assets.warehouse.tables import SQL_TYPES, Table, quoted

VERSIONS = Table(PartitionVersion)
NAMINGS = Table(Naming)
STATEMENTS = Table(Statement)
PORT_ENTITIES = Table(PortEntity)
IN_SLICE = "connection = $connection and usage_date between $first and $last"
"""The bounds of a slice. ``between`` and not a list of days: DuckDB pushes it down into derived queries."""

SAMPLE_ROWS = 5
ROWS_AT_ONCE = 50_000
"""About so many rows are grouped or sorted at once. A year of a large organization would take gigabytes."""
CONFIG: dict[str, str | bool | int | float | list[str]] = {"custom_user_agent": "usage-assets", "threads": 1}
"""Two threads take half as much CPU time again as one, and hardly less time: what is written here is small."""
SPARINGLY = "set memory_limit = '256MB'"
"""How fetched rows are inserted: they are in memory already. A million of them take 0.2 GB more without, and no less
time."""

_INTEGER = "U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)"
EXACT: Mapping[type, str] = {
    **{python: re.escape(sql_type) for python, sql_type in SQL_TYPES.items()},
    str: "VARCHAR|JSON|INTEGER",  # the last is how a bare null is described
    int: _INTEGER,
    Decimal: rf"{_INTEGER}|DECIMAL\(\d+,({'|'.join(map(str, range(money.SCALE + 1)))})\)",
}
"""What a query may compute a column as. DuckDB converts all else silently: it rounds (``DECIMAL / 100`` is a DOUBLE,
the text ``2.7`` becomes 3), and a time on the last day is after that day."""

_VIEW = re.compile(r"create or replace view (\S+)")
_HOLDER = re.compile(r"lock is held in (?:(?P<program>.+) \()?PID (?P<pid>\d+)")
_DAMAGE = re.compile(
    r"(?P<log>replaying WAL file)|(?P<newer>database file with version number)"
    r"|Corrupt database file|Could not read enough bytes|not a valid DuckDB database file"
)
"""What DuckDB 1.5 says of a file that it cannot read."""


class WarehouseError(Exception):
    """The file or a write was refused: what, where and what to do, in one line. Nothing was changed."""

    def __init__(self, message: str, *, days: Iterable[date] = ()) -> None:
        super().__init__(message)
        self.days = tuple(days)
        """The days that it is about, where others may well be accepted."""


@dataclass(frozen=True)
class Slice:
    """What a write replaces: one connection's contiguous days, and of them one part where a table is shared."""

    connection: str
    first: date
    last: date
    part: str = ""
    """Value of the row model's ``slice_by`` column; empty for tables without one."""

    @property
    def days(self) -> list[date]:
        """Every day of the slice."""
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]

    @property
    def bounds(self) -> dict[str, Any]:
        """The parameters of ``IN_SLICE``."""
        return {"connection": self.connection, "first": self.first, "last": self.last}

    def __str__(self) -> str:
        return f"{self.connection} {self.first} to {self.last}{f' of {self.part}' if self.part else ''}"


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A provider's complete answer for a slice: its rows, and what has to be known of the asking."""

    rows: pa.Table
    began: datetime
    """When it was asked for. What was written later is newer than these rows."""
    filters: str | None = None
    """What the answer was narrowed down to, as JSON."""
    question: str | None = None
    """Digest of what was asked for. Days that answer another question are fetched again (ledger.due_days)."""
    control: tuple[Table, pa.Table] | None = None
    """The answer's control totals, which are stored with it or not at all."""
    stored_at: Mapping[date, datetime] = field(default_factory=dict)
    """When a day's answer was first stored, where it comes from the archive. What was stored later is newer."""
    settling_days: int | None = None
    """How many days after a day's end the provider still changes it; None where the days have no state."""


@dataclass(frozen=True)
class Seed:
    """Tables that hold these rows and no others: what a configuration states, as a process has read it."""

    name: str
    """What it is about. Of several processes, the one that has read it last has the say."""
    tables: Mapping[Table, pa.Table]
    read_at: datetime


@dataclass(frozen=True)
class Query:
    """The query of a derived table, without connection or day filter: those are added where it runs."""

    sql: str
    reads: tuple[str, ...]
    """Tables of which every requested day must be stored already."""
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of a table that is written in parts: the parts that must be stored."""
    optional_refs: tuple[str, ...] = ()
    """Tables that may have no rows: those of endpoints that are switched off, for example."""
    reconciliations: tuple[str, ...] = ()
    """Queries whose every row (connection, usage_date, total, expected, found) is a contradiction; ``$part`` is set."""
    macros: tuple[str, ...] = ()
    """Temporary macros that the queries use."""
    constants: tuple[str, ...] = ()
    """What the release states in tables that the query reads."""
    views: tuple[str, ...] = ()
    """Statements that create the views over the table."""
    part: str = ""
    """The part of a shared table that the query computes."""
    seed: Seed | None = None
    """What the connections file states about money, where the query reads it."""
    names: tuple[str, ...] = ()
    """Lookups whose names the query reads."""
    inputs: tuple[str, ...] = ()
    """Queries over the written rows: which other inputs (connection, usage_date, input, value) they were computed with.
    ``$part`` is set."""

    @property
    def code(self) -> str:
        """Digest of the query. Days that another query computed are computed again (ledger.due_days)."""
        return sha256("\n".join((self.sql, *self.macros, *self.constants)).encode()).hexdigest()[:12]

    @property
    def sources(self) -> Sequence[tuple[str, str]]:
        """The tables that it reads and the part of each; no part of those that have none."""
        return [(table, part) for table in self.reads for part in self.parts.get(table, ("",))]


@dataclass(frozen=True)
class CheckFailure:
    """What is wrong with a stored day, in words."""

    day: date
    text: str


@dataclass(frozen=True)
class Version:
    """What one day of a table holds after a write."""

    day: date
    content_hash: str
    changed: bool
    changed_run_id: str
    row_count: int
    totals: Mapping[str, str | None]
    """Exact decimals as text; None where nothing was added up."""
    is_open: bool
    """Whether the day was still running when it was asked for."""
    state: str | None
    """Open, provisional or settled (see DayState); None of a derived table."""
    sample: Sequence[Mapping[str, Any]]
    """A few of the day's rows, without personal columns."""


class Warehouse(DuckDBResource):
    """The DuckDB file. One process has it open at a time; the others wait for at most ``wait_seconds``."""

    wait_seconds: float = Field(default=120, description="How long to wait for a process that has the file open")

    @property
    def fingerprint(self) -> str:
        """What changes with every write, however the file came to be what it is; asking for it opens nothing."""
        try:
            state = Path(self.database).stat()
        except OSError:
            return ""
        return f"{state.st_ino}-{state.st_mtime_ns}-{state.st_size}"

    @property
    def published(self) -> Path:
        """Where the copy is that people read (published.py)."""
        path = Path(self.database)
        return path.with_name(f"{path.stem}-latest.duckdb")

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the file, in UTC, and close it whatever happens. Raises WarehouseError.

        DuckDBResource leaves the file locked after an exception, and its wait doubles without jitter: of 12 writers
        the slowest waited 26 s with it and 8 s with 50-150 ms of jitter.
        """
        with closing(self._open()) as connection:
            try:
                connection.execute("set TimeZone = 'UTC'")
                connection.execute("set variable usage_now = $now", {"now": datetime.now(UTC)})
                yield connection
            except duckdb.Error as error:
                way_out = self._way_out(_first_line(error))
                raise WarehouseError(f"{self.database}: {way_out or _first_line(error)}") from error

    @contextmanager
    def transaction(self, *, keep: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the file with the ledgers in place and run one transaction: committed whole or not at all.

        There is no rollback: closing does it, and after a failed commit (a full disk) there is nothing to roll back.
        Without ``keep`` it is not committed: for whoever only looks.
        """
        with self.get_connection() as connection:
            connection.begin()
            for ledger in (VERSIONS, NAMINGS, PORT_ENTITIES):
                create_or_alter(connection, ledger)
            make_views(connection, VIEWS)
            yield connection
            if keep:
                connection.commit()

    def replace(self, table: Table, content: Batch | Query, target: Slice, run_id: str) -> list[Version]:
        """Replace the slice by the content and record the version of each day, in one transaction.

        Raises WarehouseError, with nothing written, where the content lies outside the slice, repeats a row of the
        table's grain, contradicts a reconciliation, needs days that were never stored, or was asked for before another
        run stored something else.
        """
        with self.transaction() as connection:
            if isinstance(content, Batch) and content.control:
                control, totals = content.control
                _replace(connection, control, replace(content, rows=totals, control=None), target, run_id)
            return _replace(connection, table, content, target, run_id)

    def read(self, query: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Return the answer of a query as Arrow (exact decimals)."""
        with self.get_connection() as connection:
            return connection.execute(query, dict(parameters or {})).to_arrow_table()

    def _open(self) -> duckdb.DuckDBPyConnection:
        try:
            Path(self.database).parent.mkdir(parents=True, exist_ok=True)
            for attempt in tenacity.Retrying(
                retry=tenacity.retry_if_exception_message(match=f"(?s).*{_HOLDER.pattern}"),
                wait=tenacity.wait_random(0.05, 0.15),
                stop=tenacity.stop_after_delay(self.wait_seconds),
                reraise=True,
            ):
                with attempt:
                    return duckdb.connect(self.database, config=CONFIG)
        except duckdb.Error as error:
            raise WarehouseError(self._explained(error)) from error
        except OSError as error:
            raise WarehouseError(
                f"{self.database}: {error.strerror}: set USAGE_WAREHOUSE to a writable path"
            ) from error
        raise AssertionError("unreachable: tenacity re-raises")

    def _explained(self, error: duckdb.Error) -> str:
        message = _first_line(error)
        if holder := _HOLDER.search(message):
            return (
                f"{self.database}: in use by another process (PID {holder['pid']}, {holder['program'] or 'unknown'}); "
                f"waited {self.wait_seconds:.0f} s: close the notebook, DuckDB shell or run that has it open"
            )
        advice = "set USAGE_WAREHOUSE to a DuckDB file or a new, writable path"
        if way_out := self._way_out(message):
            return f"{self.database}: {way_out}. If this never was the warehouse: {advice}"
        return f"{self.database}: {message.rstrip('.!')}: {advice}"

    def _way_out(self, message: str) -> str | None:
        """Return what is wrong with a damaged file and what to do about it; None where DuckDB says something else."""
        damage = _DAMAGE.search(message)
        if not damage:
            return None
        file, copy = Path(self.database), self.published
        again = "`usage-assets backfill --from-archive`"
        if copy.is_file():
            made = datetime.fromtimestamp(copy.stat().st_mtime, UTC)
            again = f"`install -m 600 {copy.name} {file.name}` there (the copy of {made:%Y-%m-%d %H:%M} UTC) or {again}"
        log = write_ahead_log(file).name  # of an older copy, too, DuckDB would apply it
        steps = f"move {file.name} and {log} away, then {again}"
        if damage["log"]:
            steps = f"move {log} away; if the file still cannot be opened, {steps}"
        if damage["newer"]:
            steps = f"upgrade duckdb, or {steps}"
        return f"{message.rstrip('.!')}: stop Dagster and {steps} (docs/operations.md)"


def write_ahead_log(database: Path) -> Path:
    """Return where DuckDB keeps what it has not yet written into the file itself."""
    return database.with_name(f"{database.name}.wal")


def _replace(
    connection: duckdb.DuckDBPyConnection, table: Table, content: Batch | Query, target: Slice, run_id: str
) -> list[Version]:
    create_or_alter(connection, table)
    if isinstance(content, Query):
        query, bounds = _staged_select(connection, table, content, target), target.bounds
        as_of, asked = datetime.now(UTC), dict[str, Any](filters=None, settling_days=None, question=None)
    else:
        query, bounds = _staged_answer(connection, table, content, target), {}
        as_of, asked = (
            content.began,
            {name: getattr(content, name) for name in ("filters", "settling_days", "question")},
        )
    connection.register("archived", _archived(content))
    connection.execute(f"delete from {table.name} where {in_slice(table, target)}", target.bounds)
    connection.execute(f"insert into {table.name} by name {query}", bounds)
    connection.execute("reset memory_limit")
    select = content if isinstance(content, Query) else None
    _refuse_failures(check_failures(connection, table, select, target), table)
    if select:
        others = [(query, {"part": target.part} if "$part" in query else {}) for query in select.inputs]
        record_inputs(
            connection, target.bounds, query=select.code, sources=select.sources, names=select.names, others=others
        )
    else:
        record_none(connection)
    versions = _record_versions(connection, table, target, run_id, as_of, asked)
    _refuse_older_content(connection, table, target, as_of)
    return versions


def _archived(content: Batch | Query) -> pa.Table:
    stored_at = content.stored_at if isinstance(content, Batch) else {}
    return pa.table(
        {
            "usage_date": pa.array(stored_at.keys(), pa.date32()),
            "stored_at": pa.array(stored_at.values(), pa.timestamp("us", "UTC")),
        }
    )


def create_or_alter(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Make the stored table equal its declaration: created, given new nullable columns, or freed of a ``not null``.

    Raises WarehouseError for any other difference, with the statement that would mend it.
    """
    stored = _stored_columns(connection, table)
    if not stored:
        for statement in table.ddl():
            connection.execute(statement)
        return
    for column in table.columns:
        sql_type = SQL_TYPES[column.type]
        declared = sql_type if column.nullable else f"{sql_type} not null"
        found = stored.get(column.name)
        if found is None and column.nullable:
            connection.execute(f"alter table {table.name} add column {column.name} {sql_type}")
            connection.execute(table.comment_ddl(column))
        elif found is None:
            raise _differs(table, f"add column {column.name} {sql_type}", f"{column.name} is missing")
        elif found == f"{declared} not null":
            connection.execute(f"alter table {table.name} alter column {column.name} drop not null")
        elif found != declared:
            is_type = found.removesuffix(" not null") == sql_type
            mend = "set not null" if is_type else f"set data type {sql_type}"
            raise _differs(table, f"alter column {column.name} {mend}", f"{column.name} is {found}, not {declared}")
    for name in sorted(stored.keys() - {column.name for column in table.columns}):
        raise _differs(table, f"drop column {name}", f"{name} is not declared")


def _stored_columns(connection: duckdb.DuckDBPyConnection, table: Table) -> Mapping[str, str]:
    """Return the stored columns and their types; none of a table that does not exist.

    ``duckdb_columns()`` lists every column of every table first: with 39 tables it took 3 ms and this takes 0.5 ms,
    eight times for each asset.
    """
    try:
        columns = connection.execute(f"describe {table.name}").fetchall()
    except duckdb.CatalogException:
        return {}
    return {name: sql_type if null == "YES" else f"{sql_type} not null" for name, sql_type, null, *_ in columns}


def _differs(table: Table, mend: str, difference: str) -> WarehouseError:
    return WarehouseError(
        f"{table.name}: differs from its declaration: {difference}; to mend it: alter table {table.name} {mend};"
    )


def make_views(connection: duckdb.DuckDBPyConnection, statements: Iterable[str]) -> None:
    """Make the views that are not there as the statements have them, over tables as they are declared now.

    The comment of a statement's first view tells. To make them anyway would change the file each time it is opened, and
    to write that takes as long as the rest of most transactions.
    """
    listed = "select schema_name || '.' || view_name, coalesce(comment, '') from duckdb_views() where not internal"
    stored = dict(connection.execute(listed).fetchall())
    for statement in statements:
        names, version = _VIEW.findall(statement), _version(statement)
        if stored.keys() >= {*names} and stored[names[0]].endswith(version):
            continue
        connection.execute(statement)
        comment = dict(connection.execute(listed).fetchall())[names[0]]
        connection.execute(f"comment on view {names[0]} is {quoted(f'{comment} {version}'.lstrip())}")


@cache
def _version(views: str) -> str:
    """Which release's views these are. A view of all columns must be made again where its table gains one."""
    read = [columns(row) for name, row in sorted(declarations().items()) if name in views]
    return f"[{sha256(f'{views}{read}'.encode()).hexdigest()[:12]}]"


def in_slice(table: Table, target: Slice) -> str:
    """SQL that is true for the rows of the slice."""
    return f"{IN_SLICE} and {table.row.slice_by} = '{target.part}'" if table.row.slice_by else IN_SLICE


def _staged_answer(connection: duckdb.DuckDBPyConnection, table: Table, content: Batch, target: Slice) -> str:
    if content.rows.schema not in (table.arrow_schema, packed_schema(table.row)):
        different = {field.name for field in set(content.rows.schema) ^ set(table.arrow_schema)}
        raise WarehouseError(
            f"{table.name}: the written columns differ from the declared ones: {_listed(sorted(different)) or 'order'}"
        )
    connection.register("staged", content.rows)
    outside = connection.execute(
        f"select distinct concat_ws(' ', connection, usage_date) as slice from staged "
        f"where ({in_slice(table, target)}) is not true order by slice",
        target.bounds,
    ).fetchall()
    if outside:
        raise WarehouseError(
            f"{table.name}: rows outside {target}, which is all that the run may write: "
            f"{_listed(name for (name,) in outside)}"
        )
    connection.execute(SPARINGLY)
    return "select * from staged"  # without the slice's bounds: Arrow would apply them, to a copy of everything


def _refuse_older_content(connection: duckdb.DuckDBPyConnection, table: Table, target: Slice, as_of: datetime) -> None:
    overtaken = connection.execute(
        f"""
        select usage_date, newer.run_id
        from (select * from ledger.stored_days where table_name = $table_name and slice = $part and {IN_SLICE}) as now
        join ledger.partition_versions as newer using (table_name, slice, connection, usage_date)
        left join archived using (usage_date)
        where now.changed
          and newer.version = now.version - 1
          and coalesce(newer.answered_at, newer.written_at) > coalesce(archived.stored_at, $as_of)
        order by usage_date
        """,
        {**target.bounds, "table_name": table.name, "part": target.part, "as_of": as_of},
    ).fetchall()
    if overtaken:
        raise WarehouseError(
            f"{table.name}: run {overtaken[0][1]} stored a newer answer while this one was fetched: "
            f"{_listed(str(day) for day, _ in overtaken)}; nothing was changed, run these days again",
            days=[day for day, _ in overtaken],
        )


def _require_stored(connection: duckdb.DuckDBPyConnection, table: Table, content: Query, target: Slice) -> None:
    for source, part in content.sources:
        rows = connection.execute(
            f"select usage_date from ledger.stored_days where table_name = $source and slice = $part and {IN_SLICE}",
            {**target.bounds, "source": source, "part": part},
        ).fetchall()
        if missing := sorted(set(target.days) - {day for (day,) in rows}):
            raise WarehouseError(
                f"{table.name}: {source}{f' ({part})' if part else ''} of connection {target.connection} was never "
                f"fetched for {_listed(map(str, missing))}; materialize it first",
                days=missing,
            )


def _staged_select(connection: duckdb.DuckDBPyConnection, table: Table, content: Query, target: Slice) -> str:
    _require_stored(connection, table, content, target)
    make_ready(connection, content)
    types = {name: sql_type for name, sql_type, *_ in connection.execute(f"describe {content.sql}").fetchall()}
    if different := types.keys() ^ {column.name for column in table.columns}:
        raise WarehouseError(
            f"{table.name}: the query's columns differ from the declaration: {_listed(sorted(different))}"
        )
    for column in table.columns:
        if not re.fullmatch(EXACT[column.type], types[column.name]):
            raise WarehouseError(
                f"{table.name}: the query computes {column.name} as {types[column.name]}, which would be converted to "
                f"{SQL_TYPES[column.type]}: cast it where its digits are decided"
            )
    return f"select * from ({content.sql}) where {in_slice(table, target)}"


def make_ready(connection: duckdb.DuckDBPyConnection, content: Query) -> None:
    """Prepare the content, store what is stated for it, and make the views over its table, which must exist."""
    prepare(connection, content)
    if content.seed:
        write_seed(connection, content.seed)
    make_views(connection, content.views)


def write_seed(connection: duckdb.DuckDBPyConnection, seed: Seed) -> None:
    """Make the tables hold what is stated and nothing else, unless a process that has read it later did so already.

    A long run that began before the configuration was changed would otherwise put back what it says no more. Nothing is
    written where nothing differs.
    """
    for table in (STATEMENTS, *seed.tables):
        create_or_alter(connection, table)
    query = "select read_at from ledger.statements where name = $name"
    read_at = connection.execute(query, {"name": seed.name}).fetchone()
    if read_at and read_at[0] > seed.read_at:
        return
    for table, rows in seed.tables.items():
        connection.register("all_rows", rows)
        same = f"(from {table.name} except all from all_rows) union all (from all_rows except all from {table.name})"
        if connection.execute(same).fetchone():
            connection.execute(f"delete from {table.name}")
            connection.execute(f"insert into {table.name} by name select * from all_rows")
    if not read_at or read_at[0] < seed.read_at:
        connection.execute("delete from ledger.statements where name = $name", {"name": seed.name})
        parameters = {"name": seed.name, "read_at": seed.read_at}
        connection.execute("insert into ledger.statements (name, read_at) values ($name, $read_at)", parameters)


def prepare(connection: duckdb.DuckDBPyConnection, content: Query) -> None:
    """Make what the queries rely on: macros, and the tables that they read as these are declared now.

    Whatever opens the file of an earlier release first, a check of what it holds too, may find less there.
    """
    read = (Table(declared(name)) for name in dict.fromkeys((*content.reads, *content.optional_refs)))
    for table in (*read, *(content.seed.tables if content.seed else ())):
        create_or_alter(connection, table)
    for macro in content.macros:
        connection.execute(macro)


def check_failures(
    connection: duckdb.DuckDBPyConnection, table: Table, content: Query | None, target: Slice
) -> list[CheckFailure]:
    """Return what is wrong with the stored slice: repeated grain, and totals that differ from the source's.

    The table must equal its declaration, and the content be prepared.
    """
    grain = ", ".join(table.grain)
    found: list[CheckFailure] = []
    for part in _parts(connection, table, target):
        doubtful = connection.execute(
            f"select usage_date from {table.name} where {in_slice(table, part)} "
            f"group by usage_date having count(*) > count(distinct hash({grain}))",  # rows of two hashes are two
            part.bounds,
        ).fetchone()
        if not doubtful:
            continue
        repeated = connection.execute(
            f"select usage_date, count(*) from {table.name} where {in_slice(table, part)} "
            f"group by {grain} having count(*) > 1 order by usage_date",
            part.bounds,
        ).fetchall()
        found += [CheckFailure(day, f"{rows} rows for one {grain}") for day, rows in repeated]
    for query in content.reconciliations if content else ():
        found += differences(connection, query, target)
    return found


def unknown_fields(connection: duckdb.DuckDBPyConnection, table: Table, target: Slice) -> Mapping[str, int]:
    """Return the fields in ``other_fields`` of the slice, with the number of rows that have each."""
    fields = connection.execute(
        f"select field, count(*) from (select unnest(json_keys(other_fields)) as field from {table.name} "
        f"where other_fields is not null and {in_slice(table, target)}) group by field order by field",
        target.bounds,
    )
    return dict(fields.fetchall())


def missing_fields(connection: duckdb.DuckDBPyConnection, table: Table, target: Slice) -> Mapping[str, int]:
    """Return the fields that a provider always sends and has left out, as it spells them, with the number of rows."""
    spelled = dict(zip(table.row.__struct_fields__, table.row.__struct_encode_fields__, strict=True))
    expected = [column.name for column in table.columns if column.expected]
    counts = connection.execute(
        f"select {', '.join(f'count(*) - count({name})' for name in expected)} from {table.name} "
        f"where {in_slice(table, target)}",
        target.bounds,
    ).fetchall()
    return {spelled[name]: count for name, count in zip(expected, counts[0], strict=True) if count}


def _parts(connection: duckdb.DuckDBPyConnection, table: Table, target: Slice) -> list[Slice]:
    """Return the stored days of the slice as slices of about ROWS_AT_ONCE rows, ascending."""
    bounds = connection.execute(
        f"""
        select min(usage_date), max(usage_date)
        from (
          select usage_date, sum(count(*)) over (order by usage_date) // {ROWS_AT_ONCE} as part
          from {table.name}
          where {in_slice(table, target)}
          group by usage_date
        )
        group by part
        order by part
        """,
        target.bounds,
    ).fetchall()
    return [replace(target, first=first, last=last) for first, last in bounds]


def differences(connection: duckdb.DuckDBPyConnection, query: str, target: Slice) -> list[CheckFailure]:
    """Return what a reconciliation (see Select) finds in the slice."""
    differing = connection.execute(
        f"select usage_date, total, expected, found from ({query}) where {IN_SLICE} order by usage_date",
        target.bounds | ({"part": target.part} if "$part" in query else {}),
    ).fetchall()
    return [
        CheckFailure(day, f"{total} is {stored} here and {expected} in its source")
        for day, total, expected, stored in differing
    ]


def _refuse_failures(found: Sequence[CheckFailure], table: Table) -> None:
    if found:
        raise WarehouseError(
            f"{table.name}: {found[0].day}: {found[0].text} ({len(found)} contradictions); nothing was changed",
            days=sorted({each.day for each in found}),
        )


def _record_versions(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    target: Slice,
    run_id: str,
    as_of: datetime,
    asked: Mapping[str, Any],
) -> list[Version]:
    of_day = {name: total for name, total in table.totals.items() if not total.by}
    day_totals = ", ".join(f"{name} := ({total.sql})::varchar" for name, total in of_day.items())
    connection.execute(
        "create or replace temp table written "
        "(usage_date date, row_count bigint, content_hash text, day_totals text, grouped_by text)"
    )
    has_groupings = asked["question"] is not None and "grouped_by" in table.arrow_schema.names
    grouped_by = "string_agg(distinct grouped_by, '; ' order by grouped_by)" if has_groupings else "null"
    for part in _parts(connection, table, target):
        connection.execute(
            f"""
            insert into written
            select
              usage_date,
              count(*) as row_count,
              {table.content_hash} as content_hash,
              {f"to_json(struct_pack({day_totals}))::varchar" if day_totals else "'{}'"} as day_totals,
              {grouped_by} as grouped_by
            from {table.name}
            where {in_slice(table, part)}
            group by usage_date
            """,
            part.bounds,
        )
    parts = _total_parts(connection, table, target)
    connection.execute(
        f"""
        insert into ledger.partition_versions by name
        with days as (
          select
            day::date as usage_date,
            coalesce(written.row_count, 0) as row_count,
            coalesce(written.content_hash, sha256('')) as content_hash,
            json_merge_patch(
              coalesce(written.day_totals, '{{}}'), coalesce(parts.totals, '{{}}')
            )::varchar as day_totals,
            json_merge_patch($units, coalesce(parts.units, '{{}}'))::varchar as total_units,
            written.grouped_by
          from generate_series($first::timestamp, $last::timestamp, interval 1 day) as series(day)
          left join written on written.usage_date = day
          left join {parts} as parts on parts.usage_date = day
        )
        select
          $connection as connection,
          days.*,
          $table_name as table_name,
          $part as slice,
          coalesce(stored.version, 0) + 1 as version,
          days.content_hash is distinct from stored.content_hash as changed,
          if(days.content_hash is distinct from stored.content_hash, $run_id, stored.changed_run_id) as changed_run_id,
          days.usage_date >= coalesce(archived.stored_at::date, $today) as is_open,
          $filters as filters,
          $settling_days as settling_days,
          $question as question,
          inputs.inputs,
          archived.stored_at as answered_at,
          $run_id as run_id,
          $now as written_at
        from days
        left join ledger.stored_days as stored
          on stored.table_name = $table_name
          and stored.slice = $part
          and stored.connection = $connection
          and stored.usage_date = days.usage_date
        left join archived on archived.usage_date = days.usage_date
        left join inputs on inputs.usage_date = days.usage_date
        """,
        {
            **target.bounds,
            "table_name": table.name,
            "part": target.part,
            "run_id": run_id,
            "now": datetime.now(UTC),
            "today": as_of.date(),
            "units": msgspec.json.encode({name: total.unit for name, total in of_day.items()}).decode(),
            **asked,
        },
    )
    written = f"table_name = $table_name and slice = $part and {IN_SLICE}"
    parameters = {**target.bounds, "table_name": table.name, "part": target.part}
    rows = connection.execute(
        f"""
        select usage_date, content_hash, changed, changed_run_id, row_count, day_totals, is_open
        from ledger.stored_days
        where {written}
        order by usage_date
        """,
        parameters,
    ).fetchall()
    states: Mapping[date, str] = {}
    if asked["settling_days"] is not None:  # a derived day has no state, and to find that out takes as long
        query = f"select usage_date, state from ledger.day_states where {written}"
        states = dict(connection.execute(query, parameters).fetchall())
    samples = _samples(connection, table, target)
    return [
        Version(
            day=day,
            content_hash=content_hash,
            changed=changed,
            changed_run_id=changed_run_id,
            row_count=row_count,
            totals=msgspec.json.decode(totals, type=dict[str, str | None]),
            is_open=is_open,
            state=states.get(day),
            sample=samples.get(day, ()),
        )
        for day, content_hash, changed, changed_run_id, row_count, totals, is_open in rows
    ]


def _total_parts(connection: duckdb.DuckDBPyConnection, table: Table, target: Slice) -> str:
    """Add up what has a total per value of a column; return SQL for it: per day, names with amounts and units."""
    if not any(total.by for total in table.totals.values()):
        return "(select null::date as usage_date, null::json as totals, null::json as units where false)"
    connection.execute("create or replace temp table parts (usage_date date, name text, total text, unit text)")
    for name, total in table.totals.items():
        if total.by:
            connection.execute(
                f"""
                insert into parts
                select
                  usage_date,
                  '{name}_' || coalesce(lower({total.by}), 'unknown'),
                  ({total.sql})::varchar as total,
                  replace('{total.unit}', '{{}}', coalesce(upper({total.by}), 'unknown'))
                from {table.name}
                where {in_slice(table, target)}
                group by all
                having total is not null
                """,
                target.bounds,
            )
    connection.execute(
        """
        create or replace temp table total_parts as
        select
          usage_date,
          to_json(map(list(name order by name), list(total order by name))) as totals,
          to_json(map(list(name order by name), list(unit order by name))) as units
        from parts
        group by usage_date
        """
    )
    return "total_parts"


def _samples(
    connection: duckdb.DuckDBPyConnection, table: Table, target: Slice
) -> Mapping[date, Sequence[Mapping[str, Any]]]:
    shown = ", ".join(column.name for column in table.columns if column.name != "connection" and not column.personal)
    rows = connection.execute(
        f"select {shown} from {table.name} where rowid in (select unnest(min(rowid, {SAMPLE_ROWS})) "
        f"from {table.name} where {in_slice(table, target)} group by usage_date)",
        target.bounds,
    )
    samples: dict[date, list[Mapping[str, Any]]] = {}
    for row in rows.to_arrow_table().to_pylist():
        samples.setdefault(row.pop("usage_date"), []).append(row)
    return samples


def _first_line(error: duckdb.Error) -> str:
    return str(error).splitlines()[0]


def _listed(items: Any, most: int = 5) -> str:
    names = list(items)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more

"""Bring a stored database to what this release declares: tables, seeds, macros. Fetched rows stay as they are."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version

import duckdb

from usage_assets.core.days import counted
from usage_assets.core.schema import declarations, declared
from usage_assets.warehouse.arrow import fetch_arrow
from usage_assets.warehouse.found import is_found, note_altered, note_found
from usage_assets.warehouse.ledger import VERSIONS
from usage_assets.warehouse.tables import SQL_TYPES, Table, stored_tables
from usage_assets.warehouse.values import EVERYTHING, NEVER, NOTHING, Query, Seed, WarehouseError

HELD = f"""
select distinct unnest([table_name, if(has_sums, table_name || '_sums', table_name)])
from {VERSIONS.name}
"""
"""The tables of stored days, and of their sums by key."""
IN_LAKE = "from duckdb_databases() where database_name = current_database() and type = 'ducklake'"


def create_or_alter(connection: duckdb.DuckDBPyConnection, table: Table) -> bool:
    """Make the stored table equal its declaration: created, given new nullable columns, or freed of a ``not null``.

    Return whether it was created. Raises WarehouseError for any other difference, with the statement that mends it, and
    where a table is missing whose days were stored: an empty one would make all of them 0.
    """
    if is_as_declared(connection, table):
        return False
    note_altered(connection)
    stored = _stored_columns(connection, table)
    if not stored:
        _refuse_lost(connection, table)
        connection.execute(";\n".join(table.ddl()))  # one by one, the comments take a third longer
        if table.by_month and connection.execute(IN_LAKE).fetchone():
            connection.execute(table.by_month)
        return True
    if stored.keys() & table.row.renamed.keys():
        _rename_columns(connection, table.row.renamed)
        stored = _stored_columns(connection, table)
    for column in table.columns:
        sql_type = SQL_TYPES[column.type]
        declared = table.stored_type(column)
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
        difference = f"{name} is not declared (if a newer release added it, install that or restore a backup)"
        raise _differs(table, f"drop column {name}", difference)
    return False


def is_as_declared(connection: duckdb.DuckDBPyConnection, table: Table) -> bool:
    """Whether ``create_or_alter`` has nothing to do."""
    if is_found(connection, table):
        return True
    declared = {column.name: table.stored_type(column) for column in table.columns}
    if _stored_columns(connection, table) != declared:
        return False
    note_found(connection, table)
    return True


def _rename_columns(connection: duckdb.DuckDBPyConnection, renamed: Mapping[str, str]) -> None:
    """Give the columns of all tables that are renamed so their present names, and our views that read them: a view may
    read several of the tables, and other views."""
    for table in (Table(row) for row in declarations().values() if row.renamed == renamed):
        for old in renamed.keys() & _stored_columns(connection, table).keys():
            connection.execute(f"alter table {table.name} rename column {old} to {renamed[old]}")
    views = (
        "from duckdb_views() select schema_name || '.' || view_name, sql where database_name = current_database() "
        "and schema_name in ('costs', 'ledger')"
    )
    left = dict(connection.execute(views).fetchall())
    while made := [name for name, sql in left.items() if _is_mended(connection, name, sql, renamed)]:
        left = {name: sql for name, sql in left.items() if name not in made}


def _is_mended(connection: duckdb.DuckDBPyConnection, view: str, sql: str, renamed: Mapping[str, str]) -> bool:
    """Make a view of the present names if it needs them; it cannot be made before the views that it reads."""
    try:
        connection.execute(f"describe {view}")
    except duckdb.Error:
        for old, new in renamed.items():
            sql = re.sub(rf"\b{old}\b", new, sql)
        try:
            connection.execute(sql.replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1))
        except duckdb.Error:
            return False
    return True


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


def is_there(connection: duckdb.DuckDBPyConnection, table: Table) -> bool:
    """Whether a table is stored, as declared or not. To list all tables of a lake takes a hundred times as long."""
    return bool(_stored_columns(connection, table))


def refuse_lost(connection: duckdb.DuckDBPyConnection) -> None:
    """Raise WarehouseError where any declared table is missing whose days were stored."""
    lost = declarations().keys() - stored_tables(connection)
    for (name,) in connection.execute(HELD).fetchall():
        if name in lost:
            _refuse_lost(connection, Table(declared(name)))


def _refuse_lost(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Raise WarehouseError where a table that is about to be made held days, or the sums by key of days."""
    held = (
        f"select count(distinct usage_date) from {VERSIONS.name} "
        "where table_name = $name or (has_sums and table_name || '_sums' = $name)"
    )
    try:
        [(days,)] = connection.execute(held, {"name": table.name}).fetchall()
    except duckdb.CatalogException:  # there is no ledger yet
        return
    if days:
        what = f"{counted(days)} of it {'was' if days == 1 else 'were'} stored"
        raise WarehouseError(
            f"{table.name}: is missing, although {what}: restore a copy (docs/operations.md), or let these days go, so "
            "that they are due: usage-assets repair --deep --yes"
        )


def _differs(table: Table, mend: str, difference: str) -> WarehouseError:
    return WarehouseError(
        f"{table.name}: differs from its declaration: {difference}; to mend it: alter table {table.name} {mend};"
    )


def make_ready(connection: duckdb.DuckDBPyConnection, content: Query) -> None:
    """Store what is stated for the content, and prepare it."""
    if content.seed:
        write_seed(connection, content.seed)
    prepare(connection, content, made=content.seed.tables if content.seed else ())


def write_seed(connection: duckdb.DuckDBPyConnection, seed: Seed) -> bool:
    """Make the owned rows those that are stated and no others, unless a process that has read it later did so already.

    Entries of a file that are stored stay as they are if this process is not one that stores them, or states none: the
    variable that names the file may be missing. A backfill then adds the connections that are not stored.

    A long run that began before the configuration was changed would otherwise put back what it says no more. Nothing is
    written where nothing differs. Nearly always the digest says so: to read these tables was a third of a write on a
    lake.

    Return whether this process has read what is stated later than whoever wrote it, which is noted then.
    """
    new = [table for table in seed.tables if create_or_alter(connection, table)]
    if seed.owned == NOTHING:
        return False
    query = "select read_at, digest, release from ledger.statements where name = $name"
    read_at, digest, release = connection.execute(query, {"name": seed.name}).fetchone() or (None, None, None)
    kept = _kept(connection, seed, digest, is_stated=read_at is not None)
    if kept and seed.stores == "first":
        _add_missing(connection, seed)
    if kept and release == version("usage-assets"):
        return False
    stored, ours = _age(read_at), _age(seed.read_at)
    is_older, is_newer = stored > ours, stored < ours
    others_write = is_newer and seed.owned != EVERYTHING  # another code location may have removed some since
    is_known = digest == seed.digest and not others_write
    for table, rows in seed.tables.items():
        if table in kept:
            continue
        if (is_older or is_known) and table not in new:  # that an earlier release wrote, it knew none
            continue
        owned = f"from {table.name} where {seed.owned}"
        stored = fetch_arrow(connection.execute(owned))
        if (stored.column_names, stored.columns) == (rows.column_names, rows.columns):
            continue
        connection.register("all_rows", rows)
        same = f"({owned} except all from all_rows) union all (from all_rows except all {owned})"
        if stored.num_rows != rows.num_rows or connection.execute(same).fetchone():
            connection.execute(f"delete {owned}")
            connection.execute(f"insert into {table.name} by name select * from all_rows")
    if kept:
        return False
    if is_newer or (digest != seed.digest and not is_older):
        connection.execute("delete from ledger.statements where name = $name", {"name": seed.name})
        stated = {
            "name": seed.name,
            "read_at": seed.read_at,
            "digest": seed.digest,
            "release": version("usage-assets"),
            "entries": seed.entries_digest,
            "read_state": seed.state,
        }
        connection.execute(
            f"insert into ledger.statements by name select {', '.join(f'${name} as {name}' for name in stated)}", stated
        )
    return is_newer


def _kept(
    connection: duckdb.DuckDBPyConnection, seed: Seed, digest: str | None, *, is_stated: bool
) -> Collection[Table]:
    """Return the tables of entries that are not this process's to write."""
    if not seed.entries:
        return ()
    is_ours = seed.stores == "always" or (seed.stores == "first" and not is_stated)
    states_some = digest == seed.digest or seed.entries_digest is not None or seed.empties
    if is_ours and (states_some or not stored_entries(connection, seed)):
        return ()
    return {*seed.entries, *seed.beside}


def _add_missing(connection: duckdb.DuckDBPyConnection, seed: Seed) -> None:
    """Add the connections that have no stored row: a connection whose days are stored must be known."""
    for table in seed.beside:
        connection.register("all_rows", seed.tables[table])
        missing = f"from all_rows anti join {table.name} using ({', '.join(table.grain)})"
        if connection.execute(missing).fetchone():
            connection.execute(f"insert into {table.name} by name {missing}")


def stored_entries(connection: duckdb.DuckDBPyConnection, seed: Seed) -> Mapping[str, int]:
    """Return the tables of entries that hold rows, without their schema, with the number of rows."""
    stored = stored_tables(connection)
    counts = [f"select '{each.name}', count(*) from {each.name}" for each in seed.entries if each.name in stored]
    rows = connection.execute(" union all ".join(counts)).fetchall() if counts else ()
    return {name.partition(".")[2]: count for name, count in rows if count}


def _age(read_at: datetime | None) -> tuple[bool, datetime]:
    """What orders statements, the oldest first. One of a time to come is older than all others: the clock was set back,
    or that of another host is ahead."""
    return (read_at <= datetime.now(UTC), read_at) if read_at else (False, NEVER)


def refuse_newer(connection: duckdb.DuckDBPyConnection) -> None:
    """Raise WarehouseError where a newer release has used the database: this one may not know what its rows mean."""
    if is_found(connection, refuse_newer):
        return
    rows = connection.execute("select distinct release from ledger.statements where release is not null").fetchall()
    newest, ours = max((release for (release,) in rows), key=_numbers, default=""), version("usage-assets")
    if _numbers(newest) > _numbers(ours):
        raise WarehouseError(
            f"release {newest} of usage-assets has used it, and this is {ours}. Install {newest}; or go back: stop "
            "Dagster and restore the backup from before the upgrade, of a file with "
            "`install -m 600 BACKUP data/usage.duckdb` "
            "and without usage.duckdb.wal, of a lake with pg_restore (docs/deploy.md, Back up and restore)"
        )
    note_found(connection, refuse_newer)


def _numbers(release: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", release)[:3]]


def prepare(connection: duckdb.DuckDBPyConnection, content: Query, made: Collection[Table] = ()) -> None:
    """Make what the queries rely on: macros, and the tables that they read, but those that were ``made`` just now."""
    for table in read_by(content):
        if table not in made:
            create_or_alter(connection, table)
    define_macros(connection, content)


def read_by(content: Query) -> Sequence[Table]:
    """Return the declared tables that the queries read. The warehouse of an earlier release may lack some of them."""
    read = (Table(declared(name)) for name in dict.fromkeys((*content.reads, *content.optional_refs)))
    return *read, *(content.seed.tables if content.seed else ())


def define_macros(connection: duckdb.DuckDBPyConnection, content: Query) -> None:
    """Define the macros that the queries use, for this connection: each takes a millisecond."""
    for macro in content.used_macros:
        connection.execute(macro)

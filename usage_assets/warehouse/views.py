"""Creates the views that are missing or differ from this release's, each after the views that it reads."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from graphlib import CycleError, TopologicalSorter
from hashlib import sha256

import duckdb

from usage_assets.core.errors import first_line
from usage_assets.core.schema import declarations
from usage_assets.warehouse.found import is_found, note_altered, note_found
from usage_assets.warehouse.migrate import IN_LAKE, create_or_alter, is_as_declared
from usage_assets.warehouse.readable import quoted
from usage_assets.warehouse.tables import Table, described
from usage_assets.warehouse.values import View, WarehouseError

LISTED = """
select schema_name || '.' || view_name, coalesce(comment, '')
from duckdb_views()
where database_name = current_database() and not internal
"""
WITH_CONSTRAINTS = """
select distinct schema_name || '.' || table_name from duckdb_constraints() where database_name = current_database()
"""
"""All declared tables are among these: each has a column that is never null. ``duckdb_tables()`` asks the catalog of a
lake how large each is: 55 ms of CPU time, and this takes 2. A table without constraints differs from what is declared,
and to make its views says so."""
HAS_VIEW = """
select 1
from duckdb_views()
where database_name = current_database() and schema_name || '.' || view_name = $name
"""
"""A row where there is such a view."""
COLUMNS = """
select schema_name || '.' || table_name, map_from_entries(list((column_name, comment) order by column_index))
from duckdb_columns()
where database_name = current_database() and not internal
group by all
"""


def make_views(connection: duckdb.DuckDBPyConnection, views: Collection[View]) -> None:
    """Make the views that are not there; none may be missing. Raises WarehouseError."""
    for broken in broken_views(connection, views):
        raise WarehouseError(broken)


def are_declared(connection: duckdb.DuckDBPyConnection, tables: Collection[Table], views: Collection[View]) -> bool:
    """Whether all tables are as declared and all views are this release's."""
    return all(is_as_declared(connection, table) for table in tables) and are_made(connection, views)


def are_made(connection: duckdb.DuckDBPyConnection, views: Collection[View]) -> bool:
    """Whether ``make_views`` has nothing to do."""
    new = [view for view in views if not is_found(connection, view)]
    stored, tables = _stored(connection) if new else ({}, ())
    for view in new:
        if not _is_made(view, stored, tables):
            return False
        note_found(connection, view)
    return True


def _stored(connection: duckdb.DuckDBPyConnection) -> tuple[Mapping[str, str], Collection[str]]:
    """Return the stored views with their comments, and the declared tables that are there, as they should be."""
    tables = {name for (name,) in connection.execute(WITH_CONSTRAINTS).fetchall()}
    return dict(connection.execute(LISTED).fetchall()), tables


def _is_made(view: View, stored: Mapping[str, str], tables: Collection[str]) -> bool:
    """Whether it is there as this release makes it, and the declared tables that it reads are there."""
    return _is_ours(view, stored) and all(each.name in tables or each.name in stored for each in _declared_for(view))


def _is_ours(view: View, stored: Mapping[str, str]) -> bool:
    return stored.keys() >= {*view.names} and stored[view.names[0]].endswith(_version(view))


def lost_tables(views: Collection[View], stored: Mapping[str, str], tables: Collection[str]) -> Collection[str]:
    """Return the declared tables that are missing, although stored views of this release read them."""
    read = {table.name for view in views if _is_ours(view, stored) for table in _declared_for(view)}
    return read.difference(tables, stored)


def broken_views(connection: duckdb.DuckDBPyConnection, views: Collection[View]) -> Sequence[str]:
    """Make the views, and the declared tables that they read; return what is wrong with each that cannot be made.

    The comment of a file's first view tells whether it is there already. To make it anyway would change the file each
    time it is opened, and to write that takes as long as the rest of most transactions.
    """
    if are_made(connection, views):
        return ()
    note_altered(connection)
    stored, tables = _stored(connection)
    made: set[str] = set()
    new: list[View] = []
    broken: list[str] = []
    for view in in_order(views):
        first, version = view.names[0], _version(view)
        if _is_made(view, stored, tables) and not made & {*view.reads}:
            continue
        try:
            for table in _declared_for(view):
                if table.name not in stored.keys() | made:  # some views are declared, too
                    create_or_alter(connection, table)
            connection.execute(f"create schema if not exists {first.partition('.')[0]}")
            connection.execute(view.sql)
            comment = dict(connection.execute(LISTED).fetchall())[first]
            connection.execute(f"comment on view {first} is {quoted(f'{comment} {version}'.lstrip())}")
            new.append(view)
        except (duckdb.Error, WarehouseError) as error:
            broken.append(f"{first} cannot be made: {first_line(error)}")
        made |= {*view.names}
    if new and not connection.execute(IN_LAKE).fetchone():
        connection.execute(";\n".join(_comments(connection, new)))
    return broken


def _comments(connection: duckdb.DuckDBPyConnection, views: Iterable[View]) -> Iterator[str]:
    """Yield the statements that say what the views' columns mean. DuckLake keeps no comments on columns of views."""
    for name, column, text in meanings(connection, views):
        yield f'comment on column {name}."{column}" is {quoted(text)}'


def meanings(connection: duckdb.DuckDBPyConnection, views: Iterable[View]) -> Iterator[tuple[str, str, str]]:
    """Yield view, column and meaning of the columns of the stored views, which are given in order (``in_order``)."""
    known = {name: dict(columns) for name, columns in connection.execute(COLUMNS).fetchall()}
    rows = declarations()
    for view in views:
        for name in filter(known.__contains__, view.names):
            own = {column: view.described.get(f"{name}.{column}", view.described.get(column)) for column in known[name]}
            alike = [
                {column.name: described(column) for column in Table(rows[each]).columns}
                if each in rows
                else known[each]
                for each in (name, *view.alike)
                if each in rows or each in known
            ]
            for column in known[name]:
                if text := next((found[column] for found in (own, *alike) if found.get(column)), None):
                    known[name][column] = text
                    yield name, column, text


def broken_views_apart(connection: duckdb.DuckDBPyConnection, views: Collection[View]) -> Sequence[str]:
    """Make the views in a transaction of their own; return what is wrong, whatever it is. What is stored stays."""
    broken: list[str] = []
    try:
        connection.begin()
        broken += broken_views(connection, views)
        connection.commit()
    except (duckdb.Error, CycleError) as error:
        broken.append(f"the views cannot be made: {first_line(error)}")
    return broken


def in_order(views: Collection[View]) -> Sequence[View]:
    """Return the views, each after those that it reads. Raises graphlib.CycleError."""
    makers = {name: view for view in views for name in view.names}
    read = {
        view: dict.fromkeys(makers[name] for name in view.reads if makers.get(name, view) != view) for view in views
    }
    return tuple(TopologicalSorter(read).static_order())


@cache
def _declared_for(view: View) -> Sequence[Table]:
    rows = declarations()
    return [Table(rows[name]) for name in view.reads if name in rows]


@cache
def _version(view: View) -> str:
    """Which release's view this is. A view of all columns must be made again where its table gains one."""
    read = [table.columns for table in _declared_for(view)]
    return f"[{sha256(f'{view.sql}{read}'.encode()).hexdigest()[:12]}]"

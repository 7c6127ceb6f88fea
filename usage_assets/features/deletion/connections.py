"""Counts and deletes the rows of a connection, for commands that list or remove connections. Runs delete by slice."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import duckdb

from usage_assets.core.schema import ConnectionRow, declarations
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.ledger import PORT_ENTITIES
from usage_assets.warehouse.tables import STORED

PortLine = tuple[str, str, date, str]
"""An entity that a Port account has acknowledged: blueprint, identifier, day, content hash."""


@dataclass(frozen=True)
class StoredConnection:
    """One connection with stored days."""

    name: str
    schemas: frozenset[str]
    """The schemas of its tables; one of them is named after its provider."""
    first: date
    last: date


def stored_connections(warehouse: Warehouse) -> list[StoredConnection]:
    """Return the connections with stored days, by name."""
    with warehouse.transaction(keep=False) as database:
        rows = database.execute(
            """
            select connection, list(distinct split_part(table_name, '.', 1)), min(usage_date), max(usage_date)
            from ledger.stored_days
            group by connection
            order by connection
            """
        ).fetchall()
    return [StoredConnection(name, frozenset(schemas), first, last) for name, schemas, first, last in rows]


def row_counts(warehouse: Warehouse, connection: str) -> Mapping[str, int]:
    """Return the number of a connection's rows by declared table, without empty tables and Port's ledger."""
    with warehouse.transaction(keep=False) as database:
        counted = [
            f"select '{table}', count(*) from {table} where connection = $name"
            for table in stored_tables(database, ConnectionRow)
        ]
        rows = database.execute(" union all ".join(counted) + " order by all", {"name": connection}).fetchall()
    return {table: count for table, count in rows if count}


def delete_rows(warehouse: Warehouse, connection: str) -> None:
    """Delete every row of a connection in one transaction, except the ledger lines of entities still in Port."""
    with warehouse.transaction() as database:
        for table in stored_tables(database, ConnectionRow):
            database.execute(f"delete from {table} where connection = $name", {"name": connection})


def port_lines(warehouse: Warehouse, connection: str) -> dict[str, list[PortLine]]:
    """Return the entities of a connection that are in Port, by Port account."""
    with warehouse.transaction(keep=False) as database:
        rows = database.execute(
            """
            select account, blueprint, identifier, usage_date, content_hash
            from ledger.port_entities
            where connection = $name
            order by account, blueprint, identifier
            """,
            {"name": connection},
        ).fetchall()
    lines: dict[str, list[PortLine]] = defaultdict(list)
    for account, *line in rows:
        lines[account].append(tuple(line))
    return lines


def stored_tables(database: duckdb.DuckDBPyConnection, kind: type[ConnectionRow]) -> list[str]:
    """Return the names of the declared tables of this kind that exist, without Port's ledger."""
    rows = database.execute(STORED).fetchall()
    declared = {name for name, row in declarations().items() if issubclass(row, kind)}
    return sorted(declared & {name for (name,) in rows} - {PORT_ENTITIES.name})

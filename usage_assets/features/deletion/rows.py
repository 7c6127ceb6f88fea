"""Counts and deletes rows of all tables, for whatever deletes a connection or old days. Runs delete by slice."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Self, TypeAlias

import duckdb

from usage_assets.features.port.catalog.client import PortClient
from usage_assets.features.port.catalog.sync import Acknowledged, Changes, Failure, push
from usage_assets.features.port.ledger import PortLedger
from usage_assets.models.declared import declarations
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.ledger import PORT_ENTITIES
from usage_assets.warehouse.readable import quoted
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import STORED
from usage_assets.warehouse.values import WarehouseError


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


WITH_COLUMN = f"""
select name
from ({STORED}) as tables
join duckdb_columns() as columns on columns.schema_name || '.' || columns.table_name = tables.name
where database_name = current_database() and column_name = $column
order by all
"""
"""The tables that have a column: the database knows them, and a process may not."""
InPort: TypeAlias = dict[str, dict[str, list[Acknowledged]]]
"""Port account -> connection -> lines of the ledger."""
KEPT = "accounting."
"""How the tables begin that hold what the connections file says: its entries stay until the file is changed."""
WRITTEN = "select distinct table_name from ledger.partition_versions"
"""The tables that runs have written, those of users' own assets among them."""


@dataclass(frozen=True)
class Rows:
    """Rows of one connection, or of the days before one, in all tables but Port's ledger and the connections file's."""

    column: str
    comparison: str
    value: str | date

    @classmethod
    def of_connection(cls, name: str) -> Self:
        return cls("connection", "=", name)

    @classmethod
    def before(cls, day: date) -> Self:
        return cls("usage_date", "<", day)

    @property
    def condition(self) -> str:
        """The SQL condition on the parameter ``value``."""
        return f"{self.column} {self.comparison} $value"

    def count(self, warehouse: Warehouse) -> Mapping[str, int]:
        """Return how many rows each table has, where it has any."""
        with warehouse.transaction(keep=False) as database:
            counted = [
                f"select '{table}', count(*) from {table} where {self.condition}" for table in self.tables(database)
            ]
            rows = database.execute(" union all ".join(counted) + " order by all", {"value": self.value}).fetchall()
        return {table: count for table, count in rows if count}

    def delete(self, warehouse: Warehouse) -> None:
        """Delete them in one transaction. The ledger lines of entities that are still in Port stay."""
        with warehouse.transaction() as database:
            for table in self.tables(database):
                database.execute(f"delete from {table} where {self.condition}", {"value": self.value})

    def in_port(self, warehouse: Warehouse) -> InPort:
        """Return their entities in Port."""
        with warehouse.transaction(keep=False) as database:
            rows = database.execute(
                f"""
                select account, connection, blueprint, identifier, usage_date, content_hash, resource
                from ledger.port_entities
                where {self.condition}
                order by account, connection, blueprint, identifier
                """,
                {"value": self.value},
            ).fetchall()
        found: InPort = defaultdict(lambda: defaultdict(list))
        for account, connection, *line in rows:
            found[account][connection].append(Acknowledged(*line))
        return found

    def tables(self, database: duckdb.DuckDBPyConnection) -> list[str]:
        """Return the tables that may hold them. Raises WarehouseError for one of somebody else that does."""
        stored = [name for (name,) in database.execute(WITH_COLUMN, {"column": self.column}).fetchall()]
        ours = {*declarations(), *(name for (name,) in database.execute(WRITTEN).fetchall())}
        known = [name for name in stored if name in ours and name != PORT_ENTITIES.name and not name.startswith(KEPT)]
        for name in stored:
            query = f"select 1 from {name} where {self.condition} limit 1"
            if name not in ours and database.execute(query, {"value": self.value}).fetchone():
                condition = f"{self.column} {self.comparison} {quoted(str(self.value))}"
                raise WarehouseError(
                    f"{name}: holds rows of it that are not ours. Delete them (delete from {name} where {condition}), "
                    "or drop the table; nothing was deleted"
                )
        return known


def delete_in_port(
    warehouse: Warehouse, port: PortClient, connection: str, lines: Sequence[Acknowledged]
) -> Sequence[Failure]:
    """Delete the entities of a connection that the lines name, and the lines. Return what Port refused to delete.

    Raises PortError and WarehouseError.
    """
    days = [line.usage_date for line in lines]
    ledger = PortLedger(warehouse, port.account, Slice(connection, min(days), max(days)), ())
    return push(port, Changes(deletes=tuple(lines)), ledger).failures


def left_behind(warehouse: Warehouse, configured: Collection[str]) -> Mapping[str, int]:
    """Return the connections that are neither configured nor have a stored day, with the number of rows that an earlier
    release, or an interrupted removal, has left of them."""
    with warehouse.transaction(keep=False) as database:
        tables = Rows.of_connection("").tables(database)
        every = " union all ".join(f"select connection from {table}" for table in tables) or "select null"
        rows = database.execute(
            f"select connection, count(*) from ({every}) where connection <> '' "
            "and connection not in (select connection from ledger.stored_days) group by all order by all"
        ).fetchall()
    return {name: count for name, count in rows if name not in configured}

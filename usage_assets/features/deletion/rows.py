"""Counts and deletes rows of all tables, for whatever deletes a connection or old days. Runs delete by slice."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Self

import duckdb

from usage_assets.core.schema import ConnectionRow, Row, declarations
from usage_assets.features.port.catalog.sync import Acknowledged
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.ledger import PORT_ENTITIES
from usage_assets.warehouse.tables import STORED


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


@dataclass(frozen=True)
class Rows:
    """Rows of one connection, or of the days before one, in all declared tables but Port's ledger."""

    kind: type[ConnectionRow]
    condition: str
    value: str | date

    @classmethod
    def of_connection(cls, name: str) -> Self:
        return cls(ConnectionRow, "connection = $value", name)

    @classmethod
    def before(cls, day: date) -> Self:
        return cls(Row, "usage_date < $value", day)

    def count(self, warehouse: Warehouse) -> Mapping[str, int]:
        """Return how many rows each table has, where it has any."""
        with warehouse.transaction(keep=False) as database:
            counted = [
                f"select '{table}', count(*) from {table} where {self.condition}" for table in self._tables(database)
            ]
            rows = database.execute(" union all ".join(counted) + " order by all", {"value": self.value}).fetchall()
        return {table: count for table, count in rows if count}

    def delete(self, warehouse: Warehouse) -> None:
        """Delete them in one transaction. The ledger lines of entities that are still in Port stay."""
        with warehouse.transaction() as database:
            for table in self._tables(database):
                database.execute(f"delete from {table} where {self.condition}", {"value": self.value})

    def in_port(self, warehouse: Warehouse) -> list[tuple[str, str, Acknowledged]]:
        """Return their entities in Port: account, connection and line."""
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
        return [(account, connection, Acknowledged(*line)) for account, connection, *line in rows]

    def _tables(self, database: duckdb.DuckDBPyConnection) -> list[str]:
        stored = {name for (name,) in database.execute(STORED).fetchall()}
        declared = {name for name, row in declarations().items() if issubclass(row, self.kind)}
        return sorted(declared & stored - {PORT_ENTITIES.name})

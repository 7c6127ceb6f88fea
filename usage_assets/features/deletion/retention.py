"""Counts and deletes the rows of days past their retention, of all connections."""

from collections.abc import Mapping
from datetime import date

from usage_assets.core.schema import Row
from usage_assets.features.deletion.connections import PortLine, stored_tables
from usage_assets.warehouse.database import Warehouse


def rows_before(warehouse: Warehouse, first: date) -> Mapping[str, int]:
    """Return how many rows of days before one each declared table has, where it has any, Port's ledger left out."""
    with warehouse.transaction(keep=False) as database:
        counted = [
            f"select '{table}', count(*) from {table} where usage_date < $first"
            for table in stored_tables(database, Row)
        ]
        rows = database.execute(" union all ".join(counted) + " order by all", {"first": first}).fetchall()
    return {table: count for table, count in rows if count}


def delete_days(warehouse: Warehouse, first: date) -> None:
    """Delete every row of the days before one, in one transaction, but the lines of what Port still holds of them."""
    with warehouse.transaction() as database:
        for table in stored_tables(database, Row):
            database.execute(f"delete from {table} where usage_date < $first", {"first": first})


def port_lines_before(warehouse: Warehouse, first: date, account: str) -> list[tuple[str, PortLine]]:
    """Return what a Port account holds of the days before one: connection and line."""
    with warehouse.transaction(keep=False) as database:
        rows = database.execute(
            """
            select connection, blueprint, identifier, usage_date, content_hash
            from ledger.port_entities
            where account = $account and usage_date < $first
            order by connection, blueprint, identifier
            """,
            {"account": account, "first": first},
        ).fetchall()
    return [(connection, tuple(line)) for connection, *line in rows]

"""What a write replaces: one connection's contiguous days, and how SQL and Python cut them out of a table."""

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import duckdb

from usage_assets.core.days import Window
from usage_assets.warehouse.tables import Table

IN_SLICE = "connection = $connection and usage_date between $first and $last"
"""The bounds of a slice. ``between`` and not a list of days: DuckDB pushes it down into derived queries."""
IN_LEDGER = f"table_name = $table_name and slice = $part and {IN_SLICE}"
"""The rows of a table's slice in a ledger."""
NEWEST = f"""
select *
from ledger.partition_versions
where {IN_LEDGER}
qualify version = max(version) over (partition by usage_date)
"""
"""What a table's slice in the ledger says now."""
ROWS_AT_ONCE = 50_000
"""About how many rows are grouped or sorted at once. A year of a large organization would take gigabytes."""


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
        return Window(self.first, self.last).days

    @property
    def bounds(self) -> dict[str, Any]:
        """The parameters of ``IN_SLICE``."""
        return {"connection": self.connection, "first": self.first, "last": self.last}

    def __str__(self) -> str:
        return f"{self.connection} {self.first} to {self.last}{f' of {self.part}' if self.part else ''}"


def in_slice(table: Table, target: Slice) -> str:
    """SQL that is true for the rows of the slice."""
    return f"{IN_SLICE} and {table.row.slice_by} = '{target.part}'" if table.row.slice_by else IN_SLICE


def ledger_bounds(table: Table, target: Slice) -> dict[str, Any]:
    """The parameters of ``IN_LEDGER``."""
    return {**target.bounds, "table_name": table.name, "part": target.part}


def parts_of(connection: duckdb.DuckDBPyConnection, table: Table, target: Slice) -> list[Slice]:
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

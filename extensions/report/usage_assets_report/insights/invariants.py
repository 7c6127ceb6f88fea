"""What must hold between the rows of insights and what is stored: a query for each rule, in ``sql/invariants/``.

The queries share no arithmetic with the code that computes the rows. They read the same state of the warehouse as that
code: rows of days that are stored later would look like contradictions.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from usage_assets.core.schema import SeedRow, TableRow, to_arrow
from usage_assets.models.insights import BudgetStatusRow, ForecastRow, ForecastTotalRow
from usage_assets.warehouse.values import declared_in

SQL = Path(__file__).parent / "sql" / "invariants"
TEMPORARY = ("stored", "may_change", "days_of_periods")
"""Queries whose rows the others read as temporary tables."""
READ: Sequence[type[SeedRow]] = (ForecastRow, ForecastTotalRow, BudgetStatusRow)


@dataclass(frozen=True)
class Invariant:
    """A rule, and a query with one row for each contradiction: a sentence that says what is wrong."""

    name: str
    table: str
    """The table whose rows it is about."""
    rule: str
    sql: str

    @classmethod
    def of(cls, path: Path) -> "Invariant":
        """Return the rule of a file."""
        sql = path.read_text()
        stated = declared_in(sql)
        return cls(path.stem, stated["of"], stated["holds"], sql)


INVARIANTS = tuple(Invariant.of(path) for path in sorted(SQL.glob("*.sql")) if path.stem not in TEMPORARY)


def contradictions(
    database: duckdb.DuckDBPyConnection, rows: Mapping[type[TableRow], Iterable[TableRow]], newest: date
) -> Mapping[Invariant, Sequence[str]]:
    """Return what contradicts each rule: sentences with units and rounded amounts.

    ``newest`` is the last day that the rows know of.
    """
    firsts = [row.first_day for row in rows[BudgetStatusRow] if isinstance(row, BudgetStatusRow)]
    firsts += [row.month for row in rows[ForecastTotalRow] if isinstance(row, ForecastTotalRow)]
    days = {"first": min(firsts, default=newest), "last": newest}
    for row in READ:
        database.register(row.table.partition(".")[2], to_arrow(row, [*rows[row]]))
    for name in TEMPORARY:
        sql = (SQL / f"{name}.sql").read_text()
        database.execute(f"create or replace temp table {name} as {sql}", _asked(sql, days))
    return {
        invariant: [text for (text,) in database.execute(invariant.sql, _asked(invariant.sql, days)).fetchall()]
        for invariant in INVARIANTS
    }


def _asked(sql: str, days: Mapping[str, date]) -> Mapping[str, date]:
    return {name: day for name, day in days.items() if f"${name}" in sql}

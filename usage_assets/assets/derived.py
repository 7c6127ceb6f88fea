"""Derived assets: one per declared table and SQL file. What they compute stands in sql/, not here."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import dagster as dg
import pyarrow as pa

from usage_assets.accounting import Accounting
from usage_assets.rows import Row
from usage_assets.settings import Connection, PortRelation
from usage_assets.warehouse.database import Select
from usage_assets.warehouse.io_manager import table_metadata
from usage_assets.warehouse.tables import Table

SQL = Path(__file__).parent / "sql"
Ids: TypeAlias = Callable[[Mapping[str, Any]], Iterable[str | None]]
"""The ids in a row by which something else knows what the row is about."""
MACROS = tuple(path.read_text() for path in sorted((SQL / "macros").glob("*.sql")))


def stated_tables(accounting: Accounting) -> Mapping[Table, pa.Table]:
    """Return the tables that hold what the connections file says about money, with their rows."""
    return {Table(row): rows for row, rows in accounting.tables().items()}


@dataclass(frozen=True, kw_only=True)
class Derived:
    """A derived table, or one source's part of it: where its rows come from and what they must add up to."""

    name: str
    """Last part of the asset key."""
    file: str
    """The query is ``sql/<folder>/<file>.sql``, what it must add up to ``sql/checks/<file>.*`` and ``<within>.*``."""
    folder: str
    """Below ``sql/``, and the middle part of the asset key."""
    row: type[Row]
    group: str
    """Asset group after the connection's name."""
    reads: tuple[str, ...]
    """Tables of which the day must be stored."""
    may_read: tuple[str, ...] = ()
    """Tables that are read, too, also by the views over the table, but that a connection need not have: those of
    endpoints that may be switched off, and of lookups."""
    part: str = ""
    """The value of the table's ``slice_by`` column that this asset writes."""
    within: str = ""
    """A query below ``sql/`` over ``native``, which is what the file computes then."""
    about: Mapping[str, Ids] = field(default_factory=dict)
    """Relation that users may configure (``PortRelation.name``) -> what its target is known by."""

    def asset_key(self, connection: str) -> dg.AssetKey:
        """Return the key of a connection's asset."""
        return dg.AssetKey([connection, self.folder, self.name])

    def foreign(self, relations: Iterable[PortRelation]) -> dict[str, str]:
        """Return the relations of its entities to the users' own blueprints: relation -> blueprint."""
        return {relation.name: relation.blueprint for relation in relations if relation.name in self.about}

    @cached_property
    def select(self) -> Select:
        """The query and its reconciliation, as the IO manager runs them; read once for all connections."""
        sql = (SQL / self.folder / f"{self.file}.sql").read_text()
        if self.within:
            sql = f"with native as (\n{sql})\n{(SQL / self.within).read_text()}"
        checks = filter(None, (self.file, self.within.removesuffix(".sql")))
        return Select(
            sql=sql,
            reads=self.reads,
            may_read=self.may_read,
            part=self.part,
            stated=stated_tables(Accounting()) if "accounting." in sql else {},
            reconciliations=tuple(
                path.read_text() for check in checks for path in sorted((SQL / "checks").glob(f"{check}.*"))
            ),
            macros=MACROS,
            views=tuple(path.read_text() for path in sorted((SQL / "views").glob(f"{self.row.table}_*.sql"))),
        )

    def select_of(self, tables: Collection[str]) -> Select:
        """Return the query for a connection with these tables: what is read of them must be stored first."""
        reads = (*self.reads, *(table for table in self.may_read if table in tables))
        return replace(self.select, reads=reads)

    @cached_property
    def nothing(self) -> Select:
        """No rows, for a connection whose use another one tells of: what was derived before it came is emptied."""
        part = f" where {self.row.slice_by} = '{self.part}'" if self.row.slice_by else ""
        rows = (
            "select connection, usage_date, 'rows of a superseded connection' as total, 0 as expected, "
            f"count(*) as found from {self.row.table}{part} group by all"
        )
        return replace(
            self.select,
            sql=f"select * from ({self.select.sql}) where false",
            reads=(),
            may_read=(*self.reads, *self.may_read),
            reconciliations=(rows,),
        )


def build_derived_asset(
    derived: Derived,
    connection: Connection,
    select: Select,
    sources: Mapping[str, Mapping[str, dg.AssetKey]],
    partitions: dg.PartitionsDefinition[str],
    policy: dg.BackfillPolicy,
    *,
    is_emptied: bool = False,
) -> dg.AssetsDefinition:
    """Build the asset that recomputes the requested days of one derived table from stored rows.

    ``sources`` are the connection's assets by the table and the part of it that they write. A part of a table stands on
    the same part of another one (``Select.part``).
    """
    emptied = "Empty: another connection tells of the same use.\n\n" if is_emptied else ""

    @dg.asset(
        key=derived.asset_key(connection.name),
        group_name=f"{connection.name}_{derived.group}",
        deps=[
            key
            for table in select.reads
            for part, key in sources[table].items()
            if not (part and select.part) or part == select.part
        ],
        partitions_def=partitions,
        backfill_policy=policy,
        description=emptied + Table(derived.row).description,
        metadata={
            **table_metadata(derived.row, connection.name, derived.part),
            "query": dg.MetadataValue.md(f"```sql\n{select.sql}```"),
        },
        kinds={"duckdb", "sql"},
    )
    def derived_asset() -> dg.MaterializeResult[Select]:
        return dg.MaterializeResult(value=select, metadata={"source": ", ".join(select.reads)})

    return derived_asset

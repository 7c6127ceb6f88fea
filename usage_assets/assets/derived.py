"""Derived assets: one per declared table and SQL file. What they compute stands in sql/, not here."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import dagster as dg

from usage_assets.rows import Row
from usage_assets.settings import Connection
from usage_assets.warehouse.database import Select
from usage_assets.warehouse.io_manager import table_metadata
from usage_assets.warehouse.tables import Table

SQL = Path(__file__).parent / "sql"
MACROS = tuple(path.read_text() for path in sorted((SQL / "macros").glob("*.sql")))


@dataclass(frozen=True, kw_only=True)
class Derived:
    """A derived table, or one source's part of it: where its rows come from and what they must add up to."""

    name: str
    """Last part of the asset key."""
    file: str
    """The query is ``sql/<folder>/<file>.sql``, what it must add up to ``sql/checks/<file>.*``."""
    folder: str
    """Below ``sql/``, and the middle part of the asset key."""
    row: type[Row]
    group: str
    """Asset group after the connection's name."""
    reads: tuple[str, ...]
    """Raw tables, ``<provider>.<last part of the asset key>``."""
    part: str = ""
    """The value of the table's ``slice_by`` column that this asset writes."""

    def asset_key(self, connection: str) -> dg.AssetKey:
        """Return the key of a connection's asset."""
        return dg.AssetKey([connection, self.folder, self.name])

    @cached_property
    def select(self) -> Select:
        """The query and its reconciliation, as the IO manager runs them; read once for all connections."""
        return Select(
            sql=(SQL / self.folder / f"{self.file}.sql").read_text(),
            reads=self.reads,
            part=self.part,
            reconciliations=tuple(path.read_text() for path in sorted((SQL / "checks").glob(f"{self.file}.*"))),
            macros=MACROS,
        )


def build_derived_asset(
    derived: Derived, connection: Connection, partitions: dg.PartitionsDefinition[str], policy: dg.BackfillPolicy
) -> dg.AssetsDefinition:
    """Build the asset that recomputes the requested days of one derived table from stored rows."""
    select = derived.select

    @dg.asset(
        key=derived.asset_key(connection.name),
        group_name=f"{connection.name}_{derived.group}",
        deps=[[connection.name, table.partition(".")[2]] for table in derived.reads],
        partitions_def=partitions,
        backfill_policy=policy,
        description=Table(derived.row).description,
        metadata={
            **table_metadata(derived.row, connection.name, derived.part),
            "query": dg.MetadataValue.md(f"```sql\n{select.sql}```"),
        },
        kinds={"duckdb", "sql"},
    )
    def derived_asset() -> dg.MaterializeResult[Select]:
        return dg.MaterializeResult(value=select, metadata={"source": ", ".join(derived.reads)})

    return derived_asset

"""What dbt is told of the warehouse: https://docs.getdbt.com/reference/source-properties (read in November 2026)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import yaml  # type: ignore[import-untyped]  # Dagster's, without types

from usage_assets.core.schema import Row, declarations
from usage_assets.models import due, entities, insights  # noqa: F401 - they declare tables, as the providers do
from usage_assets.warehouse.readable import without_version
from usage_assets.warehouse.tables import Table

HOURS_UNTIL_LATE = 36
"""The daily schedule looks at each source every 24 hours, and a look is a version also where nothing has changed."""
STORED = """
select schema_name, table_name, coalesce(comment, '') as comment
from duckdb_tables()
where database_name = current_database() and not internal and not temporary
union all
select schema_name, view_name, coalesce(comment, '')
from duckdb_views()
where database_name = current_database() and not internal and not temporary
order by all
"""
COLUMNS = """
select schema_name, table_name, column_name, data_type, coalesce(comment, '')
from duckdb_columns()
where database_name = current_database() and not internal
order by schema_name, table_name, column_index
"""
WRITTEN = "select max(written_at) from {database}.ledger.stored_days where table_name = '{table}'"


@dataclass(frozen=True)
class Source:
    """A stored table or view."""

    schema: str
    name: str
    description: str
    columns: Sequence[tuple[str, str, str]]
    """Name, type and meaning of each."""
    grain: Sequence[str]
    """The columns that identify a row; none where nothing declares them."""
    has_days: bool
    """Whether the ledger notes when its days were written."""


def schemas_of(database: duckdb.DuckDBPyConnection) -> Mapping[str, Sequence[Source]]:
    """Return the tables and views of each schema, as the warehouse describes them."""
    declared = {name: Table(row) for name, row in declarations().items()}
    columns: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    for schema, table, *column in database.execute(COLUMNS).fetchall():
        columns.setdefault((schema, table), []).append((column[0], column[1], column[2]))
    found: dict[str, list[Source]] = {}
    for schema, name, comment in database.execute(STORED).fetchall():
        table = declared.get(f"{schema}.{name}")
        found.setdefault(schema, []).append(
            Source(
                schema=schema,
                name=name,
                description=without_version(comment),
                columns=columns[schema, name],
                grain=table.grain if table else (),
                has_days=table is not None and issubclass(table.row, Row) and schema != "ledger",
            )
        )
    return found


def text_of(schemas: Mapping[str, Sequence[Source]], database: str) -> str:
    """Return ``sources.yml``. dbt reads the schemas of the database that its profile attaches as ``database``."""
    sources = [
        {"name": name, "database": database, "schema": name, "tables": [_table(each, database) for each in tables]}
        for name, tables in schemas.items()
    ]
    text = yaml.safe_dump({"version": 2, "sources": sources}, sort_keys=False, allow_unicode=True, width=1000)
    return f"# Written by usage-assets dbt sources: write it again after an upgrade.\n{text}"


def _table(source: Source, database: str) -> Mapping[str, Any]:
    table: dict[str, Any] = {"name": source.name, "description": source.description}
    if source.has_days:
        table["config"] = {
            "loaded_at_query": WRITTEN.format(database=database, table=f"{source.schema}.{source.name}"),
            "freshness": {"warn_after": {"count": HOURS_UNTIL_LATE, "period": "hour"}},
        }
    if source.grain:  # a row of the columns: null is a value of its own
        table["data_tests"] = [{"unique": {"arguments": {"column_name": f"row({', '.join(source.grain)})"}}}]
    table["columns"] = [
        {"name": name, "data_type": kind, "description": meaning} for name, kind, meaning in source.columns
    ]
    return table

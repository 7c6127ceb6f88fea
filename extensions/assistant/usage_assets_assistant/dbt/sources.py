"""How `sources.yml` describes a warehouse: https://docs.getdbt.com/reference/source-properties (November 2026)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import yaml  # type: ignore[import-untyped]  # Dagster's, without types

from usage_assets.core.schema import Row
from usage_assets.models import due, entities, insights  # noqa: F401 - they declare tables, as the providers do
from usage_assets.models.costs import SUMS
from usage_assets.models.declared import declarations
from usage_assets.warehouse.readable import without_version
from usage_assets.warehouse.tables import Table, described
from usage_assets.warehouse.views import meanings
from usage_assets_assistant.dbt.writers import ALL_VIEWS, asset_of, writers_of

HOURS_UNTIL_LATE = 36
"""The daily schedule reads each source every 24 hours and notes it, also if nothing changed."""
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
    """Whether the ledger notes when its days were written, and a connection still has them written."""
    writers: Collection[str] = ()
    """The assets that write it or, of a view, what it reads; as the ledger calls them."""

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"


def schemas_of(
    database: duckdb.DuckDBPyConnection, *, states_accounting: bool = True
) -> Mapping[str, Sequence[Source]]:
    """Return the tables and views of each schema, as the warehouse describes them, and the assets that write them.

    ``states_accounting``: whether there is an asset of what the connections file says about money.
    """
    declared = {name: Table(row) for name, row in declarations().items()}
    known = {(name, column.name): described(column) for name, table in declared.items() for column in table.columns}
    known |= {(view, column): text for view, column, text in meanings(database, ALL_VIEWS)}
    columns: dict[str, list[tuple[str, str, str]]] = {}
    for schema, table, column, kind, comment in database.execute(COLUMNS).fetchall():
        meaning = comment or known.get((f"{schema}.{table}", column), "")  # a lake does not keep all comments
        columns.setdefault(f"{schema}.{table}", []).append((column, kind, meaning))
    stored = database.execute(STORED).fetchall()
    writers = writers_of(database, columns.keys(), states_accounting=states_accounting)
    are_stated = any("/" in asset for each in writers.values() for asset in each)
    found: dict[str, list[Source]] = {}
    for schema, name, comment in stored:
        full = f"{schema}.{name}"
        table = declared.get(full)
        has_days = table is not None and issubclass(table.row, Row) and schema != "ledger"
        found.setdefault(schema, []).append(
            Source(
                schema=schema,
                name=name,
                description=without_version(comment),
                columns=columns[full],
                grain=table.grain if table else (),
                has_days=has_days and (full in writers or not are_stated),
                writers=writers.get(full, ()),
            )
        )
    return found


def text_of(schemas: Mapping[str, Sequence[Source]], database: str, key_prefix: Sequence[str] = ()) -> str:
    """Return ``sources.yml``. dbt reads the schemas of the database that its profile attaches as ``database``.

    ``key_prefix`` begins the keys of all assets in Dagster.
    """
    sources = [
        {
            "name": name,
            "database": database,
            "schema": name,
            "tables": [_table(each, database, key_prefix) for each in tables],
        }
        for name, tables in schemas.items()
    ]
    text = yaml.safe_dump({"version": 2, "sources": sources}, sort_keys=False, allow_unicode=True, width=1000)
    return f"# Written by usage-assets dbt sources: write it again after an upgrade.\n{text}"


def _table(source: Source, database: str, key_prefix: Sequence[str]) -> Mapping[str, Any]:
    table: dict[str, Any] = {"name": source.name, "description": source.description}
    config: dict[str, Any] = {}
    if source.has_days:
        config = {
            "loaded_at_query": WRITTEN.format(database=database, table=SUMS.get(source.full_name, source.full_name)),
            "freshness": {"warn_after": {"count": HOURS_UNTIL_LATE, "period": "hour"}},
        }
    if source.writers:
        config["meta"] = _meta(source, key_prefix)
    if config:
        table["config"] = config
    if source.grain:  # a row of the columns: null is a value of its own
        table["data_tests"] = [{"unique": {"arguments": {"column_name": f"row({', '.join(source.grain)})"}}}]
    table["columns"] = [
        {"name": name, "data_type": kind, "description": meaning} for name, kind, meaning in source.columns
    ]
    return table


def _meta(source: Source, key_prefix: Sequence[str]) -> Mapping[str, Any]:
    """What Dagster is told: the key of the asset that a table is, and the keys of all assets that write it.

    dagster-dbt reads the first: there, a source has one key. The others are for a translator (README.md, dbt).
    """
    meta: dict[str, Any] = {}
    if asset := asset_of(source.full_name, source.writers):
        meta["dagster"] = {"asset_key": [*key_prefix, *asset.split("/")]}
    meta["usage_assets"] = {"assets": ["/".join([*key_prefix, each]) for each in source.writers]}
    return meta

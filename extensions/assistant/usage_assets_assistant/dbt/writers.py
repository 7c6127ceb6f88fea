"""Which assets write a table, or the tables that a view reads: upstream of a dbt model that selects from it.

The warehouse knows them, whatever Dagster project they are in: ``ledger.assets`` has those of all connections. They are
called as the ledger calls them, without the prefix of an instance.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping

import duckdb

from usage_assets.config.accounting import ListPriceRow, MetricRow
from usage_assets.models import due
from usage_assets.models.costs import CONTROLS, SUMS, VIEWS, DailyCost
from usage_assets.models.insights import AnomalyRow, BudgetStatusRow, ForecastRow, ForecastTotalRow
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.ledger import VIEWS as LEDGER_VIEWS
from usage_assets.warehouse.views import in_order

ACCOUNTING = "accounting"
"""The asset, and the schema of its tables."""
INSIGHTS = (ForecastRow, ForecastTotalRow, AnomalyRow, BudgetStatusRow, MetricRow, ListPriceRow)
"""Tables that are assets of their own, of no connection, once the report was computed."""
LEDGER = "ledger."
"""All assets write it."""
COSTS_OF_ALL = "costs"
"""The asset that stands for the costs of all connections."""
ALL_VIEWS = in_order((*LEDGER_VIEWS, *due.VIEWS, *VIEWS))
VIEW_NAMES = frozenset(name for view in ALL_VIEWS for name in view.names)
STATED = f"select connection, table_name, asset from {due.ASSETS.name} where table_name not like '{LEDGER}%'"  # noqa: S608


def writers_of(
    database: duckdb.DuckDBPyConnection, stored: Collection[str], *, states_accounting: bool
) -> Mapping[str, Collection[str]]:
    """Return the assets of each stored table and view (``schema.name``); none of what no asset writes.

    There are none of connections before a code location has stated them: its sensor does, or its daily schedule.
    ``states_accounting``: whether there is an asset of what the connections file says about money.
    """
    writers: dict[str, set[str]] = defaultdict(set)
    connections = set()
    if due.ASSETS.name in stored:
        for connection, table, asset in database.execute(STATED).fetchall():
            connections.add(connection)
            writers[table].add(asset)
    for lookup in [each for provider in PROVIDERS.values() for each in provider.lookups if each.row.table in stored]:
        listed = database.sql(f"select distinct connection from {lookup.row.table}").fetchall()  # noqa: S608 - declared
        writers[lookup.row.table] |= {f"{name}/{lookup.name}" for (name,) in listed if name in connections}
    for table, other in SUMS.items():
        writers[table] |= writers[other]
    if states_accounting:
        for table in [each for each in stored if each.startswith(f"{ACCOUNTING}.")]:
            writers[table] = {ACCOUNTING}
    for row in INSIGHTS if ForecastRow.table in stored else ():
        writers[row.table] = {row.table.partition(".")[2]}
    for view in ALL_VIEWS:
        read = {asset for name in view.reads if name in stored for asset in writers[name]}
        writers.update((name, read) for name in view.names)
    ours = [name for name in stored if writers[name] and not name.startswith(LEDGER)]
    return {name: sorted(writers[name]) for name in ours}


def asset_of(table: str, writers: Collection[str]) -> str | None:
    """Return the asset that a table is, if it is one: dbt's tables have one key each, and no two have the same.

    Assets of several connections may write a table. A view is no asset, nor is what is written with another table.
    """
    if table == DailyCost.table:
        return COSTS_OF_ALL
    is_own = len(writers) == 1 and table not in {*SUMS, *CONTROLS, *VIEW_NAMES}
    return next((asset for asset in writers if is_own and asset != ACCOUNTING), None)

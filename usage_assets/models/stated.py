"""The connections file's entries about money beside those that are stored. Commands use what is stored."""

from collections.abc import Mapping

import duckdb

from usage_assets.config.settings import Settings
from usage_assets.models.connection_graph import stated_money
from usage_assets.warehouse.arrow import fetch_arrow
from usage_assets.warehouse.migrate import stored_entries, write_seed
from usage_assets.warehouse.values import Seed, WarehouseError

STORE = "usage-assets accounting --store"
STATEMENT = "from ledger.statements where name = $name"


def difference(database: duckdb.DuckDBPyConnection, settings: Settings, *, is_required: bool = False) -> str | None:
    """Say where the file here is not the one that is stored; None if it is, and where none is named.

    ``is_required``: where entries are stored, a file must be named. The entries count, and not the file's path or its
    comments: hosts have copies of it. Raises SettingsError.
    """
    seed = stated_money(settings, settings.accounting())
    found = in_words(stored_entries(database, seed))
    if not settings.states_connections and is_required and found:
        return (
            f"USAGE_CONNECTIONS names no file, and entries of one are stored ({found}): set it to that file. To remove "
            f"them, name a file without entries: {STORE} --allow-empty"
        )
    if not settings.states_connections or is_stored(database, seed):
        return None
    return (
        f"{settings.usage_connections}: its entries about money differ from the stored ones ({found or 'none'}), which "
        f"are used. Dagster stores them when it loads the file; to do it now: {STORE}"
    )


def is_stored(database: duckdb.DuckDBPyConnection, seed: Seed) -> bool:
    """Whether what is stored is what these entries say."""
    try:
        rows = fetch_arrow(database.execute(STATEMENT, {"name": seed.name})).to_pylist()
    except duckdb.CatalogException:  # nothing was ever computed
        rows = []
    digest = rows[0].get("entries") if rows else None
    return digest == seed.entries_digest and (digest is not None or not stored_entries(database, seed))


def store(database: duckdb.DuckDBPyConnection, seed: Seed) -> None:
    """Store the entries of a file. Raises WarehouseError for a file without any where some are stored."""
    refuse_none(database, seed)
    write_seed(database, seed)


def refuse_none(database: duckdb.DuckDBPyConnection, seed: Seed) -> None:
    """Raise WarehouseError for no file, or one without entries, where some are stored and are not to be removed."""
    if seed.entries_digest is None and not seed.empties and (found := stored_entries(database, seed)):
        raise WarehouseError(
            f"no connections file has an entry about money, and the stored ones stay ({in_words(found)}). Set "
            f"USAGE_CONNECTIONS to their file; to remove them, name a file without entries: {STORE} --allow-empty"
        )


def in_words(entries: Mapping[str, int]) -> str:
    """Return tables of entries with their number of rows.

    >>> in_words({"owners": 8, "budget_thresholds": 2})
    'owners 8, budget thresholds 2'
    """
    return ", ".join(f"{table.replace('_', ' ')} {count}" for table, count in entries.items())

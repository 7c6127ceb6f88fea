"""`usage-assets accounting`: whether the entries of the connections file about money are stored, and storing them."""

from dataclasses import replace

import click

from usage_assets.cli.access import hide_pandas, publish_copy, warehouse_now
from usage_assets.config.settings import Settings, SettingsError
from usage_assets.models.connection_graph import stated_money
from usage_assets.models.stated import difference, in_words, is_stored, store
from usage_assets.warehouse.migrate import stored_entries


@click.command()
@click.option("--store", "stores", is_flag=True, help="Store the entries, as Dagster does when it loads the file.")
@click.option("--allow-empty", is_flag=True, help="Remove all stored entries if the file has none.")
def accounting(*, stores: bool, allow_empty: bool) -> int:
    hide_pandas()
    settings = Settings.load()
    warehouse, seed = warehouse_now(settings), stated_money(settings, settings.accounting())
    if stores and not settings.states_connections:
        raise SettingsError("--store: USAGE_CONNECTIONS names no connections file; nothing was changed")
    if stores and settings.usage_shard:
        raise SettingsError("--store: the main code location stores them: leave out USAGE_SHARD; nothing was changed")
    if not (stores or warehouse.exists):
        raise SettingsError(f"{warehouse.database}: nothing is stored yet: usage-assets backfill")
    with warehouse.transaction(keep=stores) as database:
        if stores:
            store(database, replace(seed, empties=allow_empty))
        differs = difference(database, settings, is_required=True)
        is_same, found = is_stored(database, seed), in_words(stored_entries(database, seed))
    if stores:
        publish_copy(settings)
    click.echo(differs or f"stored: {found or 'no entry'}")
    return 0 if is_same else 1

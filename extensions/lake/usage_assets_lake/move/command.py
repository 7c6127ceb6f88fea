"""`usage-assets move`. copying.py copies a warehouse and compares it, rewrite.py does so with a file in place."""

from pathlib import Path

import click

from usage_assets.cli.access import publish_copy, warehouse_now
from usage_assets.config.settings import Settings, SettingsError
from usage_assets.core.ticking import log_progress
from usage_assets.core.warehouse_address import AddressError, WarehouseAddress
from usage_assets.models.connection_graph import seeds_of
from usage_assets.models.costs import bring_up_to_date
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.opened import warehouse_at
from usage_assets.warehouse.rewrite import rewrite
from usage_assets.warehouse.views import LISTED
from usage_assets_lake.move.copying import move as copy_warehouse


@click.command()
@click.option(
    "--to",
    required=True,
    metavar="PATH|ducklake:postgres:...",
    help="The new warehouse. Name the current file to rewrite it.",
)
@click.option("--data", metavar="FOLDER|s3://...", help="Folder or object store for the files of a lake.")
def move(to: str, data: str | None) -> None:
    settings = Settings.load()
    try:
        target = warehouse_at(WarehouseAddress(to, data))
    except AddressError as error:
        raise SettingsError(f"--to {error}") from None
    source = warehouse_now(settings)
    if _are_one_file(source, target):
        with log_progress(click.echo, "rewriting") as note:
            rewrite(source, note)
        publish_copy(settings)
        click.echo(f"{target.database}: rewritten, every table is equal")
        return
    with log_progress(click.echo, "copying") as note:
        moved = copy_warehouse(source, target, note)
    click.echo(f"copied {moved.tables} tables, {moved.rows:,} rows; {moved.days:,} days are equal by their hash")
    bring_up_to_date(target, seeds_of(settings)[0])
    with target.get_connection() as database:
        made = dict(database.execute(LISTED).fetchall())
    for name in sorted({*moved.views} - made.keys()):
        click.echo(f"the view {name} was not copied: make it again")
    click.echo(
        f"next: set USAGE_WAREHOUSE={to}{f' and USAGE_WAREHOUSE_DATA={data}' if data else ''}, and start Dagster"
    )


def _are_one_file(source: Warehouse, target: Warehouse) -> bool:
    if source.is_shared or target.is_shared:
        return False
    return source.exists and target.exists and Path(source.database).samefile(target.database)

"""`usage-assets repair`. files.py finds what a lake has lost, repairing.py lets it go."""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import click

from usage_assets.cli.access import hide_pandas, publish_copy, warehouse_now
from usage_assets.config.days import last_day
from usage_assets.config.settings import Settings
from usage_assets.core.days import counted
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.database import Warehouse
from usage_assets_lake import is_lake
from usage_assets_lake.doctor import in_words
from usage_assets_lake.repair.days import StoredDay, all_different_days, by_connection
from usage_assets_lake.repair.files import EVERY, Damage, damages
from usage_assets_lake.repair.repairing import forget_different, is_lost
from usage_assets_lake.repair.repairing import repair as let_go

if TYPE_CHECKING:
    from usage_assets_lake.warehouse import Lake

FETCHED = {endpoint.row.table for provider in PROVIDERS.values() for endpoint in provider.endpoints}

LISTED = {lookup.row.table for provider in PROVIDERS.values() for lookup in provider.lookups}


@click.command()
@click.option("--deep", is_flag=True, help="Compare the rows of each stored day with what was written.")
@click.option("--yes", is_flag=True, help="Do it. Without it, only show what is damaged.")
def repair(*, deep: bool, yes: bool) -> int:
    hide_pandas()
    settings = Settings.load()
    warehouse = warehouse_now(settings)
    warehouse.refuse_lost_catalog()
    if is_lake(warehouse) and (found := damages(warehouse, EVERY)):
        return _repair_files(settings, warehouse, found, yes=yes)
    if deep and warehouse.exists:
        return _repair_days(settings, warehouse, yes=yes)
    if warehouse.exists:
        with warehouse.transaction(keep=False):  # a damaged file cannot be opened, and no warehouse without its ledger
            pass
    click.echo("no file is lost or damaged; --deep compares the rows of each stored day")
    return 0


def _repair_files(settings: Settings, warehouse: "Lake", found: Sequence[Damage], *, yes: bool) -> int:
    for damage in found:
        click.echo(f"{damage.file.table}: {in_words(damage)}")
    lost = sorted({damage.file.table for damage in found if is_lost(damage.file.table)})
    if lost:
        click.echo(f"cannot be fetched or computed again: what the files held of {', '.join(lost)}", err=True)
    if not yes:
        click.echo("nothing was changed; to let these files go, so that their days are due: usage-assets repair --yes")
        return 1
    _say(let_go(warehouse, found), last_day(settings) if {damage.file.table for damage in found} & LISTED else None)
    publish_copy(settings)
    return 0


def _repair_days(settings: Settings, warehouse: Warehouse, *, yes: bool) -> int:
    if yes:
        _say(forget_different(warehouse))
        publish_copy(settings)
        return 0
    days = [*all_different_days(warehouse)]
    for day in days:
        click.echo(f"{day.table}: {day.connection} {day.usage_date}: the rows are not those that were written")
    if days:
        click.echo("nothing was changed; to let these days go, so that they are due: usage-assets repair --deep --yes")
    else:
        click.echo("each stored day holds the rows that were written")
    return 1 if days else 0


def _say(days: Sequence[StoredDay], listing: date | None = None) -> None:
    """Say which days are due, and what brings them back. A backfill of the day ``listing`` lists lookups again."""
    tables = counted(len({day.table for day in days}), "table")
    click.echo(f"{counted(len(days))} of {tables} are no longer stored")
    for connection, window in by_connection(day for day in days if day.is_known and day.table in FETCHED).items():
        range_ = f"--start {window.first} --end {window.last}"
        click.echo(f"next: usage-assets backfill --connection {connection} {range_} --from-archive")
    if listing:
        click.echo(f"next: usage-assets backfill --start {listing} --end {listing}")
    click.echo("next: usage-assets backfill --due")

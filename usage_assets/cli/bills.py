"""`usage-assets bills`: its commands. What is recorded of bills is in warehouse/bills.py."""

from collections.abc import Collection
from getpass import getuser

import click

from usage_assets.cli.access import connections_named, publish_copy, warehouse_now
from usage_assets.config.days import parse_days
from usage_assets.config.settings import Connection, Settings, SettingsError
from usage_assets.core.days import Window, spans
from usage_assets.core.money import plain
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.bills import accept_days, bill_lines, withdrawn_days


@click.group()
def bills() -> None:
    pass


@bills.command("list")
@click.option("--connection", "names", multiple=True, metavar="NAME", help="Only this connection. Repeatable.")
def list_bills(names: tuple[str, ...]) -> None:
    """List sets of files, the days that they cover, and days whose stored rows differ."""
    settings = Settings.load()
    chosen = connections_named(settings, names, keyed=False)
    warehouse = warehouse_now(settings)
    lines = [line for each in chosen for line in bill_lines(warehouse, each.name)] if warehouse.exists else []
    for line in lines or [_why_none(chosen)]:
        click.echo(line)


def _why_none(chosen: Collection[Connection]) -> str:
    """Return why there is no bill, and what to do."""
    readers = [each.name for each in chosen if PROVIDERS[each.provider].reads_files]
    if not readers:
        return (
            f"none of these connections reads bills from files: {', '.join(each.name for each in chosen)}; add one of "
            "provider focus to the file that USAGE_CONNECTIONS names (docs/focus-files.md)"
        )
    return f"no bill was read from files yet, by {', '.join(readers)}: usage-assets backfill --due"


@bills.command("accept")
@click.option("--connection", "name", required=True, metavar="NAME", help="Connection of the bill.")
@click.option("--start", required=True, metavar="YYYY-MM-DD", help="First day (UTC).")
@click.option("--end", required=True, metavar="YYYY-MM-DD", help="Last day, included.")
@click.option("--yes", is_flag=True, help="Accept. Without it, only show what would be cleared.")
def accept(name: str, start: str, end: str, *, yes: bool) -> int:
    """Accept that the files no longer have these days: the next run clears them."""
    settings = Settings.load()
    connections_named(settings, [name], keyed=False)
    window = Window(*parse_days(start, end, settings))
    warehouse = warehouse_now(settings)
    found = withdrawn_days(warehouse, name, window) if warehouse.exists else []
    if not found:
        raise SettingsError(f"connection {name}: no day from {window.first} to {window.last} is withdrawn")
    for each in found:
        stored = ", ".join(f"{which} {plain(total)}" for which, total in each.totals.items() if total)
        click.echo(f"{each.day}: {'; '.join(each.because)}; stored: {stored or 'nothing'}")
    days = [each.day for each in found]
    if not yes:
        click.echo(
            f"nothing was changed; to accept this: usage-assets bills accept --connection {name} --start {start} "
            f"--end {end} --yes"
        )
        return 0
    accept_days(warehouse, name, found, getuser())
    publish_copy(settings)
    click.echo(f"accepted: {spans(days)}; the next run clears them (usage-assets backfill --due)")
    return 0

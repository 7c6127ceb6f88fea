"""`usage-assets export`: its commands. What a file contains is in focus/."""

from pathlib import Path

import click

from usage_assets.cli.access import warehouse_now
from usage_assets.config.days import parse_days
from usage_assets.config.settings import Settings
from usage_assets.core.money import plain
from usage_assets.focus.export import export as export_costs
from usage_assets.focus.export import writable
from usage_assets.models.connection_graph import fetched_costs, seeds_of


@click.group()
def export() -> None:
    pass


@export.command("focus")
@click.option("--start", required=True, metavar="YYYY-MM-DD", help="First day (UTC).")
@click.option("--end", required=True, metavar="YYYY-MM-DD", help="Last day, included.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A file that ends in .csv or .parquet.")
@click.option("--force", is_flag=True, help="Replace the file.")
def export_focus(start: str, end: str, out: Path, *, force: bool) -> None:
    """Write costs and purchases as FOCUS 1.2.

    Ids of people are written as they are stored (see USAGE_PEOPLE).
    """
    settings = Settings.load()
    first, last = parse_days(start, end, settings)
    fetched = fetched_costs(settings.connections())
    seeds = seeds_of(settings)
    exported = export_costs(warehouse_now(settings), seeds, first, last, writable(out, force=force), fetched)
    for name, days in exported.gaps.items():
        click.echo(f"{name}: costs of {days} days are missing or incomplete in the file", err=True)
    for name, reasons in exported.due.items():
        for reason in reasons:
            click.echo(f"{name}: {reason}: run usage-assets backfill --due", err=True)
    for left in exported.left_out:
        click.echo(f"left out: {left.reason}: {left.connection}: rows {left.rows:,}, {plain(left.amount)} {left.unit}")
    billed = ", ".join(f"{plain(amount)} {currency}" for currency, amount in exported.billed.items())
    click.echo(f"{out}: rows {exported.rows:,}, BilledCost {billed}")

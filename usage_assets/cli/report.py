"""`usage-assets report`. What is in it is decided in report/."""

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from usage_assets.cli.access import warehouse_now
from usage_assets.config.days import last_day, parse_days
from usage_assets.config.settings import Settings, SettingsError
from usage_assets.report.figures import Report, read
from usage_assets.report.period import Period
from usage_assets.report.text import show
from usage_assets.report.write import write_report

WIDTH = 120
"""Where no terminal says its own."""


@click.command()
@click.option("--month", metavar="YYYY-MM", help="Month of the report. Default: the current one, up to yesterday.")
@click.option("--start", metavar="YYYY-MM-DD", help="First day (UTC), instead of --month.")
@click.option("--end", metavar="YYYY-MM-DD", help="Last day, included.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The file to write. Default: report.html in the folder of the warehouse.",
)
@click.option("--text", is_flag=True, help="Print the first screen instead.")
def report(month: str | None, start: str | None, end: str | None, out: Path | None, *, text: bool) -> None:
    settings = Settings.load()
    period = period_of(month, start, end, settings)
    with warehouse_now(settings).reading() as database:
        found: Report = read(database, period)
    if text:
        console = Console()
        show(found, console if console.is_terminal else Console(width=WIDTH))
        return
    path = write_report(found, out or settings.report_path, datetime.now(UTC))
    click.echo(f"open {path}")


def period_of(month: str | None, start: str | None, end: str | None, settings: Settings) -> Period:
    """Return the days that are meant. Raises SettingsError."""
    newest = last_day(settings)
    if start or end:
        if month or not (start and end):
            raise SettingsError("name --month, or --start and --end")
        return Period.of_days(*parse_days(start, end, settings))
    if month is None:
        return Period.of_month(newest, newest)
    try:
        first = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        raise SettingsError(f"--month {month}: must look like 2026-11") from None
    if first > newest:
        raise SettingsError(f"--month {month}: the newest day is {newest}")
    return Period.of_month(first, newest)

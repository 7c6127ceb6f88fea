"""`usage-assets report`. What is in it is decided in report/."""

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from usage_assets.cli.access import complain, hide_pandas, publish_copy, warehouse_now
from usage_assets.config.days import last_day, parse_days
from usage_assets.config.settings import Settings, SettingsError
from usage_assets.core.days import utc_today
from usage_assets.models.connection_graph import seeds_of
from usage_assets.models.stated import difference
from usage_assets.warehouse.opened import warehouse_at
from usage_assets.warehouse.readable import ONE_THREAD
from usage_assets_report.figures import Report, read
from usage_assets_report.period import Period
from usage_assets_report.text import show
from usage_assets_report.write import write_report

WIDTH = 120
"""Where no terminal says its own."""
ENDED = """
select distinct connection
from ledger.stored_days
where table_name = 'costs.daily_costs' and connection not in (select unnest($configured::varchar[]))
order by all
"""


@click.command()
@click.option("--month", metavar="YYYY-MM", help="Month of the report. Default: the current one, up to yesterday.")
@click.option("--start", metavar="YYYY-MM-DD", help="First day (UTC), instead of --month.")
@click.option("--end", metavar="YYYY-MM-DD", help="Last day, included.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The file to write. Default: report.html in the folder of the warehouse.",
)
@click.option("--text", is_flag=True, help="Print the ten answers in the terminal instead.")
@click.option(
    "--refresh",
    is_flag=True,
    help="First compute and store forecasts, anomalies and budgets, as Dagster does after runs.",
)
def report(
    month: str | None, start: str | None, end: str | None, out: Path | None, *, text: bool, refresh: bool
) -> None:
    settings = Settings.load()
    period = period_of(month, start, end, settings)
    if refresh:
        refresh_insights(settings)
    else:
        hide_pandas()
    with warehouse_now(settings).reading() as database:
        database.execute(ONE_THREAD)
        found: Report = read(database, period, is_page=not text)
        differs = difference(database, settings)
    if text:
        console = Console()
        show(found, console if console.is_terminal else Console(width=WIDTH))
    else:
        path = write_report(found, out or settings.report_path, datetime.now(UTC))
        click.echo(f"open {path}")
    for line in filter(None, (found.behind, differs)):
        complain(line)


def refresh_insights(settings: Settings) -> None:
    """Compute forecasts, anomalies and budgets from what is stored, and store them. Raises UserError."""
    from usage_assets_report.insights.refresh import refresh  # noqa: PLC0415 - brings NumPy with it

    connections, stored = [each.name for each in settings.connections()], warehouse_now(settings)
    if stored.exists:
        with stored.transaction(keep=False) as database:
            if unlike := difference(database, settings, is_required=True):
                raise SettingsError(f"--refresh: {unlike}; nothing was computed")
    refresh(
        warehouse_at(settings.warehouse),
        settings.accounting(),
        settings.connections(),
        last_day(settings),
        utc_today(),
        seeds_of(settings)[0],
    )
    publish_copy(settings)
    with warehouse_now(settings).reading() as database:
        ended = [name for (name,) in database.execute(ENDED, {"configured": connections}).fetchall()]
    if ended:
        complain(
            f"nothing more is expected of {', '.join(ended)}: no longer configured here. If that is wrong, "
            "set the missing keys or USAGE_CONNECTIONS, and repeat this"
        )


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

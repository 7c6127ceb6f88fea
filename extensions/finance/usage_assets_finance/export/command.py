"""`usage-assets export`: its commands. What a FOCUS file contains is in focus/."""

from collections.abc import Sequence
from datetime import date
from difflib import get_close_matches
from functools import partial
from pathlib import Path

import click
import duckdb

from usage_assets.cli.access import hide_pandas, warehouse_now
from usage_assets.cli.files import NO_FORMULA, SUFFIXES, draft_of, without_formulas, write_rows
from usage_assets.config.days import parse_days, parse_range
from usage_assets.config.settings import Settings, SettingsError
from usage_assets.core.money import plain
from usage_assets.models.connection_graph import fetched_costs, seeds_of
from usage_assets.models.stated import difference
from usage_assets_finance.export.columns import VERSIONS
from usage_assets_finance.export.export import SPARINGLY
from usage_assets_finance.export.export import export as export_costs
from usage_assets_finance.export.months import MANIFEST, TABLES, export_months

RELATIONS = """
select table_schema || '.' || table_name, table_schema, table_name
from information_schema.tables
where table_catalog = current_database() and table_schema not in ('information_schema', 'pg_catalog')
order by all
"""
"""Every table and view, by its name in lower case as all of them are."""

FORMS = {
    "csv": """Write a table or view as CSV.

    Numbers have every digit. Text that a spreadsheet would run as a formula begins with a single quote.
    """,
    "parquet": "Write a table or view as Parquet.",
}
"""Command that writes a table -> its help."""


@click.group()
def export() -> None:
    hide_pandas()


def export_table(suffix: str, table: str, start: str | None, end: str | None, out: Path, *, force: bool) -> None:
    """Write the rows of a table or view, all or those of some days. Raises SettingsError or WarehouseError."""
    writable(out, suffix, force=force)
    settings = Settings.load()
    days = parse_range(start or str(date.min), end or str(date.max)) if start or end else None
    with draft_of(out) as draft, warehouse_now(settings).reading() as database:
        database.execute(f"{SPARINGLY}; {NO_FORMULA}")
        rows = rows_of(database, table, days)
        write_rows(without_formulas(rows) if suffix == ".csv" else rows, out, draft)
        (count,) = rows.count("*").fetchone() or (0,)
    click.echo(f"{out}: rows {count:,}")


for form, about in FORMS.items():
    options = [
        click.Argument(["table"]),
        click.Option(["--start"], metavar="YYYY-MM-DD", help="First day (UTC). Needs a column usage_date or month."),
        click.Option(["--end"], metavar="YYYY-MM-DD", help="Last day, included."),
        click.Option(
            ["--out"], required=True, type=click.Path(path_type=Path), help=f"The file, which ends in .{form}."
        ),
        click.Option(["--force"], is_flag=True, help="Replace the file."),
    ]
    export.add_command(click.Command(form, callback=partial(export_table, f".{form}"), params=options, help=about))


def rows_of(database: duckdb.DuckDBPyConnection, table: str, days: tuple[date, date] | None) -> duckdb.DuckDBPyRelation:
    """Return the rows of a table or view, all or those of some days. Raises SettingsError for an unknown name."""
    known = {name: f'"{schema}"."{relation}"' for name, schema, relation in database.execute(RELATIONS).fetchall()}
    if table.lower() not in known:
        near = get_close_matches(table.lower(), known, n=3, cutoff=0.5)
        raise SettingsError(f"{table}: no such table or view" + (f"; nearest: {', '.join(near)}" if near else ""))
    rows = database.sql(f"from {known[table.lower()]}")
    if days is None:
        return rows
    column = next((name for name in ("usage_date", "month") if name in rows.columns), None)
    if column is None:
        raise SettingsError(f"--start, --end: {table} has neither usage_date nor month")
    first, last = days
    return rows.filter(f"{column} between date '{first.replace(day=1) if column == 'month' else first}' and '{last}'")


def writable(out: Path, *suffixes: str, force: bool) -> Path:
    """Return the path of a file that may be written. Raises SettingsError."""
    if out.suffix not in suffixes:
        raise SettingsError(f"--out {out}: end the name with {' or '.join(suffixes)}")
    if not out.parent.is_dir():
        raise SettingsError(f"--out {out}: there is no folder {out.parent}")
    if out.is_dir():
        raise SettingsError(f"--out {out}: is a folder")
    if out.exists() and not force:
        raise SettingsError(f"--out {out}: exists; --force replaces it")
    return out


@export.command("months")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--table", "tables", multiple=True, help="A table or view with usage_date or month, once for each.")
def export_by_month(folder: Path, tables: Sequence[str]) -> None:
    """Write a Parquet file per table and month, and manifest.json.

    Writes only months that have changed. Without --table: costs.daily_costs, costs.allocated_costs_named, costs.usage.
    """
    with warehouse_now(Settings.load()).reading() as database:
        rows = {table.lower(): rows_of(database, table, None) for table in tables or TABLES}
        exported = export_months(database, rows, folder)
    for file in exported.written:
        click.echo(f"{folder / file}: written")
    counts = {"written": exported.written, "as before": exported.kept, "removed": exported.removed}
    click.echo(f"{folder / MANIFEST}: " + ", ".join(f"{len(files)} {what}" for what, files in counts.items()))


@export.command("focus")
@click.option("--start", required=True, metavar="YYYY-MM-DD", help="First day (UTC).")
@click.option("--end", required=True, metavar="YYYY-MM-DD", help="Last day, included.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A file that ends in .csv or .parquet.")
@click.option(
    "--focus-version", default=VERSIONS[0], type=click.Choice(VERSIONS), help="Version of FOCUS.", show_default=True
)
@click.option("--force", is_flag=True, help="Replace the file.")
def export_focus(start: str, end: str, out: Path, focus_version: str, *, force: bool) -> None:
    """Export costs and purchases as a FOCUS file.

    Ids of people are written as they are stored (see USAGE_PEOPLE).
    """
    settings = Settings.load()
    first, last = parse_days(start, end, settings)
    fetched = fetched_costs(settings.connections())
    seeds = seeds_of(settings)
    file = writable(out, *SUFFIXES, force=force)
    exported = export_costs(warehouse_now(settings), seeds, first, last, file, fetched, focus_version)
    with warehouse_now(settings).reading() as database:
        if differs := difference(database, settings):
            click.echo(differs, err=True)
    for name, days in exported.gaps.items():
        click.echo(f"{name}: costs of {days} days are missing or incomplete in the file", err=True)
    for name, reasons in exported.due.items():
        for reason in reasons:
            click.echo(f"{name}: {reason}: run usage-assets backfill --due", err=True)
    for left in exported.left_out:
        click.echo(f"left out: {left.reason}: {left.connection}: rows {left.rows:,}, {plain(left.amount)} {left.unit}")
    billed = ", ".join(f"{plain(amount)} {currency}" for currency, amount in exported.billed.items())
    click.echo(f"{out}: rows {exported.rows:,}, BilledCost {billed}")

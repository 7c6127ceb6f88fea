"""`usage-assets query`. Which state it reads is decided by the warehouse (`Warehouse.reading`)."""

import csv
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

import click
import duckdb

from usage_assets.cli.files import no_formula
from usage_assets.config.address import DEMO, WAREHOUSE, SettingsError, address_of, warehouse_address
from usage_assets.core.errors import first_line, printable
from usage_assets.core.warehouse_address import WarehouseAddress
from usage_assets.warehouse.errors import WarehouseError
from usage_assets.warehouse.readable import FAILED, ReadableFile, reading_at, without_costs
from usage_assets_assistant.query.untrusted import Allow, kept_inside

ROWS_AT_ONCE = 10_000
MOST_ROWS_SHOWN = 1_000
COMPUTED = re.compile(r"\b(?:forecast|forecast_totals|anomalies|budget_status|doubts)\b", re.I)
"""The tables that are computed after runs (``models/insights.py``)."""
NAME_WITH_DOT = re.compile(r"[a-z_\"]\s*\.\s*[a-z_\"]", re.I)
WIDE = 10_000
"""Characters of a line that no terminal shows."""


@click.command()
@click.argument("sql")
@click.option("--as-of", metavar="YYYY-MM-DD[THH:MM]", help="Read a lake as it was at this time (UTC).")
@click.option("--csv", "form", flag_value="csv", help="Print all rows as CSV. A table shows at most 1,000.")
@click.option("--json", "form", flag_value="json", help="Print all rows as one JSON array, each row on a line.")
@click.option("--raw", is_flag=True, help="With --csv: text as it is stored, for programs, also if it is a formula.")
@click.option("--mixed", is_flag=True, help="Allow sums over several cost bases, units or currencies.")
def query(sql: str, as_of: str | None, form: Literal["csv", "json"] | None, *, raw: bool, mixed: bool) -> None:
    address = warehouse_or_demo()
    with reading_at(address, moment_of(as_of) if as_of else None) as database:
        try:
            if not as_of and (behind := behind_of(database, sql)):
                click.echo(f"usage-assets: {behind}", err=True)
            if (answer := asked(database, sql, is_lake=address.is_lake, mixed=mixed)) is not None:
                PRINT["raw" if raw and form == "csv" else form](answer)
        except FAILED as error:
            raise unanswered(database, error) from None


def behind_of(database: duckdb.DuckDBPyConnection, sql: str) -> str | None:
    """Say that what a query reads was computed before the last change of what is stored; None if it was not."""
    if not COMPUTED.search(sql):
        return None
    from usage_assets.models.insights import behind_in_words  # noqa: PLC0415 - most queries need nothing of it

    return behind_in_words(database)


def unanswered(database: duckdb.DuckDBPyConnection, error: Exception) -> WarehouseError:
    """Return what DuckDB says in one line, with the names that it suggests: it has them in a line of their own.

    Before costs are computed, that is said before it: their tables and views do not exist yet.
    """
    suggested = (
        line for line in str(error).splitlines()[1:] if line.startswith(("Candidate bindings", "Did you mean"))
    )
    said = " ".join((first_line(error), *map(printable, suggested)))
    is_missing = isinstance(error, duckdb.CatalogException)
    return (without_costs(database, said) if is_missing else None) or WarehouseError(said)


def asked(
    database: duckdb.DuckDBPyConnection, sql: str, *, is_lake: bool, mixed: bool
) -> duckdb.DuckDBPyRelation | None:
    """Return the rows of the one query that is asked of a connection. Raises WarehouseError for one that is refused."""
    return answer_to(sql, database, kept_inside(database, is_lake=is_lake), mixed=mixed)


def answer_to(
    sql: str, database: duckdb.DuckDBPyConnection, allow: Allow, *, mixed: bool
) -> duckdb.DuckDBPyRelation | None:
    """Return the rows of a query that somebody else wrote, of a connection that is kept inside the warehouse.

    Raises WarehouseError for one that is refused.
    """
    allow(sql)
    if not mixed and NAME_WITH_DOT.search(sql):  # each amount is in a table that has a schema
        from usage_assets_assistant.query.guard import refuse_mixed  # noqa: PLC0415 - sqlglot takes as long as DuckDB

        refuse_mixed(database, sql, allow)
    return database.sql(sql)


def warehouse_or_demo() -> WarehouseAddress:
    """Return the warehouse that is configured, or that of the demo while nothing is configured or stored."""
    address, default, demo = warehouse_address(), address_of(WAREHOUSE, None), address_of(DEMO, None)
    if address == default and not published(address).exists() and published(demo).exists():
        click.echo(f"usage-assets: {WAREHOUSE} has no data yet: these are the demo's ({DEMO})", err=True)
        return demo
    return address


def published(address: WarehouseAddress) -> Path:
    """Return where the copy of a database file is."""
    return ReadableFile(database=str(address.file)).published


def moment_of(text: str, name: str = "--as-of") -> datetime:
    """Return the moment that is meant; a day is its beginning, UTC. Raises SettingsError, with the option's name."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"{name} {text}: must look like 2026-11-01 or 2026-11-01T09:30, in UTC") from None
    moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    if moment > datetime.now(UTC):
        raise SettingsError(f"{name} {text}: is in the future")
    return moment


def print_table(answer: duckdb.DuckDBPyRelation) -> None:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDE
    answer.show(max_width=width, max_rows=MOST_ROWS_SHOWN)


def print_csv(answer: duckdb.DuckDBPyRelation, written: Callable[[str], str] = no_formula) -> None:
    lines = csv.writer(sys.stdout, lineterminator="\n")
    lines.writerow(map(written, answer.columns))
    of_text = [str(kind).startswith(("VARCHAR", "ENUM")) for kind in answer.types]
    for rows in batches(answer.project("columns(*)::varchar")):
        lines.writerows(
            [written(value) if is_text and value else value for value, is_text in zip(row, of_text, strict=True)]
            for row in rows
        )


def print_json(answer: duckdb.DuckDBPyRelation) -> None:
    import msgspec  # noqa: PLC0415 - only this form needs it

    encode, columns, separator = msgspec.json.Encoder(decimal_format="number").encode, answer.columns, "["
    for rows in batches(answer):
        for row in rows:
            click.echo(f"{separator}{encode(dict(zip(columns, row, strict=True))).decode()}", nl=False)
            separator = ",\n"
    click.echo("[]" if separator == "[" else "]")


def batches(answer: duckdb.DuckDBPyRelation) -> Iterator[list[tuple[Any, ...]]]:
    while rows := answer.fetchmany(ROWS_AT_ONCE):
        yield rows


PRINT: Mapping[str | None, Callable[[duckdb.DuckDBPyRelation], None]] = {
    None: print_table,
    "csv": print_csv,
    "raw": partial(print_csv, written=str),
    "json": print_json,
}

"""Export of ``costs.focus`` as a FOCUS file. ``sql/views/`` defines its rows, ``columns.py`` the columns of each
version, and ``sql/rules.sql`` the rules that each row must obey.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from glob import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from usage_assets.cli.files import NO_FORMULA, draft_of, write_rows
from usage_assets.core.days import Window, windows
from usage_assets.models.costs import ALLOCATIONS, COSTS, bring_up_to_date, days_without_costs
from usage_assets.models.due import due_days, in_words
from usage_assets.models.model import MACROS
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.published import snapshot_of
from usage_assets.warehouse.readable import SESSION, quoted
from usage_assets.warehouse.values import Seed, WarehouseError
from usage_assets_finance.export.columns import VERSIONS, FocusColumn, columns_of

EXPORTED = {model.name for model in (*COSTS, *ALLOCATIONS)}
"""Assets that are called so hold what is exported; days that they lack are gaps."""
CHARGES_AT_ONCE = 200_000
"""Charges that are computed, verified and written at once: in 0.4 GB. A month of 3.6 million took 4.8 GB."""
SPARINGLY = "set memory_limit = '1GB'; set threads = 1"
"""Two threads take half as much CPU time again as one."""
IN_PARTS = "set memory_limit = '500MB'"
"""What the charges at once need. All that is more fills with blocks of the database file."""
LAST_CONNECTION = "~"
"""Sorts after the name of every connection."""
SQL = Path(__file__).parent / "sql"
CHARGES = """
select connection, sum(row_count)::bigint
from ledger.stored_days
left join accounting.cost_sources on source_table = table_name
where (is_focus or table_name in ('costs.daily_costs', 'costs.allocated_costs'))
  and usage_date between $first and $last
group by connection
order by connection
"""


@dataclass(frozen=True)
class LeftOut:
    """Costs of one connection that cannot be rows of FOCUS: the reason, their number, and their amount in a unit."""

    reason: str
    connection: str
    unit: str
    rows: int
    amount: Decimal


@dataclass(frozen=True)
class Exported:
    """What a file holds, and what it does not."""

    rows: int
    billed: Mapping[str, Decimal]
    """Currency -> sum of BilledCost."""
    left_out: Sequence[LeftOut]
    gaps: Mapping[str, int]
    """Raw asset -> days without complete costs."""
    due: Mapping[str, Sequence[str]]
    """Connection -> how many days of costs are stale, and why."""


def export(
    warehouse: Warehouse,
    seeds: Sequence[Seed],
    first: date,
    last: date,
    out: Path,
    fetched: Collection[tuple[str, str]] = (),
    version: str = VERSIONS[0],
) -> Exported:
    """Write the charges whose period begins on the days from first to last (UTC) to a CSV or Parquet file.

    ``seeds`` is what the configuration states, about money first. ``fetched`` are the sources of costs that should be
    stored of each day (see ``days_without_costs``). The file has the columns of a ``version`` of FOCUS.

    Raises WarehouseError, with nothing written, where there are none, a row breaks a rule, or a file cannot be written.
    """
    if not warehouse.exists:
        raise WarehouseError(f"{warehouse.database}: nothing is stored yet: usage-assets backfill")
    due = in_words(
        row
        for row in due_days(warehouse, seeds)
        if first <= row.day <= last and row.state == "stale" and row.asset.rpartition("/")[2] in EXPORTED
    )
    bring_up_to_date(warehouse, seeds[0])
    range_of_days = Window(first, last)
    days = {"first": first, "last": last}
    is_csv = out.suffix == ".csv"
    with (
        draft_of(out) as draft,
        snapshot_of(warehouse) as database,
        TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder,
    ):
        database.execute(f"{SPARINGLY}; {IN_PARTS}")
        for number, part in enumerate(parts_of(database, range_of_days)):
            stage(database, part, Path(folder) / f"{number:06}.parquet")
            refuse_broken(database, part)
        show(database, Path(folder) / "*.parquet")
        exported = _what_is_in(database, days, due, days_without_costs(database, fetched, first, last))
        if not exported.rows:
            raise WarehouseError(f"{warehouse.database}: no cost is stored for {first} to {last}; nothing was written")
        columns = ", ".join(written(column) if is_csv else column.name for column in columns_of(version))
        rows = f"select {columns} from {'exported_text' if is_csv else 'exported'}"  # noqa: S608 - declared
        write_rows(database.sql(rows), out, draft)
    return exported


def parts_of(database: duckdb.DuckDBPyConnection, days: Window) -> Iterator[Mapping[str, Any]]:
    """Yield ranges of connections and days with about CHARGES_AT_ONCE charges each, in the order of the file.

    They leave no gap: a connection without costs may have purchases. ``after`` is not in the range, ``upto`` is.
    """
    rows = database.execute(CHARGES, {"first": days.first, "last": days.last}).fetchall()
    after, upto, together = "", "", 0
    ranges: list[tuple[str, str, int]] = []
    for connection, charges in rows:
        if together and together + charges > CHARGES_AT_ONCE:
            ranges.append((after, upto, together))
            after, together = upto, 0
        upto, together = connection, together + charges
    for start, end, charges in [*ranges, (after, LAST_CONNECTION, together)]:
        parts = max(1, -(-charges // CHARGES_AT_ONCE))
        for part in windows(days.days, -(-len(days.days) // parts)):
            yield {"first": part.first, "last": part.last, "after": start, "upto": end}


def stage(database: duckdb.DuckDBPyConnection, part: Mapping[str, Any], file: Path) -> None:
    """Write the rows of a part to a Parquet file, and show it. A table takes longer: most columns have few texts, which
    the file has once."""
    database.execute(SESSION)
    for macro in (*MACROS, NO_FORMULA, _sql("macros")):
        database.execute(macro)
    into = f"{quoted(str(file))} (format parquet, compression lz4_raw)"
    database.execute(f"copy ({_sql('rows')}) to {into}", part)
    show(database, file)


def show(database: duckdb.DuckDBPyConnection, files: Path) -> None:
    """Make ``exported`` the rows of files, and ``exported_text`` the same with numbers and times as text."""
    pattern = f"{escape(str(files.parent))}/{files.name}"
    database.execute(f"create or replace temp view parts as from read_parquet({quoted(pattern)})")
    for view, query in (("exported", "parts"), ("exported_text", "texts")):
        database.execute(f"create or replace temp view {view} as {_sql(query)}")


def refuse_broken(database: duckdb.DuckDBPyConnection, part: Mapping[str, Any]) -> None:
    """Raise WarehouseError where a row to export breaks one of the rules of a file, naming both."""
    if broken := database.execute(f"{_sql('rules')} limit 1", part).fetchone():
        rule, *row = broken
        named = ", ".join(str(each) for each in row if each is not None)
        raise WarehouseError(f"costs.focus: a row breaks a rule: {rule}: {named}; nothing was written")


def written(column: FocusColumn) -> str:
    """Return a column as CSV has it. Texts are computed from the files of parts, which have each text of a column once:
    to look at all rows of 45 columns takes ten times as long."""
    return f"no_formula({column.name}) as {column.name}" if column.kind == "text" else column.name


def _what_is_in(
    database: duckdb.DuckDBPyConnection,
    days: Mapping[str, Any],
    due: Mapping[str, Sequence[str]],
    missing: Mapping[tuple[str, str], Sequence[date]],
) -> Exported:
    sums = "select BillingCurrency, count(*), sum(BilledCost) from exported group by all order by all"
    per_currency = database.execute(sums).fetchall()
    return Exported(
        rows=sum(rows for _, rows, _ in per_currency),
        billed={currency: billed for currency, _, billed in per_currency},
        left_out=[LeftOut(*row) for row in database.execute(_sql("left_out"), days).fetchall()],
        gaps={
            f"{connection}/{source.partition('.')[2]}": len(without)
            for (connection, source), without in missing.items()
            if without
        },
        due=due,
    )


def _sql(name: str) -> str:
    return (SQL / f"{name}.sql").read_text()

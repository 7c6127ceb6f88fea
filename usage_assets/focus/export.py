"""Export of ``costs.focus`` as a FOCUS 1.2 file. ``models/sql/views/`` defines its rows, and
``models/sql/focus/rules.sql`` the rules that each row must obey.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from usage_assets.config.settings import SettingsError
from usage_assets.models.costs import ALLOCATIONS, COSTS, DailyCost, days_without_costs
from usage_assets.models.due import due_days, in_words
from usage_assets.models.model import MACROS, SQL
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.migrate import create_or_alter, make_ready
from usage_assets.warehouse.published import snapshot_of
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Seed, WarehouseError
from usage_assets.warehouse.views import broken_views

EXPORTED = {model.name for model in (*COSTS, *ALLOCATIONS)}
"""Assets that are called so hold what is exported; days that they lack are gaps."""
SUFFIXES = (".csv", ".parquet")


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


def writable(out: Path, *, force: bool) -> Path:
    """Return the path of a file that may be written. Raises SettingsError."""
    if out.suffix not in SUFFIXES:
        raise SettingsError(f"--out {out}: end the name with {' or '.join(SUFFIXES)}")
    if not out.parent.is_dir():
        raise SettingsError(f"--out {out}: there is no folder {out.parent}")
    if out.is_dir():
        raise SettingsError(f"--out {out}: is a folder")
    if out.exists() and not force:
        raise SettingsError(f"--out {out}: exists; --force replaces it")
    return out


def export(
    warehouse: Warehouse,
    seeds: Sequence[Seed],
    first: date,
    last: date,
    out: Path,
    fetched: Collection[tuple[str, str]] = (),
) -> Exported:
    """Write the charges whose period begins on the days from first to last (UTC) to a CSV or Parquet file.

    ``seeds`` is what the configuration states, about money first. ``fetched`` are the sources of costs that should be
    stored of each day (see ``days_without_costs``).

    Raises WarehouseError, with nothing written, where there are none, a row breaks a rule, or a file cannot be written.
    """
    if not warehouse.exists:
        raise WarehouseError(f"{warehouse.database}: nothing is stored yet: usage-assets backfill")
    due = in_words(
        row
        for row in due_days(warehouse, seeds)
        if first <= row.day <= last and row.state == "stale" and row.asset.path[-1] in EXPORTED
    )
    bring_up_to_date(warehouse, seeds[0])
    days = {"first": first, "last": last}
    draft = out.with_name(f".{out.name}.new")
    try:
        with snapshot_of(warehouse) as database:
            stage(database, days)
            exported = _what_is_in(database, days, due, days_without_costs(database, fetched, first, last))
            if not exported.rows:
                raise WarehouseError(
                    f"{warehouse.database}: no cost is stored for {first} to {last}; nothing was written"
                )
            refuse_broken(database, days)
            if out.suffix == ".csv":
                database.sql("from exported_text").write_csv(str(draft))
            else:
                database.sql("from exported").write_parquet(str(draft))
        if out.exists():  # whoever could read it still can
            draft.chmod(out.stat().st_mode)
        draft.replace(out)
    except duckdb.Error as error:
        raise WarehouseError(f"{out}: {str(error).splitlines()[0]}; nothing was written") from error
    except OSError as error:
        raise WarehouseError(f"{out}: {error.strerror}; nothing was written") from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    return exported


def bring_up_to_date(warehouse: Warehouse, seeds: Seed) -> None:
    """Make the views those of this release, and what they read of the connections file what that says now."""
    query = replace(COSTS[0].query, seed=seeds)
    with warehouse.transaction() as database:
        create_or_alter(database, Table(DailyCost))
        make_ready(database, query)
        broken_views(database, query.views)


def stage(database: duckdb.DuckDBPyConnection, days: Mapping[str, Any]) -> None:
    """Make ``exported``, the rows of the days, and ``exported_text``, the same as a CSV file has them."""
    database.execute("set TimeZone = 'UTC'")
    for macro in (*MACROS, _sql("macros")):
        database.execute(macro)
    database.execute(f"create temp table exported as {_sql('rows')}", days)
    database.execute(f"create temp view exported_text as {_sql('text')}")


def refuse_broken(database: duckdb.DuckDBPyConnection, days: Mapping[str, Any]) -> None:
    """Raise WarehouseError where a staged row breaks a rule, naming both."""
    if broken := database.execute(f"{_sql('rules')} limit 1", days).fetchone():
        rule, *row = broken
        named = ", ".join(str(part) for part in row if part is not None)
        raise WarehouseError(f"costs.focus: not so: {rule}: {named}; nothing was written")


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
    return (SQL / "focus" / f"{name}.sql").read_text()

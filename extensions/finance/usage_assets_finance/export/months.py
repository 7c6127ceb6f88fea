"""`usage-assets export months`: a Parquet file per table and month, and a manifest, for a warehouse elsewhere.

A file replaces that of a month whose rows have changed, and the manifest is replaced last. If a run is stopped between
the two, the digest of a file differs, and the next run writes it again.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from usage_assets.cli.files import draft_of, write_rows
from usage_assets.core.days import DAY
from usage_assets.core.money import plain
from usage_assets.warehouse.arrow import fetch_arrow
from usage_assets.warehouse.readable import quoted
from usage_assets.warehouse.tables import hash_of_rows
from usage_assets.warehouse.values import WarehouseError

TABLES = ("costs.daily_costs", "costs.allocated_costs_named", "costs.usage")
"""What is exported where nothing is named."""
MANIFEST = "manifest.json"
_FILE = re.compile(r"(?!\.)[^/\\]+/\d{4}-\d{2}\.parquet")
VERSION = 1
BASES = ("cost_basis", "native_unit", "currency")
"""Amounts that differ in one of these are never added."""
UNSETTLED = """
select date_trunc('month', usage_date)::date as month, min(usage_date) as first_day
from ledger.day_states
where state <> 'settled'
group by month
"""
MEANT = """
select column_name, comment
from duckdb_columns()
where database_name = current_database() and schema_name || '.' || table_name = $table
"""


@dataclass(frozen=True)
class Exported:
    """What a run has done: files by their paths below the folder."""

    written: Sequence[str]
    kept: Sequence[str]
    removed: Sequence[str]


class _Month(msgspec.Struct):
    file: str
    sha256: str
    bytes: int
    content: str


class _Months(msgspec.Struct):
    columns: list[dict[str, str]]
    months: list[_Month]


class _Manifest(msgspec.Struct):
    """What an earlier run must have written."""

    version: int
    tables: dict[str, _Months]


class NoDaysError(WarehouseError):
    """A table that cannot be cut into months."""


def export_months(
    database: duckdb.DuckDBPyConnection, tables: Mapping[str, duckdb.DuckDBPyRelation], folder: Path
) -> Exported:
    """Make the folder hold each month of the tables, and nothing else that an earlier run has written there.

    Raises WarehouseError, or NoDaysError for a table without ``usage_date`` and ``month``.
    """
    former = _read(folder / MANIFEST)
    before = {each["file"]: (table["columns"], each) for table in former.values() for each in table["months"]}
    unsettled = dict(database.sql(UNSETTLED).fetchall())
    written: list[str] = []
    described: dict[str, Any] = {}
    for name, rows in tables.items():
        columns = _columns(database, name, rows)
        months = []
        for month in _months(name, rows, unsettled):
            file = folder / month["file"]
            known_columns, known = before.get(month["file"], (None, {}))
            same = known_columns == columns and known.get("content") == month["content"]
            if not same or _digest(file) != known["sha256"]:
                _write(rows, month, file)
                known = {"sha256": _digest(file), "bytes": file.stat().st_size}
                written.append(month["file"])
            months.append({**month, "sha256": known["sha256"], "bytes": known["bytes"]})
        described[name] = {"columns": columns, "months": months}
    files = [month["file"] for table in described.values() for month in table["months"]]
    if written or described != former:
        with draft_of(folder / MANIFEST) as draft:
            draft.write_text(json.dumps({"version": VERSION, "tables": described}, indent=2) + "\n")
    removed = sorted(before.keys() - {*files})
    for each in removed:
        with suppress(OSError):
            (folder / each).unlink()
    return Exported(written, [each for each in files if each not in written], removed)


def _read(manifest: Path) -> Mapping[str, Any]:
    """Return the tables of an earlier run. Raises WarehouseError for a file that is none of ours."""
    if not manifest.exists():
        return {}
    try:
        text = manifest.read_bytes()
        found = msgspec.json.decode(text, type=_Manifest)
        if found.version != VERSION:
            raise WarehouseError(f"{manifest}: is of another release: export into an empty folder")
        files = [month.file for table in found.tables.values() for month in table.months]
        if not all(_FILE.fullmatch(file) for file in files):
            raise ValueError
    except (ValueError, msgspec.MsgspecError):
        raise WarehouseError(f"{manifest}: is no manifest of this command: export into an empty folder") from None
    return dict(msgspec.json.decode(text)["tables"])


def _columns(
    database: duckdb.DuckDBPyConnection, table: str, rows: duckdb.DuckDBPyRelation
) -> Sequence[Mapping[str, str]]:
    comments = dict(database.execute(MEANT, {"table": table}).fetchall())
    return [
        {"name": name, "type": str(kind), "meaning": comments.get(name) or ""}
        for name, kind in zip(rows.columns, rows.types, strict=True)
    ]


def _day(table: str, rows: duckdb.DuckDBPyRelation) -> str:
    for name in ("usage_date", "month"):
        if name in rows.columns:
            return name
    raise NoDaysError(f"{table}: has neither usage_date nor month: usage-assets export parquet writes it whole")


def _months(table: str, rows: duckdb.DuckDBPyRelation, unsettled: Mapping[Any, Any]) -> Iterator[dict[str, Any]]:
    """Yield what the manifest says of each month of a table before its file is written."""
    day = _day(table, rows)
    month_of = f"date_trunc('month', {day})::date as month"
    found = rows.aggregate(
        f"{month_of}, count(*) as rows, min({day}) as first_day, max({day}) as last_day, "
        f"{hash_of_rows([_named(name) for name in rows.columns])} as content"
    ).order("month")
    sums = _sums(rows, day)
    for month, count, first, last, content in found.fetchall():
        first_open = unsettled.get(month)
        until = last if first_open is None else min(first_open - DAY, last)
        yield {
            "month": f"{month:%Y-%m}",
            "file": f"{table}/{month:%Y-%m}.parquet",
            "rows": count,
            "first_day": f"{first}",
            "last_day": f"{last}",
            "settled_until": f"{until}" if until >= first else None,
            "sums": sums.get(month, []),
            "content": content,
        }


def _sums(rows: duckdb.DuckDBPyRelation, day: str) -> Mapping[Any, Sequence[Mapping[str, Any]]]:
    """Return the sums of each month as text, those of each basis, unit and currency apart."""
    if not {*BASES, "native_amount", "amount_usd"} <= {*rows.columns}:
        return {}
    summed = rows.aggregate(
        f"date_trunc('month', {day})::date as month, {', '.join(BASES)}, sum(native_amount) as native_amount, "
        "sum(amount_usd) as amount_usd, count(*) filter (where amount_usd is null) as rows_without_usd"
    ).order(f"month, {', '.join(BASES)}")
    found: dict[Any, list[Mapping[str, Any]]] = {}
    for row in fetch_arrow(summed).to_pylist():
        amounts = {name: None if row[name] is None else plain(row[name]) for name in ("native_amount", "amount_usd")}
        found.setdefault(row.pop("month"), []).append({**row, **amounts})
    return found


def _write(rows: duckdb.DuckDBPyRelation, month: Mapping[str, Any], file: Path) -> None:
    """Write the rows of a month, in an order of their own: equal rows make an equal file."""
    table = file.parent.name
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WarehouseError(f"{file.parent}: {error.strerror}") from error
    day = _named(_day(table, rows))
    wanted = rows.filter(f"{day} between {quoted(month['first_day'])} and {quoted(month['last_day'])}")
    with draft_of(file) as draft:
        write_rows(wanted.order("all"), file, draft)


def _digest(file: Path) -> str | None:
    """Return the SHA-256 of a file; None where it cannot be read."""
    try:
        with file.open("rb") as opened:
            return file_digest(opened, "sha256").hexdigest()
    except OSError:
        return None


def _named(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'

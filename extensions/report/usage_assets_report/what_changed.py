"""What changed since the period before: for everything, and by provider, team, model and person.

``changes.py`` splits; the queries are in ``sql/items.sql``, ``splits.sql``, ``split.sql`` and ``cells.sql``. DuckDB
adds up what is one part as a whole: of a large company, 180,000 items took 4 s in Python.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from usage_assets_report.changes import (
    EVERYTHING,
    NOT_COMPARED,
    PARTS,
    Difference,
    Item,
    Used,
    difference,
    less,
    splits_of,
)
from usage_assets_report.dimensions import of_dimension
from usage_assets_report.names import service

CUTS = ("provider", "team", "model", "person")
"""What the difference is told apart by. Keys, services and unknown users are no person."""
MOST = 10
"""Rows of a cut; all others are one more row."""
SQL = Path(__file__).parent / "sql"
SPLITS, SPLIT, CELLS, CELLS_OF_PROVIDERS = (
    (SQL / f"{name}.sql").read_text() for name in ("splits", "split", "cells", "cells_of_providers")
)
DOLLARS = pa.decimal128(38, 24)
SCHEMA = pa.schema(
    [
        ("by", pa.string()),
        ("name", pa.string()),
        *((f"usd_{name}", DOLLARS) for name in ("before", "now", "change", *PARTS)),
        ("why_unknown", pa.string()),
    ]
)
Cell = tuple[Item, Decimal, Decimal]


def read_changes(database: duckdb.DuckDBPyConnection) -> pa.Table:
    """Return one row for everything, and the largest changes of each cut. Needs the tables of ``figures.TEMPORARY``."""
    database.execute(f"create or replace temp table splits as {SPLITS}")
    before, now = _items(database)
    splits, nothing = splits_of(before, now), Used(Decimal(), Decimal(), {})
    whole = difference(((item, before.get(item, nothing).usd, now.get(item, nothing).usd) for item in splits), splits)
    rows = [_row("", EVERYTHING, whole)]
    for cut in CUTS:
        cells: dict[str, list[Cell]] = defaultdict(list)
        for name, item, old, new in _cells(database, cut):
            cells[name].append((Item(**item), old, new))
        if cells:
            rows += _rows_of(cut, {name: difference(each, splits) for name, each in cells.items()}, whole)
    return pa.Table.from_pylist(rows, SCHEMA)


def _cells(database: duckdb.DuckDBPyConnection, cut: str) -> Sequence[tuple[Any, ...]]:
    """Return value of a cut, item, dollars before and now: all providers, or the values that changed most."""
    if cut == "provider":
        return database.execute(CELLS_OF_PROVIDERS).fetchall()
    sql = of_dimension(CELLS, cut).replace("{most}", str(MOST + 1))
    return database.execute(sql).fetchall()


def _rows_of(cut: str, found: Mapping[str, Difference], whole: Difference) -> Iterable[Mapping[str, Any]]:
    """Yield the rows of a cut. The last one is what the others leave, so that every column adds up exactly."""
    ranked = sorted(found, key=lambda name: (-abs(found[name].change), name))
    *named, last = ranked if len(ranked) <= MOST else [*ranked[:MOST], f"other {cut}s"]
    for name in named:
        yield _row(cut, name, found[name])
    yield _row(cut, last, less(whole, [found[name] for name in named]))


def _row(cut: str, name: str, found: Difference) -> Mapping[str, Any]:
    """Return a row. If all that was billed is on days that are not compared, the difference is unknown."""
    if cut == "provider":
        name = service(name)
    apart = {why: found.parts[why] for why in NOT_COMPARED}
    amounts = {"before": found.before, "now": found.now, "change": found.change, **found.parts}
    why_unknown = None
    if any(apart.values()) and not any(amounts[each] for each in amounts.keys() - apart.keys()):
        amounts, why_unknown = apart, ", ".join(NOT_COMPARED[why] for why in apart if apart[why])
    dollars = {f"usd_{each}": amount for each, amount in amounts.items()}
    return {"by": cut, "name": name, **dollars, "why_unknown": why_unknown}


def _items(database: duckdb.DuckDBPyConnection) -> tuple[Mapping[Item, Used], Mapping[Item, Used]]:
    """Return what each item cost before and now."""
    periods: tuple[dict[Item, Used], dict[Item, Used]] = ({}, {})
    for item, is_now, usd, native, unit, quantity, billed in database.execute(SPLIT).fetchall():
        used = periods[is_now].setdefault(Item(**item), Used(usd, native, {}))
        if unit is not None:
            used.quantities[unit] = (quantity, billed)  # type: ignore[index]  # ours until it is returned
    return periods

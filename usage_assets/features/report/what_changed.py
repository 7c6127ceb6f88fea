"""What changed since the period before: for everything, and by provider, team, model and person.

``changes.py`` splits; the queries are in ``sql/items.sql`` and ``sql/cells.sql``.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from usage_assets.features.report.changes import EVERYTHING, KINDS, Difference, Item, Used, difference, less, splits_of
from usage_assets.features.report.names import service

CUTS: Mapping[str, str] = {
    "provider": "provider",
    "team": "team.name",
    "model": "model.name",
    "person": "person.name",
}
"""What the difference is told apart by -> a column of ``billed``. Keys, services and unknown users are no person."""
MOST = 10
"""Rows of a cut; all others are one more row."""
CELLS = (Path(__file__).parent / "sql" / "cells.sql").read_text()
DOLLARS = pa.decimal128(38, 24)
SCHEMA = pa.schema(
    [
        ("by", pa.string()),
        ("name", pa.string()),
        *((f"usd_{name}", DOLLARS) for name in ("before", "now", "change", *KINDS)),
    ]
)
Cell = tuple[Item, Decimal, Decimal]


def read_changes(database: duckdb.DuckDBPyConnection, parameters: Mapping[str, object]) -> pa.Table:
    """Return one row for everything, and the largest changes of each cut. Needs the tables of ``figures.TEMPORARY``."""
    before, now = _items(database)
    splits, nothing = splits_of(before, now), Used(Decimal(), Decimal(), {})
    whole = difference(((item, before.get(item, nothing).usd, now.get(item, nothing).usd) for item in splits), splits)
    rows = [_row("", EVERYTHING, whole)]
    for cut, column in CUTS.items():
        cells: dict[str, list[Cell]] = defaultdict(list)
        sql = CELLS.replace("{column}", column).replace("{most}", str(MOST + 1))
        for name, *item, old, new in database.execute(sql, parameters).fetchall():
            cells[name].append((Item(*item), old, new))
        if cells:
            rows += _rows_of(cut, {name: difference(each, splits) for name, each in cells.items()}, whole)
    return pa.Table.from_pylist(rows, SCHEMA)


def _rows_of(cut: str, found: Mapping[str, Difference], whole: Difference) -> Iterable[Mapping[str, Any]]:
    """Yield the rows of a cut. The last one is what the others leave, so that every column adds up exactly."""
    ranked = sorted(found, key=lambda name: (-abs(found[name].change), name))
    *named, last = ranked if len(ranked) <= MOST else [*ranked[:MOST], f"other {cut}s"]
    for name in named:
        yield _row(cut, name, found[name])
    yield _row(cut, last, less(whole, [found[name] for name in named]))


def _row(cut: str, name: str, found: Difference) -> Mapping[str, Any]:
    if cut == "provider":
        name = service(name)
    amounts = {"before": found.before, "now": found.now, "change": found.change, **found.parts}
    return {"by": cut, "name": name} | {f"usd_{each}": amount for each, amount in amounts.items()}


def _items(database: duckdb.DuckDBPyConnection) -> tuple[Mapping[Item, Used], Mapping[Item, Used]]:
    """Return what each item cost before and now."""
    periods: tuple[dict[Item, Used], dict[Item, Used]] = ({}, {})
    found = database.execute(
        "select connection, price_id, currency, project, kind, is_now, usd, native_amount, unit, quantity, "
        "billed_for_it from temp.main.items"
    ).fetchall()
    for *key, is_now, usd, native, unit, quantity, billed in found:
        used = periods[is_now].setdefault(Item(*key), Used(usd, native, {}))
        if unit is not None:
            used.quantities[unit] = (quantity, billed)  # type: ignore[index]  # ours until it is returned
    return periods

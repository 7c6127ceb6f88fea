"""Finds what is wrong with a stored slice: repeated grain, unequal totals, unknown and missing fields.

check_failures runs before a write is committed, and again in asset checks. The rest runs only in asset checks. Failing
days are stored in ``ledger.failed_checks``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date

import duckdb
import msgspec

from usage_assets.core.schema import columns, sent_names, to_arrow
from usage_assets.warehouse.ledger import FailedCheck
from usage_assets.warehouse.slices import IN_SLICE, Slice, in_slice, parts_of
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Alone, CheckFailure, Query, declared_in, sentence


def check_failures(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    content: Query | None,
    target: Slice,
    stored: Sequence[Slice] | None = None,
) -> list[CheckFailure]:
    """Return what is wrong with the stored slice: repeated grain, and totals that differ from the source's.

    ``stored`` are its parts, where the caller knows them. The table must equal its declaration, and the content be
    prepared.
    """
    grain = ", ".join(table.grain)
    found: list[CheckFailure] = []
    for part in parts_of(connection, table, target) if stored is None else stored:
        doubtful = connection.execute(
            f"select usage_date from {table.name} where {in_slice(table, part)} "
            f"group by usage_date having count(*) > count(distinct hash({grain}))",  # different hashes: different rows
            part.bounds,
        ).fetchone()
        if not doubtful:
            continue
        repeated = connection.execute(
            f"select usage_date, count(*) from {table.name} where {in_slice(table, part)} "
            f"group by {grain} having count(*) > 1 order by usage_date",
            part.bounds,
        ).fetchall()
        found += [CheckFailure(day, f"{rows} rows for one {grain}") for day, rows in repeated]
    for query in content.reconciliations if content else ():
        found += differences(connection, query, target)
    return found


def unknown_fields(connection: duckdb.DuckDBPyConnection, table: Table, target: Slice) -> Mapping[str, int]:
    """Return the fields in ``other_fields`` of the slice, with the number of rows that have each."""
    fields = connection.execute(
        f"select field, count(*) from (select unnest(json_keys(other_fields)) as field from {table.name} "
        f"where other_fields is not null and {in_slice(table, target)}) group by field order by field",
        target.bounds,
    )
    return dict(fields.fetchall())


def missing_fields(connection: duckdb.DuckDBPyConnection, table: Table, target: Slice) -> Mapping[str, int]:
    """Return the fields that a provider always sends and has left out, as it spells them, with the number of rows."""
    counts = {spelled: f"count(*) - count({name})" for name, spelled in _expected(table.row)}
    for part, model in table.row.parts.items():
        for name, spelled in _expected(model):
            lacks = f"list_contains(json_extract({part}, '$[*].{name}'), 'null'::json)"
            counts[f"{part}.{spelled}"] = f"count(*) filter (where {lacks})"
    found = connection.execute(
        f"select {', '.join(counts.values())} from {table.name} where {in_slice(table, target)}", target.bounds
    ).fetchall()
    return {field: count for field, count in zip(counts, found[0], strict=True) if count}


def _expected(model: type[msgspec.Struct]) -> Iterator[tuple[str, str]]:
    """The counters that are always sent: what they are called here, and how the provider spells them."""
    spelled = sent_names(model)
    return ((column.name, spelled[column.name]) for column in columns(model) if column.expected)


def differences(connection: duckdb.DuckDBPyConnection, query: str, target: Slice) -> list[CheckFailure]:
    """Return what a reconciliation (see Query), or a warning, finds in the slice."""
    found = connection.execute(
        f"select * from ({query}) where {IN_SLICE} order by usage_date",
        target.bounds | ({"part": target.part} if "$part" in query else {}),
    )
    names = [name for name, *_ in found.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    stated = declared_in(query)
    return [CheckFailure(row["usage_date"], *sentence(stated, row)) for row in rows]


def stored_slice(connection: duckdb.DuckDBPyConnection, table: Table, asset: str, name: str, part: str) -> Slice:
    """Return the slice from the first to the last day of a connection that has rows or that a check found wrong.

    It is today where there is none.
    """
    ever = Slice(name, date.min, date.max, part)
    [(first, last)] = connection.execute(
        f"""
        select coalesce(min(usage_date), current_date), coalesce(max(usage_date), current_date)
        from (
          select usage_date from {table.name} where {in_slice(table, ever)}
          union all
          select usage_date from ledger.failed_checks where asset = $asset and {IN_SLICE}
        )
        """,
        ever.bounds | {"asset": asset},
    ).fetchall()
    return replace(ever, first=first, last=last)


def remember(
    connection: duckdb.DuckDBPyConnection,
    asset: str,
    checks: Sequence[str],
    target: Slice,
    found: Iterable[FailedCheck],
    alone: Alone,
) -> Sequence[tuple[str, date, str]]:
    """Make the ledger hold what checks of an asset found in the slice.

    Return check, day and text of all that it holds of the asset and connection. ``alone`` is for the commit.

    Nothing is written where nothing differs. The ledger must equal its declaration.
    """
    connection.register("found", to_arrow(FailedCheck, found))
    mine = f"asset = $asset and list_contains($checks, check_name) and {IN_SLICE}"
    parameters = target.bounds | {"asset": asset, "checks": checks}
    before = f"select check_name, usage_date, severity, text from ledger.failed_checks where {mine}"
    now = "select check_name, usage_date, severity, text from found"
    if connection.execute(f"({before} except {now}) union all ({now} except {before})", parameters).fetchone():
        connection.begin()
        connection.execute(f"delete from ledger.failed_checks where {mine}", parameters)
        connection.execute("insert into ledger.failed_checks by name from found")
        with alone():
            connection.commit()
    return connection.execute(
        "select check_name, usage_date, text from ledger.failed_checks "
        "where asset = $asset and connection = $connection order by usage_date",
        {"asset": asset, "connection": target.connection},
    ).fetchall()

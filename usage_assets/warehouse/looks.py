"""Which days already hold what a run brings. A run of a schedule writes only the others.

A raw day is compared by its rows and by what was asked, a derived day by what it is computed from. A raw day that is
left as it is gets a version that says so, because two equal answers are how a day proves settled.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime

import duckdb
import pyarrow as pa

from usage_assets.warehouse.bills import BillLedger
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.inputs import inputs_of, stored_sources
from usage_assets.warehouse.migrate import is_as_declared, make_ready
from usage_assets.warehouse.slices import IN_SLICE, NEWEST, Slice, ledger_bounds
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch, Query
from usage_assets.warehouse.versions import NO_ROWS
from usage_assets.warehouse.views import make_views


def changed_days(
    warehouse: Warehouse,
    table: Table,
    content: Batch | Query,
    target: Slice,
    announced: Mapping[date, str],
    run_id: str,
) -> list[date]:
    """Return the days of a slice that ``Warehouse.replace`` would change, and note that a run has looked at the others.

    Days of a query that lack a source are left out. ``announced``: the content hash that the newest event of
    each day has; a day without one is written. What is stated is written for a query, and not kept. Raises
    WarehouseError.
    """
    control = content.control if isinstance(content, Batch) else None
    noted = [table, *([control[0]] if control else [])]
    days = target.days
    with warehouse.transaction(*(each.name for each in noted), keep=isinstance(content, Batch)) as connection:
        if isinstance(content, Query):
            same = _of_query(connection, table, content, target) if is_as_declared(connection, table) else {}
            stored = stored_sources(connection, content, target)
            days = [day for day in days if all((*source, day) in stored for source in content.needed)]
        else:
            same = _of_batch(connection, table, content, target)
        same = {day: content_hash for day, content_hash in same.items() if announced.get(day) == content_hash}
        if isinstance(content, Batch) and same:
            for each in noted:
                _note(connection, each, target, same, content, run_id)
    changed = [day for day in days if day not in same]
    if isinstance(content, Batch) and content.bills and changed:  # days of a set are stored together
        return [day for day in target.days if changed[0] <= day <= changed[-1]]
    return changed


def _of_query(connection: duckdb.DuckDBPyConnection, table: Table, content: Query, target: Slice) -> Mapping[date, str]:
    """Return the days whose stored rows were computed from what is there now, with their content hash.

    None if rows say themselves what they were computed with (rates): that is no longer what is stated now.
    """
    if content.inputs:
        return {}
    make_ready(connection, content)
    make_views(connection, content.uses)
    connection.register("inputs", inputs_of(connection, content, target))
    found = connection.execute(
        f"""
        select usage_date, content_hash
        from ({NEWEST}) as newest
        join inputs using (usage_date)
        where newest.inputs = inputs.inputs and newest.has_sums is not distinct from $has_sums
        """,
        {**ledger_bounds(table, target), "has_sums": True if content.sums else None},
    )
    return dict(found.fetchall())


def _of_batch(connection: duckdb.DuckDBPyConnection, table: Table, content: Batch, target: Slice) -> Mapping[date, str]:
    """Return the days that have the same rows and control totals and answer the same question, with the hash of the
    rows."""
    parts = [(table, content.rows), *([content.control] if content.control else [])]
    if not all(is_as_declared(connection, each) for each, _ in parts):
        return {}
    of_rows, *of_control = (_of_rows(connection, each, rows, content, target) for each, rows in parts)
    same = {*of_rows}.intersection(*of_control)
    if content.bills:
        same &= BillLedger(connection, target.connection, table.name).unchanged(target, content.bills)
    return {day: content_hash for day, content_hash in of_rows.items() if day in same}


def _of_rows(
    connection: duckdb.DuckDBPyConnection, table: Table, rows: pa.Table, content: Batch, target: Slice
) -> Mapping[date, str]:
    connection.register("brought", rows)
    brought = connection.execute(
        f"""
        select usage_date, {table.content_hash} as content_hash, bool_and({IN_SLICE}) as is_in_slice
        from brought
        group by usage_date
        """,
        target.bounds,
    ).fetchall()
    if not all(is_in_slice for *_, is_in_slice in brought):  # the write will refuse them
        return {}
    found = connection.execute(
        f"""
        select usage_date, content_hash
        from ({NEWEST})
        where filters is not distinct from $filters
          and question is not distinct from $question
          and settling_days is not distinct from $settling_days
        """,
        {
            **ledger_bounds(table, target),
            "filters": content.filters,
            "question": content.question,
            "settling_days": content.settling_days,
        },
    ).fetchall()
    hashes = {day: content_hash for day, content_hash, _ in brought}
    return {day: stored for day, stored in found if stored == hashes.get(day, NO_ROWS)}


def _note(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    target: Slice,
    days: Collection[date],
    content: Batch,
    run_id: str,
) -> None:
    connection.execute(
        f"""
        insert into ledger.partition_versions by name
        select * replace (
          version + 1 as version,
          false as changed,
          usage_date >= $today as is_open,
          null as answered_at,
          $run_id as run_id,
          $now as written_at
        )
        from ({NEWEST})
        where list_contains($days::date[], usage_date)
        """,
        {
            **ledger_bounds(table, target),
            "days": [*days],
            "today": content.began.date(),
            "run_id": run_id,
            "now": datetime.now(UTC),
        },
    )

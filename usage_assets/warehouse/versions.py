"""Versions: what each day of a table holds after a write, as ``ledger.partition_versions`` records it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from usage_assets.core.schema import Total
from usage_assets.warehouse.arrow import fetch_arrow
from usage_assets.warehouse.inputs import inputs_of
from usage_assets.warehouse.ledger import PartitionVersion
from usage_assets.warehouse.slices import IN_LEDGER, NEWEST, Slice, in_slice, ledger_bounds
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch, Query, Version, WarehouseError, listed

SAMPLE_ROWS = 5
NO_ROWS = sha256().hexdigest()
"""``content_hash`` of a day without rows."""
NOTHING = {"row_count": 0, "content_hash": NO_ROWS, "day_totals": "{}", "grouped_by": None}
"""What is stored of such a day."""
BEFORE = f"""
select usage_date, version, content_hash, changed_run_id, run_id, coalesce(answered_at, written_at) as as_of
from ({NEWEST})
"""
INSERT = "insert into ledger.partition_versions by name select * from recorded"
Rows = Mapping[date, Mapping[str, Any]]


def record_versions(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    content: Batch | Query,
    target: Slice,
    run_id: str,
    began: datetime,
    stored: Sequence[Slice],
) -> list[Version]:
    """Record what the days of the slice hold now and return it.

    ``began``: when the answer was asked for, or the query began; ``stored``: the parts of the slice that have rows.

    The ledger is read once and written once, because on a lake each look at it takes 20 ms and more. Raises
    WarehouseError if another run has stored other rows since these were asked for.
    """
    answer = content if isinstance(content, Batch) else None
    is_grouped = answer is not None and answer.question is not None and "grouped_by" in table.arrow_schema.names
    archived = answer.stored_at if answer else {}
    of_slice = {
        "connection": target.connection,
        "table_name": table.name,
        "slice": target.part,
        "filters": answer and answer.filters,
        "settling_days": answer and answer.settling_days,
        "question": answer and answer.question,
        "has_sums": True if isinstance(content, Query) and content.sums else None,
        "run_id": run_id,
        "written_at": datetime.now(UTC),
    }
    inputs = inputs_of(connection, content, target) if isinstance(content, Query) else content.inputs
    now = _by_day(_stored_days(connection, table, target, stored or [target], is_grouped=is_grouped))
    before = _by_day(fetch_arrow(connection.execute(BEFORE, ledger_bounds(table, target))))
    computed_from = _by_day(inputs) if inputs else {}
    totals = _totals(connection, table, target, now)
    recorded: list[dict[str, Any]] = [
        {
            **of_slice,
            **totals[day],
            **_content(run_id, now.get(day, NOTHING), before.get(day)),
            "usage_date": day,
            "is_open": day >= (archived.get(day) or began).astimezone(UTC).date(),
            "inputs": computed_from[day]["inputs"] if day in computed_from else None,
            "answered_at": archived.get(day),
        }
        for day in target.days
    ]
    _refuse_overtaken(table, recorded, before, began)
    connection.register("recorded", pa.Table.from_pylist(recorded, Table(PartitionVersion).arrow_schema))
    connection.execute(INSERT)
    states = _states(connection, table, target, recorded)
    sample = _sample(connection, table, target)
    return [
        _version(row, states.get(row["usage_date"]), sample if row["usage_date"] == target.last else ())
        for row in recorded
    ]


def _version(row: Mapping[str, Any], state: str | None, sample: Sequence[Mapping[str, Any]]) -> Version:
    return Version(
        day=row["usage_date"],
        totals=msgspec.json.decode(row["day_totals"], type=dict[str, str | None]),
        state=state,
        sample=sample,
        **{
            name: row[name] for name in ("version", "content_hash", "changed", "changed_run_id", "row_count", "is_open")
        },
    )


def _content(run_id: str, now: Mapping[str, Any], before: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return what a day holds now, next to its version before; None if there is none."""
    changed = before is None or now["content_hash"] != before["content_hash"]
    return {
        "version": before["version"] + 1 if before else 1,
        "content_hash": now["content_hash"],
        "changed": changed,
        "changed_run_id": run_id if before is None or changed else before["changed_run_id"],
        "row_count": now["row_count"],
        "grouped_by": now["grouped_by"],
    }


def _by_day(rows: pa.Table) -> Rows:
    return {row["usage_date"]: row for row in rows.to_pylist()}


def _of_day(table: Table) -> Mapping[str, Total]:
    """The totals of a whole day, not for each value of a column."""
    return {name: total for name, total in table.totals.items() if not total.by}


def _stored_days(
    connection: duckdb.DuckDBPyConnection, table: Table, target: Slice, parts: Sequence[Slice], *, is_grouped: bool
) -> pa.Table:
    """Return the number of rows, hash and totals of each stored day, and the dimensions that the provider granted."""
    day_totals = ", ".join(f"{name} := ({total.sql})::varchar" for name, total in _of_day(table).items())
    grouped_by = "string_agg(distinct grouped_by, '; ' order by grouped_by)" if is_grouped else "null::varchar"
    query = f"""
        select
          usage_date,
          count(*) as row_count,
          {table.content_hash} as content_hash,
          {f"to_json(struct_pack({day_totals}))::varchar" if day_totals else "'{}'"} as day_totals,
          {grouped_by} as grouped_by
        from {table.name}
        where {in_slice(table, target)}
        group by usage_date
    """
    return pa.concat_tables(fetch_arrow(connection.execute(query, part.bounds)) for part in parts)


def _totals(
    connection: duckdb.DuckDBPyConnection, table: Table, target: Slice, stored: Rows
) -> Mapping[date, Mapping[str, str]]:
    """Return the columns ``day_totals`` and ``total_units`` of each day, as JSON."""
    units = {name: total.unit for name, total in _of_day(table).items()}
    by_value = {day: named for day, *named in _totals_by_value(connection, table, target)}
    found = {}
    for day in target.days:
        totals = msgspec.json.decode(stored.get(day, NOTHING)["day_totals"])
        more, their_units = by_value.get(day, ({}, {}))
        found[day] = {
            "day_totals": msgspec.json.encode(totals | more).decode(),
            "total_units": msgspec.json.encode(units | their_units).decode(),
        }
    return found


def _totals_by_value(
    connection: duckdb.DuckDBPyConnection, table: Table, target: Slice
) -> Sequence[tuple[date, dict[str, str], dict[str, str]]]:
    """Return what has a total for each value of a column: day, amounts and units by the name of the total."""
    queries = [
        f"""
        select
          usage_date,
          '{name}_' || coalesce(lower({total.by}), 'unknown') as name,
          ({total.sql})::varchar as total,
          replace('{total.unit}', '{{}}', coalesce(upper({total.by}), 'unknown')) as unit
        from {table.name}
        where {in_slice(table, target)}
        group by all
        having total is not null
        """
        for name, total in table.totals.items()
        if total.by
    ]
    if not queries:
        return []
    by_name = "map_from_entries(list((name, {}) order by name))"
    return connection.execute(
        f"select usage_date, {by_name.format('total')}, {by_name.format('unit')} "
        f"from ({' union all '.join(queries)}) group by usage_date",
        target.bounds,
    ).fetchall()


def _refuse_overtaken(table: Table, recorded: Sequence[Mapping[str, Any]], before: Rows, began: datetime) -> None:
    """Refuse what another run has overtaken: it stored other rows after these were asked for.

    A write whose time is still to come is no such run: the clock was set back, or that of another host is ahead. Then
    the last write wins.
    """
    overtaken = {}
    for row in recorded:
        newest, answered_at = before.get(row["usage_date"]), row["answered_at"]
        if newest is None or not row["changed"] or newest["as_of"] <= (answered_at or began):
            continue
        if answered_at or newest["as_of"] <= row["written_at"]:
            overtaken[row["usage_date"]] = newest["run_id"]
    if overtaken:
        raise WarehouseError(
            f"{table.name}: run {overtaken[min(overtaken)]} stored a newer answer while this one was fetched: "
            f"{listed(map(str, overtaken))}; nothing was changed, run these days again",
            days=[*overtaken],
        )


def _states(
    connection: duckdb.DuckDBPyConnection, table: Table, target: Slice, recorded: Sequence[Mapping[str, Any]]
) -> Mapping[date, str]:
    """Return the state of each day of a raw table; a derived day has none."""
    if recorded[0]["settling_days"] is None:
        return {}
    if all(row["version"] == 1 for row in recorded):  # nothing settles when it is first stored
        return {row["usage_date"]: "open" if row["is_open"] else "provisional" for row in recorded}
    query = f"select usage_date, state from ledger.day_states where {IN_LEDGER}"
    return dict(connection.execute(query, ledger_bounds(table, target)).fetchall())


def _sample(connection: duckdb.DuckDBPyConnection, table: Table, target: Slice) -> Sequence[Mapping[str, Any]]:
    """Return the rows of the slice's last day with the largest amounts: what a person looks at first."""
    shown = ", ".join(
        column.name
        for column in table.columns
        if not column.personal and column.name not in ("connection", "usage_date")
    )
    largest_first = "".join(f"{amount} desc nulls last, " for amount in table.amounts)
    day = replace(target, first=target.last)
    rows = connection.execute(
        f"select {shown} from {table.name} where {in_slice(table, day)} order by {largest_first}rowid "
        f"limit {SAMPLE_ROWS}",
        day.bounds,
    )
    sample: list[dict[str, Any]] = fetch_arrow(rows).to_pylist()
    return sample

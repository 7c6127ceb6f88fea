"""Versions: what each day of a table holds after a write, as ``ledger.partition_versions`` records it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from usage_assets.core.schema import Total
from usage_assets.warehouse.arrow import fetch_arrow
from usage_assets.warehouse.inputs import INPUTS, inputs_of
from usage_assets.warehouse.slices import IN_LEDGER, Slice, in_slice, ledger_bounds
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch, Query, Version, WarehouseError, listed

SAMPLE_ROWS = 5
RECORDED = (Path(__file__).with_name("sql") / "versions" / "recorded.sql").read_text()
ARCHIVED = pa.schema({"usage_date": pa.date32(), "stored_at": pa.timestamp("us", "UTC")})
BY_VALUE = pa.schema({"usage_date": pa.date32(), "name": pa.string(), "total": pa.string(), "unit": pa.string()})


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
    given = {
        "stored": _stored_days(connection, table, target, stored or [target], is_grouped=is_grouped),
        "totals_by_value": _totals_by_value(connection, table, target),
        "archived": pa.table({"usage_date": [*archived], "stored_at": [*archived.values()]}, ARCHIVED),
        "inputs": inputs_of(connection, content, target)
        if isinstance(content, Query)
        else content.inputs or INPUTS.empty_table(),
    }
    for name, rows in given.items():
        connection.register(name, rows)
    parameters = {
        **ledger_bounds(table, target),
        "run_id": run_id,
        "as_of": began,
        "now": datetime.now(UTC),
        "units": msgspec.json.encode({name: total.unit for name, total in _of_day(table).items()}).decode(),
        "filters": answer.filters if answer else None,
        "settling_days": answer.settling_days if answer else None,
        "question": answer.question if answer else None,
        "has_sums": True if isinstance(content, Query) and content.sums else None,
    }
    connection.register("recorded", rows := fetch_arrow(connection.execute(RECORDED, parameters)))
    recorded = rows.to_pylist()
    _refuse_overtaken(table, recorded)
    connection.execute("insert into ledger.partition_versions by name select * exclude (overtaken_by) from recorded")
    states = _states(connection, table, target, recorded)
    sample = _sample(connection, table, target)
    return [
        Version(
            day=row["usage_date"],
            totals=msgspec.json.decode(row["day_totals"], type=dict[str, str | None]),
            state=states.get(row["usage_date"]),
            sample=sample if row["usage_date"] == target.last else (),
            **{
                name: row[name]
                for name in ("version", "content_hash", "changed", "changed_run_id", "row_count", "is_open")
            },
        )
        for row in recorded
    ]


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


def _totals_by_value(connection: duckdb.DuckDBPyConnection, table: Table, target: Slice) -> pa.Table:
    """Return what has a total for each value of a column: day, name of the total, amount and unit."""
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
        return BY_VALUE.empty_table()
    return fetch_arrow(connection.execute(" union all ".join(queries), target.bounds))


def _refuse_overtaken(table: Table, recorded: Sequence[Mapping[str, Any]]) -> None:
    overtaken = {row["usage_date"]: row["overtaken_by"] for row in recorded if row["overtaken_by"] is not None}
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

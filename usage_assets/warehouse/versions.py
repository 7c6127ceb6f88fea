"""Versions: what each day of a table holds after a write, as ``ledger.partition_versions`` records it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import duckdb
import msgspec

from usage_assets.warehouse.arrow import fetch_arrow
from usage_assets.warehouse.slices import IN_SLICE, Slice, in_slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Version

SAMPLE_ROWS = 5


def record_versions(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    target: Slice,
    run_id: str,
    as_of: datetime,
    asked: Mapping[str, Any],
    stored: Sequence[Slice],
) -> list[Version]:
    """Record what the days of the slice hold now and return it. ``archived`` and ``inputs`` are temporary tables.

    So are ``newest`` and ``recorded`` then, the versions of before and of now: the ledger is read once and written
    once, because on a lake each look at it takes 20 ms and more.
    """
    of_day = {name: total for name, total in table.totals.items() if not total.by}
    day_totals = ", ".join(f"{name} := ({total.sql})::varchar" for name, total in of_day.items())
    connection.execute(
        "create or replace temp table written "
        "(usage_date date, row_count bigint, content_hash text, day_totals text, grouped_by text)"
    )
    has_groupings = asked["question"] is not None and "grouped_by" in table.arrow_schema.names
    grouped_by = "string_agg(distinct grouped_by, '; ' order by grouped_by)" if has_groupings else "null"
    for part in stored:
        connection.execute(
            f"""
            insert into written
            select
              usage_date,
              count(*) as row_count,
              {table.content_hash} as content_hash,
              {f"to_json(struct_pack({day_totals}))::varchar" if day_totals else "'{}'"} as day_totals,
              {grouped_by} as grouped_by
            from {table.name}
            where {in_slice(table, part)}
            group by usage_date
            """,
            part.bounds,
        )
    parts = _total_parts(connection, table, target)
    written = f"table_name = $table_name and slice = $part and {IN_SLICE}"
    parameters = {**target.bounds, "table_name": table.name, "part": target.part}
    connection.execute(
        f"""
        create or replace temp table newest as
        select usage_date, version, content_hash, changed_run_id, run_id, coalesce(answered_at, written_at) as as_of
        from ledger.partition_versions
        where {written}
        qualify version = max(version) over (partition by usage_date)
        """,
        parameters,
    )
    connection.execute(
        f"""
        create or replace temp table recorded as
        with days as (
          select
            day::date as usage_date,
            coalesce(written.row_count, 0) as row_count,
            coalesce(written.content_hash, sha256('')) as content_hash,
            json_merge_patch(
              coalesce(written.day_totals, '{{}}'), coalesce(parts.totals, '{{}}')
            )::varchar as day_totals,
            json_merge_patch($units, coalesce(parts.units, '{{}}'))::varchar as total_units,
            written.grouped_by
          from generate_series($first::timestamp, $last::timestamp, interval 1 day) as series(day)
          left join written on written.usage_date = day
          left join {parts} as parts on parts.usage_date = day
        )
        select
          $connection as connection,
          days.*,
          $table_name as table_name,
          $part as slice,
          coalesce(newest.version, 0) + 1 as version,
          days.content_hash is distinct from newest.content_hash as changed,
          if(days.content_hash is distinct from newest.content_hash, $run_id, newest.changed_run_id) as changed_run_id,
          days.usage_date >= coalesce(archived.stored_at::date, $today) as is_open,
          $filters as filters,
          $settling_days as settling_days,
          $question as question,
          inputs.inputs,
          $has_sums as has_sums,
          archived.stored_at as answered_at,
          $run_id as run_id,
          $now as written_at
        from days
        left join newest on newest.usage_date = days.usage_date
        left join archived on archived.usage_date = days.usage_date
        left join inputs on inputs.usage_date = days.usage_date
        """,
        {
            **parameters,
            "run_id": run_id,
            "now": datetime.now(UTC),
            "today": as_of.date(),
            "units": msgspec.json.encode({name: total.unit for name, total in of_day.items()}).decode(),
            **asked,
        },
    )
    connection.execute("insert into ledger.partition_versions by name from recorded")
    rows = connection.execute(
        """
        select usage_date, version, content_hash, changed, changed_run_id, row_count, day_totals, is_open
        from recorded
        order by usage_date
        """
    ).fetchall()
    states: Mapping[date, str] = {}
    has_states = asked["settling_days"] is not None  # a derived day has none
    if has_states and all(version == 1 for _, version, *_ in rows):  # nothing settles when it is first stored
        states = {day: "open" if is_open else "provisional" for day, *_, is_open in rows}
    elif has_states:
        query = f"select usage_date, state from ledger.day_states where {written}"
        states = dict(connection.execute(query, parameters).fetchall())
    sample = _sample(connection, table, target)
    return [
        Version(
            day=day,
            version=version,
            content_hash=content_hash,
            changed=changed,
            changed_run_id=changed_run_id,
            row_count=row_count,
            totals=msgspec.json.decode(totals, type=dict[str, str | None]),
            is_open=is_open,
            state=states.get(day),
            sample=sample if day == target.last else (),
        )
        for day, version, content_hash, changed, changed_run_id, row_count, totals, is_open in rows
    ]


def _total_parts(connection: duckdb.DuckDBPyConnection, table: Table, target: Slice) -> str:
    """Add up what has a total per value of a column; return SQL for it: per day, names with amounts and units."""
    if not any(total.by for total in table.totals.values()):
        return "(select null::date as usage_date, null::json as totals, null::json as units where false)"
    connection.execute("create or replace temp table parts (usage_date date, name text, total text, unit text)")
    for name, total in table.totals.items():
        if total.by:
            connection.execute(
                f"""
                insert into parts
                select
                  usage_date,
                  '{name}_' || coalesce(lower({total.by}), 'unknown'),
                  ({total.sql})::varchar as total,
                  replace('{total.unit}', '{{}}', coalesce(upper({total.by}), 'unknown'))
                from {table.name}
                where {in_slice(table, target)}
                group by all
                having total is not null
                """,
                target.bounds,
            )
    connection.execute(
        """
        create or replace temp table total_parts as
        select
          usage_date,
          to_json(map(list(name order by name), list(total order by name))) as totals,
          to_json(map(list(name order by name), list(unit order by name))) as units
        from parts
        group by usage_date
        """
    )
    return "total_parts"


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

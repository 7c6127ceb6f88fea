"""What a derived day was computed from, as its version records it. ``ledger.due_days`` compares it with what is there.

An input has a name and a value: a source table (``<table>``, or ``costs.daily_costs/<part>`` for a part of one) and the
version of its content; ``names in <lookup>`` and when ids of this day or an earlier one were last named;
``rate of <currency or workspace>`` and the rate; ``query`` and its digest.
"""

from collections.abc import Collection
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa

from usage_assets.warehouse.arrow import fetch_arrow
from usage_assets.warehouse.slices import IN_SLICE, Slice
from usage_assets.warehouse.values import Query

INPUTS = pa.schema({"usage_date": pa.date32(), "inputs": pa.string()})
SOURCES = """
select usage_date, concat_ws('/', table_name, nullif(slice, '')) as input, content_version::varchar as value
from ledger.stored_days
where connection = $connection
  and usage_date between $first and $last
  and table_name in $tables
  and list_contains($sources, input)
"""
NAMES = """
select usage_date, 'names in ' || lookup as input, max(named_at)::varchar as value
from days
join ledger.namings using (connection)
where usage_date >= first_day
  and list_contains($names, lookup)
group by usage_date, lookup
"""


def stored_sources(
    connection: duckdb.DuckDBPyConnection, content: Query, target: Slice
) -> Collection[tuple[str, str, date]]:
    """Return table, part and day of what is stored of the query's sources."""
    found = connection.execute(
        "select distinct table_name, slice, usage_date from ledger.partition_versions "
        f"where list_contains($tables::text[], table_name) and {IN_SLICE}",
        {**target.bounds, "tables": [source for source, _ in content.sources]},
    )
    return set(found.fetchall())


def inputs_of(connection: duckdb.DuckDBPyConnection, content: Query, target: Slice) -> pa.Table:
    """Return what the days of a stored, derived slice were computed from: usage_date, inputs as JSON."""
    entries = ["select usage_date, 'query' as input, $query as value from days"]
    parameters: dict[str, Any] = {**target.bounds, "query": content.code}
    if content.sources:
        entries.append(SOURCES)
        parameters["tables"] = sorted({table for table, _ in content.sources})
        parameters["sources"] = [f"{table}/{part}" if part else table for table, part in content.sources]
    if content.names:
        entries.append(NAMES)
        parameters["names"] = [*content.names]
    for other in (*content.inputs, *content.stated_inputs):
        if "$part" in other:
            parameters["part"] = target.part
        entries.append(
            f"select usage_date, input, value from ({other}) where connection = $connection "
            "and usage_date between $first and $last"
        )
    found = connection.execute(
        f"""
        with days as (
          select $connection as connection, day::date as usage_date
          from generate_series($first::timestamp, $last::timestamp, interval 1 day) as series(day)
        ),
        entries as ({" union all ".join(entries)})
        select usage_date, to_json(map(list(input order by input), list(value order by input)))::varchar as inputs
        from entries
        group by usage_date
        """,
        parameters,
    )
    return fetch_arrow(found)

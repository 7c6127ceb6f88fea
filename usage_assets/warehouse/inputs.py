"""What a derived day was computed from, as its version records it. ``ledger.due_days`` compares it with what is there.

An input has a name and a value: a source table (``openai.costs``, or ``costs.daily_costs/openai.costs`` for a part) and
the version of its day; ``names in <lookup>`` and the time of its last rename; ``rate of <currency or workspace>`` and
the rate; ``query`` and its digest.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import duckdb

SOURCES = """
select usage_date, concat_ws('/', table_name, nullif(slice, '')) as input, content_version::varchar as value
from ledger.stored_days
where connection = $connection
  and usage_date between $first and $last
  and table_name in $tables
  and list_contains($sources, input)
"""
RENAMED = """
select connection, 'names in {lookup}' as input, max(first_seen)::varchar as value
from (
  select
    connection,
    first_seen,
    row_number() over (partition by connection, id order by first_seen) as position,
    min(first_seen) over (partition by connection) as first_listed
  from {lookup}
)
where position > 1 or first_seen = first_listed
group by connection
"""
"""When a lookup last gave an id another name, or was listed at all. A new id has no costs from before it was listed."""


def renamed(lookups: Iterable[str]) -> str:
    """SQL for the last rename in each of the lookups, per connection."""
    return " union all ".join(RENAMED.format(lookup=lookup) for lookup in lookups)


def record_inputs(
    connection: duckdb.DuckDBPyConnection,
    bounds: Mapping[str, Any],
    *,
    query: str,
    sources: Sequence[tuple[str, str]],
    names: Sequence[str],
    others: Sequence[tuple[str, Mapping[str, str]]],
) -> None:
    """Fill the temporary table ``inputs`` (usage_date, inputs as JSON) for the days within the bounds.

    ``others`` are queries over the rows just written (connection, usage_date, input, value), with their parameters.
    """
    entries = ["select usage_date, 'query' as input, $query as value from days"]
    parameters: dict[str, Any] = {**bounds, "query": query}
    if sources:
        entries.append(SOURCES)
        parameters["tables"] = sorted({table for table, _ in sources})
        parameters["sources"] = [f"{table}/{part}" if part else table for table, part in sources]
    if names:
        entries.append(f"select usage_date, input, value from days join ({renamed(names)}) using (connection)")
    for other, values in others:
        parameters |= values
        entries.append(
            f"select usage_date, input, value from ({other}) where connection = $connection "
            "and usage_date between $first and $last"
        )
    connection.execute(
        f"""
        create or replace temp table inputs as
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


def record_none(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``inputs`` empty, for days that come from a provider."""
    connection.execute("create or replace temp table inputs (usage_date date, inputs text)")

"""How lookups are stored: every version of what an id stood for. Nothing is deleted, and nothing has a day."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import duckdb
import pyarrow as pa

from usage_assets.core.schema import declared
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.ledger import NAMINGS
from usage_assets.warehouse.migrate import create_or_alter
from usage_assets.warehouse.tables import Table, stored_tables
from usage_assets.warehouse.values import WarehouseError

UsedIn: TypeAlias = Mapping[str, Collection[str]]
"""Tables of days, and the columns of each that hold ids of lookups. Tables that do not exist yet hold none."""
CURRENT = "connection = $connection and valid_to is null"
"""The versions that a connection's newest answer holds."""


@dataclass(frozen=True)
class Changes:
    """What a complete answer changed."""

    rows: int
    """Items that are current now."""
    new: int
    changed: int
    gone: int


@dataclass(frozen=True)
class UnknownIds:
    """Ids in costs and usage that no lookup of the connection has ever listed."""

    checked: int
    """Ids that were looked for."""
    unknown: int
    examples: Sequence[str]


def record(
    warehouse: Warehouse, table: Table, answer: pa.Table, connection: str, as_of: datetime, used_in: UsedIn
) -> Changes:
    """Make the current versions equal a complete answer of ``as_of``, in one transaction.

    An id that is not listed any more, or not with these attributes, keeps its row, which is closed; new ids and new
    attributes get a row. The same answer again changes nothing. Raises WarehouseError, with nothing written, where
    another run stored an answer that is newer.
    """
    attributes = ", ".join(c.name for c in table.columns if c.name not in ("connection", "valid_from", "valid_to"))
    with warehouse.transaction(table.name, NAMINGS.name) as database:
        create_or_alter(database, table)
        database.register("staged", answer)
        bounds = {"connection": connection, "as_of": _after_the_newest(database, table, connection, as_of)}
        database.execute(
            f"""
            create or replace temp table outdated as
            select id, id in (select id from staged) as is_listed
            from (
              select {attributes} from {table.name} where {CURRENT}
              except
              select {attributes} from staged
            )
            """,
            {"connection": connection},
        )
        database.execute(
            f"update {table.name} set valid_to = $as_of where {CURRENT} and id in (select id from outdated)", bounds
        )
        missing = f"id not in (select id from {table.name} where {CURRENT})"
        opened = database.execute(f"select id from staged where {missing}", {"connection": connection}).fetchall()
        database.execute(
            f"insert into {table.name} by name "
            f"select * replace (greatest(valid_from, $as_of) as valid_from) from staged where {missing}",
            bounds,
        )
        _note_named(database, table, connection, opened, used_in)
        outdated = database.execute("select is_listed from outdated").fetchall()
    changed = sum(is_listed for (is_listed,) in outdated)
    return Changes(answer.num_rows, len(opened) - changed, changed, len(outdated) - changed)


def _note_named(
    database: duckdb.DuckDBPyConnection, table: Table, connection: str, ids: Sequence[tuple[str]], used_in: UsedIn
) -> None:
    """Note since which stored day any of the ids is used: what shows their names is computed again from it on."""
    stored = sorted(used_in.keys() & stored_tables(database))
    used = [
        f"select usage_date from {name} where connection = $connection and {column} in (select id from named)"
        for name in stored
        for column in used_in[name]
    ]
    if not (ids and used):
        return
    for name in stored:
        create_or_alter(database, Table(declared(name)))  # an earlier release may have stored it
    naming = {"connection": connection, "lookup": table.name}
    of_lookup = "from ledger.namings where connection = $connection and lookup = $lookup"
    [(first_day, named_at)] = database.execute(
        f"""
        with named as (select unnest($ids::text[]) as id)
        select
          min(usage_date),
          (select greatest($now, max(named_at) + interval 1 microsecond) {of_lookup})  -- the clock may be back
        from ({" union all ".join(used)})
        """,
        {**naming, "ids": [id_ for (id_,) in ids], "now": datetime.now(UTC)},
    ).fetchall()
    if first_day is None:
        return
    naming |= {"first_day": first_day}
    database.execute(f"delete {of_lookup} and first_day >= $first_day", naming)
    database.execute(
        "insert into ledger.namings (connection, lookup, first_day, named_at) "
        "values ($connection, $lookup, $first_day, $named_at)",
        naming | {"named_at": named_at},
    )


def _after_the_newest(database: duckdb.DuckDBPyConnection, table: Table, connection: str, as_of: datetime) -> datetime:
    """Return since when an answer of ``as_of`` holds. Raises WarehouseError if another run has stored a newer one.

    It holds after all others, also where these are of a time that is still to come: a clock was set back.
    """
    newest = f"select max(greatest(valid_from, valid_to)) from {table.name} where connection = $connection"
    [(stored,)] = database.execute(newest, {"connection": connection}).fetchall()
    if stored is None or stored < as_of:
        return as_of
    if stored <= datetime.now(UTC):
        raise WarehouseError(
            f"{table.name}: another run stored a newer answer of {connection} while this one was fetched; "
            "nothing was changed"
        )
    later: datetime = stored + timedelta(microseconds=1)
    return later


def unknown_ids(
    warehouse: Warehouse, connection: str, column: str, tables: Sequence[str], lookups: Sequence[str], most: int = 5
) -> UnknownIds:
    """Compare the ids in a column of the tables with those of the lookups; tables that do not exist yet have none."""
    with warehouse.get_connection() as database:
        stored = stored_tables(database)
        used = [
            f"select {column} as id from {table} where connection = $connection" for table in tables if table in stored
        ]
        known = [f"select id from {lookup} where connection = $connection" for lookup in lookups if lookup in stored]
        if not used:
            return UnknownIds(0, 0, ())
        rows = database.execute(
            f"""
            select distinct id, id in ({" union all ".join(known) or "select null where false"}) as is_known
            from ({" union all ".join(used)})
            where id is not null
            order by id
            """,
            {"connection": connection},
        ).fetchall()
    unknown = [id_ for id_, is_known in rows if not is_known]
    return UnknownIds(len(rows), len(unknown), unknown[:most])


def keep_of_people(
    warehouse: Warehouse,
    table: Table,
    connection: str,
    kept: Mapping[str, Callable[[str], str | None]],
    used_in: UsedIn,
) -> None:
    """Apply the policy for people to versions that were stored under another one. It leaves its own results alone."""
    with warehouse.transaction(table.name, NAMINGS.name) as database:
        create_or_alter(database, table)
        changed: list[tuple[str]] = []
        for name, keep in kept.items():
            values = database.execute(
                f"select distinct {name} from {table.name} where connection = $1 and {name} is not null", [connection]
            ).fetchall()
            for value in (value for (value,) in values if keep(value) != value):
                theirs, person = f"where connection = $1 and {name} = $2", [connection, value]
                changed += database.execute(f"select id from {table.name} {theirs}", person).fetchall()
                database.execute(f"update {table.name} set {name} = $3 {theirs}", [*person, keep(value)])
        _note_named(database, table, connection, changed, used_in)

"""One person in the warehouse: find their ids, find the rows that name them, and replace them there.

Only texts are replaced; numbers stay. ``ledger.port_entities`` says what Port holds, so only a push changes it.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa

from usage_assets.core.forgotten import Person
from usage_assets.core.people import People
from usage_assets.core.schema import Address, LookupRow, Row, TableRow
from usage_assets.features.port.catalog.sync import Acknowledged
from usage_assets.features.port.mapped import MAPPED, MappedEntity, content_of
from usage_assets.models.declared import declarations
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.ledger import ISSUED_STATEMENTS, PORT_ENTITIES, PUSHED_DAYS
from usage_assets.warehouse.migrate import create_or_alter
from usage_assets.warehouse.readable import quoted
from usage_assets.warehouse.slices import Slice, in_slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.views import HAS_VIEW

IDS = ("user_id", "actor_user_id", "account_id")
"""Columns with the id of the person whose address is in the same row."""
ENTITIES = "port_entities."
COMPOSED = ("identifier", "title", "content")
"""Columns of entities whose text is composed of other columns, or by a mapping."""
SHORTEST_WORD = 3
"""A shorter word before the @ is not searched for in names of keys: too many names contain it."""
STATED = "accounting.people"
"""What the connections file stated of people: rows are removed, because addresses may be digests."""
OF_PERSON = f"""
from {STATED}
where person in (select person from {STATED} where list_contains($these, id))
"""
JOINED = f"""
select distinct id, kind = 'address' or (kind = 'id' and people_ids = 'id') as is_unmistakable
from costs.people
left join accounting.connections using (connection)
where kind <> 'service_account'
  and person_id in (
    select person_id
    from costs.people
    where list_contains($these, lower(id)) or lower(id) in (select lower(id) {OF_PERSON})
  )
"""
"""The ids of a person, whatever ties them together. A login, or what administrators have chosen, may be any word."""
UNPUSHED = """
select distinct connection, usage_date
from ledger.stored_days as days
anti join ledger.pushed_days as pushed
  on pushed.account = $account
  and pushed.connection = days.connection
  and pushed.usage_date = days.usage_date
  and pushed.blueprint = if(days.table_name = $mapping, $mapped, split_part(days.table_name, '.', 2))
semi join ledger.port_entities as lines on lines.account = $account and lines.connection = days.connection
where starts_with(table_name, 'port_entities.') or table_name = $mapping
"""
QUOTING = ("text", "driver", "evidence")
"""Columns that may quote anything: the message of a failed check (``ledger.failed_checks``), what an incident names."""
TEXTS = """
select schema_name || '.' || table_name, list(column_name order by column_index)
from duckdb_columns()
where database_name = current_database()
  and not internal
  and data_type in ('VARCHAR', 'JSON')
  and (schema_name, table_name) in (
    select (schema_name, table_name) from duckdb_tables() where database_name = current_database() and not temporary
  )
group by all
order by all
"""


@dataclass(frozen=True)
class Known:
    """What the warehouse knows of the person who has an address."""

    addresses: frozenset[str]
    """The address as it is stored, and others that the same id has had."""
    ids: frozenset[str]
    names: frozenset[str]
    """The person's own names, and names of keys that contain the part before the @ as a word."""
    handles: frozenset[str] = frozenset()
    """Their logins, and the ids that administrators have chosen. They may be words that mean something else."""


@dataclass
class InRows:
    """Where a person is in the tables."""

    rows: Counter[str] = field(default_factory=Counter)
    """Table -> rows."""
    days: defaultdict[str, set[tuple[str, date]]] = field(default_factory=lambda: defaultdict(set))
    """Table with days -> connection and day of these rows."""
    entities: set[tuple[str, str]] = field(default_factory=set)
    """Blueprint and identifier of each entity that changes, as it was."""


def known_of(warehouse: Warehouse, address: str, aliases: Sequence[str], ids: Sequence[str]) -> Known:
    """Find the person's other addresses, ids and names.

    ``address`` is lower case, ``aliases`` are its hashes, ``ids`` are known already. An id is found in the same row as
    an address, and in costs.people. Where the policy for people drops addresses and the connections file names no
    person, none is found.
    """
    word = address.partition("@")[0]
    addresses: set[str] = set()
    found: set[str] = set()
    handles: set[str] = set()
    names: set[str] = set()
    with warehouse.transaction(keep=False) as database:
        stored = {table for table, _ in database.execute(TEXTS).fetchall()}
        rows = [row for name, row in declarations().items() if name in stored]
        for row in rows:
            create_or_alter(database, Table(row))  # an earlier release may have stored it
        for row, name in [(each, name) for each in rows for name in _addressed(each, "only_id", "sent_unasked")]:
            where = f"list_contains($these, lower({name}))"
            for written, *own in _distinct(database, row, [name, *_ids_in(row)], where, [address, *aliases]):
                addresses.add(written)
                found |= {id_ for id_ in own if id_}
        if database.execute(HAS_VIEW, {"name": "costs.people"}).fetchone():
            these = {address, *aliases, *map(str.lower, (*found, *ids)), People().stated(address)}
            for id_, is_unmistakable in database.execute(JOINED, {"these": [*these]}).fetchall():
                (addresses if "@" in id_ else found if is_unmistakable else handles).add(id_)
        for row in rows:
            where = " or ".join(f"list_contains($these, {column})" for column in _ids_in(row)) or "false"
            for name in _addressed(row, "sent_unasked"):
                addresses |= {value for (value,) in _distinct(database, row, [name], where, [*found, *ids])}
            for name in _addressed(row, "person_name"):
                names |= {value for (value,) in _distinct(database, row, [name], where, [*found, *ids])}
            for name in _addressed(row, "in_name") if len(word) >= SHORTEST_WORD else ():
                values = _distinct(database, row, [name], f"contains(lower({name}), $these[1])", [word])
                names |= {value for (value,) in values if _has_word(value, word)}
    written = {each for each in addresses if each and "@" in each}
    hashed = {each for each in addresses if each and "@" not in each}
    return Known(
        frozenset(written),
        frozenset((found | hashed).difference(aliases)),  # costs.people has a hash as an id, too
        frozenset(filter(None, names)),
        frozenset(handles.difference(ids)),
    )


def find_rows(warehouse: Warehouse, person: Person) -> InRows:
    """Count the rows that name the person."""
    with warehouse.transaction(keep=False) as database:
        return _search_tables(database, person, lambda *_: None)


def replace_in_rows(warehouse: Warehouse, person: Person) -> InRows:
    """Put the stand-ins into all rows, in one transaction. The days keep their versions, with new content hashes."""
    with warehouse.get_connection() as database:
        stored = {table for table, _ in database.execute(TEXTS).fetchall()}
        warehouse.declare(database, [Table(row) for name, row in declarations().items() if name in stored])
    with warehouse.transaction() as database:
        found = _search_tables(database, person, _update)
        for table, days in found.days.items():
            _update_content_hashes(database, table, days)
            if _has_entities(table):
                _forget_pushed(database, table, days)
    return found


def lines_to_send(
    warehouse: Warehouse, entities: Collection[tuple[str, str]]
) -> dict[str, dict[str, list[Acknowledged]]]:
    """Return the ledger lines of entities that Port has as they were, of stored days: account -> connection -> lines.

    They are those of ``entities`` (blueprint, identifier), and those that no entity table has any more.
    """
    lines: dict[str, dict[str, list[Acknowledged]]] = defaultdict(lambda: defaultdict(list))
    with warehouse.transaction(keep=False) as database:
        for table in (table for table, _ in database.execute(TEXTS).fetchall() if _has_entities(table)):
            blueprint = table.removeprefix(ENTITIES)
            is_mapped = table == MappedEntity.table
            blueprints, own = (
                ("blueprint", "resource is not null") if is_mapped else (quoted(blueprint), "blueprint = $blueprint")
            )
            rows = database.execute(
                f"""
                select
                  stored.has_row is not null,
                  account,
                  connection,
                  blueprint,
                  identifier,
                  usage_date,
                  content_hash,
                  resource
                from ledger.port_entities
                semi join ledger.stored_days as days
                  on days.table_name = $table
                  and days.connection = port_entities.connection
                  and days.usage_date = port_entities.usage_date
                left join (
                  select distinct connection, {blueprints} as blueprint, identifier, true as has_row from {table}
                ) as stored
                  using (connection, blueprint, identifier)
                where {own}
                order by all
                """,
                {"table": table} | ({} if is_mapped else {"blueprint": blueprint}),
            ).fetchall()
            for has_row, account, connection, *stored in rows:
                line = Acknowledged(*stored)
                if not has_row or (line.blueprint, line.identifier) in entities:
                    lines[account][connection].append(line)
    return lines


def unpushed_days(warehouse: Warehouse, account: str) -> dict[str, set[date]]:
    """Return the days whose entities a Port account may lack, of each connection that has entities there."""
    found: dict[str, set[date]] = defaultdict(set)
    with warehouse.transaction(keep=False) as database:
        create_or_alter(database, PUSHED_DAYS)
        for connection, day in database.execute(
            UNPUSHED, {"account": account, "mapped": MAPPED, "mapping": MappedEntity.table}
        ).fetchall():
            found[connection].add(day)
    return found


def _addressed(row: type[TableRow], *kinds: Address) -> list[str]:
    return [column.name for column in Table(row).columns if column.address in kinds]


def _distinct(
    database: duckdb.DuckDBPyConnection, row: type[TableRow], columns: Sequence[str], where: str, these: list[str]
) -> list[tuple[Any, ...]]:
    query = f"select distinct {', '.join(columns)} from {row.table} where $these is not null and ({where})"
    return database.execute(query, {"these": these}).fetchall()


def _ids_in(row: type[TableRow]) -> list[str]:
    """Return the columns with the id of the person whose address or name is in the same row."""
    own = ("id",) if issubclass(row, LookupRow) else IDS
    return [column.name for column in Table(row).columns if column.name in own]


def _has_entities(table: str) -> bool:
    return table.startswith(ENTITIES) or table == MappedEntity.table


def _has_word(text: str, word: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(word)}(?![\w@])", text, re.I))


def _search_tables(
    database: duckdb.DuckDBPyConnection,
    person: Person,
    update: Callable[[duckdb.DuckDBPyConnection, str, Sequence[str], list[tuple[Any, ...]]], object],
) -> InRows:
    found = InRows()
    for table, columns in database.execute(TEXTS).fetchall():
        if table in (PORT_ENTITIES.name, ISSUED_STATEMENTS.name):  # the latter has no names, and must stay as it is
            continue
        if table == STATED:
            these = {each for text in person.stand_ins for each in (text, text.lower(), People().stated(text))}
            if stated := len(database.execute(f"select 1 {OF_PERSON}", {"these": [*these]}).fetchall()):
                found.rows[table] = stated
                database.execute(f"delete {OF_PERSON}", {"these": [*these]})
            continue
        rows = [*_rows(database, table, columns, person)]
        if not rows:
            continue
        found.rows[table] = len(rows)
        row = declarations().get(table)
        if row and issubclass(row, Row):
            ids = [number for number, *_ in rows]
            days = f"select distinct connection, usage_date from {table} where list_contains($ids, rowid)"
            found.days[table] |= {*database.execute(days, {"ids": ids}).fetchall()}
        if _has_entities(table):
            place = columns.index("identifier")
            of = columns.index("blueprint") if table == MappedEntity.table else None
            own = table.removeprefix(ENTITIES)
            found.entities |= {(own if of is None else before[of], before[place]) for _, before, _ in rows}
        update(database, table, columns, [(number, *after) for number, _, after in rows])
    return found


def _rows(
    database: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str], person: Person
) -> Iterator[tuple[int, Sequence[Any], Sequence[Any]]]:
    """Yield the rows that change: rowid, texts before and after."""
    texts = ", ".join(columns)
    rows = database.execute(
        f"""
        select rowid, {texts}
        from {table}
        where list_bool_or([contains(lower(concat_ws(chr(31), {texts})), needle) for needle in $needles])
        """,
        {"needles": person.needles},
    ).fetchall()
    is_mapped = table == MappedEntity.table  # it has no other columns that name people
    composed = [column in COMPOSED and _has_entities(table) for column in columns]
    for number, *before in rows:
        after = [
            value and (person.in_text if column in QUOTING else person.in_value)(value)
            for column, value in zip(columns, before, strict=True)
        ]
        parts = [*zip(before, after, composed, strict=True)]
        if is_mapped:
            after = [_in_mapped(name, value, person) for name, value in zip(columns, before, strict=True)]
        elif any(value != kept for value, kept, is_composed in parts if not is_composed):
            after = [person.in_identifier(value) if value and is_one else kept for value, kept, is_one in parts]
        if after != before:
            yield number, before, after


def _in_mapped(column: str, value: Any, person: Person) -> Any:
    """Return a text of a mapped entity: in its content, each text is one that is composed, such as a relation's."""
    if column == "content":
        return content_of(_in_texts(json.loads(value), person))
    return person.in_identifier(value) if column in COMPOSED else value


def _in_texts(value: Any, person: Person) -> Any:
    if isinstance(value, dict):
        return {person.in_identifier(name): _in_texts(inner, person) for name, inner in value.items()}
    if isinstance(value, list):
        return [_in_texts(inner, person) for inner in value]
    return person.in_identifier(value) if isinstance(value, str) else value


def _update(
    database: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str], rows: list[tuple[Any, ...]]
) -> None:
    names = ["number", *columns]
    database.register("replaced", pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))))
    sets = ", ".join(f"{column} = replaced.{column}" for column in columns)
    database.execute(f"update {table} as stored set {sets} from replaced where stored.rowid = replaced.number")
    database.unregister("replaced")


def _forget_pushed(database: duckdb.DuckDBPyConnection, table: str, days: set[tuple[str, date]]) -> None:
    """Note that no account has these days of entities, so that a push sends them whatever becomes of this one."""
    create_or_alter(database, PUSHED_DAYS)
    name = MAPPED if table == MappedEntity.table else table.removeprefix(ENTITIES)
    for connection, day in days:
        database.execute(
            "delete from ledger.pushed_days where blueprint = $name and connection = $connection and usage_date = $day",
            {"name": name, "connection": connection, "day": day},
        )


def _update_content_hashes(database: duckdb.DuckDBPyConnection, name: str, days: set[tuple[str, date]]) -> None:
    """Compute the content hashes of the stored versions again, so that a later fetch of the same day is no change."""
    table = Table(declarations()[name])
    stored = database.execute(
        "select connection, usage_date, slice, content_hash from ledger.stored_days where table_name = $name",
        {"name": name},
    ).fetchall()
    for connection, day, part, before in stored:
        if (connection, day) not in days:
            continue
        target = Slice(connection, day, day, part)
        query = f"select {table.content_hash} from {table.name} where {in_slice(table, target)}"
        [(after,)] = database.execute(query, target.bounds).fetchall()
        database.execute(
            f"""
            update ledger.partition_versions
            set content_hash = $after
            where table_name = {quoted(name)}
              and connection = $connection
              and usage_date = $day
              and slice = $part
              and content_hash = $before
            """,
            {"after": after, "connection": connection, "day": day, "part": part, "before": before},
        )

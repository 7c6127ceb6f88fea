"""A game: random statements over all functions that an assistant may use. What it may not see changes no answer, and
each statement ends within its limits, in an answer or in one line.

``USAGE_EXAMPLES=10000`` plays so many statements.
"""

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random

import duckdb
import pytest

from usage_assets.config.address import address_of
from usage_assets.core.errors import UserError
from usage_assets.core.warehouse_address import WarehouseAddress
from usage_assets.warehouse.published import copy_of
from usage_assets.warehouse.readable import FAILED
from usage_assets.warehouse.values import WarehouseError
from usage_assets_assistant.mcp.caged import query
from usage_assets_assistant.mcp.sight import Sight
from usage_assets_assistant.mcp.store import LIMITS, Store
from usage_assets_assistant.query.untrusted import functions
from usage_assets_assistant_tests.mcp.conftest import ADDRESS, NAME, OTHER
from usage_assets_assistant_tests.mcp.test_figures import ALL
from usage_assets_tests.models.days import lines

FIRST = int(os.environ.get("USAGE_FIRST_SEED", "0"))
STATEMENTS = int(os.environ.get("USAGE_EXAMPLES", "40"))
LITERALS = {
    kind: values
    for kind, *values in lines(r"""
    BIGINT     0  -1  7  1000  9223372036854775807  2000000000
    DOUBLE     0.0  -1.5  1e308  'nan'::double  '-infinity'::double
    VARCHAR    ''  'web'  '%'  '(a+)+$'  repeat('ab', 1000)  '{"a": [1, {"b": null}]}'  'é😀'
    BOOLEAN    true  false
    DATE       date '2026-11-03'  'infinity'::date  date '0001-01-01'
    TIMESTAMP  timestamp '2026-11-03 01:02:03'  '-infinity'::timestamp
    INTERVAL   interval 1 day  interval '1000000' year
    DECIMAL    1.25  -0.0000000001  99999999999999999999999999999999999.9
    VARCHAR[]  ['a', null, 'b']  []
    BIGINT[]   [1, 2, 3]  range(0, 50)  []
    MAP        map {'a': 1}
    STRUCT     {'a': 1, 'b': 'c'}
    BLOB       '\xAA\x00'::blob
    LAMBDA     lambda x: x  lambda x: x + 1  lambda x: length(x::varchar) > 1
    """)
}
OF_TYPES = """
select function_name, function_type, parameter_types
from duckdb_functions()
where function_name not in ('current_localtime', 'current_localtimestamp') and (
  stability is not distinct from 'CONSISTENT' or (function_type = 'macro' and macro_definition not like '%current%')
)
"""
"""Those that give the same again. Of these two, DuckDB 1.5 says so, too: they are clocks."""
KINDS = ("aggregate", "macro", "scalar")
TYPES = ("int", "double", "date", "boolean", "varchar", "decimal(38, 10)", "json", "uuid", "timestamp")
SMALL, ENDLESS = ("10", "100"), ("100000000",)
"""How often something is repeated, and what reaches the limit of time."""


@cache
def signatures() -> Mapping[str, Sequence[tuple[str, Sequence[str]]]]:
    """Function -> its kinds and the types of its arguments, as DuckDB says them."""
    found: dict[str, list[tuple[str, Sequence[str]]]] = {}
    for name, kind, types in duckdb.execute(OF_TYPES).fetchall():
        if name in functions() and kind in KINDS:
            found.setdefault(name, []).append((kind, types))
    return found


def kind_of(type_: str | None) -> str:
    """The row of LITERALS of a type."""
    text = (type_ or "").upper()
    if "LAMBDA" in text:
        return "LAMBDA"
    if text.endswith("[]") or text.startswith("ARRAY"):
        return "VARCHAR[]" if "VARCHAR" in text else "BIGINT[]"
    for name, kind in (("MAP", "MAP"), ("STRUCT", "STRUCT"), ("TIMESTAMP", "TIMESTAMP"), ("DECIMAL", "DECIMAL")):
        if text.startswith(name):
            return kind
    if "INT" in text and text != "INTERVAL":
        return "BIGINT"
    return {"FLOAT": "DOUBLE", "JSON": "VARCHAR", "BIT": "BLOB"}.get(text, text if text in LITERALS else "")


@dataclass
class Writer:
    """Writes statements about tables and views."""

    dice: Random
    offered: Mapping[tuple[str, str], Mapping[str, str]]
    endless: float = 0
    """How many of the statements that may be endless are."""
    columns: Mapping[str, str] = field(default_factory=dict)

    def statement(self) -> str:
        dice, relation = self.dice, self.dice.choice(sorted(self.offered))
        self.columns, name = self.offered[relation], ".".join(relation)
        cast = [f"{self.column()}::{dice.choice(TYPES)}" for _ in range(2)]
        over = f"over (partition by {self.column()} order by {self.value(1)})"
        many = dice.choice(ENDLESS if dice.random() < self.endless else SMALL)
        form = dice.choices(range(9), (30, 15, 15, 10, 10, 6, 6, 4, 4))[0]
        return (
            f"select {self.value(3)} as x from {name} where {self.truth()}",
            f"select {self.column()}, {self.call('aggregate', 2)} as x from {name} group by all having {self.truth(1)}",
            f"select {self.value(3)} as x",
            f"select {self.call('aggregate', 1)} {over} as x from {name} where {self.truth(1)}",
            f"select count(*) from {name} as a join {name} as b on a.{cast[0]} = b.{cast[1]}",
            f"select {cast[0]} as x from {name} where {cast[1]} is not null",
            f"select unnest({self.call('scalar', 2)}) as x from {name}",
            f"with recursive r(n) as (select 1 union all select n + 1 from r where n < {many}) select count(*) from r",
            f"select {self.call('aggregate', 1)} from {name} as a, {name} as b, range({many}) as r(n)",
        )[form]

    def column(self) -> str:
        return f'"{self.dice.choice(sorted(self.columns))}"'

    def truth(self, depth: int = 2) -> str:
        how = self.dice.choice(
            ["{} is not null", "{} = {}", "{} < {}", "({})::boolean", "{} like '%a%'", "true", "true"]
        )
        return how.format(*(self.value(depth) for _ in range(2)))

    def value(self, depth: int, type_: str | None = None) -> str:
        form = self.dice.random()
        if type_ == "LAMBDA":
            return self.dice.choice(LITERALS["LAMBDA"])
        if depth and form < 0.45:
            return self.call("scalar", depth)
        fitting = [f'"{name}"' for name, each in sorted(self.columns.items()) if not type_ or kind_of(each) == type_]
        if fitting and form < 0.75:
            return self.dice.choice(fitting)
        if form < 0.8:
            return "null"
        return self.dice.choice(LITERALS[type_ or self.dice.choice([each for each in LITERALS if each != "LAMBDA"])])

    def call(self, kind: str, depth: int) -> str:
        names = [name for name, forms in signatures().items() if any(each == kind for each, _ in forms)]
        name = self.dice.choice(names)
        types = self.dice.choice([types for each, types in signatures()[name] if each == kind])
        given = [self.value(depth - 1, kind_of(each) or None) for each in types]
        if not re.fullmatch(r"\w+", name):
            return f"({given[0]} {name} {given[1]})" if len(given) == 2 else f"({name} {given[0]})" if given else "1"
        return f"{name}({', '.join(given)})"


Change = Callable[[duckdb.DuckDBPyConnection], object]
"""Changes what is hidden in a copy of the warehouse."""
TABLES = """
select schema_name || '.' || table_name, map(list(column_name), list(data_type))
from duckdb_columns()
semi join duckdb_tables() using (schema_name, table_name)
where not internal
group by all
"""
SAYS_WHAT_A_ROW_IS = re.compile(
    "connection|usage_date|provider|.*_table|table_name|cost_basis|currency|.*_unit|.*_reason|kind|scope_type|slice|id"
    "|name|measure|valid_.*|source|grouped_by|inputs|.*_type|.*_fields|model_breakdown|allocation|basis|charge_.*|costs_.*"
)


def change_rows(database: duckdb.DuckDBPyConnection, tables: str, condition: str) -> None:
    """Change the texts and numbers of some rows of tables."""
    for table, columns in database.execute(TABLES).fetchall():
        if not re.fullmatch(tables, table) or "connection" not in columns:
            continue
        names = [name for name in columns if not SAYS_WHAT_A_ROW_IS.fullmatch(name)]
        texts = [f'"{name}" = "{name}" || \'-other\'' for name in names if columns[name] == "VARCHAR"]
        numbers = [f'"{name}" = "{name}" * 7' for name in names if re.match("DECIMAL|BIGINT", columns[name])]
        if texts + numbers:
            database.execute(f"update {table} set {', '.join(texts + numbers)} where {condition}")


def rename_people(database: duckdb.DuckDBPyConnection) -> None:
    for old, new in ((ADDRESS, "zora@example.org"), (OTHER, "al.smith@example.org"), (NAME, "Zora Quiñones")):
        for table, columns in database.execute(TABLES).fetchall():
            for name in (name for name, kind in columns.items() if kind == "VARCHAR"):
                database.execute(f'update {table} set "{name}" = replace("{name}", $1, $2)', [old, new])


WORLDS: Mapping[str, tuple[Sight, Change]] = {
    "other connections": (
        Sight(key="a key", connections=("openai",)),
        lambda database: change_rows(database, r"(?!ledger).*", "connection <> 'openai'"),
    ),
    "other teams": (
        Sight(key="a key", teams=("web",)),
        lambda database: change_rows(database, r"costs\.allocated_costs.*", "project_id is distinct from 'p1'"),
    ),
    "people": (Sight(key="a key"), rename_people),
}


def asked(store: Store, sql: str) -> Sequence[str] | str:
    """The rows of an answer in one order, or the kind of what is wrong: which row is met first may differ."""
    with store.opened() as opened:
        try:
            with opened.seen() as database:
                opened.allow(sql)
                return sorted(map(repr, database.execute(sql).fetchall()))
        except (UserError, *FAILED) as error:
            return re.split("[\"']|hex digit", str(error))[0]


@pytest.mark.parametrize("hidden", WORLDS)
def test_what_is_hidden_changes_no_answer(address: WarehouseAddress, tmp_path: Path, hidden: str) -> None:
    sight, change = WORLDS[hidden]
    other = address_of(str(tmp_path / address.file.name), None)
    shutil.copy(copy_of(address.file), copy_of(other.file))
    copy_of(other.file).chmod(0o600)
    with duckdb.connect(copy_of(other.file)) as database:
        database.execute("set TimeZone = 'UTC'")
        change(database)
    stores = (Store(address, sight), Store(other, sight))
    with stores[0].opened() as opened:
        writer = Writer(Random(FIRST), opened.offered)
    answers = {sql: [asked(store, sql) for store in stores] for sql in (writer.statement() for _ in range(STATEMENTS))}
    for store in stores:
        store.close()
    assert {sql: found for sql, found in answers.items() if found[0] != found[1]} == {}
    assert sum(isinstance(found[0], list) for found in answers.values()) > STATEMENTS / 4, "it looks at something"


def test_each_statement_ends_within_its_limits_in_an_answer_or_one_line(address: WarehouseAddress) -> None:
    store, dice, most = Store(address, Sight(key="a key")), Random(FIRST + 1), 0
    with store.opened() as opened:
        writer = Writer(dice, opened.offered, endless=0.05)
    for sql in (writer.statement() for _ in range(STATEMENTS)):
        try:
            query(store, sql, ALL, None)
        except WarehouseError as error:
            said = str(error)
            assert said.isprintable(), sql
            assert not re.search("INTERNAL|cannot be answered|cannot be run|Traceback", said), sql
        if process := store.cage._process:
            status = Path("/proc", str(process.pid), "status").read_text()
            most = max(most, *(int(each) << 10 for each in re.findall(r"VmPeak:\s+(\d+) kB", status)))
    store.close()
    assert 0 < most <= LIMITS.memory_bytes

"""SQL that somebody else wrote: it reads the warehouse, and no file, network or setting.

DuckDB keeps a locked connection to this. One to a lake cannot be locked, because its rows are files: there, and for
assistants, a statement is read first as DuckDB parses it, and what is not known to be harmless is refused. That of an
assistant runs in a process of its own (``mcp/caged.py``).
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from threading import Event, Thread
from typing import Any, NoReturn

import duckdb

from usage_assets.core.errors import first_line
from usage_assets.warehouse.errors import WarehouseError

LOCK = "set enable_external_access = false; set lock_configuration = true"
TABLE_FUNCTIONS = frozenset(("generate_series", "json_each", "json_tree", "range", "repeat", "unnest"))
"""Those that make rows of their arguments alone."""
MACROS: Mapping[tuple[str, str], int] = {("costs", "seats"): 1, ("costs", "what_if"): 2}
"""Ours -> how many arguments they may get: the third of what_if names a table, which may be a file."""
AGAIN = 0.05
"""Seconds between two interrupts: one that comes between two statements is lost."""
DEFAULT_SCHEMA = "main"
DESCRIBED = frozenset(("information_schema", name) for name in ("columns", "schemata", "tables"))
STORED = """
select lower(schema_name), lower(table_name)
from duckdb_tables()
where database_name = current_database() and not internal
union all
select lower(schema_name), lower(view_name)
from duckdb_views()
where database_name = current_database() and not internal
"""
_PLAIN = re.compile(r"[A-Za-z_]\w*", re.ASCII)
"""A name that DuckDB cannot take for that of a file."""
Allow = Callable[[str], object]
"""Raises WarehouseError for a statement that must not run."""
Relation = tuple[str, str]
"""Schema and name of a table or view, in lower case."""


def kept_inside(database: duckdb.DuckDBPyConnection, *, is_lake: bool) -> Allow:
    """Let a connection reach nothing but the warehouse, until it is closed. Return what each statement must pass."""
    if is_lake:
        return partial(read_by, relations=relations_of(database))
    database.execute(LOCK)
    return _refuse_logging


def anything(sql: str) -> object:
    """Pass every statement: it is one of ours."""
    return sql


def _refuse_logging(sql: str) -> None:
    """The one thing that a locked connection can still be told and that does harm: it aborts the process."""
    if "enable_logging" in sql.lower():
        _refuse("enable_logging", "leave it out")


@contextmanager
def limited(database: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    """Interrupt what runs longer, and whatever is begun after that: it raises duckdb.InterruptException."""
    ended = Event()

    def interrupt() -> None:
        if not ended.wait(seconds):
            database.interrupt()
            while not ended.wait(AGAIN):
                database.interrupt()

    thread = Thread(target=interrupt, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def relations_of(database: duckdb.DuckDBPyConnection) -> frozenset[Relation]:
    """Return what the current database holds, and the views that describe it."""
    return frozenset(database.execute(STORED).fetchall()) | DESCRIBED


def read_by(sql: str, relations: Collection[Relation]) -> frozenset[Relation]:
    """Return the tables and views that a SELECT reads.

    Raises WarehouseError unless it is one SELECT that reads only these relations, with functions that reach nothing
    else.
    """
    tree = _tree(sql)
    ctes = {str(each["key"]).lower() for node in _nodes(tree) for each in _ctes(node)}
    found: set[Relation | None] = set()
    for node in _nodes(tree):
        kind = node.get("type")
        if kind == "BASE_TABLE":
            found.add(_relation(node, ctes, relations))
        elif kind == "TABLE_FUNCTION":
            found.add(_macro(node["function"]))
        elif kind == "SHOW_REF" and node.get("table_name"):
            _refuse("SHOW", "select from information_schema.tables")
        elif "function_name" in node and str(node["function_name"]).lower() not in functions():
            _refuse(f"the function {node['function_name']}", "leave it out")
    return frozenset(each for each in found if each)


def _tree(sql: str) -> Any:
    """Return a statement as DuckDB parses it. Raises WarehouseError for what is not one SELECT."""
    try:
        kinds = [each.type.name for each in _parser().extract_statements(sql)]
        if len(kinds) != 1:
            _refuse(
                f"a text of {len(kinds)} statements",
                "ask one question at a time, and write pivot as sums with a filter",
            )
        [(text,)] = _parser().execute("select json_serialize_sql($1::varchar)", [sql]).fetchall()
        tree = json.loads(text)
    except duckdb.Error as error:
        raise WarehouseError(first_line(error)) from None
    except RecursionError:
        _refuse("a statement as deep as this", "write it in fewer levels")
    if tree["error"]:
        if kinds != ["SELECT"]:
            _refuse(kinds[0], "usage-assets export writes tables to files")
        _refuse("PRAGMA", "leave it out")
    return tree


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    """Return a DuckDB without any data or extension, which parses, and knows what functions DuckDB has itself."""
    parser = duckdb.connect(":memory:")
    parser.execute(LOCK)
    return parser


@cache
def functions() -> frozenset[str]:
    """Return the functions that reach nothing but their arguments, and neither settings nor statistics."""
    return frozenset(Path(__file__).with_name("functions.txt").read_text().split())


@cache
def _internal_views() -> frozenset[str]:
    return frozenset(name.lower() for (name,) in _parser().execute("select view_name from duckdb_views()").fetchall())


def _nodes(tree: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every object of the tree, but for the name of a table function: whatever DuckDB nests, and where."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting += [value for key, value in node.items() if key != "function"]
            if "function" in node:  # its arguments
                waiting += node["function"].values()
        elif isinstance(node, list):
            waiting += node


def _ctes(node: Mapping[str, Any]) -> list[Any]:
    """Return the common table expressions of a select."""
    ctes = node.get("cte_map")
    return ctes["map"] if isinstance(ctes, dict) else []


def _relation(node: Mapping[str, Any], ctes: Collection[str], relations: Collection[Relation]) -> Relation | None:
    """Return what is read; None for a common table expression. DuckDB takes any other name for that of a file."""
    catalog, schema, name = (str(node[part]) for part in ("catalog_name", "schema_name", "table_name"))
    relation = (schema.lower(), name.lower())
    if not catalog and not schema and name.lower() in ctes:
        if not _PLAIN.fullmatch(name) or name.lower() in _internal_views():
            _refuse(f"{name} as the name of a table expression", "give it another one")
        return None
    if not schema:
        relation = (DEFAULT_SCHEMA, name.lower())
    if catalog or relation not in relations:
        said = ".".join(filter(None, (catalog, schema, name)))
        _refuse(said, "name a stored table or view with its schema, such as costs.by_month")
    return relation


def _macro(function: Mapping[str, Any]) -> Relation | None:
    """Return which macro of ours a table function is; None for one of DuckDB's."""
    schema, name = (str(function.get(part) or "").lower() for part in ("schema", "function_name"))
    most = MACROS.get((schema, name))
    if function.get("catalog") or (most is None and (schema or name not in TABLE_FUNCTIONS)):
        _refuse(f"the table function {name}", "select from stored tables and views")
    if most is not None and len(function["children"]) > most:
        _refuse(f"argument {most + 1} of {schema}.{name}", "usage-assets what-if compares with other prices")
    return None if most is None else (schema, name)


def _refuse(what: str, instead: str) -> NoReturn:
    raise WarehouseError(f"{what} is not allowed: only one SELECT from stored tables is. Instead: {instead}")

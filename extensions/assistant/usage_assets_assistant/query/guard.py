"""Refuses queries that add amounts which must never be added, and says what the amounts of an answer are.

``refuse_mixed`` is for a person, who may allow it. ``amounts_of`` is for an assistant, and demands proof. How both know
is in ``amounts.py``.
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from usage_assets.core.errors import first_line, one_line, text_of
from usage_assets.warehouse.errors import WarehouseError
from usage_assets.warehouse.readable import FAILED
from usage_assets_assistant.query.amounts import ALLOWED_BY, DIALECT, MARK, Columns, Walk, refused
from usage_assets_assistant.query.money import relations
from usage_assets_assistant.query.untrusted import Allow, anything

Amounts = Mapping[int, Mapping[str, Sequence[str]]]
"""Position of a column of the answer -> what its amounts are (``kind`` and ``unit``, or the column that says it:
``cost_basis`` and so on) -> the values. Of several, each row has its own in a column of that name."""
Labeled = tuple[str, tuple[str | None, ...]]
"""What an amount of a row is, and what the row says that it is."""
log = logging.getLogger(__name__)
logging.getLogger("sqlglot").addHandler(logging.NullHandler())  # it warns of statements that it does not know


def refuse_mixed(database: duckdb.DuckDBPyConnection, sql: str, allow: Allow = anything) -> None:
    """Raise WarehouseError, naming the aggregate and two values, if the query adds what must not be added.

    What runs is written by sqlglot, so it must pass ``allow`` as the query itself.
    """
    try:
        statements = [each for each in sqlglot.parse(sql, dialect=DIALECT) if isinstance(each, exp.Query)]
        checks = [
            Walk(each, columns_read(database, each, allow), relations(), strict=False).checked() for each in statements
        ]
    except (SqlglotError, RecursionError) as error:
        log.info("not checked: %s", error)
        return
    for check in checks:
        if check is None:
            continue
        try:
            allow(rewritten := check.sql(DIALECT))
        except WarehouseError as error:
            log.info("not checked: %s", error)
            continue
        try:
            answer = database.execute(rewritten)
            while answer.fetchmany(10_000):
                pass
        except FAILED as error:
            _, found, reason = str(error).partition(MARK)
            if found:
                raise WarehouseError(reason.splitlines()[0]) from None
            log.info("not checked: %s", error)  # most often a mistake in the query, which it will say itself


def amounts_of(database: duckdb.DuckDBPyConnection, sql: str, allow: Allow) -> Amounts:
    """Return the amounts of the answer. Raises WarehouseError for a query that mixes amounts, or that may."""
    try:
        queries = sqlglot.parse(sql, dialect=DIALECT)
        if len(queries) != 1 or not isinstance(query := queries[0], exp.Query):
            raise refused("write it as one SELECT")
        walk = Walk(query, columns_read(database, query, allow), relations(), strict=True)
        names, amounts = walk.answer()
        check = (walk.checked() or walk.query).sql(DIALECT)
    except (SqlglotError, RecursionError) as error:
        raise refused(f"write it in a simpler way ({first_line(error)})") from None
    allow(check)
    places = {
        aspect.value.alias: [n for n, name in enumerate(names) if name.lower() == aspect.name]
        for amount in amounts.values()
        for aspect in amount.aspects.values()
        if aspect.constant is None
    }
    found = _values(database, check, places)
    said: dict[int, dict[str, Sequence[str]]] = {}
    for position, amount in amounts.items():
        for aspect in amount.aspects.values():
            if (constant := aspect.constant) is not None:
                values = [constant]
            else:
                labeled = found[aspect.value.alias]
                values = sorted({each for each, _ in labeled})
                _refuse_unlabeled(position, aspect.name, values, labeled)
            of_it = said.setdefault(position, {})  # a union may have two aspects of one name
            of_it[aspect.name] = sorted({*of_it.get(aspect.name, ()), *values})
    return said


def columns_read(database: duckdb.DuckDBPyConnection, query: exp.Query, allow: Allow) -> Columns:
    """Return the columns of what the query reads, by schema and table: ``*`` stands for them."""
    found: dict[str, dict[str, Mapping[str, str]]] = {}
    for table in query.find_all(exp.Table):
        if table.db and table.name:
            stored = exp.table_(table.this.copy(), table.args["db"].copy()).sql(DIALECT)
            try:
                allow(question := f"describe {stored}")
                described: Iterable[tuple[str, str]] = (
                    (name.lower(), kind) for name, kind, *_ in database.execute(question).fetchall()
                )
            except (*FAILED, WarehouseError):  # the query itself will say that it does not exist
                continue
            found.setdefault(table.db.lower(), {})[table.name.lower()] = dict(described)
    return found


def _refuse_unlabeled(position: int, name: str, values: Sequence[str], found: Collection[Labeled]) -> None:
    """Raise WarehouseError unless each amount is alone, or has beside it what it is: a name alone proves nothing."""
    labels = {(value, label) for value, row in found for label in row}
    if wrong := [each for each in labels if each[1] not in (each[0], None)]:
        value, label = min(wrong, key=str)
        raise WarehouseError(
            f"column {position + 1} has amounts of {value}, and the column {name} says {label}: select {name} itself, "
            "or give that column another name"
        )
    if len(values) > 1 and (not labels or any(label is None for _, label in labels)):
        raise WarehouseError(
            f"column {position + 1} has amounts of {values[0]} and {values[1]}: also select {name}, or keep one: "
            f"where {name} = '{values[0]}'"
        )


def _values(
    database: duckdb.DuckDBPyConnection, check: str, labels: Mapping[str, Sequence[int]]
) -> Mapping[str, Collection[Labeled]]:
    """Run a query with its checks. Return the values of each column that says what amounts are, each with those that
    the row has in the places of its labels."""
    found: dict[str, set[Labeled]] = {name: set() for name in labels}
    try:
        answer = database.execute(check)
        names = [name for name, *_ in answer.description or ()]
        places = [(name, n) for n, name in enumerate(names) if name in found]
        # the columns of the query itself: a union by name has some of them after the added ones
        own = [n for n, name in enumerate(names) if name not in found]
        while rows := answer.fetchmany(10_000):
            for name, n in places:
                found[name].update(
                    (str(row[n]), tuple(None if row[own[at]] is None else str(row[own[at]]) for at in labels[name]))
                    for row in rows
                    if row[n] is not None
                )
    except duckdb.InterruptException:
        raise
    except FAILED as error:
        _, is_mixed, reason = str(error).partition(MARK)
        if is_mixed:
            raise WarehouseError(reason.splitlines()[0].removesuffix(ALLOWED_BY)) from None
        lines = text_of(error).splitlines()[:2]  # the second says which columns there are
        raise WarehouseError(one_line(" ".join(lines))) from None
    return found

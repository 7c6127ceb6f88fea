"""What the amounts of a query have in common, proved: one that cannot be proved is refused.

For whoever does not look at what was asked: an assistant. ``mixing.py`` checks what is aggregated, and passes what it
does not know. Here, amounts are also compared where an expression adds or chooses between them, and each amount of the
answer has its cost basis, unit and currency beside it, or the same ones in all rows.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import Scope, traverse_scope

from usage_assets.core.errors import first_line, one_line
from usage_assets.features.query.mixing import (
    ADDING,
    ALLOWED_BY,
    ALSO_ADDING,
    DIALECT,
    KEEPING,
    MARK,
    MUST_SHARE,
    Columns,
    Rewriting,
    Shared,
    columns_read,
    query_of,
    several,
)
from usage_assets.features.query.untrusted import Allow
from usage_assets.warehouse.errors import WarehouseError

CHOOSING = (exp.Add, exp.Sub, exp.Coalesce, exp.Greatest, exp.Least, exp.Case, exp.If)
"""Expressions whose value is made of several amounts."""
OF_OTHER_ROWS = (exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue)
OF_ANY_ROW = (exp.AnyValue, exp.First, exp.Last)
NO_AMOUNT = (exp.Count, exp.CountIf, exp.Connector, exp.Predicate, exp.Div, exp.Mul, exp.Not)
"""What may get an amount: its value is none, or ``shared`` knows that it is one."""
WITHOUT_PROOF = "the cost basis, unit or currency of an amount cannot be proved"
Amounts = Mapping[int, Mapping[str, Sequence[str]]]
"""Position of a column of the answer -> what its amounts share (``cost_basis`` and so on) -> the values. Of several,
each row has its own in a column of that name."""
Labeled = tuple[str, tuple[str | None, ...]]
"""What an amount of a row shares, and what the row says that it is."""


def amounts_of(database: duckdb.DuckDBPyConnection, sql: str, allow: Allow) -> Amounts:
    """Return the amounts of the answer. Raises WarehouseError for a query that mixes amounts, or that may."""
    try:
        queries = sqlglot.parse(sql, dialect=DIALECT)
        if len(queries) != 1 or not isinstance(query := queries[0], exp.Query):
            raise _without_proof("write it as one SELECT")
        proof = _Proof(query, columns_read(database, query, allow))
        names = [name.lower() for name in proof.names]
        shared = proof.shared_in_answer()
        check = (proof.checked() or proof.query).sql(DIALECT)
    except (SqlglotError, RecursionError) as error:
        raise _without_proof(f"write it in a simpler way ({first_line(error)})") from None
    allow(check)
    labels = {each.value.alias: _places(names, each.name) for amount in shared.values() for each in amount}
    found = _values(database, check, labels)
    said: dict[int, dict[str, Sequence[str]]] = {}
    for position, amount in shared.items():
        for name, value in amount:
            values = sorted({each for each, _ in found[value.alias]})
            _refuse_unlabeled(position, name, values, found[value.alias])
            said.setdefault(position, {})[name] = values
    return said


def _places(names: Sequence[str], name: str) -> Sequence[int]:
    """Where an answer has columns of a name."""
    return [n for n, each in enumerate(names) if each == name]


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
    """Run a query with its checks. Return the values of each column that says what amounts share, each with those that
    the row has in the places of its labels."""
    found: dict[str, set[Labeled]] = {name: set() for name in labels}
    try:
        answer = database.execute(check)
        places = [(name, n) for n, (name, *_) in enumerate(answer.description or ()) if name in found]
        while rows := answer.fetchmany(10_000):
            for name, n in places:
                found[name].update(
                    (str(row[n]), tuple(None if row[place] is None else str(row[place]) for place in labels[name]))
                    for row in rows
                    if row[n] is not None
                )
    except duckdb.InterruptException:
        raise
    except duckdb.Error as error:
        _, is_mixed, reason = str(error).partition(MARK)
        if is_mixed:
            raise WarehouseError(reason.splitlines()[0].removesuffix(ALLOWED_BY)) from None
        raise WarehouseError(one_line(" ".join(str(error).splitlines()[:2]))) from None  # with the columns there are
    return found


class _Proof(Rewriting):
    """One query, while each place that adds or chooses between amounts gets its check. Raises WarehouseError."""

    schemas = ("accounting", "costs", "ledger")

    def __init__(self, query: exp.Query, columns: Columns) -> None:
        if query.find(exp.Pivot):
            raise _without_proof("write pivot as sums with a filter")
        if query.find(exp.Columns):
            raise _without_proof("name each column")
        if any(each.recursive for each in query.find_all(exp.With)):
            raise _without_proof("write it without recursion")
        super().__init__(query, columns)
        self.root = traverse_scope(self.query)[-1]

    @property
    def names(self) -> Sequence[str]:
        """The columns of the answer."""
        return query_of(self.root).named_selects

    def shared_in_answer(self) -> Mapping[int, Sequence[Shared]]:
        """Have the query return what the amounts of its answer share; return that for each of them."""
        places = range(len(self.names))  # and not those that are added
        return {place: shared for place in places if (shared := self.carry(self.root, place))}

    def checks(self, scope: Scope) -> Iterator[tuple[exp.Expr, exp.Case]]:
        self._refuse_unknown(scope)
        joins = [each for each in scope.expression.args.get("joins") or () if each.kind not in ("SEMI", "ANTI")]
        for check in super().checks(scope):
            if joins:
                raise WarehouseError("a join may repeat amounts: add them up in a subquery, and join that")
            if any(isinstance(each, Scope) and _is_union(each) for each in scope.sources.values()):
                raise WarehouseError(
                    "a union may have amounts twice: each of costs.by_*, daily_costs* and allocated_costs* contains "
                    "every cost exactly once. Add up each part by itself"
                )
            yield check
        for node in scope.find_all(*CHOOSING):
            if refusal := self._unequal(node, scope):
                yield node, refusal

    def shared(self, value: exp.Expr, scope: Scope) -> Sequence[Shared]:
        """Return what an amount shares. That of another row is that row's."""
        if isinstance(value, exp.Window):
            other = value.this.this if isinstance(value.this, (exp.IgnoreNulls, exp.RespectNulls)) else value.this
            if isinstance(other, OF_OTHER_ROWS):
                return [Shared(name, _of_other_row(value, inner)) for name, inner in self.shared(other.this, scope)]
        return super().shared(value, scope)

    def _refuse_unknown(self, scope: Scope) -> None:
        """Refuse what may have an amount as its value without anybody knowing which."""
        if isinstance(scope.expression, exp.Select) and scope.expression.is_star:
            raise _without_proof("name each column instead of *")
        for column in scope.columns:
            if column.name.lower() in MUST_SHARE and column.table not in scope.sources:
                raise _without_proof(f"{column.name} is no column of the table or subquery beside it")
        for node in scope.find_all(exp.Func, exp.Binary, exp.Unary, exp.Tuple):
            is_known = isinstance(node, (*ADDING, *OF_OTHER_ROWS, *NO_AMOUNT)) or type(node) in KEEPING
            if isinstance(node, exp.Anonymous):
                is_known = node.name.lower() in ALSO_ADDING
            if (not is_known or isinstance(node, OF_ANY_ROW)) and any(
                self.shared(each, scope) for each in node.iter_expressions()
            ):
                raise _without_proof(f"leave out {node.sql(DIALECT)}")
        for inner in scope.subquery_scopes:
            place = inner.expression.parent
            while isinstance(place, (exp.Subquery, exp.Paren)):
                place = place.parent
            if not isinstance(place, (exp.Predicate, exp.Div)) and self.returned(inner, 0):
                raise _without_proof(f"join ({inner.expression.sql(DIALECT)}) instead of using it as a value")

    def _unequal(self, node: exp.Expr, scope: Scope) -> exp.Case | None:
        """Return the case in which the amounts of an expression do not share what they must; None if they do."""
        parts = [part for name in KEEPING[type(node)] for part in several(node.args.get(name))]
        amounts = [{**dict(found)} for part in parts if (found := self.shared(part, scope))]
        case = exp.Case()
        for one, other in pairwise(amounts):
            if one.keys() != other.keys():
                raise _without_proof(f"leave out {node.sql(DIALECT)}")
            for name in one:
                if one[name] != other[name]:
                    case = case.when(exp.NEQ(this=one[name].copy(), expression=other[name].copy()), _error(node, name))
        return case if case.args.get("ifs") else None


def _is_union(scope: Scope) -> bool:
    """Whether the rows of a subquery are of several."""
    inner = (each for each in scope.sources.values() if isinstance(each, Scope))
    return bool(scope.set_operation_scopes) or any(map(_is_union, inner))


def _of_other_row(window: exp.Window, value: exp.Expr) -> exp.Window:
    """Return a window with another value in its function, and no default."""
    other = window.copy()
    function = other.find(*OF_OTHER_ROWS)
    if function is not None:
        function.set("this", value.copy())
        function.set("default", None)
    return other


def _error(node: exp.Expr, name: str) -> exp.Expr:
    text = f"{MARK}{node.sql(DIALECT)} mixes amounts of several {name}: keep one"
    return exp.func("error", exp.Literal.string(text))


def _without_proof(instead: str) -> WarehouseError:
    return WarehouseError(f"{WITHOUT_PROOF}: {instead}, or call spend or compare")

"""What the amounts of a query are: their kind, unit, and the tables that they add up.

A query is walked from its tables to its answer. Each amount keeps what its column declares (``money.py``): a value that
is the same in all rows, or the column that says it. Where amounts are added, compared or chosen between, the query gets
a check that fails if they differ, and is run so once. So what counts is what a filter, a join or a ``case`` does, not
how it is written.

There are two strengths. For a person, what is found to mix amounts is refused, and what sqlglot cannot resolve passes.
For an assistant, which does not look at what was asked, what cannot be proved is refused, too: an unknown function over
an amount, a join that may repeat one, a sum of two reads of the same costs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope

from usage_assets.warehouse.errors import WarehouseError
from usage_assets_assistant.query.money import KIND, UNIT, Relation

DIALECT = "duckdb"
MARK = "amounts that must not be added: "
ALLOWED_BY = "; --mixed allows it"
WITHOUT_PROOF = "what the amounts of the query are cannot be proved"

COUNTING = (exp.Count, exp.CountIf, exp.ApproxDistinct, exp.LogicalAnd, exp.LogicalOr)
EXTREME = (exp.Min, exp.Max)
"""Aggregates to which it makes no difference how often a row is there."""
ADDING = (
    *(exp.Sum, exp.Avg, exp.Median, exp.PercentileCont, exp.PercentileDisc, exp.Quantile, exp.ApproxQuantile, exp.Mode),
    *(exp.Stddev, exp.StddevPop, exp.StddevSamp, exp.Variance, exp.VariancePop),
)
ALSO_ADDING = frozenset(("favg", "fsum", "kahan_sum", "mean", "sum_no_overflow", "sumkahan"))
"""Aggregates that sqlglot does not know by a class."""
OF_ANY_ROW = (exp.AnyValue, exp.First, exp.Last)
OF_OTHER_ROWS = (exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue)
WRAPPING = (exp.Filter, exp.Window, exp.IgnoreNulls, exp.RespectNulls)
SAME = (
    *(exp.Alias, exp.Paren, exp.Cast, exp.TryCast, exp.Nullif, exp.Ceil, exp.Floor, exp.Round, exp.Trunc, *WRAPPING),
    *(*OF_ANY_ROW, *OF_OTHER_ROWS),
)
"""Expressions whose value is the amount that they have as ``this``."""
PARTS: Mapping[type[exp.Expr], Sequence[str]] = {
    **dict.fromkeys((exp.Add, exp.Sub), ("this", "expression")),
    **dict.fromkeys((exp.Coalesce, exp.Greatest, exp.Least), ("this", "expressions")),
    **dict.fromkeys((exp.Concat, exp.Format), ("expressions",)),
    exp.DPipe: ("this", "expression"),
    exp.Case: ("ifs", "default"),
    exp.If: ("true", "false"),
}
"""Expressions whose value is made of several amounts -> the parts that may be amounts."""
AS_TEXT = frozenset(("printf", "format", "concat", "concat_ws"))
FRACTIONS = ("DECIMAL", "DOUBLE", "FLOAT")
NO_AMOUNT = (exp.Connector, exp.Predicate, exp.Not, exp.Subquery)
Columns = Mapping[str, Mapping[str, Mapping[str, str]]]
"""Schema -> table -> column -> type, in lower case."""
Check = tuple[exp.Expr, exp.Case]
"""A place in a query, and the case in which it is refused."""


class Aspect(NamedTuple):
    """One thing that amounts must have in common."""

    name: str
    """The column that says it, or ``kind`` or ``unit`` of what is the same in all rows."""
    value: exp.Expr

    @property
    def constant(self) -> str | None:
        return self.value.name if isinstance(self.value, exp.Literal) else None


class Amount(NamedTuple):
    """What is known of a value that is an amount."""

    aspects: Mapping[str, Aspect]
    """``KIND``, ``UNIT`` or the name of another column -> its value at this place."""
    bases: frozenset[str]
    """The tables whose amounts it adds up."""
    sign: int = 1
    """-1: it is subtracted; 0: nobody knows."""
    repeated: str = ""
    """Why the same amount may be there more than once."""


class Walk:
    """One query, while its aggregates of amounts, and what it puts together of several, get their checks."""

    def __init__(self, query: exp.Query, columns: Columns, types: Mapping[str, Relation], *, strict: bool) -> None:
        if query.find(exp.Columns) and (strict or any(each.columns for each in types.values())):
            raise refused("name each column", strict)
        if strict and query.find(exp.Pivot):
            raise refused("write pivot as sums with a filter")
        if strict and any(each.recursive for each in query.find_all(exp.With)):
            raise refused("write it without recursion")
        self.columns, self.types, self.strict = columns, types, strict
        schema: dict[str, object] = {
            schema: {name: {**each} for name, each in tables.items()} for schema, tables in columns.items()
        }
        self.query = qualify(query, schema=schema, dialect=DIALECT, validate_qualify_columns=False)
        self.carried: dict[tuple[int, int], Amount | None] = {}
        self.repeats: dict[int, Mapping[str, bool]] = {}

    def checked(self) -> exp.Query | None:
        """Return the query with its checks, or None if it needs none."""
        checks = [check for scope in traverse_scope(self.query) for check in self.checks(scope)]
        checks.sort(key=lambda check: whole_of(check[0]).depth)
        for place, refusal in reversed(checks):
            whole = whole_of(place)
            whole.replace(refusal.else_(whole.copy()))
        return self.query if checks else None

    def answer(self) -> tuple[Sequence[str], Mapping[int, Amount]]:
        """Have the query return what the amounts of its answer are; return its columns, and that for each of them."""
        root = traverse_scope(self.query)[-1]
        names = query_of(root).named_selects
        places = range(len(names))  # and not those that are added
        return names, {place: found for place in places if (found := self.carry(root, place))}

    def checks(self, scope: Scope) -> Iterator[Check]:
        if self.strict:
            self._refuse_unknown(scope)
        for node in scope.find_all(exp.AggFunc, exp.Anonymous, *PARTS):
            if argument := compared_by(node):
                if (amount := self.amount(argument, scope)) and not isinstance(node, OF_ANY_ROW):
                    self._refuse_repeated(node, amount)
                    if (case := _differing(node, argument, amount)).args.get("ifs"):
                        yield node, case
            elif unequal := self._unequal(node, scope):
                yield node, unequal

    def amount(self, value: exp.Expr | None, scope: Scope) -> Amount | None:
        """Return what a value is as an amount, as the scope knows it; None if it is none."""
        if value is None:
            return None
        if isinstance(value, exp.Column):
            return self._in_column(value, scope)
        if isinstance(value, exp.Window) and isinstance(other := bare(value.this), OF_OTHER_ROWS):
            return aggregated(self.amount(other.this, scope), lambda inner: _of_other_row(value, inner))
        if isinstance(value, SAME):
            return self.amount(value.this, scope)
        if isinstance(value, exp.Neg):
            return times(self.amount(value.this, scope), -1)
        if isinstance(value, exp.Abs):
            return times(self.amount(value.this, scope), 0)
        if isinstance(value, (exp.Mul, exp.Div, exp.IntDiv)):
            return self._scaled(value, scope)
        if parts := [*parts_of(value)]:
            return together(value, [self.amount(part, scope) for part in parts])
        if isinstance(value, (exp.AggFunc, exp.Anonymous)) and (argument := compared_by(value)):
            found = self.amount(value.this if isinstance(value, (exp.ArgMax, exp.ArgMin)) else argument, scope)
            at = aggregated(found, lambda inner: as_aggregated(value, argument, exp.Min(this=inner)))
            return at._replace(repeated="") if at else None
        if isinstance(value, (*COUNTING, *NO_AMOUNT)):
            return None
        inner = [self.amount(each, scope) for each in value.iter_expressions()]
        return next(filter(None, inner), None)

    def _scaled(self, value: exp.Mul | exp.Div | exp.IntDiv, scope: Scope) -> Amount | None:
        """Return what is multiplied or divided. Of two amounts, the quotient is a share."""
        one, other = self.amount(value.this, scope), self.amount(value.expression, scope)
        if one and other:
            return None if isinstance(value, exp.Div) else one
        if one:
            return times(one, sign_of(value.expression))
        return times(other, sign_of(value.this))

    def _in_column(self, column: exp.Column, scope: Scope) -> Amount | None:
        source = scope.sources.get(column.table)
        found: Amount | None = None
        if isinstance(source, exp.Table) and source.db:
            found = self._stored(column, source)
        elif isinstance(source, Scope) and isinstance(source.expression, exp.Query):
            names = query_of(source).named_selects
            carried = self.carry(source, names.index(column.name)) if column.name in names else None
            found = aggregated(carried, lambda inner: exp.column(inner.alias, column.table) if inner.alias else inner)
        if found and self.strict and not found.repeated and self.may_repeat(scope, column.table):
            return found._replace(repeated="a join may repeat amounts: add them up in a subquery, and join that")
        return found

    def _stored(self, column: exp.Column, table: exp.Table) -> Amount | None:
        relation, name = f"{table.db}.{table.name}".lower(), column.name.lower()
        known = self.columns.get(table.db.lower(), {}).get(table.name.lower(), {})
        if name not in known:
            return None
        if relation not in self.types:
            return self._undeclared(relation, name) if self.strict and known[name].startswith(FRACTIONS) else None
        aspects: dict[str, Aspect] = {}
        for key, said in self.types[relation].columns.get(name, {}).items():
            if not said.startswith("="):
                aspects[key] = Aspect(key.removeprefix("@"), exp.Literal.string(said))
            elif said[1:] in known:
                aspects[key] = Aspect(said[1:], exp.column(said[1:], column.table))
        return Amount(aspects, frozenset(self.types[relation].bases)) if aspects else None

    @staticmethod
    def _undeclared(relation: str, name: str) -> Amount:
        """Nobody has said what a column of a table of somebody else's is, so it is like nothing else."""
        of_it = {key: Aspect(key[1:], exp.Literal.string(f"{relation}.{name}")) for key in (KIND, UNIT)}
        return Amount(of_it, frozenset((relation,)))

    def carry(self, scope: Scope, position: int) -> Amount | None:
        """Have a subquery or CTE return what one of its columns is; return that, as names of added columns."""
        if (key := (id(scope), position)) not in self.carried:
            self.carried[key] = None  # a recursive CTE asks for itself
            if found := list(self.returned(scope, position)):
                self.carried[key] = self._carried(scope, position, found)
        return self.carried[key]

    def _carried(self, scope: Scope, position: int, found: Sequence[Amount]) -> Amount:
        aspects: dict[str, Aspect] = {}
        for key in dict.fromkeys(key for each in found for key in each.aspects):
            of_key = [each.aspects[key] for each in found if key in each.aspects]
            constants = {each.constant for each in of_key}
            if len(of_key) == len(found) and len(constants) == 1 and None not in constants:
                aspects[key] = of_key[0]
            else:
                name = next((each.name for each in of_key if each.constant is None), of_key[0].name)
                aspects[key] = Aspect(name, self._added(scope, position, key, f"_{key.removeprefix('@')}_{position}_"))
        whole = of_several(aspects, found)
        if not whole.repeated and any(shared_bases(one, other) for one, other in combinations(found, 2)):
            return whole._replace(
                repeated="a union may have amounts twice: each of costs.by_*, daily_costs* and allocated_costs* "
                "contains every cost exactly once. Add up each part by itself"
            )
        return whole

    def returned(self, scope: Scope, position: int) -> Iterator[Amount]:
        if branches := scope.set_operation_scopes:
            for branch in branches:
                yield from self.returned(branch, _place(scope, branch, position))
            return
        selects = query_of(scope).selects  # the branches of a union that is wrong have not as many
        if 0 <= position < len(selects) and (found := self.amount(selects[position], scope)):
            yield found

    def _added(self, scope: Scope, position: int, key: str, alias: str) -> exp.Expr:
        """Add what the rows of a column are to the columns of a query, once; return an expression with its name."""
        for branch in scope.set_operation_scopes:
            self._added(branch, _place(scope, branch, position), key, alias)
        select = query_of(scope)
        if isinstance(select, exp.Select):
            values = [each.aspects[key].value for each in self.returned(scope, position) if key in each.aspects]
            value = values[0].copy() if values else exp.null()
            if _is_aggregated(select) and not value.find(exp.AggFunc) and not isinstance(value, exp.Literal):
                value = exp.AnyValue(this=value)
            select.select(exp.alias_(value, alias, quoted=True), copy=False)
        return exp.alias_(exp.null(), alias)

    def may_repeat(self, scope: Scope, alias: str) -> bool:
        """Whether a join may have a row of one of the sources more than once."""
        if not isinstance(scope.expression, exp.Select) or not scope.expression.args.get("joins"):
            return False
        if id(scope) not in self.repeats:
            self.repeats[id(scope)] = {name: not self._reaches_all(scope, name) for name in scope.sources}
        return self.repeats[id(scope)].get(alias, True)

    def _reaches_all(self, scope: Scope, alias: str) -> bool:
        """Whether each row of a source fits one row at most of each other source: its whole key is equal to something
        of the sources that are known to."""
        joins = [join for join in scope.expression.args["joins"] if join.kind not in ("SEMI", "ANTI")]
        conditions = [join.args.get("on") for join in joins] + [scope.expression.args.get("where")]
        equal = [each for condition in conditions if condition for each in equalities(condition)]
        named = {join.alias_or_name for join in joins} | {scope.expression.args["from_"].alias_or_name}
        reached, left = {alias}, named - {alias}
        while left:
            new = {name for name in left if self._is_one(scope, name, equal, reached)}
            if not new:
                return False
            reached, left = reached | new, left - new
        return True

    def _is_one(self, scope: Scope, name: str, equal: Iterable[exp.EQ], reached: set[str]) -> bool:
        fixed: set[str] = set()
        for each in equal:
            for one, other in ((each.this, each.expression), (each.expression, each.this)):
                tables = {column.table for column in other.find_all(exp.Column)}
                if isinstance(one, exp.Column) and one.table == name and tables <= reached:
                    fixed.add(one.name.lower())
        return any(key <= fixed for key in self._keys(scope.sources.get(name)))

    def _keys(self, source: object) -> Sequence[frozenset[str]]:
        """Return the sets of columns that identify a row of a table or subquery."""
        if isinstance(source, exp.Table) and (known := self.types.get(f"{source.db}.{source.name}".lower())):
            return [frozenset(known.grain)] if known.grain else []
        if not isinstance(source, Scope) or not isinstance(select := source.expression.unnest(), exp.Select):
            return []
        group = select.args.get("group")
        named = {each.alias_or_name.lower(): each.unalias() for each in select.selects}
        if group is None:
            return [frozenset()] if _is_aggregated(select) else []
        if group.args.get("all"):
            return [frozenset(name for name, value in named.items() if not value.find(exp.AggFunc))]
        if any(group.args.get(each) for each in ("rollup", "cube", "grouping_sets", "totals")):
            return []
        by = [next((name for name, value in named.items() if value == each), None) for each in group.expressions]
        return [] if None in by else [frozenset(name for name in by if name)]

    def _refuse_repeated(self, node: exp.Expr, amount: Amount) -> None:
        if self.strict and amount.repeated and not isinstance(node, (*EXTREME, exp.ArgMax, exp.ArgMin)):
            raise WarehouseError(amount.repeated)

    def _refuse_unknown(self, scope: Scope) -> None:
        """Refuse what may have an amount as its value without anybody knowing which."""
        if isinstance(scope.expression, exp.Select) and scope.expression.is_star:
            raise refused("name each column instead of *")
        for column in scope.columns:
            if column.table not in scope.sources and any(
                column.name.lower() in each.columns for each in self.types.values()
            ):
                raise refused(f"{column.name} is no column of the table or subquery beside it")
        for node in scope.find_all(exp.Func, exp.Binary, exp.Unary, exp.Tuple):
            is_known = isinstance(node, (*ADDING, *EXTREME, *COUNTING, *SAME, *NO_AMOUNT, exp.ArgMax, exp.ArgMin))
            is_known |= type(node) in PARTS or isinstance(node, (exp.Neg, exp.Abs, exp.Mul, exp.Div, exp.IntDiv))
            if isinstance(node, exp.Anonymous):
                is_known = node.name.lower() in ALSO_ADDING | AS_TEXT
            amounts = [bool(self.amount(each, scope)) for each in node.iter_expressions()]
            if isinstance(node, (exp.Div, exp.IntDiv)):  # 1 / (1 / x) is x, and no share
                is_known = amounts[0] or not any(amounts)
            if isinstance(node, exp.Mul):
                is_known = not all(amounts)
            if any(amounts) and (not is_known or isinstance(node, OF_ANY_ROW)):
                raise refused(f"leave out {node.sql(DIALECT)}")
        for inner in scope.subquery_scopes:
            place = inner.expression.parent
            while isinstance(place, (exp.Subquery, exp.Paren)):
                place = place.parent
            if not isinstance(place, (exp.Predicate, exp.Div)) and next(self.returned(inner, 0), None):
                raise refused(f"join ({inner.expression.sql(DIALECT)}) instead of using it as a value")

    def _unequal(self, node: exp.Expr, scope: Scope) -> exp.Case | None:
        """Return the case in which the amounts of an expression are not alike; None if they are. Raises WarehouseError
        where they are known not to be, or may be the same costs twice."""
        amounts = [found for part in parts_of(node) if (found := self.amount(part, scope))]
        case = exp.Case()
        for one, other in pairwise(amounts):
            if self.strict and one.aspects.keys() != other.aspects.keys():
                raise refused(f"leave out {node.sql(DIALECT)}")
            for key in one.aspects.keys() & other.aspects.keys():
                (name, first), (_, second) = one.aspects[key], other.aspects[key]
                if None not in (constants := (one.aspects[key].constant, other.aspects[key].constant)):
                    if constants[0] != constants[1]:
                        raise WarehouseError(
                            f"{node.sql(DIALECT)} mixes amounts of {' and '.join(map(str, constants))}: "
                            f"keep one{'' if self.strict else ALLOWED_BY}"
                        )
                elif first != second:
                    case = case.when(exp.NEQ(this=first.copy(), expression=second.copy()), _error(node, name))
        self._refuse_twice(node, amounts)
        return case if case.args.get("ifs") else None

    def _refuse_twice(self, node: exp.Expr, amounts: Sequence[Amount]) -> None:
        """A difference of two reads of the same costs is a change. Their sum has costs twice."""
        if not self.strict or not isinstance(node, (exp.Add, exp.Sub)) or len(amounts) < 2:
            return
        one, other = amounts
        both = shared_bases(one, other)
        if both and one.sign * other.sign != (-1 if isinstance(node, exp.Add) else 1):
            raise WarehouseError(
                f"{node.sql(DIALECT)} may have costs twice: both sides are read from {min(both)}. Write one sum with a "
                "condition"
            )


def shared_bases(one: Amount, other: Amount) -> set[str]:
    """Return the tables that two amounts add up both. ``costs.daily_costs`` contains ``costs.daily_costs/<source>``."""
    return {
        min(first, second, key=len)
        for first in one.bases
        for second in other.bases
        if first == second or first.startswith(f"{second}/") or second.startswith(f"{first}/")
    }


def refused(instead: str, strict: bool = True) -> WarehouseError:
    """Return the error of what cannot be proved."""
    return WarehouseError(f"{WITHOUT_PROOF}: {instead}" + (", or call spend or compare" if strict else ALLOWED_BY))


def query_of(scope: Scope) -> exp.Select | exp.SetOperation:
    """Return the query of a scope. Raises SqlglotError for anything else: a list of values."""
    query = scope.expression.unnest()
    if isinstance(query, (exp.Select, exp.SetOperation)):
        return query
    raise SqlglotError(f"{type(query).__name__} has no columns that could be added to")


def _place(union: Scope, branch: Scope, position: int) -> int:
    """Where a branch has the column of a union; -1: nowhere."""
    if not union.expression.args.get("by_name"):
        return position
    name, names = query_of(union).named_selects[position], query_of(branch).named_selects
    return names.index(name) if name in names else -1


def compared_by(node: exp.Expr) -> exp.Expr | None:
    """Return what an aggregate adds or compares, of all its rows; None if it is no aggregate of values."""
    if isinstance(node, exp.Anonymous):
        return next(iter(node.expressions), None) if node.name.lower() in ALSO_ADDING else None
    if not isinstance(node, exp.AggFunc) or isinstance(node, (*COUNTING, *OF_OTHER_ROWS, exp.AnonymousAggFunc)):
        return None
    argument: exp.Expr | None = node.expression if isinstance(node, (exp.ArgMax, exp.ArgMin)) else node.this
    if isinstance(argument, exp.Order):
        argument = argument.this
    return argument.expressions[0] if isinstance(argument, exp.Distinct) else argument


def parts_of(node: exp.Expr) -> Iterator[exp.Expr]:
    """Yield the parts of an expression of several amounts."""
    if isinstance(node, exp.Anonymous) and node.name.lower() in AS_TEXT:
        yield from node.expressions
    for name in PARTS.get(type(node), ()):
        found = node.args.get(name)
        for each in found if isinstance(found, list) else [found]:
            if isinstance(each, exp.If):
                yield each.args["true"]
            elif isinstance(each, exp.Expr):
                yield each


def bare(value: exp.Expr) -> exp.Expr:
    """Return a function without ``ignore nulls``."""
    inner: exp.Expr = value.this
    return inner if isinstance(value, (exp.IgnoreNulls, exp.RespectNulls)) else value


def times(amount: Amount | None, sign: int) -> Amount | None:
    return amount._replace(sign=amount.sign * sign) if amount else None


def sign_of(factor: exp.Expr) -> int:
    """Return the sign of a number; 0 if nobody knows it."""
    if isinstance(factor, (exp.Paren, exp.Cast)):
        return sign_of(factor.this)
    if isinstance(factor, exp.Neg):
        return -sign_of(factor.this)
    return 1 if isinstance(factor, exp.Literal) else 0


def together(node: exp.Expr, found: Iterable[Amount | None]) -> Amount | None:
    """Return what is made of several amounts, which must be alike (``Walk._unequal``)."""
    amounts = [each for each in found if each]
    if not amounts:
        return None
    keys = dict.fromkeys(key for each in amounts for key in each.aspects)
    aspects = {key: _one_of([each.aspects[key] for each in amounts if key in each.aspects]) for key in keys}
    whole = of_several(aspects, amounts)
    return whole._replace(sign=0) if isinstance(node, exp.Sub) else whole


def of_several(aspects: Mapping[str, Aspect], amounts: Sequence[Amount]) -> Amount:
    """Return what is one of several amounts, or made of them: with one sign where all have it."""
    signs = {each.sign for each in amounts}
    repeated = next((each.repeated for each in amounts if each.repeated), "")
    bases = frozenset[str]().union(*(each.bases for each in amounts))
    return Amount(aspects, bases, signs.pop() if len(signs) == 1 else 0, repeated)


def _one_of(aspects: Sequence[Aspect]) -> Aspect:
    """Return what an amount is that is one of several: where one is null, nothing says what it is."""
    first, *others = dict.fromkeys(each.value for each in aspects)
    return Aspect(aspects[0].name, exp.func("coalesce", first, *others) if others else first)


def aggregated(amount: Amount | None, change: Callable[[exp.Expr], exp.Expr]) -> Amount | None:
    """Return an amount with other expressions for what is not the same in all rows."""
    if amount is None:
        return None
    changed = {
        key: each if each.constant is not None else each._replace(value=change(each.value))
        for key, each in amount.aspects.items()
    }
    return amount._replace(aspects=changed)


def as_aggregated(aggregate: exp.Expr, argument: exp.Expr, other: exp.Expr) -> exp.Expr:
    """Return another aggregate over the same rows: those that change the value, of the same filter and window."""
    counts: exp.Expr = exp.NEQ(this=exp.paren(argument.copy()), expression=exp.Literal.number(0))
    if isinstance(aggregate, (exp.ArgMax, exp.ArgMin)) or any(map(_is_text, argument.find_all(exp.Expr))):
        counts = exp.Not(this=exp.Is(this=exp.paren(argument.copy()), expression=exp.null()))
    whole = whole_of(aggregate)
    conditions = [each.expression.this.copy() for each in whole.find_all(exp.Filter) if each.this is aggregate]
    found: exp.Expr = exp.Filter(this=other, expression=exp.Where(this=exp.and_(counts, *conditions, copy=False)))
    if isinstance(whole, exp.Window):
        window = whole.copy()
        window.set("this", found)
        return window
    return found


def _is_text(node: exp.Expr) -> bool:
    if isinstance(node, (exp.Cast, exp.TryCast)):
        return node.to.is_type(*exp.DataType.TEXT_TYPES)
    return isinstance(node, (exp.Concat, exp.DPipe, exp.Format)) or (
        isinstance(node, exp.Anonymous) and node.name.lower() in AS_TEXT
    )


def _differing(aggregate: exp.Expr, argument: exp.Expr, amount: Amount) -> exp.Case:
    """Return ``case when the rows differ then error(...)``, without what it is otherwise."""
    case = exp.Case()
    called = aggregate.sql(DIALECT).partition("(")[0].lower()
    column = next(column.name for column in aggregate.find_all(exp.Column))
    for name, value in amount.aspects.values():
        if isinstance(value, exp.Literal):
            continue
        low, high = (as_aggregated(aggregate, argument, kind(this=value.copy())) for kind in EXTREME)
        texts = [
            exp.Literal.string(f"{MARK}{called}({column}) mixes "),
            low,
            exp.Literal.string(" and "),
            high,
            exp.Literal.string(f": group by {name}, or keep one: where {name} = '"),
            low,
            exp.Literal.string(f"'{ALLOWED_BY}"),
        ]
        message = exp.Concat(expressions=texts, safe=True)
        case = case.when(exp.NEQ(this=low.copy(), expression=high.copy()), exp.func("error", message), copy=False)
    return case


def whole_of(aggregate: exp.Expr) -> exp.Expr:
    """Return an aggregate with its filter and window."""
    whole = aggregate
    while isinstance(whole.parent, WRAPPING) and whole.parent.this is whole:
        whole = whole.parent
    return whole


def _is_aggregated(select: exp.Select) -> bool:
    """Whether a select returns a row per group."""
    if select.args.get("group"):
        return True
    return any(
        not isinstance(whole_of(node), exp.Window) for each in select.selects for node in each.find_all(exp.AggFunc)
    )


def equalities(condition: exp.Expr) -> Iterator[exp.EQ]:
    """Yield what must be equal for a condition to hold."""
    if isinstance(condition, (exp.And, exp.Paren, exp.Where)):
        for each in condition.iter_expressions():
            yield from equalities(each)
    elif isinstance(condition, exp.EQ):
        yield condition


def _of_other_row(window: exp.Window, value: exp.Expr) -> exp.Window:
    """Return a window with another value in its function, and no default."""
    other = window.copy()
    function = other.find(*OF_OTHER_ROWS)
    if function is not None:
        function.set("this", value.copy())
        function.set("default", None)
    return other


def _error(node: exp.Expr, name: str) -> exp.Expr:
    text = f"{MARK}{node.sql(DIALECT)} mixes amounts of several {name}: keep one{ALLOWED_BY}"
    return exp.func("error", exp.Literal.string(text))

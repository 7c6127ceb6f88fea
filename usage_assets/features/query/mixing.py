"""Refuses queries that add amounts of several cost bases, units or currencies.

The query is first run in a form in which an aggregate of amounts fails where its rows differ in what they must share.
So what counts is what a filter, a join or a ``case`` does, not how it is written. What sqlglot cannot resolve passes.
"""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope

from usage_assets.features.query.untrusted import Allow, anything
from usage_assets.warehouse.errors import WarehouseError

NATIVE = ("cost_basis", "native_unit", "currency", "counted_in")
MUST_SHARE: Mapping[str, Sequence[str]] = {
    "amount_usd": ("cost_basis", "metric", "scope_type", "counted_in"),
    "quantity": ("metric", "scope_type", "cost_basis", "unit"),
    **dict.fromkeys(("native_amount", "billed_amount", "amortized_amount", "only_billed_amount"), NATIVE),
    **dict.fromkeys(("effective_amount", "contracted_amount", "list_amount"), NATIVE),
    **dict.fromkeys(("settled", "provisional", "actual", "expected", "low", "high"), ("kind", "measure", "unit")),
    **dict.fromkeys(("amount", "limit_amount", "budget_amount", "price"), ("unit", "currency")),
    **dict.fromkeys(("before", "after", "difference"), ("unit", "total", "currency")),
    "billedcost": ("billingcurrency",),
    "contractedcost": ("billingcurrency",),
    "effectivecost": ("billingcurrency",),
    "listcost": ("billingcurrency",),
    "pricingcurrencyeffectivecost": ("pricingcurrency",),
    "pricingquantity": ("pricingunit",),
    "consumedquantity": ("consumedunit",),
    "x_nativeamount": ("x_costbasis", "x_nativeunit", "billingcurrency"),
}
"""Amount -> the columns in which the rows that are added must be equal, where the table or view has them."""
ADDING = (exp.Sum, exp.Avg, exp.Min, exp.Max, exp.Median, exp.PercentileCont, exp.PercentileDisc)
ALSO_ADDING = frozenset(("favg", "fsum", "kahan_sum", "mean", "sum_no_overflow", "sumkahan"))
"""Aggregates that sqlglot does not know by a class."""
KEEPING: Mapping[type[exp.Expr], Sequence[str]] = {
    **dict.fromkeys(ADDING, ("this",)),
    **dict.fromkeys((exp.Alias, exp.Paren, exp.Cast, exp.TryCast, exp.Neg, exp.Abs, exp.Nullif), ("this",)),
    **dict.fromkeys((exp.Ceil, exp.Floor, exp.Round), ("this",)),
    **dict.fromkeys((exp.Window, exp.Filter, exp.IgnoreNulls, exp.RespectNulls), ("this",)),
    **dict.fromkeys((exp.AnyValue, exp.First, exp.Last, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue), ("this",)),
    **dict.fromkeys((exp.Coalesce, exp.Greatest, exp.Least), ("this", "expressions")),
    **dict.fromkeys((exp.Add, exp.Sub, exp.Mul), ("this", "expression")),
    exp.Case: ("ifs", "default"),
    exp.If: ("true", "false"),
}
"""Expression -> the parts that make its value an amount if they are one. A count or a comparison is none."""
Columns = dict[str, dict[str, dict[str, str]]]
"""Schema -> table -> column -> type."""
MARK = "amounts that must not be added: "
ALLOWED_BY = "; --mixed allows it"
DIALECT = "duckdb"
log = logging.getLogger(__name__)
logging.getLogger("sqlglot").addHandler(logging.NullHandler())  # it warns of statements that it does not know


class Shared(NamedTuple):
    """What the rows of an amount must share: the column's name in ``costs``, and its value at some place."""

    name: str
    value: exp.Expr


def refuse_mixed(database: duckdb.DuckDBPyConnection, sql: str, allow: Allow = anything) -> None:
    """Raise WarehouseError, naming the aggregate and two values, if the query adds what must not be added.

    What runs is written by sqlglot, so it must pass ``allow`` as the query itself.
    """
    try:
        statements = [each for each in sqlglot.parse(sql, dialect=DIALECT) if isinstance(each, exp.Query)]
        checks = [Rewriting(each, columns_read(database, each, allow)).checked() for each in statements]
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
        except duckdb.Error as error:
            _, found, reason = str(error).partition(MARK)
            if found:
                raise WarehouseError(reason.splitlines()[0]) from None
            log.info("not checked: %s", error)  # most often a mistake in the query, which it will say itself


def columns_read(database: duckdb.DuckDBPyConnection, query: exp.Query, allow: Allow) -> Columns:
    """Return the columns of what the query reads, by schema and table: ``*`` stands for them."""
    found: Columns = {}
    for table in query.find_all(exp.Table):
        if table.db and table.name:
            stored = exp.table_(table.this.copy(), table.args["db"].copy()).sql(DIALECT)
            try:
                allow(question := f"describe {stored}")
                described = database.execute(question).fetchall()
            except (duckdb.Error, WarehouseError):  # the query itself will say that it does not exist
                continue
            found.setdefault(table.db.lower(), {})[table.name.lower()] = {
                name.lower(): kind for name, kind, *_ in described
            }
    return found


class Rewriting:
    """One query, while its aggregates of amounts get their checks."""

    schemas: Collection[str] = ("costs",)
    """Those whose columns may be amounts."""

    def __init__(self, query: exp.Query, columns: Columns) -> None:
        self.columns = columns
        self.query = qualify(query, schema={**columns}, dialect=DIALECT, validate_qualify_columns=False)
        self.carried: dict[tuple[int, int], Sequence[Shared]] = {}

    def checked(self) -> exp.Query | None:
        """Return the query with checks, or None if it needs none."""
        checks = [check for scope in traverse_scope(self.query) for check in self.checks(scope)]
        checks.sort(key=lambda check: whole_of(check[0]).depth)
        for aggregate, refusal in reversed(checks):
            whole = whole_of(aggregate)
            whole.replace(refusal.else_(whole.copy()))
        return self.query if checks else None

    def checks(self, scope: Scope) -> Iterator[tuple[exp.Expr, exp.Case]]:
        """Yield what adds amounts, and the case in which it is refused."""
        for aggregate in aggregates_in(scope):
            if shared := self.shared(_argument(aggregate), scope):
                yield aggregate, _refusal(aggregate, shared)

    def shared(self, value: exp.Expr, scope: Scope) -> Sequence[Shared]:
        """Return what the rows of a value must share, as the scope knows it; nothing if it is no amount."""
        if isinstance(value, exp.Column):
            return self.shared_in(value, scope)
        if isinstance(value, exp.Div):  # of two amounts it is a share
            return [] if self.shared(value.expression, scope) else self.shared(value.this, scope)
        parts = [part for name in KEEPING.get(type(value), ()) for part in several(value.args.get(name))]
        found = [each for part in parts for each in self.shared(part, scope)]
        if isinstance(value, ADDING):
            return [Shared(name, as_aggregated(value, exp.Min(this=inner))) for name, inner in found]
        return found

    def shared_in(self, column: exp.Column, scope: Scope) -> Sequence[Shared]:
        source = scope.sources.get(column.table)
        if isinstance(source, exp.Table) and source.db.lower() in self.schemas:
            known = self.columns.get(source.db.lower(), {}).get(source.name.lower(), {})
            names = [name for name in MUST_SHARE.get(column.name.lower(), ()) if name in known]
            return [Shared(name, exp.column(name, column.table)) for name in names]
        if isinstance(source, Scope) and isinstance(source.expression, exp.Query):
            names = query_of(source).named_selects
            carried = self.carry(source, names.index(column.name)) if column.name in names else []
            return [Shared(name, exp.column(value.alias, column.table)) for name, value in carried]
        return []

    def carry(self, scope: Scope, position: int) -> Sequence[Shared]:
        """Have a subquery or CTE return what the rows of one of its columns must share."""
        if (key := (id(scope), position)) not in self.carried:
            self.carried[key] = []  # a recursive CTE asks for itself
            names = dict.fromkeys(each.name for each in self.returned(scope, position))
            self.carried[key] = [self.added(scope, position, name, f"_{name}_{position}") for name in names]
        return self.carried[key]

    def returned(self, scope: Scope, position: int) -> Sequence[Shared]:
        if branches := scope.set_operation_scopes:
            return [each for branch in branches for each in self.returned(branch, _place(scope, branch, position))]
        return self.shared(query_of(scope).selects[position], scope) if position >= 0 else []

    def added(self, scope: Scope, position: int, name: str, alias: str) -> Shared:
        """Add what the rows of a column share to the columns of a query, once, and return it."""
        for branch in scope.set_operation_scopes:
            self.added(branch, _place(scope, branch, position), name, alias)
        select = query_of(scope)
        if isinstance(select, exp.Select):
            values = [each.value for each in self.returned(scope, position) if each.name == name]
            value = values[0] if values else exp.null()
            if _is_aggregated(select) and not value.find(exp.AggFunc):
                value = exp.AnyValue(this=value)
            select.select(exp.alias_(value, alias, quoted=True), copy=False)
        return Shared(name, exp.alias_(exp.null(), alias))


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


def aggregates_in(scope: Scope) -> Iterator[exp.Expr]:
    """Yield the aggregates of one select, each before those inside it."""
    for node in scope.find_all(*ADDING, exp.Anonymous):
        if isinstance(node, ADDING) or node.name.lower() in ALSO_ADDING:
            yield node


def _argument(aggregate: exp.Expr) -> exp.Expr:
    arguments = aggregate.expressions if isinstance(aggregate, exp.Anonymous) else [aggregate.this]
    argument: exp.Expr = next(iter(arguments), None) or exp.null()
    return argument.expressions[0] if isinstance(argument, exp.Distinct) else argument


def whole_of(aggregate: exp.Expr) -> exp.Expr:
    """Return an aggregate with its filter and window."""
    whole = aggregate
    while isinstance(whole.parent, (exp.Filter, exp.Window, exp.IgnoreNulls, exp.RespectNulls)):
        if whole.parent.this is not whole:
            break
        whole = whole.parent
    return whole


def as_aggregated(aggregate: exp.Expr, other: exp.Expr) -> exp.Expr:
    """Return another aggregate over the same rows: those that change the value, of the same filter and window."""
    conditions = [exp.NEQ(this=exp.paren(_argument(aggregate).copy()), expression=exp.Literal.number(0))]
    whole = whole_of(aggregate)
    conditions += [each.expression.this.copy() for each in whole.find_all(exp.Filter) if each.this is aggregate]
    found: exp.Expr = exp.Filter(this=other, expression=exp.Where(this=exp.and_(*conditions, copy=False)))
    if isinstance(whole, exp.Window):
        window = whole.copy()
        window.set("this", found)
        return window
    return found


def _refusal(aggregate: exp.Expr, shared: Sequence[Shared]) -> exp.Case:
    """Return ``case when the rows differ then error(...)``, without what it is otherwise."""
    case = exp.Case()
    called = aggregate.sql(DIALECT).partition("(")[0].lower()
    amount = next(column.name for column in aggregate.find_all(exp.Column))
    for name, value in shared:
        low, high = (as_aggregated(aggregate, kind(this=value.copy())) for kind in (exp.Min, exp.Max))
        texts = [
            exp.Literal.string(f"{MARK}{called}({amount}) mixes "),
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


def _is_aggregated(select: exp.Select) -> bool:
    """Whether a select returns a row per group."""
    if select.args.get("group"):
        return True
    return any(
        not isinstance(whole_of(node), exp.Window) for each in select.selects for node in each.find_all(exp.AggFunc)
    )


def several(value: object) -> Sequence[exp.Expr]:
    values = value if isinstance(value, list) else [value]
    return [each for each in values if isinstance(each, exp.Expr)]

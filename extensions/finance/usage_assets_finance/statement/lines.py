"""The lines of all statements of a month: read, shared by the stated rules, and rounded so that they make up the bill.

``read_month`` asks the database; everything else is pure.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import duckdb

from usage_assets.core.days import counted, end_of_month
from usage_assets.core.money import Rate, digits_of, rates_in_words
from usage_assets.models.costs import of_people, unreadable
from usage_assets.warehouse.arrow import fetch_arrow
from usage_assets_finance.statement.shares import exact, rounded, shared, whole_parts

SQL = Path(__file__).parent / "sql"
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""Control characters, and those that show a text in another order than it has."""
LONGEST = 200
"""Characters of a name: more fit into no cell that people read."""
NO_USE = "none of its cost centers was billed anything in this currency"


@dataclass(frozen=True)
class Line:
    """A line of a statement: what one cost center was billed for one thing."""

    cost_center: str | None
    """None: it has none."""
    currency: str
    amount: Fraction
    """Exact, in whole units of the currency."""
    kind: Literal["cost", "shared", "correction"] = "cost"
    what: str = ""
    """The name of the shared cost, or what is corrected; with a cost, why it is not shared as an entry says."""
    share: str = ""
    """Which part of a shared cost it is, exactly."""
    part: Fraction = Fraction(0)
    """The same as a number."""
    team: str | None = None
    provider: str | None = None
    connection: str | None = None
    project: str | None = None
    person: str | None = None
    model: str | None = None
    payable: int = 0
    """In the smallest unit of the currency. Payables of all statements add up to the bill, rounded once."""


@dataclass(frozen=True)
class SharedCosts:
    """A ``[[shared_cost]]``: its name, its rule, and per currency the weight of each cost center that pays a part."""

    name: str
    rule: str
    weights: Mapping[str, Mapping[str, Fraction]]


@dataclass(frozen=True)
class Month:
    """What was billed in a month."""

    first: date
    lines: Sequence[Line]
    """Of all cost centers, with payables."""
    connections: frozenset[str]
    """Those with stored costs."""
    rates: str | None
    """The exchange rates that the report uses; nothing here is converted."""
    not_settled: Sequence[str]
    """Days that a provider may still change, in words."""

    @property
    def name(self) -> str:
        return f"{self.first:%Y-%m}"


def read_month(database: duckdb.DuckDBPyConnection, first: date) -> Month:
    """Read what was billed in the month that begins on a day. Raises WarehouseError."""
    days = {"first": first, "last": end_of_month(first)}
    billed = query("billed").replace("{of_people}", of_people("costs.allocated_costs_named"))
    try:
        database.execute(f"create or replace temp table billed as {billed}", days)
        rows = rows_of(database, "lines")
        rules = _rules(rows_of(database, "shared_costs", {"first": first}))
        connections = frozenset(row["connection"] for row in rows_of(database, "connections", days))
        rates = rates_in_words(Rate(**row) for row in rows_of(database, "rates", days))
        states = rows_of(database, "not_settled", days)
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise unreadable(database, error) from None
    costs = [(row.pop("shared_by"), _line(row)) for row in rows]
    lines = with_payables(share_out(costs, rules))
    return Month(first, lines, connections, rates, [_in_words(**state) for state in states])


def _in_words(connection: str, state: str, days: int) -> str:
    return f"{connection}: {counted(days, f'{state} day')}"


def query(name: str) -> str:
    return (SQL / f"{name}.sql").read_text()


def rows_of(
    database: duckdb.DuckDBPyConnection, name: str, parameters: Mapping[str, Any] | None = None
) -> Sequence[dict[str, Any]]:
    """Return the rows of a query in ``sql/``."""
    rows: list[dict[str, Any]] = fetch_arrow(database.execute(query(name), parameters and dict(parameters))).to_pylist()
    return rows


def _line(row: dict[str, Any]) -> Line:
    amount = in_whole_units(row.pop("amount"), row.pop("native_unit"), row["currency"])
    names: dict[str, Any] = {name: text and clean(text) for name, text in row.items()}
    return Line(amount=amount, **names)


def clean(text: str) -> str:
    """Return a name that can be shown: on one line, in the order that it has, not longer than a cell."""
    shown = UNPRINTABLE.sub(" ", text)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"


def in_whole_units(amount: Decimal, unit: str, currency: str) -> Fraction:
    """Return an amount in dollars and not cents."""
    return Fraction(amount) / (10 ** digits_of(currency) if unit in ("cents", "minor units") else 1)


def _rules(rows: Iterable[Mapping[str, Any]]) -> Mapping[int, SharedCosts]:
    found: dict[int, SharedCosts] = {}
    for row in rows:
        rule = found.get(row["position"]) or SharedCosts(row["name"], row["rule"], {})
        weights = {currency: dict(of_it) for currency, of_it in rule.weights.items()}
        if row["cost_center"] is not None:
            same, name = weights.setdefault(row["currency"], {}), clean(row["cost_center"])
            same[name] = same.get(name, Fraction()) + Fraction(row["weight"])
        found[row["position"]] = replace(rule, weights=weights)
    return found


def share_out(costs: Iterable[tuple[int | None, Line]], rules: Mapping[int, SharedCosts]) -> Sequence[Line]:
    """Return the lines of all cost centers, which add up to the costs. A cost may name the entry that shares it.

    What is shared by use stays where it is if nothing was used: the line says so.
    """
    lines: list[Line] = []
    together: defaultdict[tuple[int, str, str, str], list[Line]] = defaultdict(list)
    for entry, line in costs:
        if entry is None:
            lines.append(line)
        else:
            together[entry, line.provider or "", line.connection or "", line.currency].append(line)
    for (entry, provider, connection, currency), same in sorted(together.items(), key=lambda each: each[0]):
        rule = rules[entry]
        weights = rule.weights.get(currency, {})
        amount = sum((line.amount for line in same), Fraction())
        parts = shared(amount, weights)
        if not parts:
            lines += [replace(line, what=f"{rule.name}: not shared, {NO_USE}") for line in same]
        everything = exact(sum((weights[key] for key in parts), Fraction()))
        unit = {"by_use": f" {currency} billed", "headcount": " people"}.get(rule.rule, "")
        lines += [
            Line(
                cost_center,
                currency,
                part,
                kind="shared",
                what=clean(rule.name),
                share=f"{exact(weights[cost_center])} of {everything}{unit}, of {exact(amount)} {currency}",
                part=part / amount if amount else Fraction(0),
                provider=provider,
                connection=connection,
            )
            for cost_center, part in sorted(parts.items())
        ]
    return lines


def in_order(line: Line) -> tuple[Any, ...]:
    """What lines are sorted by: statement, currency, kind, and then as people look for them."""
    names = (line.provider, line.connection, line.model, line.project, line.person, line.team)
    return (
        line.cost_center is not None,
        line.cost_center or "",
        line.currency,
        ("cost", "shared", "correction").index(line.kind),
        *(name or "" for name in names),
        line.what,
        line.share,
        line.amount,
    )


def with_payables(lines: Iterable[Line]) -> Sequence[Line]:
    """Return the lines in order, rounded to the smallest unit of their currency by the largest remainder: statements
    add up to the bill, which is rounded once, and the lines of each to the statement."""
    of_currency: defaultdict[str, defaultdict[str | None, list[Line]]] = defaultdict(lambda: defaultdict(list))
    for line in sorted(lines, key=in_order):
        of_currency[line.currency][line.cost_center].append(line)
    found: list[Line] = []
    for currency, statements in of_currency.items():
        scale = 10 ** digits_of(currency)
        amounts = [[line.amount * scale for line in same] for same in statements.values()]
        sums = [sum(each, Fraction()) for each in amounts]
        totals = whole_parts(sums, rounded(sum(sums, Fraction())))
        for same, each, total in zip(statements.values(), amounts, totals, strict=True):
            parts = whole_parts(each, total)
            found += [replace(line, payable=part) for line, part in zip(same, parts, strict=True)]
    return sorted(found, key=in_order)

"""Random queries: what an assistant may run never adds two kinds of money, or the same costs twice.

What the guard says of a query is compared with what a change does: one charge of one kind is changed in a copy. An
amount of its kind moves by no more, one of another kind not at all. ``USAGE_EXAMPLES=20000`` plays so many queries.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest

from usage_assets.warehouse.values import WarehouseError
from usage_assets_assistant.query.guard import Amounts, amounts_of
from usage_assets_assistant.query.untrusted import anything
from usage_assets_tests.models.days import lines

FIRST = int(os.environ.get("USAGE_FIRST_SEED", "0"))
QUERIES = int(os.environ.get("USAGE_EXAMPLES", "200"))
MORE = Decimal("1000003.25")
"""Dollars, credits or another unit by which the charge is changed: more than everything else together."""
RELATIONS = dict(
    map(
        list,
        lines("""
        costs.daily_costs            connection provider usage_date model cost_basis currency
        costs.by_day                 connection provider usage_date cost_basis native_unit currency
        costs.by_month               connection provider month cost_basis native_unit currency
        costs.by_model               usage_date family cost_basis native_unit currency
        costs.by_usage_type          usage_date usage_family cost_basis native_unit currency
        costs.by_team                connection usage_date team cost_basis native_unit currency
        costs.by_person              usage_date actor_kind cost_basis native_unit currency
        costs.allocated_costs_named  connection usage_date team cost_basis native_unit currency
        costs.counted_costs          connection usage_date team cost_basis counted_in currency
        costs.amortized              connection usage_date native_unit currency
    """),
    )
)
"""What each cost is in once -> columns to group by and to filter."""
AMOUNTS = {
    "costs.daily_costs": "amount_usd native_amount effective_usd list_amount",
    "costs.amortized": "billed_amount amortized_amount only_billed_amount billed_usd",
}
USUAL = "amount_usd native_amount"
KINDS = ("billed", "estimated", "credits")
CHANGED = """
create or replace temp table changed as
select rowid as row, * from costs.daily_costs
where cost_basis = '{kind}' and native_amount > 0 and (cost_basis = 'credits' or amount_usd > 0)
order by {first}, usage_date, connection, line_item limit 1
"""
HAS_PARTS = "(connection, usage_date, source_table) not in (select (connection, usage_date, source_table) from {parts})"
PARTS = "costs.allocated_costs"
KEYS = "connection usage_date source_table native_unit currency project_id workspace_id user_id api_key_id"


@dataclass(frozen=True)
class Worlds:
    """The company's costs as tables, and copies in which one charge of a kind is larger."""

    here: duckdb.DuckDBPyConnection
    others: Mapping[str, duckdb.DuckDBPyConnection]
    moved: Mapping[str, Mapping[str, Decimal]]
    """Kind -> name of an amount -> by how much it may move at most."""


@pytest.fixture(scope="module")
def worlds(published: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    [(stored,)] = published.sql("select path from duckdb_databases() where path like '%.duckdb'").fetchall()
    shutil.copy(stored, folder := tmp_path_factory.mktemp("worlds"))
    base = duckdb.connect(folder / Path(stored).name)
    base.execute("set TimeZone = 'UTC'")
    opened, moved = {"": tables_of(base)}, {}
    for kind in KINDS:
        moved[kind] = change(base, kind, 1)
        opened[kind] = tables_of(base)
        change(base, kind, -1)
    yield Worlds(opened.pop(""), opened, moved)
    for database in (base, *opened.values()):
        database.close()


def tables_of(base: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """What is read, as tables: to plan the views takes most of the time of a query."""
    database = duckdb.connect()
    database.execute("create schema costs")
    for name in RELATIONS:
        database.from_arrow(base.sql(f"from {name}").to_arrow_table()).create(name)
    return database


def change(base: duckdb.DuckDBPyConnection, kind: str, sign: int) -> Mapping[str, Decimal]:
    """Make one charge larger, in its row and in its sum by key, or as it was; return by how much."""
    if sign > 0:
        base.execute(CHANGED.format(kind=kind, first=HAS_PARTS.format(parts=PARTS)))
        base.execute(
            "create or replace temp table part as select allocated_costs.rowid as row, allocated_costs.* "
            f"from {PARTS} semi join changed using (connection, usage_date, source_table) limit 1"
        )
    [(unit,)] = base.sql("select native_unit from changed").fetchall()
    native = MORE * (100 if unit == "cents" else 1)
    usd = Decimal(0) if kind == "credits" else MORE
    more = f"native_amount = stored.native_amount + {sign * native}, amount_usd = stored.amount_usd + {sign * usd}"
    for table, changed, keys in (
        ("costs.daily_costs", "changed", f"{KEYS} api_key_name cost_basis charge_category costs_stated"),
        (PARTS, "part", KEYS),
    ):
        same = " and ".join(f"stored.{key} is not distinct from {changed}.{key}" for key in keys.split())
        base.execute(f"update {table} as stored set {more} from {changed} where stored.rowid = {changed}.row")
        base.execute(f"update {table}_sums as stored set {more} from {changed} where {same}")
    return {"USD": usd, "native": native}


class Generator:
    """Writes queries over the functions that assistants may use."""

    def __init__(self, dice: Random) -> None:
        self.dice = dice

    def query(self) -> str:
        form = self.dice.random()
        if form < 0.45:
            return self.select()
        if form < 0.6:
            one, other = self.select(grouped=True), self.select(grouped=True)
            how = self.dice.choice(["union all", "union", "union all by name", "intersect", "except"])
            return f"{one} {how} {other}"
        if form < 0.8:
            return f"with a as ({self.select(grouped=True)}) {self.over('a')}"
        return self.join()

    def select(self, *, grouped: bool = False) -> str:
        relation = self.dice.choice([*RELATIONS])
        columns = RELATIONS[relation].split()
        by = self.dice.sample(columns, self.dice.choice([0, 1, 1, 2, 2, 3]))
        named = [f"{self.aggregate(relation)} as x{n}" for n in range(self.dice.choice([1, 1, 1, 2]))]
        if not grouped and self.dice.random() < 0.15:
            named = [f"{self.amount(relation)} as x0"]
            return f"select {', '.join([*by, *named])} from {relation}{self.where(columns)}"
        group = " group by all" if by else ""
        return f"select {', '.join([*by, *named])} from {relation}{self.where(columns)}{group}"

    def where(self, columns: Sequence[str]) -> str:
        parts = []
        if "cost_basis" in columns and self.dice.random() < 0.7:
            chosen = self.dice.choice([*KINDS, "billed", "billed"])
            parts.append(self.dice.choice([f"cost_basis = '{chosen}'", f"cost_basis in ('{chosen}')"]))
        if "native_unit" in columns and self.dice.random() < 0.3:
            parts.append(f"native_unit = '{self.dice.choice(['dollars', 'cents', 'credits'])}'")
        if "currency" in columns and self.dice.random() < 0.3:
            parts.append("currency = 'USD'")
        if "counted_in" in columns and self.dice.random() < 0.6:
            parts.append("counted_in = 'USD'")
        if "usage_date" in columns and self.dice.random() < 0.3:
            parts.append("usage_date >= date '2026-11-03'")
        return f" where {' and '.join(parts)}" if parts else ""

    def amount(self, relation: str) -> str:
        names = AMOUNTS.get(relation, USUAL).split()
        name = self.dice.choice(names)
        form = self.dice.random()
        if form < 0.5:
            return name
        if form < 0.6:
            return f"{name} / 2"
        if form < 0.65:
            return f"round({name}, 2)"
        if form < 0.7:
            return f"coalesce({name}, {self.dice.choice(names)})"
        if form < 0.78:
            return f"{name} {self.dice.choice('+-')} {self.dice.choice(names)}"
        if form < 0.84:
            other = self.dice.choice(["0", *names])
            return f"case when cost_basis = '{self.dice.choice(KINDS)}' then {name} else {other} end"
        if form < 0.9:
            return f"greatest({name}, {self.dice.choice(names)})"
        return f"if(usage_date > date '2026-11-05', {name}, null)"

    def aggregate(self, relation: str) -> str:
        inner = self.amount(relation)
        form = self.dice.random()
        if form < 0.5:
            return f"sum({inner})"
        if form < 0.62:
            return f"sum({inner}) filter (where cost_basis = '{self.dice.choice(KINDS)}')"
        if form < 0.76:
            return f"{self.dice.choice(['avg', 'min', 'max', 'median'])}({inner})"
        if form < 0.86:
            return f"sum({inner}) {self.dice.choice('+-')} sum({self.amount(relation)})"
        if form < 0.92:
            return f"sum({inner}) / 3"
        return f"coalesce(sum({inner}), 0)"

    def over(self, name: str) -> str:
        return self.dice.choice(
            [
                f"select sum(x0) as y from {name}",
                f"select x0 as y from {name}",
                f"select max(x0) - min(x0) as y from {name}",
                f"select avg(x0) as y from {name}",
                f"select x0 - lag(x0) over (order by x0) as y from {name}",
                f"select sum(x0) over () as y from {name}",
                f"select sum(y) as z from (select x0 as y from {name} union all select x0 from {name})",
                f"select a.x0 + b.x0 as y from {name} as a, {name} as b",
            ]
        )

    def join(self) -> str:
        one, other = self.select(grouped=True), self.select(grouped=True)
        day = self.dice.random() < 0.6
        if day:
            bases = (self.dice.choice(KINDS), self.dice.choice(KINDS))
            views = [self.dice.choice(["costs.by_day", "costs.by_team", "costs.by_usage_type"]) for _ in range(2)]
            one, other = (
                f"select usage_date, sum(amount_usd) as x0 from {view} where cost_basis = '{basis}' group by usage_date"
                for view, basis in zip(views, bases, strict=True)
            )
        how = self.dice.choice(["join", "left join", "full join"]) + " b using (usage_date)" if day else ", b"
        value = self.dice.choice(
            ["a.x0 + b.x0", "a.x0 - b.x0", "a.x0", "b.x0", "sum(a.x0)", "sum(a.x0) - sum(b.x0)", "coalesce(a.x0, b.x0)"]
        )
        return f"with a as ({one}), b as ({other}) select {value} as y from a {how}".replace("a ,", "a,")


def is_number(value: object) -> bool:
    """A union may have texts and amounts in one column."""
    return re.fullmatch(r"-?\d+(\.\d+)?(e[-+]?\d+)?", str(value)) is not None


def values_of(
    database: duckdb.DuckDBPyConnection, sql: str, amounts: Amounts
) -> dict[tuple[int, tuple[Any, ...]], list[Decimal]]:
    """Position of an amount and the labels of its row -> the values, smallest first."""
    answer = database.execute(sql)
    found: dict[tuple[int, tuple[Any, ...]], list[Decimal]] = {}
    for row in answer.fetchall():
        labels = tuple(
            each for n, each in enumerate(row) if n not in amounts and isinstance(each, (str, date, type(None)))
        )
        for position in amounts:
            number = (
                Decimal(0) if row[position] is None or not is_number(row[position]) else Decimal(str(row[position]))
            )
            found.setdefault((position, labels), []).append(number)
    return {key: sorted(values) for key, values in found.items()}


def moved_too_far(worlds: Worlds, sql: str, amounts: Amounts) -> Iterator[str]:
    """Yield what a change of one charge does to an answer that it must not do."""
    before = values_of(worlds.here, sql, amounts)
    for kind, database in worlds.others.items():
        after = values_of(database, sql, amounts)
        for key in before.keys() | after.keys():
            position, labels = key
            said = amounts[position]
            kinds = set(said.get("cost_basis", said.get("kind", ())))
            if len(kinds) > 1:
                kinds &= set(map(str, labels))
            if "amortized_amount" in sql and "effective" in kinds:
                kinds.add("billed")  # where no effective cost is stated, and only there
            unit = "USD" if said.get("unit") == ["USD"] else "native"
            most = worlds.moved[kind][unit] if kind in kinds else Decimal(0)
            one, other = before.get(key, []), after.get(key, [])
            one, other = (values + [Decimal(0)] * (max(len(one), len(other)) - len(values)) for values in (one, other))
            change = max((abs(a - b) for a, b in zip(sorted(one), sorted(other), strict=True)), default=Decimal(0))
            if change > most * Decimal("1.000001"):
                yield f"{sql}: {kind} moves column {position} of {kinds} {labels} by {change}"


def test_no_answer_has_two_kinds_or_costs_twice(worlds: Worlds) -> None:
    dice, allowed = Random(FIRST), 0
    wrong: list[str] = []
    for _ in range(QUERIES):
        sql = Generator(dice).query()
        try:
            amounts = amounts_of(worlds.here, sql, anything)
        except (WarehouseError, duckdb.Error):
            continue
        allowed += 1
        wrong += moved_too_far(worlds, sql, amounts)
    assert wrong == []
    assert allowed > QUERIES / 5, "it looks at something"

"""What several figures of a report read: temporary tables, and views made again, of its days.

DuckDB computes a view in each query that reads it, and a filter of days does not reach what two parts of it read. Here
are no figures. What a page shows names the views of the warehouse: they have the same rows, because only views of this
release are made again. Each is made when a query first reads it: whoever asks for one figure waits for no other's.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Self

import duckdb

from usage_assets.core.days import Window, end_of_month
from usage_assets.models.costs import VIEWS, unreadable
from usage_assets.warehouse.errors import WarehouseError
from usage_assets.warehouse.values import View
from usage_assets.warehouse.views import are_made
from usage_assets_report.period import Period

DAYS = ("costs.complete_days", "costs.daily_costs", "costs.daily_costs_by_key", "costs.usage")
"""What is narrowed down to the days of the report and of the period before it, for the views below."""
MONTHS = "costs.billed_to_share"
"""What is narrowed down to the whole months of the report: what is shared is shared by the month."""
MADE: Mapping[str, tuple[str, Sequence[str]]] = {
    "costs.people": ("table", ()),
    "costs.seats": ("macro", ()),
    "costs.allocated_costs_by_key_of_people": ("view", ()),
    "models.names": ("view", ("costs.daily_costs", "costs.usage")),
    "models.names_in_costs": ("table", ("costs.daily_costs",)),
    "models.usage_families": ("table", ("costs.daily_costs",)),
    "costs.counted_costs": ("view", ()),
    "costs.by_model_as_sent": ("view", ()),
    "costs.billed_twice": ("view", ("costs.daily_costs",)),
    "costs.active_people": ("table", ("costs.complete_days", "costs.usage")),
    "costs.unit_costs": ("view", ("costs.complete_days", "costs.daily_costs_by_key", "costs.usage")),
    "costs.cost_shares": ("view", (MONTHS,)),
    "costs.by_cost_center": ("view", (MONTHS,)),
}
"""View or macro -> what it becomes, and what of ``DAYS`` and ``MONTHS`` it reads of these days alone; each after
those that it reads.

Costs of these days have models of these days, and a name means the same among any others (models/sql/model_rules.sql).
"""
STATEMENT = r"create or replace (?:view|macro) {name}(\(\w+\) as table| as)\n(.+?)(?:;\n\n|;?\s*\Z)"


@dataclass
class Made:
    """What is made for the figures of one period, in one connection."""

    database: duckdb.DuckDBPyConnection
    period: Period
    tables: Mapping[str, str]
    """Temporary table -> its query. A query reads it as ``{table}``, and may read those before its own."""
    shared: Collection[str] = ()
    """Those of the tables that hold all days, whatever part of them is asked for."""
    _made: dict[str, str] = field(default_factory=dict)
    """View or table -> what to read instead; itself where it cannot be made again."""

    def of(self, period: Period) -> Self:
        """Return the same for a part of these days: only tables of a period are made again."""
        for table in self.shared:
            with suppress(WarehouseError):  # a figure that needs it says so
                self.make(table)
        kept = {name: place for name, place in self._made.items() if name not in self.tables or name in self.shared}
        return replace(self, period=period, _made=kept)

    def run(self, sql: str) -> str:
        """Return a query that reads what is made, and make it. Raises WarehouseError where a table cannot be made."""
        for table in self.tables:
            if f"{{{table}}}" in sql:
                self.make(table)
                sql = sql.replace(f"{{{table}}}", f"  from temp.main.{table}")
        return self._reading(sql)

    def make(self, *tables: str) -> None:
        """Make temporary tables. Raises WarehouseError."""
        for table in tables:
            if table in self._made:
                continue
            sql = self.run(self.tables[table])
            try:
                self.database.execute(f"create or replace temp table {table} as {sql}", self.period.used(sql))
            except (duckdb.CatalogException, duckdb.BinderException) as error:
                raise unreadable(self.database, error) from None
            self._made[table] = f"temp.main.{table}"

    def instead(self, name: str) -> str:
        """Return what to read instead of a view. What another release has stored is read as it is stored."""
        if name not in self._made:
            self._made[name] = name
            if name in DAYS:
                self._narrow_down(name, "view", Window(self.period.before_first, self.period.last))
            elif name == MONTHS:
                months = Window(self.period.first.replace(day=1), end_of_month(self.period.last))
                self._narrow_down(name, "table", months)
            else:
                kind, days = MADE[name]
                for view, query in _declared(name):
                    if are_made(self.database, [view]):
                        self._make_again(name, kind, self._reading(query, days))
        return self._made[name]

    def _reading(self, sql: str, days: Sequence[str] = ()) -> str:
        """Return a query that reads what is made again; of ``DAYS``, only these."""
        names = "|".join(map(re.escape, (*MADE, *days)))
        return re.sub(rf"\b(?:{names})\b", lambda found: self.instead(found[0]), sql)

    def _narrow_down(self, name: str, kind: str, days: Window) -> None:
        between = f"usage_date between date '{days.first}' and date '{days.last}'"
        self._make_again(name, kind, f" as from {name} where {between}")

    def _make_again(self, name: str, kind: str, query: str) -> None:
        """Make one; leave it where tables are missing or of an earlier release."""
        called = f"temp.main.{name.partition('.')[2]}"
        with suppress(duckdb.CatalogException, duckdb.BinderException):
            self.database.execute(f"create or replace temp {kind} {called}{query}")
            self._made[name] = called


def _declared(name: str) -> Iterator[tuple[View, str]]:
    """Yield the file of a view or macro, and what it is, from its parameters on: none of a package that is missing."""
    pattern = re.compile(STATEMENT.format(name=re.escape(name)), re.S)
    for view in VIEWS:
        if found := pattern.search(view.sql):
            parameters, query = found.groups()
            yield view, f"{parameters}\n{query}"

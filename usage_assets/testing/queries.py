"""The rules of a provider's queries beside its costs: what ids are called (sql/names/), and tokens (sql/usage/)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from itertools import chain, combinations
from typing import Any

from usage_assets.core.schema import columns
from usage_assets.models.model import SQL
from usage_assets.testing.product import Product
from usage_assets.warehouse.values import View, declared_in

KINDS = {"provider", "project_id", "workspace_id", "user_id", "api_key_id"}
"""What a query of names may name: columns of costs and usage that hold ids, and the provider that a bill names."""
ONLY_READ = {"valid_from"}
"""Columns that a view reads and does not have."""


@dataclass(frozen=True)
class ProviderQuery:
    """One of a provider's queries that a view has together with those of others."""

    product: Product
    folder: str
    view: str
    """Its columns are known, and no others."""

    @property
    def name(self) -> str:
        """The file, as messages name it."""
        return f"sql/{self.folder}/{self.product.provider.name}.sql"

    @cached_property
    def sql(self) -> str:
        """The query; empty where the provider has none."""
        file = self.product.provider.sql / self.folder / f"{self.product.provider.name}.sql"
        return file.read_text(encoding="utf-8") if file.exists() else ""

    @property
    def known(self) -> Mapping[str, str]:
        """The columns of the view, with what they mean."""
        return View((SQL / "views" / f"{self.view}.sql").read_text(encoding="utf-8")).described

    def read(self, select: str) -> Sequence[Mapping[str, Any]]:
        """Return what a query over it selects."""
        return self.product.read(f"with queried as (\n{self.sql}\n) {select}")

    @cached_property
    def columns(self) -> set[str]:
        """Its columns."""
        described = self.product.read(f"select column_name from (describe from (\n{self.sql}\n))")
        return {str(row["column_name"]) for row in described}

    def check_columns(self, required: set[str]) -> None:
        """Raise AssertionError for a column that the view would drop, or one that it needs."""
        found, known = self.columns, {*self.known} | ONLY_READ
        assert found <= known, f"{self.name}: {self.view} has no column {listed(found - known)}, and would drop it"
        assert required <= found, f"{self.name}: the column {listed(required - found)} is missing"

    def check_reads(self) -> None:
        """Raise AssertionError for a table of the provider that is read and not listed."""
        view = View(self.sql)
        own = {table for each in self.product.provider.endpoints for table in each.tables}
        own |= {each.row.table for each in self.product.provider.lookups}
        code = re.sub("'[^']*'", "''", view.code)
        missing = {table for table in own if re.search(rf"\b{re.escape(table)}\b", code)} - {*view.reads}
        assert not missing, f"{self.name}: a comment must list what it reads: -- reads: {listed(missing)}"

    def check_books(self) -> None:
        """Raise AssertionError for a counter of a day that is not what the account's own books say.

        A query without some use says so: ``-- partly: why``. It may have less, not more.
        """
        is_partly = "partly" in declared_in(self.sql)
        for measure in (name for name in self.columns if self.known[name].endswith("]")):
            books = self._books(measure)
            found = self._by_day(f"sum({measure})", "queried") if books else {}
            for day, sums in books.items():
                amount = found.get(day, Decimal(0))
                said = f"{self.name}: {measure} of {day} is {amount}, and the account has {min(sums)}"
                assert amount in sums or (is_partly and amount <= max(sums)), said

    def _books(self, measure: str) -> Mapping[date, set[Decimal]]:
        """Return what a counter may be on each day. Nothing where that is not known: where a table that is read has no
        column of that name, or the account has no total of it.

        Input includes cached input, so what a table counts apart may have been added.
        """
        read = View(self.sql).reads
        endpoints = [each for each in self.product.provider.endpoints if each.row.table in read]
        totals = [self.product.account.truth(each.name).get(measure) for each in endpoints]
        whole = [each for each in totals if each is not None]
        if not whole or len(whole) < len(endpoints):
            return {}
        apart = [
            self._by_day(f"sum({column.name})", each.row.table)
            for each in endpoints
            for column in columns(each.row)
            if measure == "input_tokens" and "cache" in column.name and column.unit
        ]
        some = [*chain.from_iterable(combinations(apart, n) for n in range(len(apart) + 1))]
        return {
            day: {sum((by_day.get(day, Decimal(0)) for by_day in (*whole, *added)), Decimal(0)) for added in some}
            for day in self.product.account.days
        }

    def _by_day(self, total: str, source: str) -> Mapping[date, Decimal]:
        rows = self.read(f"select usage_date as day, {total} as amount from {source} group by all")
        return {row["day"]: Decimal(str(row["amount"] or 0)) for row in rows}


def listed(names: Iterable[object]) -> str:
    """Return names as text."""
    return ", ".join(sorted(map(str, names)))

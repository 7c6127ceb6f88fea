"""The exchange rates that amounts in USD were valued with, in words."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import duckdb

from usage_assets.core.money import Rate, rates_in_words
from usage_assets_report.insights.series import Key, query

ANY = "select 1 from costs.daily_costs where cost_basis = 'billed' and usd_rate is not null limit 1"


@dataclass(frozen=True)
class RatesUsed:
    """Answers for scopes and ranges of days of one state of the warehouse. Each range is read once."""

    database: duckdb.DuckDBPyConnection
    _found: dict[tuple[date, date], Mapping[Key, str | None]] = field(default_factory=dict)

    def of(self, kind: str, id_: str, first: date, last: date) -> str | None:
        """Return the rates of what a scope was billed on some days; None if all of it is in USD or has no rate."""
        if (first, last) not in self._found:
            self._found[first, last] = self._read(first, last)
        return self._found[first, last].get((kind, id_))

    @cached_property
    def _has_any(self) -> bool:
        """Whether anything was valued with a rate: usually nothing was, and the statistics of the column say so."""
        return bool(self.database.execute(ANY).fetchall())

    def _read(self, first: date, last: date) -> Mapping[Key, str | None]:
        if not self._has_any:
            return {}
        rates: dict[Key, list[Rate]] = defaultdict(list)
        for kind, id_, *rate in self.database.execute(query("rates"), {"first": first, "last": last}).fetchall():
            rates[kind, id_].append(Rate(*rate))
        return {key: rates_in_words(of_scope) for key, of_scope in rates.items()}

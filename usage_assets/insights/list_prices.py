"""List prices of the models that are used, and of those that they are compared with (what-if). Never what is billed."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

import duckdb

from usage_assets.config.accounting import ListPriceRow, WhatIfRow
from usage_assets.core.days import DAY
from usage_assets.insights.compute import Insights
from usage_assets.insights.series import LONGEST
from usage_assets.models.prices import dated_prices, has_prices

USED = """
select distinct provider, model
from costs.usage_by_model
where model is not null and usage_date between $first and $last
order by all
"""
MILLION = Decimal(1_000_000)


def with_prices(
    insights: Insights, database: duckdb.DuckDBPyConnection, what_ifs: Sequence[WhatIfRow], newest: date
) -> Insights:
    """Return the insights with list prices of the last 400 days."""
    prices = price_rows(database, what_ifs, newest - LONGEST, newest)
    return replace(insights, rows={**insights.rows, ListPriceRow: prices})


def price_rows(
    database: duckdb.DuckDBPyConnection, what_ifs: Sequence[WhatIfRow], first: date, last: date
) -> Sequence[ListPriceRow]:
    """Return the prices, from ``first`` on, of models that are used until ``last``. None without genai-prices."""
    used = database.execute(USED, {"first": first, "last": last}).fetchall() if has_prices() else []
    wanted = {(provider, model, ""): None for provider, model in used}
    if used:
        wanted |= {(entry.to_provider, entry.to_model, entry.tier): None for entry in what_ifs}
    return [row for each in wanted for row in _prices_of(*each, first)]


def _prices_of(provider: str, model: str, tier: str, first: date) -> Iterator[ListPriceRow]:
    dated = [*dated_prices(provider, model, tier, first)]
    changes = [*(day - DAY for day, _ in dated[1:]), None]
    for (day, prices), last in zip(dated, changes, strict=False):  # without prices there is no end of them
        per_million = {name: price * MILLION for name, price in prices.items()}
        yield ListPriceRow(
            provider=provider,
            model=model,
            tier=tier,
            valid_from=day,
            valid_until=last,
            input=per_million["input"],
            cache_read=per_million["read"],
            cache_write=per_million["write"],
            output=per_million["output"],
        )

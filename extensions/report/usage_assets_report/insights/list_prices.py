"""List prices of the models that are used, and of those that they are compared with (what-if). Never what is billed."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import groupby
from operator import itemgetter

import duckdb

from usage_assets.config.accounting import ListPriceRow, WhatIfRow
from usage_assets.core.days import DAY
from usage_assets.models.prices import STANDARD, ListPrices, has_prices
from usage_assets_report.insights.compute import Insights
from usage_assets_report.insights.series import LONGEST

USED = """
select distinct provider, model, coalesce(service_tier, $standard) as tier, context_window, family
from costs.usage_by_tier
join models.names using (provider, model)
where usage_date between $first and $last
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
    """Return the prices, from ``first`` on, of models that are used until ``last``, and of those that they are compared
    with, at every tier that the provider's usage has. None without genai-prices."""
    asked = {"first": first, "last": last, "standard": STANDARD}
    used = database.execute(USED, asked).fetchall() if has_prices() else []
    models: dict[tuple[str, str, str, str | None], None] = dict.fromkeys(
        (provider, provider, model, None) for provider, model, *_ in used
    )
    models |= dict.fromkeys((each.provider, each.to_provider, each.to_model, each.tier) for each in what_ifs)
    models |= dict.fromkeys(  # what is stated of a family concerns each of its names
        (provider, provider, model, each.tier)
        for each in what_ifs
        for provider, model, *_, family in used
        if (each.provider, each.model) == (provider, family) and (each.to_provider, each.to_model) == (provider, family)
    )
    wanted = {
        (to_provider, to_model, tier or of_use, window): None
        for of_provider, to_provider, to_model, tier in models
        for provider, _, of_use, window, _ in used
        if provider == of_provider
    }
    return [row for each in wanted for row in prices_from(*each, first)]


def prices_from(provider: str, model: str, tier: str, window: str | None, first: date) -> Iterator[ListPriceRow]:
    """Yield the prices of a model from each day on which one changes; nothing of days without one."""
    if (found := ListPrices.of(provider, model)) is None:
        return
    days = sorted({first, *(day for day in found.changes if day > first)})
    changes = [next(same) for _, same in groupby(((found.on(day, tier, window), day) for day in days), itemgetter(0))]
    for (prices, day), (_, following) in zip(changes, [*changes[1:], (None, None)], strict=True):
        if prices:
            per_million = {kind: price * MILLION for kind, price in prices.items()}
            yield ListPriceRow(
                provider=provider,
                model=model,
                tier=tier,
                context_window=window,
                valid_from=day,
                valid_until=following - DAY if following else None,
                list_of=found.seller.id,
                input=per_million.get("input"),
                cache_read=per_million.get("read"),
                cache_write=per_million.get("write"),
                cache_write_1h=per_million.get("write_1h"),
                output=per_million.get("output"),
            )

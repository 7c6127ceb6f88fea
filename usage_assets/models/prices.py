"""Compares billed amounts with tokens times list price. They need not be equal, but a factor of 100 is a wrong unit.

The list prices come from ``genai-prices``, an optional dependency. Without it, this check does not exist.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib.util import find_spec

import duckdb

from usage_assets.models.costs import COSTS
from usage_assets.models.model import sql_files
from usage_assets.warehouse.slices import IN_SLICE, Slice
from usage_assets.warehouse.values import CheckFailure

HUNDREDFOLD = (Decimal(40), Decimal(250))
"""Billed over list price, or the other way round, that is taken for an error of units: rebates and unknown prices stay
far from it."""
FEW = 1000
KINDS = ("input", "read", "write", "output")
"""Kinds of tokens, in which no token is counted twice."""
TOKENS = {cost.part: path.read_text() for cost in COSTS for path in sql_files(f"list_prices/{cost.file}.sql")}
"""Source of costs -> tokens that were used per day and model."""
BILLED = f"""
select usage_date, model, sum(amount_usd)
from costs.daily_costs
where source_table = $source and cost_basis = 'billed' and model is not null and {IN_SLICE}
group by all
"""


def unit_errors(database: duckdb.DuckDBPyConnection, source: str, target: Slice) -> Iterator[CheckFailure]:
    """Yield the days whose models with a list price are billed about 100 times that, or a hundredth of it."""
    billed: dict[date, dict[str, Decimal]] = defaultdict(dict)
    for day, model, dollars in database.execute(BILLED, {**target.bounds, "source": source}).fetchall():
        if dollars:
            billed[day][model] = dollars
    listed: dict[date, Decimal] = defaultdict(Decimal)
    paid: dict[date, Decimal] = defaultdict(Decimal)
    provider = source.partition(".")[0]
    for day, model, *tokens in database.execute(TOKENS[source], target.bounds).fetchall():
        price = _list_price(provider, model, day, dict(zip(("input", "output", "read", "write"), tokens, strict=True)))
        if price and model in billed[day]:
            listed[day] += price
            paid[day] += billed[day][model]
    least, most = HUNDREDFOLD
    for day in sorted(listed):
        ratio = abs(paid[day]) / listed[day]
        if least < ratio < most or least < 1 / ratio < most:
            what = "cents taken for dollars" if ratio > 1 else "dollars taken for cents"
            text = f"${paid[day]:.2f} is billed, {ratio:.3g} times the list price of ${listed[day]:.2f}: {what}?"
            yield CheckFailure(day, text)


def has_prices() -> bool:
    return find_spec("genai_prices") is not None


def dated_prices(provider: str, model: str, tier: str, first: date) -> Iterator[tuple[date, Mapping[str, Decimal]]]:
    """Yield the dollars of a token of each kind and the day from which on they are so: on ``first``, and every change.

    Nothing for a model, or a tier of it, without a price.
    """
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - optional

    try:
        _, found = get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return
    variants = [each for each in found.price_variants or () if {*each.when.values()} == {tier}]
    standard = found.prices if isinstance(found.prices, list) else ()
    changes = {getattr(each.constraint, "start_date", first) for each in (*standard, *variants)}
    for day in sorted({first, *(each for each in changes if each > first)}):
        offered = any(getattr(each.constraint, "start_date", day) <= day for each in variants)
        if (prices := list_prices(provider, model, day, tier=tier)) and (offered or not tier):
            yield day, prices


def list_prices(
    provider: str, model: str, day: date, kinds: Collection[str] = KINDS, tier: str = ""
) -> Mapping[str, Decimal] | None:
    """Return the dollars of a token of each kind; None for a model without a price then."""
    from genai_prices import Usage, calc_price  # noqa: PLC0415 - optional

    # what a few tokens cost, times what was used: a day's tokens are no single request, for which longer ones cost more
    shares = {
        "input": Usage(input_tokens=FEW),
        "read": Usage(input_tokens=FEW, cache_read_tokens=FEW),
        "write": Usage(input_tokens=FEW, cache_write_tokens=FEW),
        "output": Usage(output_tokens=FEW),
    }
    noon = datetime.combine(day, time(12), UTC)
    try:
        return {
            name: calc_price(
                shares[name],
                model_ref=model,
                provider_id=provider,
                genai_request_timestamp=noon,
                price_context=dict.fromkeys(("processing", "service_tier", "speed"), tier) if tier else None,
            ).total_price
            / FEW
            for name in kinds
        }
    except LookupError:
        return None


def _list_price(provider: str, model: str, day: date, tokens: Mapping[str, int]) -> Decimal | None:
    """Dollars of the tokens of a day; None for a model without a price then."""
    prices = list_prices(provider, model, day, [name for name in KINDS if tokens[name]])
    return None if prices is None else sum((tokens[name] * price for name, price in prices.items()), Decimal(0))

"""Compares billed amounts with tokens times list price. They need not be equal, but a factor of 100 is a wrong unit.

The list prices come from ``genai-prices``, an optional dependency. Without it, this check does not exist.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING

import duckdb

from usage_assets.core.money import total
from usage_assets.models.costs import COSTS
from usage_assets.models.model import sql_files
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.slices import IN_SLICE, Slice
from usage_assets.warehouse.values import CheckFailure

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, PriceVariant
    from genai_prices.types import Provider as Seller

HUNDREDFOLD = (Decimal(40), Decimal(250))
"""Billed over list price, or the other way round, that is taken for an error of units: rebates and unknown prices stay
far from it."""
UNIT_ADVICE = "Compare the day with the provider's invoice. If the invoice says another amount, please report it"
FEW = 1000
KINDS: Mapping[str, str] = {
    "input": "input_mtok",
    "read": "cache_read_mtok",
    "write": "cache_write_mtok",
    "write_1h": "cache_write_1h_mtok",
    "output": "output_mtok",
}
"""Kinds of tokens, in which no token is counted twice -> what genai-prices calls their price. Tokens are written to a
cache for 5 minutes or for an hour (``write_1h``), which costs more: what does not say for how long is ``write``."""
WRITE_1H = "write_1h"
"""genai-prices would give it the price of shorter writes where it does not know its own: then it has none."""
CACHED = {
    "read": ("cache_read_tokens",),
    "write": ("cache_write_tokens",),
    WRITE_1H: ("cache_write_tokens", "cache_write_1h_tokens"),
}
"""Kinds that are parts of the input -> all that genai-prices counts them as."""
STANDARD = "standard"
WINDOW = re.compile(r"(\d+)(k|m)?-(\d+)(k|m)?", re.I)
"""Sizes of requests, as Anthropic states them: 0-200k."""
TIMES = {"": 1, "k": 1000, "m": 1_000_000}
COUNTED = ("input", "output", "read", "write", WRITE_1H)
"""Kinds of tokens, in the order of the columns of ``TOKENS``."""
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
        price = _list_price(provider, model, day, dict(zip(COUNTED, tokens, strict=True)))
        if price and model in billed[day]:
            listed[day] += price
            paid[day] += billed[day][model]
    least, most = HUNDREDFOLD
    for day in sorted(listed):
        ratio = abs(paid[day]) / listed[day]
        if least < ratio < most or least < 1 / ratio < most:
            what = "cents taken for dollars" if ratio > 1 else "dollars taken for cents"
            text = f"${paid[day]:,.2f} is billed, {ratio:.3g} times the list price of ${listed[day]:,.2f}: {what}?"
            yield CheckFailure(day, text, UNIT_ADVICE)


def has_prices() -> bool:
    return find_spec("genai_prices") is not None


@dataclass(frozen=True)
class ListPrices:
    """The list prices of a model, as genai-prices and declarations of its provider (``TierPrice``) give them."""

    seller: "Seller"
    """Whose prices they are: the provider's, or the model's maker's where genai-prices does not know the provider's."""
    model: "ModelInfo"

    @classmethod
    def of(cls, provider: str, model: str) -> "ListPrices | None":
        """Return the prices of a provider's model; None if genai-prices does not know it."""
        from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - optional

        snapshot = get_snapshot()
        for seller in (provider, None):
            try:
                return cls(*snapshot.find_provider_model(model, None, seller, None))
            except LookupError:
                continue
        return None

    @cached_property
    def changes(self) -> Collection[date]:
        """The days on which any price begins."""
        conditional = self.model.prices if isinstance(self.model.prices, list) else ()
        starts = (getattr(each.constraint, "start_date", None) for each in (*conditional, *self._variants))
        declared = PROVIDERS.get(self.seller.id)
        return {*filter(None, starts), *(each.since for each in (declared.tier_prices if declared else ()))}

    @property
    def _variants(self) -> Collection["PriceVariant"]:
        return self.model.price_variants or ()

    def on(
        self, day: date, tier: str = STANDARD, window: str | None = None, kinds: Collection[str] = KINDS
    ) -> Mapping[str, Decimal]:
        """Return the dollars of a token of each kind; kinds that have no known price are left out.

        ``window`` is the size of the requests (``0-200k``). None: they are short.
        """
        noon = datetime.combine(day, time(12), UTC)
        context = dict.fromkeys(("processing", "service_tier", "speed"), tier)
        offered = [
            each.prices
            for each in self._variants
            if {*each.when.values()} == {tier} and (each.constraint is None or each.constraint.active(noon))
        ]
        if tier == STANDARD or not offered:
            standard = self._prices(self.model.get_prices(noon), window, kinds)
            multiple = self._multiple(tier, day)
            return {} if multiple is None else {kind: price * multiple for kind, price in standard.items()}
        # a price that the tier does not state would be that of the standard tier
        usual = self.model.get_prices(noon)
        stated = [
            kind
            for kind in kinds
            if _price_of(usual, kind) is None or any(_price_of(each, kind) is not None for each in offered)
        ]
        return self._prices(self.model.get_prices(noon, context), window, stated)

    def _multiple(self, tier: str, day: date) -> Decimal | None:
        if tier == STANDARD:
            return Decimal(1)
        declared = PROVIDERS.get(self.seller.id)
        known = [each for each in (declared.tier_prices if declared else ()) if each.tier == tier and each.since <= day]
        return known[0].multiple if known else None

    @staticmethod
    def _prices(prices: "ModelPrice", window: str | None, kinds: Collection[str]) -> Mapping[str, Decimal]:
        from genai_prices import Usage  # noqa: PLC0415 - optional

        def price(kind: str, size: int) -> Decimal:
            before = Usage(input_tokens=size)
            if kind == "output":
                both = Usage(input_tokens=size, output_tokens=FEW)
                return (prices.calc_price(both)["total_price"] - prices.calc_price(before)["total_price"]) / FEW
            usage = Usage(input_tokens=size, **dict.fromkeys(CACHED.get(kind, ()), size))
            return prices.calc_price(usage)["total_price"] / size

        # of the smallest and the largest request: longer ones may cost more
        known = [kind for kind in kinds if kind != WRITE_1H or _price_of(prices, kind) is not None]
        found = {kind: {price(kind, size) for size in _sizes(window)} for kind in known}
        return {kind: next(iter(each)) for kind, each in found.items() if len(each) == 1}


def _price_of(prices: "ModelPrice", kind: str) -> object:
    """Return what genai-prices states of a kind of tokens; None where it states nothing."""
    return getattr(prices, KINDS[kind], None)


def _sizes(window: str | None) -> Collection[int]:
    """Return how many tokens the smallest and the largest requests have; none if that is not known."""
    if window is None:
        return [FEW]
    if not (sizes := WINDOW.fullmatch(window)):
        return []
    low, times, high, times_of_high = sizes.groups(default="")
    return [int(low) * TIMES[times.lower()] + 1, int(high) * TIMES[times_of_high.lower()]]


def _list_price(provider: str, model: str, day: date, tokens: Mapping[str, int]) -> Decimal | None:
    """Dollars of the tokens of a day; None for a model that lacks the price of one."""
    found = ListPrices.of(provider, model)
    if found is None:
        return None
    used = [name for name in KINDS if tokens[name]]
    prices = found.on(day, kinds=used)
    if len(prices) < len(used):
        return None
    return total(tokens[name] * price for name, price in prices.items())

"""What what-if must say, from the rows of the books.

Prices are written here by hand, from the providers' public pages, so that a wrong lookup of prices shows.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from usage_assets_tests.end_to_end.audit_books import Keeper
from usage_assets_tests.end_to_end.audit_sums import DAILY, Row, total


class Price(NamedTuple):
    """Dollars of a million tokens."""

    input: Decimal
    read: Decimal
    write_5m: Decimal
    write_1h: Decimal
    output: Decimal
    since: date = date.min

    def of(self, tokens: "Tokens", cached_share: Decimal | None) -> Decimal:
        """What tokens cost. What is written to the cache stays as it was, whatever share is read from it."""
        written = tokens.write_5m + tokens.write_1h
        read = Decimal(tokens.read)
        if cached_share is not None:
            read = min(tokens.input * cached_share, Decimal(tokens.input - written))
        parts = (
            (tokens.input - written - read, self.input),
            (read, self.read),
            (tokens.write_5m, self.write_5m),
            (tokens.write_1h, self.write_1h),
            (tokens.output, self.output),
        )
        return sum((count * price for count, price in parts), Decimal(0)).scaleb(-6)


class Tokens(NamedTuple):
    """What a model read and wrote at one tier of a day. Input includes what is read from the cache or written to it."""

    tier: str
    input: int
    read: int
    write_5m: int
    write_1h: int
    output: int


def _claude(usd: str, half: int = 1) -> Price:
    """A price of Anthropic: cache reads are a tenth of the input, writes 1.25 (5 minutes) and 2 (1 hour), output 5."""
    price = Decimal(usd) / half
    read, write_5m, write_1h, output = (price * Decimal(times) for times in ("0.1", "1.25", "2", "5"))
    return Price(price, read, write_5m, write_1h, output)


def _gpt(input_: str, cached: str, output: str, since: date = date.min) -> Price:
    """A price of OpenAI: what is written to the cache costs as much as any input."""
    return Price(Decimal(input_), Decimal(cached), Decimal(input_), Decimal(input_), Decimal(output), since)


LIST: Mapping[tuple[str, str], Price] = {
    # https://platform.claude.com/docs/en/about-claude/pricing: model pricing, and batch processing at half of it
    ("claude-opus-5", "standard"): _claude("5"),
    ("claude-opus-5", "batch"): _claude("5", 2),
    ("claude-sonnet-5", "standard"): _claude("2"),
    ("claude-sonnet-5", "batch"): _claude("2", 2),
    # https://openai.com/api/pricing; genai-prices has the other tiers since October 2026
    ("gpt-5.4", "standard"): _gpt("2.5", "0.25", "15"),
    ("gpt-5.4", "batch"): _gpt("1.25", "0.13", "7.5", date(2026, 10, 14)),
    ("gpt-5.4", "flex"): _gpt("1.25", "0.13", "7.5", date(2026, 10, 12)),
    ("gpt-5.4", "priority"): _gpt("5", "0.5", "30", date(2026, 10, 12)),
}
"""Model and tier -> its public list price."""


class WhatIf(NamedTuple):
    """An entry of the connections file."""

    provider: str
    model: str
    to: str
    cached_share: Decimal | None = None

    @property
    def instead(self) -> str:
        """What the report calls it."""
        share = "" if self.cached_share is None else f", {self.cached_share * 100:f}".rstrip("0").rstrip(".")
        return self.to + (f"{share}% of the input cached" if share else "")


WHAT_IFS = (
    WhatIf("anthropic", "claude-opus-5", "claude-sonnet-5"),
    WhatIf("openai", "gpt-5.4", "gpt-5.4", Decimal("0.5")),
)


def _messages(row: Row) -> Tokens:
    written = (row["cache_creation_5m_input_tokens"], row["cache_creation_1h_input_tokens"])
    read = row["cache_read_input_tokens"]
    whole = row["uncached_input_tokens"] + read + sum(written)
    return Tokens(row["service_tier"] or "standard", whole, read, *written, row["output_tokens"])


def _completions(row: Row) -> Tokens:
    tier = "batch" if row["batch"] else row["service_tier"] or "standard"
    tier = "standard" if tier == "default" else tier
    written = row.get("input_cache_write_tokens") or 0
    return Tokens(tier, row["input_tokens"], row["input_cached_tokens"] or 0, written, 0, row["output_tokens"])


USED: Mapping[str, Callable[[Row], Tokens]] = {
    "anthropic.usage_messages": _messages,
    "openai.usage_completions": _completions,
    "openai.usage_decisions": _completions,
}
"""Raw table -> the tokens of a row."""


def expected_what_if(keeper: Keeper, asked: WhatIf, first: date, last: date) -> Row:
    """Bill, list price and list price instead, of the days of connections that have all three."""
    bills: dict[tuple[str, date], list[Row]] = defaultdict(list)
    for row in keeper.rows(DAILY):
        if (row["provider"], row["model"], row["cost_basis"]) == (asked.provider, asked.model, "billed"):
            bills[row["connection"], row["usage_date"]].append(row)
    used: dict[tuple[str, date], list[Tokens]] = defaultdict(list)
    for table, tokens_of in USED.items():
        for row in keeper.rows(table):
            if table.startswith(asked.provider) and row["model"] == asked.model:
                used[row["connection"], row["usage_date"]].append(tokens_of(row))
    days: set[date] = set()
    usd: list[Decimal] = []
    listed, instead = Decimal(0), Decimal(0)
    for (connection, day), bill in bills.items():
        tokens = used.get((connection, day), [])
        is_known = all(row["amount_usd"] is not None or not row["native_amount"] for row in bill)
        prices = [(LIST.get((asked.model, each.tier)), LIST.get((asked.to, each.tier)), each) for each in tokens]
        known = [(one, other, each) for one, other, each in prices if one and other and one.since <= day >= other.since]
        if first <= day <= last and tokens and is_known and len(known) == len(tokens):
            days.add(day)
            usd += [row["amount_usd"] for row in bill]
            listed += sum(one.of(each, None) for one, _, each in known)
            instead += sum(other.of(each, asked.cached_share) for _, other, each in known)
    return {
        "usd": total(usd),
        "usd_list": listed,
        "usd_list_instead": instead,
        "usd_change": instead - listed,
        "days": len(days),
    }


def wrong_what_ifs(shown: Iterable[Row], books: Mapping[WhatIf, Row]) -> Iterator[str]:
    """A line for each figure of what-if that bills, tokens and public prices do not make."""
    rows = {(row["provider"], row["model"], row["instead"]): row for row in shown}
    for asked, expected in books.items():
        what = f"{asked.model}, instead {asked.instead}"
        row = rows.get((asked.provider, asked.model, asked.instead))
        if row is None:
            yield f"{what}: expected a row, found {sorted(key[2] for key in rows if key[1] == asked.model)}"
            continue
        for name, value in expected.items():
            if row[name] != value:
                yield f"{what}, {name}: expected {value}, found {row[name]}"

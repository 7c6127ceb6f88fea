"""What the golden answers must be: sums over the company's books, in Python. Nothing here is read from the product."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from typing import Any

from usage_assets_assistant_tests.mcp.golden_company import LAST, MONTH
from usage_assets_report_tests.end_to_end.audit_books import Keeper
from usage_assets_report_tests.end_to_end.audit_models import identified, kind_of
from usage_assets_report_tests.end_to_end.audit_sums import DAILY, Row, total
from usage_assets_report_tests.end_to_end.audit_views import attributed, of_people
from usage_assets_sandbox.company import EXACT

Key = tuple[str | None, ...]
"""What a row is about, then its cost basis and unit."""
Sums = Mapping[Key, Decimal]

ABOUT = {
    "cost_basis": (),
    **{name: (name,) for name in ("day", "month", "provider", "connection", "team", "cost_center", "model")},
    "usage_type": ("usage_type",),
    "project": ("connection", "project_id", "workspace_id"),
    "actor": ("connection", "actor_kind", "actor_id"),
    "person": ("actor_kind", "person_id"),
    "api_key": ("connection", "api_key_id", "api_key_display_name"),
}
"""Dimension of `spend` -> what names its rows."""
ADDRESS = re.compile(r"\S+@\S+")
NONE = {"model": "no model", "cost_center": "no cost center"}
PRICES = {"claude-opus-5": (5, 25), "claude-sonnet-5": (2, 10)}
"""Dollars per million tokens of input and output: https://platform.claude.com/docs/en/about-claude/pricing."""


def text_of(amount: Decimal | int) -> str:
    """An exact decimal as answers spell it: no exponent, no zeros at the end."""
    spelled = f"{Decimal(amount):f}"
    return (spelled.rstrip("0").rstrip(".") if "." in spelled else spelled) or "0"


class Books:
    """The company's books, asked as an assistant asks."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper

    def id_of(self, name: str) -> str:
        """OpenAI's id of a project that the company calls so."""
        found = self.keeper.accounts["openai"].ledger.company.identifier("proj_", name)
        assert found
        return found

    @cached_property
    def costs(self) -> list[Row]:
        """Every cost once, in parts where a bill is split, with its amount in the unit that it is answered in."""
        return [
            {
                **identified(row),
                **_amount(row),
                "day": str(row["usage_date"]),
                "month": str(row["usage_date"])[:8] + "01",
            }
            for row in of_people(self.keeper, attributed(self.keeper))
        ]

    def chosen(self, first: date = MONTH, last: date = LAST, **only: Any) -> Iterator[Row]:
        """The costs of some days, with these values."""
        for row in self.costs:
            named = {**row, "model": row["family"], "usage_type": kind_of(row)}
            if first <= row["usage_date"] <= last and all(named[name] == value for name, value in only.items()):
                yield named

    def spend(self, by: str = "cost_basis", first: date = MONTH, last: date = LAST, **only: Any) -> Sums:
        """What was spent, per value, cost basis and unit."""
        sums: defaultdict[Key, Decimal] = defaultdict(Decimal)
        for row in self.chosen(first, last, **only):
            about = tuple(row[name] or NONE.get(name) for name in ABOUT[by])
            key = (*about, row["cost_basis"], row["unit"])
            sums[key] = EXACT.add(sums[key], row["amount"])
        return dict(sums)

    def hidden(self, by: str, **only: Any) -> Sums:
        """The same for an assistant that sees no person: all of them are one."""
        sums: defaultdict[Key, Decimal] = defaultdict(Decimal)
        place = {"person": 0, "actor": 1}[by]
        for key, amount in self.spend(by, **only).items():
            is_person = key[place] == "person"
            seen = (*key[: place + 1], "a person" if is_person else key[place + 1], *key[place + 2 :])
            sums[seen] = EXACT.add(sums[seen], amount)
        return dict(sums)

    def without_addresses(self, by: str, **only: Any) -> Sums:
        """The same with addresses in names taken out."""
        sums: defaultdict[Key, Decimal] = defaultdict(Decimal)
        for key, amount in self.spend(by, **only).items():
            seen = tuple(name and ADDRESS.sub("an address", name) for name in key)
            sums[seen] = EXACT.add(sums[seen], amount)
        return dict(sums)

    def billed(self, first: date, last: date, **only: Any) -> Decimal:
        """Billed, valued in USD."""
        return self.spend(first=first, last=last, **only).get(("billed", "USD"), Decimal(0))

    def unvalued(self, first: date, last: date, currency: str) -> Decimal:
        """Billed in a currency without a rate."""
        return self.spend("cost_basis", first, last).get(("billed", currency), Decimal(0))

    def billed_by_day(self, **only: Any) -> dict[date, Decimal]:
        """Billed, valued in USD, of each day with anything."""
        return {
            date.fromisoformat(str(day)): amount
            for (day, basis, unit), amount in self.spend("day", **only).items()
            if (basis, unit) == ("billed", "USD")
        }

    def native(self, connection: str, basis: str, first: date, last: date) -> Decimal:
        """The sum of what a connection states, as stated, without any split."""
        rows = (row for row in self.keeper.rows(DAILY) if first <= row["usage_date"] <= last)
        of_it = (row["native_amount"] for row in rows if (row["connection"], row["cost_basis"]) == (connection, basis))
        return total(of_it) or Decimal(0)

    def raw(self, table: str, measure: Callable[[Row], Any]) -> Any:
        """The sum of a measure of a raw table, of the month."""
        return total(measure(row) for row in self.keeper.rows(table) if MONTH <= row["usage_date"] <= LAST)

    def claude_code(self, measure: str, *, is_api: bool) -> int:
        """What Claude Code counted of API customers, or of subscribers."""
        return int(self.raw("anthropic.claude_code", lambda row: row[measure] if _is_api(row) is is_api else None) or 0)

    def coders(self, *, is_api: bool) -> set[str]:
        """Who used Claude Code."""
        rows = self.keeper.rows("anthropic.claude_code")
        return {
            row["actor_email"]
            for row in rows
            if row["actor_email"] and MONTH <= row["usage_date"] <= LAST and _is_api(row) is is_api
        }

    def at_list_price(self, priced: str) -> Decimal:
        """What this month's tokens of Claude Opus 5 cost at the list price of a model; batches cost half."""
        per_input, per_output = (Decimal(price) / 10**6 for price in PRICES[priced])
        factors = {
            "uncached_input_tokens": per_input,
            "cache_read_input_tokens": per_input / 10,
            "cache_creation.ephemeral_5m_input_tokens": per_input * Decimal("1.25"),
            "cache_creation.ephemeral_1h_input_tokens": per_input * 2,
            "output_tokens": per_output,
        }
        summed = Decimal(0)
        for row in self.keeper.rows("anthropic.usage_messages"):
            if row["model"] == "claude-opus-5" and MONTH <= row["usage_date"] <= LAST:
                tokens = {name: row.get(name.replace(".ephemeral", "")) or 0 for name in factors}
                cost = sum((factors[name] * number for name, number in tokens.items()), Decimal(0))
                summed += cost / 2 if row["service_tier"] == "batch" else cost
        return summed


def _is_api(row: Row) -> bool:
    return bool(row["customer_type"] == "api")


def _amount(row: Row) -> Row:
    if row["cost_basis"] == "credits":
        return {"amount": row["native_amount"], "unit": "credits"}
    if row["amount_usd"] is not None:
        return {"amount": row["amount_usd"], "unit": "USD"}
    return {"amount": row["native_amount"], "unit": row["currency"]}  # in major units: no yen here


def per_unit(dollars: Decimal, quantity: int) -> str:
    """A unit cost, rounded half up to six places."""
    return text_of((dollars / quantity).quantize(Decimal("1e-6"), ROUND_HALF_UP))

"""What the warehouse must hold of a day: derived from the sandbox's books, never from answers or what reads them.

The books here are a copy, told of every restatement that the sandbox is told of.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from usage_assets_sandbox.company import Row, total
from usage_assets_sandbox.company_anthropic import ORGANIZATION_ID
from usage_assets_sandbox.company_chatgpt import workspace_row
from usage_assets_sandbox.ledger import Clock, Ledger, group
from usage_assets_sandbox.providers import BOOKS

Content = Counter[frozenset[tuple[str, Any]]]
"""Rows as sets of what they state: column and value. Nulls state nothing."""

NOT_COMPARED = {"connection", "usage_date", "model_breakdown"}
"""Connection and day are what rows are found by; the money of ``model_breakdown`` is in its row's estimate."""
WORKSPACE = "ws-sandbox"
API_KEY_FLOOR = date(2025, 12, 6)
"""The sandbox groups costs by API key from this day on."""


def content(rows: Iterable[Mapping[str, Any]]) -> Content:
    """Rows, of the books or stored, so that they can be compared."""
    return Counter(
        frozenset((name, value) for name, value in row.items() if value is not None and name not in NOT_COMPARED)
        for row in rows
    )


def _costs(rows: Sequence[Row]) -> Iterator[Row]:
    for row in rows:
        yield {
            **row,
            "amount": None,
            "amount_value": row["amount"],
            "currency": None,
            "amount_currency": row["currency"],
        }


def _cost_report(rows: Sequence[Row]) -> Iterator[Row]:
    for row in rows:
        yield {**row, "amount": None, "amount_cents": row["amount"]}


def _claude_code(rows: Sequence[Row]) -> Iterator[Row]:
    for row in rows:
        actor = "actor_email" if row["actor_type"] == "user_actor" else "api_key_name"
        tools = {f"{tool}_{what}": n for tool, counts in row["tool_actions"].items() for what, n in counts.items()}
        yield {
            **row,
            **tools,
            "tool_actions": None,
            "actor_name": None,
            actor: row["actor_name"],
            "organization_id": ORGANIZATION_ID,
            "occurrence": 1,
            "estimated_cost_usd_cents": total(used["estimated_cents"] for used in row["model_breakdown"]),
        }


def _codex_usage(rows: Sequence[Row]) -> Iterator[Row]:
    same = {"workspace_id": WORKSPACE, "shape": "documented", "occurrence": 1}
    for row in [row for row in rows if row["user_id"]]:
        user = {"user_id": row["user_id"], "actor_type": "user", "actor_user_id": row["user_id"], **same}
        yield {"cut": "user", **user, **row["totals"]}
        for cut in ("client", "model"):
            yield from ({"cut": cut, **user, **cell} for cell in row[f"{cut}s"] or ())
    if rows:
        yield {"cut": "workspace", **same, **workspace_row(rows)["totals"]}


STORED: Mapping[str, Callable[[Sequence[Row]], Iterable[Row]]] = {
    "openai/costs": _costs,
    "anthropic/cost_report": _cost_report,
    "anthropic/claude_code": _claude_code,
    "chatgpt/codex_usage": _codex_usage,
}
"""Endpoint -> how its rows are stored, where the columns are not called as in the books."""
CONTROLS: Mapping[str, tuple[str, str]] = {
    "openai/costs": ("amount_value", "amount_currency"),
    "anthropic/cost_report": ("amount_cents", "currency"),
}
"""Endpoint with control totals -> their columns."""


class Books:
    """The books of the company that the seed stands for. Endpoints are named as ``openai/costs``."""

    def __init__(self, seed: int, now: datetime) -> None:
        self.ledger = Ledger(seed, Clock(now), BOOKS)

    def rows(self, name: str, day: date) -> list[Row]:
        """The rows of a day at the finest grain."""
        provider, endpoint = name.split("/")
        return self.ledger.rows(provider, endpoint, day)

    def restate(self, name: str, day: date, change: str, factor: int) -> int:
        """Change a day as /control/restate does; returns how many rows it touched."""
        provider, endpoint = name.split("/")
        return self.ledger.restate(provider, endpoint, day, change, factor)

    def stored(self, name: str, day: date, group_by: Collection[str], dropped: Collection[str] = ()) -> Content:
        """The day's rows as they must be stored when the provider granted all dimensions but those dropped."""
        provider, endpoint = name.split("/")
        rows = self.rows(name, day)
        if name == "openai/costs" and day < API_KEY_FLOOR:
            dropped = {*dropped, "api_key_id"}
        if dropped:
            dimensions = BOOKS[provider].endpoints[endpoint].dimensions
            rows = group(rows, dimensions, {*dimensions} - {*dropped, "user_email"})
        granted = {"grouped_by": ",".join(sorted({*group_by} - {*dropped})) or None, "user_email": None}
        return content({**row, **granted} for row in STORED.get(name, list)(rows))

    def control(self, name: str, day: date) -> Content:
        """The day's control totals as they must be stored."""
        amount, currency = CONTROLS[name]
        rows = self.rows(name, day)
        return content([{amount: total(row["amount"] for row in rows), currency: "USD"}] if rows else [])

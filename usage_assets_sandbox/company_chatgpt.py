"""What the company's people use of Codex on a given day, in credits or dollars, at the finest grain."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

from usage_assets_sandbox.books import Book, Books, computed
from usage_assets_sandbox.company import ATTENDANCE, Company, DayRows, Row, Value, email, millionths, total

CODEX_QUIET = ("codex quiet", 29)
CODEX_WORKSPACE_ONLY = ("codex workspace only", 19)  # the day is one workspace row, unknown per user


class CodexUser(NamedTuple):
    """A person in the ChatGPT workspace; `billing` is credits or (natively) usd; some addresses are not given."""

    person: str
    models: tuple[str, ...]
    clients: tuple[str, ...]
    billing: str = "credits"
    has_email: bool = True


# Credits per million tokens: uncached input, cached input, output (help.openai.com 20001106).
CODEX_RATES = {
    "gpt-5.5": (Decimal(125), Decimal("12.5"), Decimal(750)),
    "gpt-5.4": (Decimal("62.5"), Decimal("6.25"), Decimal(375)),
    "gpt-5.3-codex": (Decimal("43.75"), Decimal("4.375"), Decimal(350)),
    "other": (Decimal("62.5"), Decimal("6.25"), Decimal(375)),
}
CODEX_DOLLARS_PER_CREDIT = Decimal("0.04")
CODEX_USERS = (
    CodexUser("alice", ("gpt-5.5", "gpt-5.3-codex"), ("CODEX_CLI", "CODEX_IDE")),
    CodexUser("bob", ("gpt-5.4",), ("CODEX_IDE",)),
    CodexUser("chen", ("gpt-5.3-codex", "other"), ("CODEX_CLI", "CODEX_UNKNOWN_DEFAULT")),
    CodexUser("dana", ("gpt-5.5",), ("CODEX_CLOUD",)),
    CodexUser("emeka", ("gpt-5.4", "gpt-5.3-codex"), ("CODEX_CLI",), has_email=False),
    CodexUser("goran", ("gpt-5.5", "gpt-5.4"), ("CODEX_CLI", "CODEX_CLOUD"), billing="usd"),
    CodexUser("hana", ("gpt-5.3-codex",), ("CODEX_IDE", "CODEX_CLOUD")),
    CodexUser("ivan", ("gpt-5.5",), ("CODEX_CLI",)),
    CodexUser("kofi", ("gpt-5.4",), ("CODEX_CLI", "CODEX_IDE")),
    CodexUser("lena", ("gpt-5.3-codex", "gpt-5.5"), ("CODEX_IDE",)),
)
CODEX_COUNTERS = (
    "threads",
    "turns",
    "credits",
    "cost_usd",
    "estimated_cost_usd",
    "uncached_text_input_tokens",
    "cached_text_input_tokens",
    "text_output_tokens",
    "text_total_tokens",
)


def chatgpt_day(company: Company, day: date) -> DayRows:
    """Codex use per user; on a workspace-only day one row with no user. Null counters are unknown, not zero."""
    if company.falls_on(CODEX_QUIET, day):
        return {"codex_usage": []}
    dice = company.dice("codex", day)
    rows = [_codex_row(company, user, day, dice) for user in CODEX_USERS if dice.random() < ATTENDANCE[day.weekday()]]
    if rows and company.falls_on(CODEX_WORKSPACE_ONLY, day):
        return {"codex_usage": [workspace_row(rows)]}
    return {"codex_usage": rows}


def workspace_row(rows: Iterable[Row]) -> Row:
    """The workspace's row of a day: its rows added up, clients by client and models by model and speed."""
    rows = list(rows)
    return {
        "user_id": None,
        "email": None,
        "totals": _added(row["totals"] for row in rows),
        "clients": _cut((cell for row in rows for cell in row["clients"]), "client_id"),
        "models": _cut((cell for row in rows for cell in row["models"] or ()), "model", "speed") or None,
    }


def _codex_row(company: Company, user: CodexUser, day: date, dice: Random) -> Row:
    cells = [
        {"client_id": client, "model": model, "speed": speed} | _codex_counters(company, user, model, speed, day, dice)
        for client in user.clients
        for model in user.models
        for speed in (("standard", "fast") if model == "gpt-5.5" else ("standard",))
    ]
    reported = cells[1:] if dice.random() < 0.1 else cells  # totals may exceed the sum of the clients
    return {
        "user_id": company.identifier("user-", user.person),
        "email": email(user.person) if user.has_email else None,
        "totals": _added(cells),
        "clients": _cut(reported, "client_id"),
        "models": None if dice.random() < 0.08 else _cut(cells, "model", "speed"),
    }


def _codex_counters(company: Company, user: CodexUser, model: str, speed: str, day: date, dice: Random) -> Row:
    threads = 1 + int(5 * company.pace(day) * dice.random())
    turns = threads * dice.randrange(1, 12)
    tokens = [turns * dice.randrange(300, 4000), turns * dice.randrange(500, 20_000), turns * dice.randrange(50, 900)]
    fast = 2 if speed == "fast" else 1
    prices = (fast * rate for rate in CODEX_RATES[model])
    credit_value = sum(map(millionths, tokens, prices), Decimal(0))
    dollar_value = credit_value * CODEX_DOLLARS_PER_CREDIT
    money: Row = {"credits": credit_value, "cost_usd": None, "estimated_cost_usd": dollar_value}
    if user.billing == "usd":
        money = {"credits": Decimal(0), "cost_usd": dollar_value, "estimated_cost_usd": None}
    elif dice.random() < 0.03:
        money["estimated_cost_usd"] = None
    return {
        "threads": threads,
        "turns": turns,
        **money,
        "uncached_text_input_tokens": tokens[0],
        "cached_text_input_tokens": tokens[1],
        "text_output_tokens": tokens[2],
        "text_total_tokens": sum(tokens),
    }


def _added(cells: Iterable[Row]) -> Row:
    """The counters of some cells added up; unknown ones are left out, and unknown everywhere stays unknown."""
    cells = list(cells)
    return {counter: total(cell[counter] for cell in cells) for counter in CODEX_COUNTERS}


def _cut(cells: Iterable[Row], *dimensions: str) -> list[Row]:
    groups: defaultdict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for cell in cells:
        groups[tuple(cell[name] for name in dimensions)].append(cell)
    return [dict(zip(dimensions, key, strict=True)) | _added(group) for key, group in groups.items()]


def _codex_total(counter: str) -> Callable[[Row], Value]:
    return lambda row: row["totals"][counter]


def _late_user(rows: list[Row], n: int) -> Row:
    workspace_only = bool(rows) and rows[0]["user_id"] is None
    return {"user_id": None if workspace_only else f"user-late{n}", "email": None}


CODEX_TOTALS = ("credits", "cost_usd", "estimated_cost_usd", "threads", "turns")
BOOKS = Books(
    chatgpt_day,
    {
        "codex_usage": Book(
            ("user_id", "email"),
            computed(**{name: _codex_total(name) for name in CODEX_TOTALS}),
            _late_user,
        ),
    },
)

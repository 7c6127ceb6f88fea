"""What the company uses of Claude and Claude Code on a given day, and what that costs, in cents."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

from usage_assets_sandbox.books import Book, Books, Unit, computed, dollars, fields
from usage_assets_sandbox.company import (
    ATTENDANCE,
    EMAIL_DOMAIN,
    Company,
    DayRows,
    Row,
    Value,
    as_reported,
    email,
    millionths,
    total,
)

ORGANIZATION_ID = "12345678-1234-5678-1234-567812345678"
ANTHROPIC_QUIET = ("anthropic quiet", 29)
CLAUDE_CODE_QUIET = ("claude code quiet", 23)


class ClaudeModel(NamedTuple):
    """List price in cents per million uncached input tokens; the other classes are fixed multiples of it."""

    title: str
    input: Decimal
    geos: tuple[str, ...]


class ClaudeCaller(NamedTuple):
    """Who calls Claude: a key, a person signed in (account), a service account, or the Console (none of them)."""

    workspace: str | None  # None is the default workspace
    key: str | None
    account: str | None
    service_account: str | None
    models: tuple[str, ...]
    requests: int
    tiers: tuple[str, ...] = ("standard",)
    long_context: bool = False
    web_search: bool = False


class Coder(NamedTuple):
    """An actor of Claude Code with the terminals they work in; `plan` is customer and subscription type."""

    actor_type: str
    actor_name: str
    plan: tuple[str, str | None]
    terminals: tuple[str, ...]
    models: tuple[str, ...]
    remote: bool = False


CLAUDE_MODELS = {
    "claude-opus-5": ClaudeModel("Claude Opus 5", Decimal(500), ("global", "us")),
    "claude-sonnet-5": ClaudeModel("Claude Sonnet 5", Decimal(300), ("global",)),
    "claude-haiku-4-5": ClaudeModel("Claude Haiku 4.5", Decimal(100), ("global",)),
    "claude-sonnet-4": ClaudeModel("Claude Sonnet 4", Decimal(300), ("not_available",)),
}
# Ledger field, token_type of the cost report, words of its description, multiple of the input price.
CLAUDE_TOKEN_CLASSES = (
    ("uncached_input_tokens", "uncached_input_tokens", "Input Tokens", Decimal(1)),
    ("cache_read_input_tokens", "cache_read_input_tokens", "Input Tokens, Cache Read", Decimal("0.1")),
    (
        "cache_creation_5m_input_tokens",
        "cache_creation.ephemeral_5m_input_tokens",
        "Input Tokens, Cache Write, 5m",
        Decimal("1.25"),
    ),
    (
        "cache_creation_1h_input_tokens",
        "cache_creation.ephemeral_1h_input_tokens",
        "Input Tokens, Cache Write, 1h",
        Decimal(2),
    ),
    ("output_tokens", "output_tokens", "Output Tokens", Decimal(5)),
)
CLAUDE_CODE_WORKSPACE = "Claude Code"
CLAUDE_CALLERS = (
    ClaudeCaller(None, None, None, None, ("claude-opus-5",), 15),
    ClaudeCaller(None, "prototype", None, None, ("claude-haiku-4-5",), 40),
    ClaudeCaller("Checkout", "checkout prod", None, None, ("claude-haiku-4-5", "claude-sonnet-5"), 700),
    ClaudeCaller("Checkout", "checkout staging", None, None, ("claude-haiku-4-5",), 60),
    ClaudeCaller(
        "Support",
        "support prod",
        None,
        None,
        ("claude-sonnet-5", "claude-sonnet-4"),
        800,
        ("standard", "priority"),
        web_search=True,
    ),
    ClaudeCaller("Support", None, None, "support triage", ("claude-haiku-4-5",), 350),
    ClaudeCaller(
        "Research",
        "research batch",
        None,
        None,
        ("claude-opus-5", "claude-sonnet-5"),
        400,
        ("standard", "batch"),
        long_context=True,
    ),
    ClaudeCaller("Research", None, "ivan", None, ("claude-opus-5",), 25, web_search=True),
    ClaudeCaller("Research", None, "julia", None, ("claude-opus-5", "claude-sonnet-5"), 30),
)
CODERS = (
    Coder(
        "user_actor", "alice", ("api", None), ("iTerm.app", "vscode"), ("claude-opus-5", "claude-sonnet-5"), remote=True
    ),
    Coder("user_actor", "bob", ("subscription", "team"), ("Apple_Terminal", "vscode"), ("claude-sonnet-5",)),
    Coder(
        "user_actor", "chen", ("subscription", "enterprise"), ("WarpTerminal", "tmux"), ("claude-opus-5",), remote=True
    ),
    Coder("user_actor", "dana", ("api", None), ("vscode",), ("claude-sonnet-5", "claude-haiku-4-5")),
    Coder("user_actor", "dana", ("subscription", "team"), ("vscode", "cursor"), ("claude-sonnet-5",)),
    Coder("user_actor", "emeka", ("api", "enterprise"), ("tmux",), ("claude-opus-5", "claude-haiku-4-5")),
    Coder(
        "user_actor", "fatima", ("subscription", "enterprise"), ("ghostty", "pycharm"), ("claude-opus-5",), remote=True
    ),
    Coder("user_actor", "goran", ("subscription", "team"), ("windows-terminal",), ("claude-haiku-4-5",)),
    Coder("user_actor", "hana", ("api", None), ("iTerm.app", "tmux", "vscode"), ("claude-opus-5",)),
    Coder("api_actor", "Laptop key (Bob)", ("api", None), ("Apple_Terminal", "vscode"), ("claude-sonnet-5",)),
    Coder(
        "api_actor",
        "CI key (nightly, eu-west)",
        ("api", None),
        ("non-interactive",),
        ("claude-haiku-4-5",),
        remote=True,
    ),
)
CODE_TOOLS = ("edit_tool", "multi_edit_tool", "write_tool", "notebook_edit_tool")


def anthropic_day(company: Company, day: date) -> DayRows:
    """Claude Code records, message tokens (with those of Claude Code on API billing) and what they cost, in cents."""
    if company.falls_on(ANTHROPIC_QUIET, day):
        return {"usage_messages": [], "cost_report": [], "claude_code": []}
    dice = company.dice("anthropic", day)
    code = [] if company.falls_on(CLAUDE_CODE_QUIET, day) else list(_claude_code(company, day))
    messages = [*_messages(company, day, dice), *_code_messages(company, code)]
    return {
        "usage_messages": messages,
        "cost_report": list(_claude_costs(company, messages, dice)),
        "claude_code": code,
    }


def _claude_code(company: Company, day: date) -> Iterator[Row]:
    dice = company.dice("claude code", day)
    for coder in CODERS:
        if dice.random() > ATTENDANCE[day.weekday()]:
            continue
        for terminal in coder.terminals:
            for remote in (False, True) if coder.remote else (False,):
                if dice.random() < 0.1:
                    continue
                sessions = 1 + int(6 * company.pace(day) * dice.random())
                yield {
                    "actor_type": coder.actor_type,
                    "actor_name": email(coder.actor_name) if coder.actor_type == "user_actor" else coder.actor_name,
                    "terminal_type": terminal,
                    "customer_type": coder.plan[0],
                    "subscription_type": coder.plan[1],
                    "is_remote": remote,
                    "num_sessions": sessions,
                    "lines_added": sessions * dice.randrange(0, 120),
                    "lines_removed": sessions * dice.randrange(0, 50),
                    "commits": dice.randrange(0, sessions + 1),
                    "pull_requests": dice.randrange(0, 1 + sessions // 2),
                    "tool_actions": {
                        tool: {"accepted": dice.randrange(0, 9 * sessions), "rejected": dice.randrange(0, 2 * sessions)}
                        for tool in CODE_TOOLS
                    },
                    "model_breakdown": [_code_model(model, sessions, dice) for model in coder.models],
                }


def _code_model(model: str, sessions: int, dice: Random) -> Row:
    tokens = {
        "uncached_input_tokens": sessions * dice.randrange(500, 9000),
        "output_tokens": sessions * dice.randrange(300, 6000),
        "cache_read_input_tokens": sessions * dice.randrange(1000, 90_000),
        "cache_creation_5m_input_tokens": sessions * dice.randrange(100, 9000),
    }
    cents = sum(
        (
            millionths(tokens.get(field, 0), CLAUDE_MODELS[model].input * multiple)
            for field, _, _, multiple in CLAUDE_TOKEN_CLASSES
        ),
        Decimal(0),
    )
    whole = dice.random() < 0.2
    return {"model": model, **tokens, "estimated_cents": Decimal(int(cents)) if whole else as_reported(cents, dice)}


def _messages(company: Company, day: date, dice: Random) -> Iterator[Row]:
    for caller in CLAUDE_CALLERS:
        if dice.random() > ATTENDANCE[day.weekday()]:
            continue
        for model in caller.models:
            for tier in caller.tiers:
                for geo in CLAUDE_MODELS[model].geos:
                    for window in ("0-200k", "200k-1M") if caller.long_context else ("0-200k",):
                        if dice.random() < 0.3:
                            continue
                        requests = 1 + int(caller.requests * company.pace(day) * dice.random())
                        cached = requests if dice.random() < 0.5 else 0
                        yield {
                            "workspace_id": company.identifier("wrkspc_01", caller.workspace),
                            "api_key_id": company.identifier("apikey_01", caller.key),
                            "account_id": company.identifier("user_01", caller.account),
                            "service_account_id": company.identifier("svac_01", caller.service_account),
                            "model": model,
                            "service_tier": tier,
                            "context_window": window,
                            "inference_geo": geo,
                            "speed": "fast" if caller.account == "ivan" else "standard",
                            "uncached_input_tokens": requests * dice.randrange(100, 4000),
                            "cache_read_input_tokens": cached * dice.randrange(0, 6000),
                            "cache_creation_5m_input_tokens": cached * dice.randrange(0, 700),
                            "cache_creation_1h_input_tokens": cached * dice.randrange(0, 90) * dice.randrange(0, 2),
                            "output_tokens": requests * dice.randrange(50, 1200),
                            "web_search_requests": dice.randrange(0, 1 + requests // 3) if caller.web_search else 0,
                        }


def _code_messages(company: Company, code: list[Row]) -> Iterable[Row]:
    """The message rows of Claude Code billed by the API: its estimates are inside the cost report, as live."""
    rows: dict[tuple[Any, ...], Row] = {}
    for record in code:
        if record["customer_type"] != "api":
            continue
        signed_in = record["actor_type"] == "user_actor"
        for used in record["model_breakdown"]:
            row: Row = {
                "workspace_id": company.identifier("wrkspc_01", CLAUDE_CODE_WORKSPACE),
                "api_key_id": None if signed_in else company.identifier("apikey_01", record["actor_name"]),
                "account_id": company.identifier("user_01", record["actor_name"].split("@")[0]) if signed_in else None,
                "service_account_id": None,
                "model": used["model"],
                "service_tier": "standard",
                "context_window": "0-200k",
                "inference_geo": CLAUDE_MODELS[used["model"]].geos[0],
                "speed": "standard",
            }
            tokens = {field: used.get(field, 0) for field, *_ in CLAUDE_TOKEN_CLASSES} | {"web_search_requests": 0}
            total = rows.setdefault(tuple(row.values()), row | dict.fromkeys(tokens, 0))
            for field, count in tokens.items():
                total[field] += count
    return rows.values()


def _claude_costs(company: Company, messages: list[Row], dice: Random) -> Iterator[Row]:
    """Cents per workspace and description; Priority Tier is committed spend and never in the cost report."""
    cents: defaultdict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for row in messages:
        if row["service_tier"] != "priority":
            for line, amount in claude_lines(row):
                cents[line] += amount
    research = company.identifier("wrkspc_01", "Research")
    cents[_other_line(research, "Code Execution Usage", "code_execution")] = 5 * Decimal(dice.randrange(1, 90)).scaleb(
        -1
    )
    for line, amount in cents.items():
        dimensions = dict(zip(CLAUDE_COST_DIMENSIONS, line, strict=True))
        yield dimensions | {"amount": as_reported(amount, dice), "currency": "USD"}


CLAUDE_COST_DIMENSIONS = (
    "workspace_id",
    "description",
    "cost_type",
    "model",
    "service_tier",
    "token_type",
    "context_window",
    "inference_geo",
)


def _other_line(workspace_id: str | None, description: str, cost_type: str) -> tuple[Any, ...]:
    return (workspace_id, description, cost_type, None, None, None, None, None)


def claude_lines(row: Row) -> Iterator[tuple[tuple[Any, ...], Decimal]]:
    """The lines of the cost report that a row of messages belongs to, as CLAUDE_COST_DIMENSIONS, with their cents."""
    model = CLAUDE_MODELS[row["model"]]
    factor, notes = Decimal(1), ""
    for applies, times, note in (
        (row["service_tier"] == "batch", Decimal("0.5"), ", Batch"),
        (row["context_window"] == "200k-1M", Decimal(2), ", Long Context"),
        (row["inference_geo"] == "us", Decimal("1.1"), ", US Inference"),
    ):
        if applies:
            factor, notes = factor * times, notes + note
    for field, token_type, words, multiple in CLAUDE_TOKEN_CLASSES:
        if row[field]:
            description = f"{model.title} Usage - {words}{notes}"
            dimensions = (row["service_tier"], token_type, row["context_window"], row["inference_geo"])
            line = (row["workspace_id"], description, "tokens", row["model"], *dimensions)
            yield line, millionths(row[field], model.input * multiple * factor)
    if row["web_search_requests"]:
        yield _other_line(row["workspace_id"], "Web Search Usage", "web_search"), Decimal(row["web_search_requests"])


def _estimated_cents(customer_type: str) -> Callable[[Row], Value]:
    def cents(row: Row) -> Value:
        models = row["model_breakdown"] if row["customer_type"] == customer_type else []
        return total(used["estimated_cents"] for used in models)

    return cents


BOOKS = Books(
    anthropic_day,
    {
        "usage_messages": Book(
            (
                "workspace_id",
                "api_key_id",
                "account_id",
                "service_account_id",
                "model",
                "service_tier",
                "context_window",
                "inference_geo",
                "speed",
            ),
            fields(
                "uncached_input_tokens",
                "cache_read_input_tokens",
                "cache_creation_5m_input_tokens",
                "cache_creation_1h_input_tokens",
                "output_tokens",
                "web_search_requests",
            ),
            lambda _, n: {"api_key_id": f"apikey_01late{n}"},
        ),
        "cost_report": Book(
            (*CLAUDE_COST_DIMENSIONS, "currency"),
            {"cents": Unit(dollars, "amount_cents")},
            lambda _, n: {"workspace_id": f"wrkspc_01late{n}"},
        ),
        "claude_code": Book(
            ("actor_type", "actor_name", "terminal_type", "customer_type", "subscription_type", "is_remote"),
            {
                **computed(
                    estimated_cents_api=_estimated_cents("api"),
                    estimated_cents_subscription=_estimated_cents("subscription"),
                ),
                **fields(claude_code_sessions="num_sessions"),
            },
            lambda _, n: {"actor_type": "user_actor", "actor_name": f"late{n}@{EMAIL_DOMAIN}"},
        ),
    },
)

"""The company's books: every row the sandbox knows, restatements included, and exact sums over them.

The emulated providers read rows here; /control/truth adds up the same books, never the pages that were served.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

from usage_assets_sandbox.company import (
    CLAUDE_COST_DIMENSIONS,
    EMAIL_DOMAIN,
    EXACT,
    Company,
    DayRows,
    Row,
    Value,
    anthropic_day,
    chatgpt_day,
    total,
)
from usage_assets_sandbox.company_anthropic_analytics import (
    COST_DIMENSIONS,
    TOKENS,
    USAGE_DIMENSIONS,
    anthropic_analytics_day,
)
from usage_assets_sandbox.company_anthropic_engagement import anthropic_engagement_day
from usage_assets_sandbox.company_cursor import ABORTED, ACTIVITY, COVERED, ERRORED, OWN_KEY, cursor_day
from usage_assets_sandbox.company_cursor import BILLED as USAGE_BASED
from usage_assets_sandbox.company_focus import BEDROCK, focus_day
from usage_assets_sandbox.company_focus import DIMENSIONS as CLOUD_DIMENSIONS
from usage_assets_sandbox.company_github_copilot import github_copilot_day
from usage_assets_sandbox.company_litellm import DIMENSIONS as GATEWAY_DIMENSIONS
from usage_assets_sandbox.company_litellm import litellm_day
from usage_assets_sandbox.company_openai import openai_day
from usage_assets_sandbox.company_openai_legacy import MEASURES, openai_legacy_day
from usage_assets_sandbox.company_openrouter import DIMENSIONS as ROUTER_DIMENSIONS
from usage_assets_sandbox.company_openrouter import openrouter_day

HISTORY_DAYS = 400
CHANGES = ("scale", "add", "remove", "clear")
COSTS = {"openai": "costs", "anthropic": "cost_report"}
"""Provider -> its endpoint whose amounts have a currency."""


class Clock:
    """Real time, or a frozen moment."""

    def __init__(self, frozen: datetime | None = None) -> None:
        self.frozen = frozen

    def now(self) -> datetime:
        """The sandbox's time, aware, UTC."""
        return self.frozen or datetime.now(UTC)

    def today(self) -> date:
        """The sandbox's UTC date."""
        return self.now().date()


@dataclass(frozen=True)
class Unit:
    """A sum that an endpoint's rows truly have."""

    value: Callable[[Row], Value]
    """Its part in one row."""
    column: str | None = None
    """What a table of the endpoint calls it; None where it is a sum of several endpoints only."""


@dataclass(frozen=True)
class Book:
    """What the ledger keeps of one endpoint: its rows' dimensions (every other field is a measure) and true units.

    `newcomer` gives the dimensions that make the n-th row that comes in late unlike the day's others.
    """

    dimensions: tuple[str, ...]
    units: Mapping[str, Unit]
    newcomer: Callable[[list[Row], int], Row]


def _field(name: str, column: str | None = None) -> Unit:
    return Unit(lambda row: row[name], column or name)


def _fields(*names: str, **renamed: str) -> dict[str, Unit]:
    """Units that tables call as the provider's fields are called."""
    return {unit: _field(name) for unit, name in (dict(zip(names, names, strict=True)) | renamed).items()}


def _computed(**values: Callable[[Row], Value]) -> dict[str, Unit]:
    """Units that are no field, and that tables call as the books do."""
    return {unit: Unit(value, unit) for unit, value in values.items()}


def _estimated_cents(customer_type: str) -> Callable[[Row], Value]:
    def cents(row: Row) -> Value:
        models = row["model_breakdown"] if row["customer_type"] == customer_type else []
        return total(used["estimated_cents"] for used in models)

    return cents


def _dollars(row: Row) -> Value:
    return row["amount"] if row["currency"].upper() == "USD" else None


def _codex_total(counter: str) -> Callable[[Row], Value]:
    return lambda row: row["totals"][counter]


def _late_openai_user(_rows: list[Row], n: int) -> Row:
    return {"user_id": f"user-late{n}", "user_email": f"late{n}@{EMAIL_DOMAIN}"}


def _late_openai_project(_rows: list[Row], n: int) -> Row:
    return {"project_id": f"proj_late{n}"}


def _late_anthropic_user(_rows: list[Row], n: int) -> Row:
    return {"actor_type": "user_actor", "actor_id": f"user_01late{n}", "person": f"late{n}"}


def _late_codex_user(rows: list[Row], n: int) -> Row:
    workspace_only = bool(rows) and rows[0]["user_id"] is None
    return {"user_id": None if workspace_only else f"user-late{n}", "email": None}


def _of_cloud(measure: Callable[[Row], Value], *, is_ai: bool) -> Callable[[Row], Value]:
    return lambda row: measure(row) if (row["service"] in BEDROCK) is is_ai else None


def _of_copilot(row: Row) -> Value:
    return row["net_amount"] if row["product"] == "Copilot" else None


def _seats(row: Row) -> Value:
    return row["net_amount"] if row["unit_type"] == "user-months" else None


def _late_gateway_entity(_rows: list[Row], n: int) -> Row:
    return {"entity": f"late-{n}"}


def _of_gateway(prefix: str, spend: str = "spend", requests: str = "api_requests") -> Book:
    units = {f"{prefix}_spend_usd": _field("spend", spend), f"{prefix}_requests": _field("api_requests", requests)}
    return Book(GATEWAY_DIMENSIONS, units, _late_gateway_entity)


def _of_events(measure: str, *labels: str) -> Callable[[Row], Value]:
    return lambda row: row[measure] if row["label"] in labels else None


CODEX_TOTALS = ("credits", "cost_usd", "estimated_cost_usd", "threads", "turns")
_METERED = ("product", "sku", "model", "unit_type", "price_per_unit")
_CALLER = ("project_id", "user_id", "user_email", "api_key_id")
DAYS: dict[str, Callable[[Company, date], DayRows]] = {
    "openai": openai_day,
    "anthropic": anthropic_day,
    "chatgpt": chatgpt_day,
    "openai_legacy": openai_legacy_day,
    "anthropic_analytics": lambda company, day: (
        anthropic_analytics_day(company, day) | anthropic_engagement_day(company, day)
    ),
    "focus": focus_day,
    "litellm": litellm_day,
    "openrouter": openrouter_day,
    "cursor": cursor_day,
    "github_copilot": github_copilot_day,
}
"""Provider -> the rows of each of its endpoints on a day before any restatement, unique in their dimensions."""
BOOKS: dict[str, dict[str, Book]] = {
    "openai": {
        "usage_completions": Book(
            (*_CALLER, "model", "batch", "service_tier", "api_source"),
            _fields("input_tokens", "output_tokens", "num_model_requests"),
            _late_openai_user,
        ),
        "costs": Book(
            (*_CALLER, "line_item", "quantity_unit", "api_source", "currency"),
            {"usd": Unit(_dollars, "amount_usd")},
            _late_openai_user,
        ),
        "usage_embeddings": Book(
            (*_CALLER, "model"),
            _fields(embeddings_input_tokens="input_tokens", embeddings_requests="num_model_requests"),
            _late_openai_user,
        ),
        "usage_moderations": Book(
            (*_CALLER, "model"),
            _fields(moderations_input_tokens="input_tokens", moderations_requests="num_model_requests"),
            _late_openai_user,
        ),
        "usage_images": Book(
            (*_CALLER, "model", "size", "source"),
            _fields("images", images_requests="num_model_requests"),
            _late_openai_user,
        ),
        "usage_audio_speeches": Book(
            (*_CALLER, "model"),
            _fields(speech_characters="characters", speech_requests="num_model_requests"),
            _late_openai_user,
        ),
        "usage_audio_transcriptions": Book(
            (*_CALLER, "model"),
            _fields(transcribed_seconds="seconds", transcription_requests="num_model_requests"),
            _late_openai_user,
        ),
        "usage_vector_stores": Book(
            ("project_id",),
            _fields(vector_store_byte_days="usage_bytes"),  # bytes are a level: only byte-days add up over days
            _late_openai_project,
        ),
        "usage_code_interpreter_sessions": Book(
            ("project_id",), _fields(code_interpreter_sessions="num_sessions"), _late_openai_project
        ),
        "usage_file_search_calls": Book(
            (*_CALLER, "vector_store_id"), _fields(file_searches="num_requests"), _late_openai_user
        ),
        "usage_web_search_calls": Book(
            (*_CALLER, "model", "context_level", "api_source"),
            _fields(web_searches="num_requests", web_search_model_requests="num_model_requests"),
            _late_openai_user,
        ),
        "usage_decisions": Book(
            (*_CALLER, "model", "batch", "service_tier", "api_source"),
            _fields(
                decisions_input_tokens="input_tokens",
                decisions_output_tokens="output_tokens",
                decisions_requests="num_model_requests",
            ),
            _late_openai_user,
        ),
    },
    "anthropic": {
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
            _fields(
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
            {"cents": Unit(_dollars, "amount_cents")},
            lambda _, n: {"workspace_id": f"wrkspc_01late{n}"},
        ),
        "claude_code": Book(
            ("actor_type", "actor_name", "terminal_type", "customer_type", "subscription_type", "is_remote"),
            {
                **_computed(
                    estimated_cents_api=_estimated_cents("api"),
                    estimated_cents_subscription=_estimated_cents("subscription"),
                ),
                **_fields(claude_code_sessions="num_sessions"),
            },
            lambda _, n: {"actor_type": "user_actor", "actor_name": f"late{n}@{EMAIL_DOMAIN}"},
        ),
    },
    "chatgpt": {
        "codex_usage": Book(
            ("user_id", "email"),
            _computed(**{name: _codex_total(name) for name in CODEX_TOTALS}),
            _late_codex_user,
        ),
    },
    "openai_legacy": {
        "billing_usage": Book(
            ("name",), {"cents": _field("cents", "cost_cents")}, lambda _, n: {"name": f"Late models {n}"}
        ),
        "usage": Book(
            ("list", "model", "operation", "project_id", "api_key_id", "email", "kind", "span"),
            _fields(*MEASURES),
            _late_openai_project,
        ),
    },
    "anthropic_analytics": {
        "usage": Book(USAGE_DIMENSIONS, _fields(*TOKENS, "web_search_requests", "requests"), _late_anthropic_user),
        "cost": Book(
            COST_DIMENSIONS,
            {"cents": _field("amount", "amount_cents"), "list_cents": _field("list_amount", "list_amount_cents")},
            _late_anthropic_user,
        ),
        "usage_report": Book(USAGE_DIMENSIONS, _fields(enterprise_output_tokens="output_tokens"), _late_anthropic_user),
        "cost_report": Book(
            COST_DIMENSIONS, {"enterprise_cents": _field("amount", "amount_cents")}, _late_anthropic_user
        ),
        "user_usage_report": Book(
            USAGE_DIMENSIONS, _fields(people_output_tokens="output_tokens"), _late_anthropic_user
        ),
        "user_cost_report": Book(
            COST_DIMENSIONS, {"people_cents": _field("amount", "amount_cents")}, _late_anthropic_user
        ),
        "summaries": Book(
            ("seats",),
            # of a day: over days, only seat-days and person-days add up
            {
                "claude_seat_days": _field("seats", "assigned_seat_count"),
                "claude_person_days": _field("daily", "daily_active_user_count"),
            },
            lambda _, n: {"seats": 100 + n},
        ),
        "users": Book(
            ("user_id", "person"),
            {
                "claude_messages": _field("messages", "chat_message_count"),
                "claude_commits": _field("commits", "claude_code_commit_count"),
                "claude_lines_added": _field("lines_added", "claude_code_lines_added_count"),
                "claude_web_searches": _field("web_search_count"),
            },
            lambda _, n: {"user_id": f"user_01late{n}", "person": f"late{n}"},
        ),
        "skills": Book(
            ("skill_name", "share_status", "in_code"),
            _fields(skill_calls="invocation_count"),
            lambda _, n: {"skill_name": f"late-{n}"},
        ),
        "connectors": Book(
            ("connector_name",),
            _fields(connector_reads="read_call_count"),
            lambda _, n: {"connector_name": f"late-{n}"},
        ),
        "plugins": Book(
            ("plugin_id", "plugin_name"),
            _fields(plugin_calls="invocation_count"),
            lambda _, n: {"plugin_name": f"late-{n}"},
        ),
        "artifacts": Book(
            ("artifact_type", "is_shared"),
            _fields(claude_artifacts="artifacts_created_count"),
            lambda _, n: {"artifact_type": f"text/late-{n}"},
        ),
        "chat_projects": Book(
            ("project_id", "project_name", "person"),
            _fields(project_messages="message_count"),
            lambda _, n: {"project_id": f"claude_proj_01late{n}"},
        ),
    },
    "focus": {
        "charges": Book(
            CLOUD_DIMENSIONS,
            {
                "usd": Unit(_of_cloud(lambda row: row["cost"], is_ai=True), "billed_usd"),
                **_computed(
                    tokens=_of_cloud(lambda row: int(row["quantity"] * 1000), is_ai=True),
                    left_out_usd=_of_cloud(lambda row: row["cost"], is_ai=False),
                    left_out_rows=_of_cloud(lambda _: 1, is_ai=False),
                ),
            },
            lambda _, n: {"account": f"1111{n:08}"},
        ),
    },
    "litellm": {
        "user_activity": Book(
            GATEWAY_DIMENSIONS,
            _fields("prompt_tokens", "completion_tokens", gateway_spend_usd="spend", gateway_requests="api_requests"),
            _late_gateway_entity,
        ),
        "team_activity": _of_gateway("team"),
        "tag_activity": _of_gateway("tag", "overlapping_spend", "overlapping_requests"),
        "customer_activity": _of_gateway("customer"),
    },
    "openrouter": {
        "activity": Book(
            ROUTER_DIMENSIONS,
            _fields(
                "requests", "prompt_tokens", "completion_tokens", usage_usd="usage", own_keys_usd="byok_usage_inference"
            ),
            lambda _, n: {"endpoint_id": f"late-{n}"},
        ),
    },
    "cursor": {
        "usage_events": Book(
            (
                "person",
                "is_account",
                "conversation",
                "n",
                "at",
                "model",
                "label",
                "kind",
                "max_mode",
                "is_headless",
                "by_token",
                "events",
            ),
            {
                **_computed(
                    billed_cents=_of_events("charged_cents", USAGE_BASED),
                    included_cents=_of_events("charged_cents", *COVERED),
                    own_key_cents=_of_events("charged_cents", OWN_KEY),
                    not_charged_cents=_of_events("charged_cents", ERRORED, ABORTED),
                    service_account_cents=lambda row: row["charged_cents"] if row["is_account"] else None,
                ),
                **_fields(
                    "events",
                    "input_tokens",
                    "output_tokens",
                    "cache_read_tokens",
                    "cache_write_tokens",
                    "model_cents",
                    "token_fee_cents",
                    "request_units",
                ),
            },
            lambda _, n: {"person": f"late{n}", "is_account": False},
        ),
        "daily_usage": Book(
            ("person", "is_active", "model"),
            _fields(
                *(name for name, _ in ACTIVITY),
                "subscription_included_requests",
                "usage_based_requests",
                "api_key_requests",
            ),
            lambda _, n: {"person": f"late{n}"},
        ),
    },
    "github_copilot": {
        "ai_credits": Book(
            _METERED,
            {
                **_fields(ai_credits_gross_usd="gross_amount", ai_credits_usd="net_amount"),
                "ai_credits": _field("gross_quantity", "ai_credits"),
            },
            lambda _, n: {"model": f"Late model {n}"},
        ),
        "premium_requests": Book(
            _METERED,
            {
                "premium_requests_usd": _field("net_amount"),
                "premium_requests": _field("gross_quantity", "premium_requests"),
            },
            lambda _, n: {"model": f"Late model {n}"},
        ),
        "billing_usage": Book(
            ("product", "sku", "unit_type", "price_per_unit", "repository"),
            {"seats_usd": Unit(_seats, "seats_amount"), "copilot_usd": Unit(_of_copilot)},
            lambda _, n: {"product": "Copilot", "unit_type": "user-months", "sku": f"Late plan {n}"},
        ),
        "users_1_day": Book(
            ("user_login", "user_id", "organization_id", "used_agent", "used_chat"),
            _fields(
                copilot_ai_credits_used="ai_credits_used",
                copilot_interactions="user_initiated_interaction_count",
                copilot_lines_added="loc_added_sum",
            ),
            lambda _, n: {"user_login": f"late{n}-acme", "user_id": 6_000_000 + n},
        ),
        "organization_1_day": Book(
            ("organization_id",),
            _fields(
                organization_interactions="user_initiated_interaction_count", organization_lines_added="loc_added_sum"
            ),
            lambda _, n: {"organization_id": f"99{n}"},
        ),
    },
}


class Ledger:
    """The books of one company for the clock's last 400 days and today."""

    def __init__(self, seed: int, clock: Clock) -> None:
        self.clock = clock
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """The books of the company of `seed` as they were before any restatement."""
        self.company = Company(seed)
        self._days: dict[tuple[str, date], DayRows] = {}
        self._newcomers = 0

    def first_day(self) -> date:
        """The earliest day with rows."""
        return self.clock.today() - timedelta(days=HISTORY_DAYS)

    def rows(self, provider: str, endpoint: str, day: date) -> list[Row]:
        """The rows of a day at the finest grain; none outside the books' days."""
        return self._day(provider, day)[endpoint] if self.first_day() <= day <= self.clock.today() else []

    def truth(self, start: date, end: date) -> dict[str, Any]:
        """Exact sums per provider, unit and day as decimal strings; a day without a known value is absent."""
        days: dict[str, dict[str, dict[str, str]]] = {}
        totals: dict[str, dict[str, str]] = {}
        for provider, books in BOOKS.items():
            sums = self._sums(provider, books, max(start, self.first_day()), min(end, self.clock.today()))
            days[provider] = {
                unit: {day: _plain(value) for day, value in by_day.items()} for unit, by_day in sums.items()
            }
            totals[provider] = {unit: _plain(total(by_day.values()) or 0) for unit, by_day in sums.items()}
        return {"days": days, "totals": totals}

    def restate(self, provider: str, endpoint: str, day: date, change: str, factor: int) -> int:
        """Change the books of one day by one of CHANGES; answers how many rows it touched."""
        rows = self._day(provider, day)[endpoint]
        third, rest = rows[::3], [row for n, row in enumerate(rows) if n % 3]
        match change:
            case "scale":
                dimensions = BOOKS[provider][endpoint].dimensions
                after, touched = [_scaled(row, dimensions, factor) for row in third] + rest, len(third)
            case "add":
                after, touched = [*rows, self._newcomer(provider, endpoint, day)], 1
            case "remove":
                after, touched = rest, len(third)
            case "clear":
                after, touched = [], len(rows)
        self._day(provider, day)[endpoint] = after
        return touched

    def bill(self, provider: str, day: date, currency: str, third: int) -> int:
        """Let a third of a day's costs be in a currency (the same numbers of it); answers how many rows it touched."""
        endpoint = COSTS[provider]
        rows = self._day(provider, day)[endpoint]
        spelled = currency.lower() if provider == "openai" else currency.upper()
        self._day(provider, day)[endpoint] = [
            row | {"currency": spelled} if n % 3 == third else row for n, row in enumerate(rows)
        ]
        return len(rows[third::3])

    def _newcomer(self, provider: str, endpoint: str, day: date) -> Row:
        """A plausible row that the day does not have yet: one of an earlier day, of someone new."""
        self._newcomers += 1
        earlier = (DAYS[provider](self.company, day - timedelta(days=n))[endpoint] for n in range(1, HISTORY_DAYS))
        row = next(rows[0] for rows in earlier if rows)
        return row | BOOKS[provider][endpoint].newcomer(self.rows(provider, endpoint, day), self._newcomers)

    def _day(self, provider: str, day: date) -> DayRows:
        if (provider, day) not in self._days:
            self._days[provider, day] = DAYS[provider](self.company, day)
        return self._days[provider, day]

    def _sums(
        self, provider: str, books: Mapping[str, Book], start: date, end: date
    ) -> dict[str, dict[str, Decimal | int]]:
        days = [start + timedelta(days=n) for n in range((end - start).days + 1)]
        sums: dict[str, dict[str, Decimal | int]] = {}
        for endpoint, book in books.items():
            for name, unit in (*book.units.items(), *self._currencies(provider, endpoint, days)):
                by_day = {str(day): total(map(unit.value, self.rows(provider, endpoint, day))) for day in days}
                sums[name] = {day: summed for day, summed in by_day.items() if summed is not None}
        return sums

    def _currencies(self, provider: str, endpoint: str, days: Sequence[date]) -> Iterator[tuple[str, Unit]]:
        """A unit for each currency but the dollar that the days are billed in, called as its code in lower case."""
        if endpoint == COSTS.get(provider):
            found = {row["currency"] for day in days for row in self.rows(provider, endpoint, day)}
            for currency in sorted(found - {"usd", "USD"}):
                yield currency.lower(), _amounts_in(currency)


def _amounts_in(currency: str) -> Unit:
    return Unit(lambda row: row["amount"] if row["currency"] == currency else None)


def _plain(value: Decimal | int) -> str:
    return f"{Decimal(value):f}"


def group(rows: Sequence[Row], dimensions: Iterable[str], kept: Iterable[str]) -> list[Row]:
    """`rows` summed over every dimension that is not kept; those dimensions become None."""
    dimensions, kept = tuple(dimensions), frozenset(kept)
    blank = {name: None for name in dimensions if name not in kept}
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in dimensions if name in kept), []).append(row)
    return [
        {name: total(row[name] for row in same) for name in same[0] if name not in dimensions}
        | {name: same[0][name] for name in dimensions}
        | blank
        for same in groups.values()
    ]


def _scaled(row: Row, dimensions: Sequence[str], factor: int) -> Row:
    return {name: value if name in dimensions else _times(value, factor) for name, value in row.items()}


def _times(value: Any, factor: int) -> Any:
    if isinstance(value, dict):
        return {name: _times(inner, factor) for name, inner in value.items()}
    if isinstance(value, list):
        return [_times(inner, factor) for inner in value]
    if isinstance(value, int | Decimal):
        with localcontext(EXACT):
            return value * factor
    return value

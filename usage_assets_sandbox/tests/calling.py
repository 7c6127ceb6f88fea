"""A plain HTTP caller of the sandbox with the right keys, and the finest query of each endpoint."""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Thread
from typing import Any

import httpx

from usage_assets_sandbox.app import HOST, SandboxServer, build_app, listen
from usage_assets_sandbox.company_litellm import ENTITIES
from usage_assets_sandbox.credentials import (
    ANTHROPIC_ADMIN_KEY,
    ANTHROPIC_ANALYTICS_KEY,
    CHATGPT_ANALYTICS_KEY,
    CHATGPT_WORKSPACE_ID,
    COPILOT_ORGANIZATION,
    COPILOT_TOKEN,
    CURSOR_API_KEY,
    LITELLM_MASTER_KEY,
    OPENAI_ADMIN_KEY,
    OPENAI_SESSION_KEY,
    OPENROUTER_MANAGEMENT_KEY,
)
from usage_assets_sandbox.github_copilot import REPORTS, signature

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
TODAY = NOW.date()
FIXTURES = Path(__file__).parents[2] / "fixtures"
KEYS = {
    "openai": {"authorization": f"Bearer {OPENAI_ADMIN_KEY}"},
    "anthropic": {"x-api-key": ANTHROPIC_ADMIN_KEY, "anthropic-version": "2023-06-01"},
    "chatgpt": {"authorization": f"Bearer {CHATGPT_ANALYTICS_KEY}"},
    "openai_legacy": {"authorization": f"Bearer {OPENAI_SESSION_KEY}"},
    "anthropic_analytics": {
        "authorization": f"Bearer {ANTHROPIC_ANALYTICS_KEY}",
        "anthropic-version": "2026-10-21",
        "anthropic-beta": "analytics-usage-cost-2026-08-24",
    },
    "litellm": {"authorization": f"Bearer {LITELLM_MASTER_KEY}"},
    "openrouter": {"authorization": f"Bearer {OPENROUTER_MANAGEMENT_KEY}"},
    "github_copilot": {"authorization": f"Bearer {COPILOT_TOKEN}"},
    "cursor": {"authorization": f"Basic {base64.b64encode(f'{CURSOR_API_KEY}:'.encode()).decode()}"},
}
Params = Mapping[str, Any]


def unix(day: date) -> int:
    """Unix seconds of the day's UTC midnight."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def midnight(day: date) -> str:
    """The day's UTC midnight in RFC 3339."""
    return f"{day}T00:00:00Z"


def exact(body: bytes | str) -> Any:
    """JSON with every number exact."""
    return json.loads(body, parse_float=Decimal)


def unix_window(start: date, end: date) -> dict[str, Any]:
    """An OpenAI or ChatGPT window; `end` is exclusive."""
    return {"start_time": unix(start), "end_time": unix(end)}


def rfc3339_window(start: date, end: date) -> dict[str, Any]:
    """An Anthropic window; `end` is exclusive."""
    return {"starting_at": midnight(start), "ending_at": midnight(end)}


@dataclass(frozen=True, eq=False)
class Endpoint:
    """How to read an endpoint: its path, its window, and its query at the finest grain it is asked for."""

    provider: str
    name: str
    path: str
    window: Callable[[date, date], dict[str, Any]]
    finest: Params
    schema: tuple[str, str]  # file under fixtures/schemas, fragment


def openai_usage(name: str, *dimensions: str, schema: str = "openai_usage.json") -> Endpoint:
    """One of OpenAI's usage reports."""
    path = f"/openai/v1/organization/usage/{name}"
    return Endpoint(
        "openai", f"usage_{name}", path, unix_window, {"group_by[]": list(dimensions), "limit": 31}, (schema, "")
    )


CALLER = ("project_id", "user_id", "api_key_id")
ENDPOINTS = {
    (endpoint.provider, endpoint.name): endpoint
    for endpoint in (
        Endpoint(
            "openai",
            "costs",
            "/openai/v1/organization/costs",
            unix_window,
            {"group_by[]": ["project_id", "user_id", "line_item", "api_key_id", "api_source"], "limit": 180},
            ("openai_usage.json", ""),
        ),
        openai_usage("completions", *CALLER, "model", "batch", "service_tier", "api_source"),
        openai_usage("embeddings", *CALLER, "model"),
        openai_usage("moderations", *CALLER, "model"),
        openai_usage("images", *CALLER, "model", "size", "source"),
        openai_usage("audio_speeches", *CALLER, "model"),
        openai_usage("audio_transcriptions", *CALLER, "model"),
        openai_usage("vector_stores", "project_id"),
        openai_usage("code_interpreter_sessions", "project_id"),
        openai_usage("file_search_calls", *CALLER, "vector_store_id"),
        openai_usage("web_search_calls", *CALLER, "model", "context_level", "api_source"),
        openai_usage(
            "decisions", *CALLER, "model", "batch", "service_tier", "api_source", schema="openai_decisions.json"
        ),
        Endpoint(
            "anthropic",
            "usage_messages",
            "/anthropic/v1/organizations/usage_report/messages",
            rfc3339_window,
            {"group_by[]": ["workspace_id", "api_key_id", "account_id", "model", "service_tier"], "limit": 31},
            ("anthropic_legacy_reports.json", "#/$defs/messages_usage_report"),
        ),
        Endpoint(
            "anthropic",
            "cost_report",
            "/anthropic/v1/organizations/cost_report",
            rfc3339_window,
            {"group_by[]": ["workspace_id", "description"], "limit": 31},
            ("anthropic_legacy_reports.json", "#/$defs/cost_report"),
        ),
        Endpoint(
            "anthropic",
            "claude_code",
            "/anthropic/v1/organizations/usage_report/claude_code",
            lambda start, _end: {"starting_at": str(start)},
            {"limit": 10},
            ("anthropic_legacy_reports.json", "#/$defs/claude_code_usage_report"),
        ),
        Endpoint(
            "chatgpt",
            "codex_usage",
            f"/chatgpt/v1/analytics/codex/workspaces/{CHATGPT_WORKSPACE_ID}/usage",
            unix_window,
            {"limit": 100},
            ("chatgpt_codex_usage.json", ""),
        ),
    )
}

# The old endpoints have neither pages nor buckets, and a key of their own.
LEGACY_ENDPOINTS = {
    (endpoint.provider, endpoint.name): endpoint
    for endpoint in (
        Endpoint(
            "openai_legacy",
            "billing_usage",
            "/openai/v1/dashboard/billing/usage",
            lambda start, end: {"start_date": str(start), "end_date": str(end)},
            {},
            ("openai_legacy.json", "#/$defs/billing_usage"),
        ),
        Endpoint(
            "openai_legacy",
            "usage",
            "/openai/v1/usage",
            lambda start, _end: {"date": str(start)},
            {},
            ("openai_legacy.json", "#/$defs/usage"),
        ),
    )
}
ANALYTICS = "/anthropic/v1/organizations/analytics/"


def analytics(name: str, width: str, *dimensions: str, **more: Any) -> Endpoint:
    """One of Anthropic's newer reports, or a cut of it."""
    report = name.partition("_by_")[0]
    return Endpoint(
        "anthropic_analytics",
        name,
        f"{ANALYTICS}{report}",
        rfc3339_window,
        {"group_by[]": list(dimensions), width: "1d", "limit": 1000, **more},
        ("anthropic_analytics.json", f"#/$defs/{report}"),
    )


IDENTITY = ("workspace_id", "actor", "api_key_id", "model", "service_tier")
MANAGED = ("agent_id", "deployment_id", "environment_id")
SLACK = ("slack_channel_id", "claude_tag_category")
BY_TIME = {"order_by": "time", "order": "asc"}
ANALYTICS_ENDPOINTS = {
    (endpoint.provider, endpoint.name): endpoint
    for endpoint in (
        analytics("usage", "time_bucket_width", *IDENTITY, **BY_TIME),
        analytics("cost", "time_bucket_width", *IDENTITY, "cost_type", "token_type", **BY_TIME),
        analytics("usage_report", "bucket_width", "product", "model", limit=31),
        analytics("cost_report", "bucket_width", "product", "model", limit=31),
        analytics("user_usage_report", "bucket_width", "product", "model"),
        analytics("user_cost_report", "bucket_width", "product", "model"),
        analytics("usage_by_product", "time_bucket_width", "product", "workspace_id", "model", **BY_TIME),
        analytics("cost_by_product", "time_bucket_width", "product", "workspace_id", "model", "cost_type", **BY_TIME),
        analytics("cost_by_agent", "time_bucket_width", *MANAGED, "workspace_id", "model", "cost_type", **BY_TIME),
        analytics("cost_by_slack_channel", "time_bucket_width", *SLACK, "product", "model", "cost_type", **BY_TIME),
    )
}


def engagement(name: str, path: str = "") -> Endpoint:
    """One of Claude Enterprise's engagement reports, of a day."""
    return Endpoint(
        "anthropic_analytics",
        name,
        f"{ANALYTICS}{path or name}",
        (lambda start, end: {"starting_date": str(start), "ending_date": str(end)})
        if name == "summaries"
        else (lambda start, _end: {"date": str(start)}),
        {"limit": 1000},
        ("anthropic_analytics.json", f"#/$defs/{name}"),
    )


ENGAGEMENT_ENDPOINTS = {
    (endpoint.provider, endpoint.name): endpoint
    for endpoint in (
        *map(engagement, ("summaries", "users", "skills", "connectors", "plugins", "artifacts")),
        engagement("chat_projects", "apps/chat/projects"),
    )
}
BILLING = f"/github_copilot/organizations/{COPILOT_ORGANIZATION}/settings/billing"


def github_billing(name: str, path: str) -> Endpoint:
    """One of GitHub's billing reports, which are of one day."""
    return Endpoint(
        "github_copilot",
        name,
        f"{BILLING}/{path}",
        lambda start, _end: {"year": start.year, "month": start.month, "day": start.day},
        {},
        ("github_copilot.json", f"#/$defs/{name}"),
    )


# One answer a day, without pages.
COPILOT_ENDPOINTS = {
    (endpoint.provider, endpoint.name): endpoint
    for endpoint in (
        github_billing("ai_credits", "ai_credit/usage"),
        github_billing("premium_requests", "premium_request/usage"),
        github_billing("billing_usage", "usage"),
    )
}
# Files behind links, which are signed and take no key.
COPILOT_FILES = {
    ("github_copilot", name): Endpoint(
        "github_copilot",
        name,
        f"{REPORTS}/{name}/2026-11-14/1",
        lambda _start, _end: {},
        {"sig": signature(f"{REPORTS}/{name}/2026-11-14/1")},
        ("github_copilot.json", f"#/$defs/{name}"),
    )
    for name in ("users_1_day", "organization_1_day")
}


def litellm_activity(name: str) -> Endpoint:
    """One of LiteLLM's reports of a day."""
    return Endpoint(
        "litellm",
        f"{name}_activity",
        f"/litellm/{name}/daily/activity",
        lambda start, _end: {"start_date": str(start), "end_date": str(start)},
        {"page_size": 1000},
        ("litellm.json", "#/$defs/SpendAnalyticsPaginatedResponse"),
    )


OPENROUTER_ACTIVITY = Endpoint(
    "openrouter",
    "activity",
    "/openrouter/activity",
    lambda start, _end: {"date": str(start)},
    {"group_by": "workspace"},
    ("openrouter.json", "#/$defs/activity"),
)
# Numbered pages of one day.
LITELLM_ENDPOINTS = {(endpoint.provider, endpoint.name): endpoint for endpoint in map(litellm_activity, ENTITIES)}
GATEWAY_ENDPOINTS = LITELLM_ENDPOINTS | {("openrouter", "activity"): OPENROUTER_ACTIVITY}


def cursor_report(name: str, path: str) -> Endpoint:
    """One of Cursor's reports, which are read with POST."""
    return Endpoint(
        "cursor",
        name,
        f"/cursor/teams/{path}",
        lambda start, end: {"startDate": unix(start) * 1000, "endDate": unix(end) * 1000 - 1},
        {"page": 1, "pageSize": 500},
        ("cursor.json", f"#/$defs/{name}"),
    )


# Numbered pages.
CURSOR_ENDPOINTS = {
    (endpoint.provider, endpoint.name): endpoint
    for endpoint in (
        cursor_report("usage_events", "filtered-usage-events"),
        cursor_report("daily_usage", "daily-usage-data"),
    )
}
POST_PATHS = {endpoint.path for endpoint in CURSOR_ENDPOINTS.values()} | {"/cursor/teams/spend"}
LEGACY_PATHS = {endpoint.path for endpoint in LEGACY_ENDPOINTS.values()}


@contextmanager
def running_sandbox(now: datetime) -> Iterator[str]:
    """A sandbox of the default company at `now`, in a thread; yields its address."""
    listener = listen(0)
    server = SandboxServer(build_app(now=now))
    thread = Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://{HOST}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


class SandboxCaller:
    """Reads provider routes with the right key, and the control routes."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def get(self, path: str, params: Params, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """One request; the provider's key is sent unless `headers` says otherwise. A None parameter is left out."""
        given = {name: value for name, value in params.items() if value is not None}
        provider = "openai_legacy" if path in LEGACY_PATHS else path.split("/")[1]
        provider = "anthropic_analytics" if path.startswith(ANALYTICS) else provider
        key = KEYS.get(provider) if headers is None else dict(headers)
        if path in POST_PATHS:
            return self.client.post(path, json=given, headers=key)
        return self.client.get(path, params=given, headers=key)

    def pages(self, path: str, params: Params) -> Iterator[Any]:
        """Every page of a query, numbers exact."""
        token: str | None = None
        while True:
            answer = self.get(path, {**params, "page": token})
            assert answer.status_code == 200, answer.text
            body = exact(answer.content)
            yield body
            token = body["next_page"]
            assert body["has_more"] is (token is not None)
            if token is None:
                return

    def days(self, endpoint: Endpoint, start: date, end: date, **params: Any) -> dict[date, list[Any]]:
        """Everything an endpoint says of [start, end) at the finest grain, page by page, rows per day."""
        query = {**endpoint.finest, **params}
        if endpoint.name == "claude_code":
            return {
                day: [
                    row
                    for page in self.pages(endpoint.path, {"starting_at": str(day), **query})
                    for row in page["data"]
                ]
                for day in days(start, end)
            }
        by_day: dict[date, list[Any]] = {day: [] for day in days(start, end)}
        for page in self.pages(endpoint.path, {**endpoint.window(start, end), **query}):
            for item in page["data"]:
                by_day[day_of(item)] += item.get("results", [item])
        return by_day

    def control(self, path: str, body: Any = None, method: str = "POST") -> Any:
        """A control call that must succeed."""
        answer = self.client.request(method, f"/control{path}", json=body)
        assert answer.status_code == 200, answer.text
        return exact(answer.content)

    def truth(self, **params: Any) -> Any:
        """/control/truth."""
        return exact(self.client.get("/control/truth", params=params).raise_for_status().content)


def days(start: date, end: date) -> list[date]:
    """[start, end)."""
    return [start + timedelta(days=n) for n in range((end - start).days)]


def day_of(item: Mapping[str, Any]) -> date:
    """The day of a bucket or flat row."""
    if "starting_at" in item:
        return date.fromisoformat(item["starting_at"][:10])
    return datetime.fromtimestamp(item["start_time"], UTC).date()


def changes(text: str) -> Iterator[tuple[list[str], dict[str, Any], str]]:
    """Yield, of lines such as ``costs,usage  limit=32&page  Limit must be``: names of endpoints, the parameters that a
    query has otherwise (it lacks those without a value, and has those twice that are there twice), and what is said."""
    for line in text.strip().splitlines():
        names, query, said = re.split(r"\s{2,}", line.strip())
        change: dict[str, list[Any]] = {}
        for name, _, value in (pair.partition("=") for pair in query.split("&")):
            change.setdefault(name, []).append(int(value) if value.isdigit() else value or None)
        yield names.split(","), {name: each if len(each) > 1 else each[0] for name, each in change.items()}, said

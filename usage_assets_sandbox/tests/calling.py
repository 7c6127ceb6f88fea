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
from usage_assets_sandbox.providers.github_copilot import REPORTS, signature

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


WINDOWS: dict[str, Callable[[date, date], dict[str, Any]]] = {
    "unix": unix_window,
    "rfc3339": rfc3339_window,
    "starting_at": lambda start, _end: {"starting_at": str(start)},
    "date": lambda start, _end: {"date": str(start)},
    "dates": lambda start, end: {"starting_date": str(start), "ending_date": str(end)},
    "start_date": lambda start, end: {"start_date": str(start), "end_date": str(end)},
    "both_dates": lambda start, _end: {"start_date": str(start), "end_date": str(start)},
    "day": lambda start, _end: {"year": start.year, "month": start.month, "day": start.day},
    "milliseconds": lambda start, end: {"startDate": unix(start) * 1000, "endDate": unix(end) * 1000 - 1},
}


def endpoints(provider: str, base: str, file: str, text: str) -> dict[tuple[str, str], Endpoint]:
    """Endpoints of a provider, of lines: name, path below the base, window, definition in the schema, finest query."""
    found: dict[tuple[str, str], Endpoint] = {}
    for name, path, window, definition, *queries in map(str.split, text.strip().splitlines()):
        finest = {
            key: value.split(",") if key.endswith("[]") else int(value) if value.isdigit() else value
            for key, _, value in (pair.partition("=") for query in queries for pair in query.split("&"))
        }
        fragment = "" if definition == "-" else f"#/$defs/{definition}"
        found[provider, name] = Endpoint(provider, name, f"{base}{path}", WINDOWS[window], finest, (file, fragment))
    return found


WHO, CALL = "limit=31&group_by[]=project_id,user_id,api_key_id", "model,batch,service_tier,api_source"
OF_WORKSPACES = "limit=31&group_by[]=workspace_id"
ENDPOINTS = {
    **endpoints(
        "openai",
        "/openai/v1/organization/",
        "openai_usage.json",
        f"""
        costs  costs  unix  -  limit=180&group_by[]=project_id,user_id,line_item,api_key_id,api_source
        usage_completions                usage/completions                unix  -  {WHO},{CALL}
        usage_embeddings                 usage/embeddings                 unix  -  {WHO},model
        usage_moderations                usage/moderations                unix  -  {WHO},model
        usage_images                     usage/images                     unix  -  {WHO},model,size,source
        usage_audio_speeches             usage/audio_speeches             unix  -  {WHO},model
        usage_audio_transcriptions       usage/audio_transcriptions       unix  -  {WHO},model
        usage_vector_stores              usage/vector_stores              unix  -  limit=31&group_by[]=project_id
        usage_code_interpreter_sessions  usage/code_interpreter_sessions  unix  -  limit=31&group_by[]=project_id
        usage_file_search_calls          usage/file_search_calls          unix  -  {WHO},vector_store_id
        usage_web_search_calls           usage/web_search_calls           unix  -  {WHO},model,context_level,api_source
        """,
    ),
    **endpoints(
        "openai",
        "/openai/v1/organization/",
        "openai_decisions.json",
        f"usage_decisions  usage/decisions  unix  -  {WHO},{CALL}",
    ),
    **endpoints(
        "anthropic",
        "/anthropic/v1/organizations/",
        "anthropic_legacy_reports.json",
        f"""
        usage_messages  usage_report/messages     rfc3339      messages_usage_report     {OF_WORKSPACES},api_key_id,account_id,model,service_tier
        cost_report     cost_report               rfc3339      cost_report               {OF_WORKSPACES},description
        claude_code     usage_report/claude_code  starting_at  claude_code_usage_report  limit=10
        """,  # noqa: E501
    ),
    **endpoints(
        "chatgpt",
        f"/chatgpt/v1/analytics/codex/workspaces/{CHATGPT_WORKSPACE_ID}/",
        "chatgpt_codex_usage.json",
        "codex_usage  usage  unix  -  limit=100",
    ),
}
# The old endpoints have neither pages nor buckets, and a key of their own.
LEGACY_ENDPOINTS = endpoints(
    "openai_legacy",
    "/openai/v1/",
    "openai_legacy.json",
    """
    billing_usage  dashboard/billing/usage  start_date  billing_usage
    usage          usage                    date        usage
    """,
)
ANALYTICS = "/anthropic/v1/organizations/analytics/"
PAGE = "limit=1000&bucket_width=1d&group_by[]=product,model"
BY_TIME = "limit=1000&time_bucket_width=1d&order_by=time&order=asc&group_by[]="
ANALYTICS_ENDPOINTS = endpoints(
    "anthropic_analytics",
    ANALYTICS,
    "anthropic_analytics.json",
    f"""
    usage  usage  rfc3339  usage  {BY_TIME}workspace_id,actor,api_key_id,model,service_tier
    cost  cost  rfc3339  cost  {BY_TIME}workspace_id,actor,api_key_id,model,service_tier,cost_type,token_type
    usage_report  usage_report  rfc3339  usage_report  {PAGE}&limit=31
    cost_report  cost_report  rfc3339  cost_report  {PAGE}&limit=31
    user_usage_report  user_usage_report  rfc3339  user_usage_report  {PAGE}
    user_cost_report  user_cost_report  rfc3339  user_cost_report  {PAGE}
    usage_by_product  usage  rfc3339  usage  {BY_TIME}product,workspace_id,model
    cost_by_product  cost  rfc3339  cost  {BY_TIME}product,workspace_id,model,cost_type
    cost_by_agent  cost  rfc3339  cost  {BY_TIME}agent_id,deployment_id,environment_id,workspace_id,model,cost_type
    cost_by_slack_channel  cost  rfc3339  cost  {BY_TIME}slack_channel_id,claude_tag_category,product,model,cost_type
    """,
)
ENGAGEMENT_ENDPOINTS = endpoints(
    "anthropic_analytics",
    ANALYTICS,
    "anthropic_analytics.json",
    """
    summaries      summaries           dates  summaries      limit=1000
    users          users               date   users          limit=1000
    skills         skills              date   skills         limit=1000
    connectors     connectors          date   connectors     limit=1000
    plugins        plugins             date   plugins        limit=1000
    artifacts      artifacts           date   artifacts      limit=1000
    chat_projects  apps/chat/projects  date   chat_projects  limit=1000
    """,
)
# One answer a day, without pages.
COPILOT_ENDPOINTS = endpoints(
    "github_copilot",
    f"/github_copilot/organizations/{COPILOT_ORGANIZATION}/settings/billing/",
    "github_copilot.json",
    """
    ai_credits        ai_credit/usage        day  ai_credits
    premium_requests  premium_request/usage  day  premium_requests
    billing_usage     usage                  day  billing_usage
    """,
)
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
# Numbered pages of one day.
LITELLM_ENDPOINTS = endpoints(
    "litellm",
    "/litellm/",
    "litellm.json",
    "\n".join(
        f"{path}_activity {path}/daily/activity both_dates SpendAnalyticsPaginatedResponse page_size=1000"
        for path in ENTITIES
    ),
)
GATEWAY_ENDPOINTS = LITELLM_ENDPOINTS | endpoints(
    "openrouter", "/openrouter/", "openrouter.json", "activity  activity  date  activity  group_by=workspace"
)
OPENROUTER_ACTIVITY = GATEWAY_ENDPOINTS["openrouter", "activity"]
# Numbered pages, which are read with POST.
CURSOR_ENDPOINTS = endpoints(
    "cursor",
    "/cursor/teams/",
    "cursor.json",
    """
    usage_events  filtered-usage-events  milliseconds  usage_events  page=1&pageSize=500
    daily_usage   daily-usage-data       milliseconds  daily_usage   page=1&pageSize=500
    """,
)
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


def bodies(text: str) -> Iterator[tuple[Any, ...]]:
    """Yield JSON, each at the beginning of a line, and behind arrows what is expected."""
    for line in re.split(r"\n\s*(?=[{\[])", text.strip()):
        body, *expected = re.split(r"\s+-> ", line)
        yield json.loads(body), *expected

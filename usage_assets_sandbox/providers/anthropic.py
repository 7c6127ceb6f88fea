"""The emulated Anthropic Admin API: messages usage, cost report and Claude Code analytics.

The messages report serves days only: its 1m and 1h buckets are refused with 400. Facts: the Admin API reference and
public reports of live probes, as listed in fixtures/README.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, Mount

from usage_assets_sandbox.api import (
    DAY_SECONDS,
    BadParameterError,
    PageTokenError,
    Parameter,
    RefusedError,
    catch_all,
    days_between,
    endpoint,
    integer,
    iso_date,
    one_of,
    page_of,
    read_query,
    rfc3339,
    rfc3339_day,
    stamp,
    text,
    unix,
)
from usage_assets_sandbox.company import Row
from usage_assets_sandbox.company_anthropic import BOOKS, ORGANIZATION_ID
from usage_assets_sandbox.credentials import ANTHROPIC_ADMIN_KEY, ANTHROPIC_ANALYTICS_KEY, is_one_of
from usage_assets_sandbox.directory import INCLUDE_ARCHIVED, Directory, is_shown, listed_page
from usage_assets_sandbox.ledger import Ledger, group
from usage_assets_sandbox.sandbox import Emulated, Sandbox

API_VERSION = "2023-06-01"
FAST_MODE_BETA = "fast-mode-2026-02-01"  # the header that allows grouping and filtering by speed
MAX_GROUP_BY = 5
REQUEST_ID = "req_011CSandbox"
ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
PROBLEMS = {
    "missing": "{name}: Field required",
    "extra_forbidden": "{name}: Extra inputs are not permitted",
    "repeated": "{name}: Input should be given once",
    "int_parsing": "{name}: Input should be a valid integer",
    "greater_than_equal": "{name}: Input should be greater than or equal to {ge}",
    "less_than_equal": "{name}: Input should be less than or equal to {le}",
    "unknown_cursor": "{name}: Input should be the ID of a listed object",
    "literal_error": "{name}: Input should be {expected}",
    "datetime_parsing": "{name}: Input should be a valid RFC 3339 datetime",
    "date_parsing": "{name}: Input should be a valid date in the format YYYY-MM-DD",
    "not_midnight": "{name}: Input should be the start of a 1d bucket (UTC)",
}


@dataclass(frozen=True)
class Report:
    """A bucketed report: its book, what it groups and filters by, and how a ledger row looks on the wire."""

    book: str
    group_by: tuple[str, ...]
    result: Callable[[Row], Row]
    filters: Mapping[str, str] = field(default_factory=dict)  # parameter -> dimension
    companions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # what comes along with a grouped dimension
    same_day_message: str | None = None


def _messages_result(row: Row) -> Row:
    result = {name: row[name] for name in MESSAGES.group_by if name != "speed" or row["speed"]}
    return {
        "uncached_input_tokens": row["uncached_input_tokens"],
        "cache_read_input_tokens": row["cache_read_input_tokens"],
        "cache_creation": {
            "ephemeral_5m_input_tokens": row["cache_creation_5m_input_tokens"],
            "ephemeral_1h_input_tokens": row["cache_creation_1h_input_tokens"],
        },
        "output_tokens": row["output_tokens"],
        "server_tool_use": {"web_search_requests": row["web_search_requests"]},
        **result,
    }


def _cost_result(row: Row) -> Row:
    return {"currency": row["currency"], **row, "amount": f"{row['amount']:f}"}


MESSAGES = Report(
    book="usage_messages",
    group_by=(
        "account_id",
        "api_key_id",
        "context_window",
        "inference_geo",
        "model",
        "service_account_id",
        "service_tier",
        "speed",
        "workspace_id",
    ),
    filters={
        "account_ids[]": "account_id",
        "api_key_ids[]": "api_key_id",
        "service_account_ids[]": "service_account_id",
        "workspace_ids[]": "workspace_id",
        "models[]": "model",
        "context_window[]": "context_window",
        "service_tiers[]": "service_tier",
        "inference_geos[]": "inference_geo",
        "speeds[]": "speed",
    },
    result=_messages_result,
)
COST_REPORT = Report(
    book="cost_report",
    group_by=("workspace_id", "description"),
    result=_cost_result,
    companions={
        "description": tuple(name for name in BOOKS.endpoints["cost_report"].dimensions if name != "workspace_id")
    },
    same_day_message="Invalid date range: ending date must be after starting date",
)
CLAUDE_CODE_PARAMETERS = {
    "starting_at": Parameter("starting_at", iso_date, required=True),
    "limit": Parameter("limit", integer(1, 1000), default=20),
    "page": Parameter("page", text),
}


LIMITS_BETA = "spend-limit-reads-2026-09-26"
LIMITS_PAGES = (Parameter("page", text), Parameter("limit", integer(1, 1000), default=20))


def _routes(sandbox: Sandbox) -> list[Mount]:
    ledger = sandbox.ledger

    def bucketed(path: str, report: Report) -> BaseRoute:
        parameters = _parameters(report)
        return endpoint(path, lambda request: _report_page(ledger, report, parameters, request), bad_parameter)

    routes = [
        *_lists(sandbox.directory),
        bucketed("/organizations/usage_report/messages", MESSAGES),
        bucketed("/organizations/cost_report", COST_REPORT),
        endpoint(
            "/organizations/usage_report/claude_code",
            lambda request: _claude_code_page(ledger, request),
            bad_parameter,
        ),
        catch_all(lambda _request: refuse(404, "Not found")),
    ]
    return [Mount("/anthropic/v1", routes=routes)]


def _lists(directory: Directory) -> list[BaseRoute]:
    def route(path: str, listed: str, *parameters: Parameter) -> BaseRoute:
        paging = (Parameter("after_id", text), Parameter("limit", integer(1, 1000), default=20))
        known = {parameter.name: parameter for parameter in (*paging, *parameters)}

        def answer(request: Request) -> Any:
            authenticate(request)
            query = read_query(request, known)
            items = [item for item in directory.lists["anthropic"][listed] if is_shown(item, query)]
            return listed_page(request, items, query, "after_id")

        return endpoint(path, answer, bad_parameter)

    def limits(request: Request) -> Any:
        authenticate(request)
        if LIMITS_BETA not in request.headers.get("anthropic-beta", "").split(","):
            raise refuse(400, f"anthropic-beta: {LIMITS_BETA} is required")
        query = read_query(request, {each.name: each for each in LIMITS_PAGES})
        items = directory.lists["anthropic"]["spend_limits"]
        begin = int(query["page"] or 0)
        end = begin + min(query["limit"], request.scope.get("page_size", query["limit"]))
        data = [{name: value for name, value in item.items() if name != "name"} for item in items[begin:end]]
        return {"data": data, "next_page": str(end) if end < len(items) else None}

    def me(request: Request) -> Any:
        authenticate(request, analytics=True)  # as nobody knows, the kinder answer
        read_query(request, {})
        return directory.lists["anthropic"]["organization"][0]

    return [
        endpoint("/organizations/me", me, bad_parameter),
        endpoint("/organizations/spend_limits", limits, bad_parameter),
        route("/organizations/workspaces", "workspaces", INCLUDE_ARCHIVED),
        route("/organizations/users", "users"),
        route("/organizations/api_keys", "api_keys"),
    ]


def _parameters(report: Report) -> dict[str, Parameter]:
    parameters = [
        Parameter("starting_at", rfc3339, required=True),
        Parameter("ending_at", rfc3339),
        Parameter("bucket_width", one_of(("1d",)), default="1d"),
        Parameter("limit", integer(1, 31), default=7),
        Parameter("page", text),
        Parameter("group_by[]", one_of(report.group_by), many=True),
        *(Parameter(name, text, many=True) for name in report.filters),
    ]
    return {parameter.name: parameter for parameter in parameters}


def _report_page(
    ledger: Ledger, report: Report, parameters: Mapping[str, Parameter], request: Request
) -> dict[str, Any]:
    authenticate(request)
    query = read_query(request, parameters)
    _check_group_by(request, query)
    start, end = _window(report, query, ledger.clock.today())
    days, more = _paged(request, days_between(start, end), query["limit"], ledger.clock.now(), unix(start), DAY_SECONDS)
    return {"data": [_bucket(ledger, report, query, day) for day in days], **more}


def _claude_code_page(ledger: Ledger, request: Request) -> dict[str, Any]:
    authenticate(request)
    query = read_query(request, CLAUDE_CODE_PARAMETERS)
    day = query["starting_at"]
    records, more = _paged(request, ledger.rows("anthropic", "claude_code", day), query["limit"], ledger.clock.now())
    return {"data": [_claude_code_record(row, day) for row in records], **more}


def _paged(request: Request, items: list[Any], limit: int, now: datetime, first: int = 0, step: int = 1) -> Any:
    try:
        return page_of(request, items, limit, now, first, step)
    except PageTokenError:
        raise refuse(400, "page: Invalid page token for these query parameters") from None


def authenticate(request: Request, *, analytics: bool = False) -> None:
    """Refuse all but admin keys, and where ``analytics`` are allowed, keys of the newer reports."""
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    if analytics and is_one_of(bearer, ANTHROPIC_ANALYTICS_KEY):
        return
    key = request.headers.get("x-api-key")
    if not is_one_of(key, ANTHROPIC_ADMIN_KEY):
        raise refuse(401, "invalid x-api-key" if key else "x-api-key header is required")
    version = request.headers.get("anthropic-version")
    if version != API_VERSION:
        problem = f'"{version}" is not a valid version' if version else "header is required"
        raise refuse(400, f"anthropic-version: {problem}")


def _check_group_by(request: Request, query: Mapping[str, Any]) -> None:
    group_by = query["group_by[]"]
    if len(group_by) > MAX_GROUP_BY:
        raise refuse(400, f"group_by[]: At most {MAX_GROUP_BY} dimensions are supported")
    betas = request.headers.get("anthropic-beta", "")
    if ("speed" in group_by or query.get("speeds[]")) and FAST_MODE_BETA not in betas:
        raise refuse(400, f"speed requires the anthropic-beta header {FAST_MODE_BETA}")


def _window(report: Report, query: Mapping[str, Any], today: date) -> tuple[date, date]:
    starting_at = query["starting_at"]
    ending_at = query["ending_at"] or rfc3339("ending_at", stamp(today + timedelta(days=1)))
    message = report.same_day_message
    if message and ending_at.date() <= starting_at.date():
        raise refuse(400, message, headers={"x-should-retry": "false"})
    start, end = rfc3339_day("starting_at", starting_at), rfc3339_day("ending_at", ending_at)
    if end <= start:
        raise refuse(400, "ending_at: Input should be after starting_at")
    return start, end


def _bucket(ledger: Ledger, report: Report, query: Mapping[str, Any], day: date) -> dict[str, Any]:
    rows = [
        row
        for row in ledger.rows("anthropic", report.book, day)
        if all(not query[name] or row[field] in query[name] for name, field in report.filters.items())
    ]
    kept = {name for grouped in query["group_by[]"] for name in (grouped, *report.companions.get(grouped, ()))}
    grouped = group(rows, BOOKS.endpoints[report.book].dimensions, kept | {"currency"})
    return {
        "starting_at": stamp(day),
        "ending_at": stamp(day + timedelta(days=1)),
        "results": [report.result(row) for row in grouped],
    }


def _claude_code_record(row: Row, day: date) -> dict[str, Any]:
    name = "email_address" if row["actor_type"] == "user_actor" else "api_key_name"
    return {
        "date": stamp(day),
        "actor": {"type": row["actor_type"], name: row["actor_name"]},
        "organization_id": ORGANIZATION_ID,
        "customer_type": row["customer_type"],
        "subscription_type": row["subscription_type"],
        "terminal_type": row["terminal_type"],
        "is_remote": row["is_remote"],
        "core_metrics": {
            "num_sessions": row["num_sessions"],
            "lines_of_code": {"added": row["lines_added"], "removed": row["lines_removed"]},
            "commits_by_claude_code": row["commits"],
            "pull_requests_by_claude_code": row["pull_requests"],
        },
        "tool_actions": row["tool_actions"],
        "model_breakdown": [_claude_code_model(used) for used in row["model_breakdown"]],
    }


def _claude_code_model(used: Row) -> dict[str, Any]:
    return {
        "model": used["model"],
        "tokens": {
            "input": used["uncached_input_tokens"],
            "output": used["output_tokens"],
            "cache_read": used["cache_read_input_tokens"],
            "cache_creation": used["cache_creation_5m_input_tokens"],
        },
        "estimated_cost": {"currency": "USD", "amount": used["estimated_cents"]},
    }


def refuse(status: int, message: str, headers: Mapping[str, str] | None = None) -> RefusedError:
    error = {"type": ERROR_TYPES.get(status, "invalid_request_error"), "message": message}
    return RefusedError(status, {"type": "error", "error": error, "request_id": REQUEST_ID}, headers)


def bad_parameter(problem: BadParameterError) -> RefusedError:
    return refuse(400, PROBLEMS[problem.problem].format(name=problem.name, **problem.context))


EMULATED = Emulated(BOOKS, _routes, key=ANTHROPIC_ADMIN_KEY, path="anthropic")

"""The emulated OpenAI organization API: costs and every usage report in daily buckets.

It serves days only: the 1m and 1h buckets of usage are refused with 400. Facts: the API reference and public reports
of live probes, as listed in fixtures/README.md.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from zlib import crc32

from starlette.requests import Request
from starlette.routing import BaseRoute, Mount

from usage_assets_sandbox.api import (
    DAY_SECONDS,
    BadParameterError,
    PageTokenError,
    Parameter,
    RefusedError,
    boolean,
    catch_all,
    days_between,
    endpoint,
    integer,
    one_of,
    page_of,
    read_query,
    text,
    unix,
    unix_day,
)
from usage_assets_sandbox.company import Row
from usage_assets_sandbox.company_openai import BOOKS
from usage_assets_sandbox.credentials import OPENAI_ADMIN_KEY, is_one_of
from usage_assets_sandbox.directory import INCLUDE_ARCHIVED, Directory, is_shown, listed_page
from usage_assets_sandbox.ledger import Ledger, group
from usage_assets_sandbox.providers.openai_legacy import legacy_routes
from usage_assets_sandbox.sandbox import Emulated, Sandbox

LOOKBACK_DAYS = 365
MODIFIED_QUERY = "The page token is invalid, have you modified the query parameters?"
# Dimensions that come along with a grouped one.
COMPANIONS = {"user_id": ("user_email",), "line_item": ("quantity_unit",)}
PROBLEMS = {
    "missing": ("missing_required_parameter", "Missing required parameter: '{name}'."),
    "extra_forbidden": ("unknown_parameter", "Unknown parameter: '{name}'."),
    "repeated": ("invalid_request_error", "Parameter '{name}' was given more than once."),
    "int_parsing": ("invalid_type", "Invalid type for '{name}': expected an integer."),
    "greater_than_equal": ("invalid_request_error", "Limit must be greater than or equal to {ge}."),
    "less_than_equal": ("invalid_request_error", "Limit must be less than or equal to {le}."),
    "unknown_cursor": ("invalid_value", "Invalid value for '{name}': nothing listed has the id {value}."),
    "literal_error": ("invalid_value", "Invalid value: '{value}'. Supported values are: {expected}."),
    "out_of_range": ("invalid_value", "Invalid value for '{name}': {value} is not a time in Unix seconds."),
    "not_midnight": ("invalid_value", "Invalid value for '{name}': {value} is not the start of a 1d bucket (UTC)."),
    "not_after_start": ("invalid_value", "Invalid value for '{name}': end_time must be after start_time."),
}


@dataclass(frozen=True)
class Report:
    """One endpoint: its book, what it groups and filters by, its page size, and how a ledger row looks on the wire."""

    path: str
    book: str
    object: str
    group_by: tuple[str, ...]
    filters: Mapping[Parameter, str]  # parameter -> dimension
    max_limit: int
    result: Callable[[Row, set[str], date], Row]
    api_key_floor: int = 0  # grouping by api_key_id is refused for an earlier start


def _values(name: str) -> Parameter:
    return Parameter(name, text, many=True)


def _usage(row: Row, _kept: set[str], _day: date) -> Row:
    return {name: value for name, value in row.items() if name != "user_email"}


def _cost(row: Row, kept: set[str], day: date) -> Row:
    result = {name: row[name] for name in COSTS.group_by}
    if "user_id" in kept:
        result["user_email"] = row["user_email"]  # undocumented, seen live on user-grouped rows
    amount: Decimal | str = row["amount"]
    if crc32(repr((day, *result.values())).encode()) % 5 == 0:
        amount = f"{amount:f}"  # live amounts are JSON numbers or JSON strings
    return {
        "amount": {"value": amount, "currency": row["currency"]},
        **result,
        "quantity": row["quantity"] if "line_item" in kept else None,
        "quantity_unit": row["quantity_unit"],
    }


COSTS = Report(
    path="/organization/costs",
    book="costs",
    object="organization.costs.result",
    group_by=("project_id", "user_id", "line_item", "api_key_id", "api_source"),
    filters={
        _values("project_ids"): "project_id",
        _values("api_key_ids"): "api_key_id",
        _values("line_items"): "line_item",
    },
    max_limit=180,
    result=_cost,
    api_key_floor=1764979200,  # 2025-12-06
)
FILTERS = {
    "project_id": _values("project_ids"),
    "user_id": _values("user_ids"),
    "api_key_id": _values("api_key_ids"),
    "model": _values("models"),
    "batch": Parameter("batch", boolean),
    "size": Parameter("sizes", one_of(("256x256", "512x512", "1024x1024", "1792x1792", "1024x1792")), many=True),
    "source": Parameter("sources", one_of(("image.generation", "image.edit", "image.variation")), many=True),
    "context_level": Parameter("context_levels", one_of(("low", "medium", "high")), many=True),
    "vector_store_id": _values("vector_store_ids"),
}
"""Dimension of usage -> what filters by it; the other dimensions have no filter."""


def _usage_report(name: str, *group_by: str, noun: str | None = None) -> Report:
    return Report(
        path=f"/organization/usage/{name}",
        book=f"usage_{name}",
        object=f"organization.usage.{noun or name}.result",
        group_by=group_by,
        filters={FILTERS[dimension]: dimension for dimension in group_by if dimension in FILTERS},
        max_limit=31,
        result=_usage,
    )


CALLER = ("project_id", "user_id", "api_key_id")
USAGE = (
    _usage_report("completions", *CALLER, "model", "batch", "service_tier", "api_source"),
    _usage_report("embeddings", *CALLER, "model"),
    _usage_report("moderations", *CALLER, "model"),
    _usage_report("images", *CALLER, "model", "size", "source"),
    _usage_report("audio_speeches", *CALLER, "model"),
    _usage_report("audio_transcriptions", *CALLER, "model"),
    _usage_report("vector_stores", "project_id"),
    _usage_report("code_interpreter_sessions", "project_id"),
    _usage_report("file_search_calls", *CALLER, "vector_store_id", noun="file_searches"),
    _usage_report("web_search_calls", *CALLER, "model", "context_level", "api_source", noun="web_searches"),
    _usage_report("decisions", *CALLER, "model", "batch", "service_tier", "api_source"),
)


def _routes(sandbox: Sandbox) -> list[Mount]:
    def route(report: Report) -> BaseRoute:
        parameters = _parameters(report)
        return endpoint(report.path, lambda request: _page(sandbox.ledger, report, parameters, request), bad_parameter)

    reports = [*_lists(sandbox.directory), *map(route, (COSTS, *USAGE)), catch_all(_unknown_url)]
    return [Mount("/openai/v1", routes=[*legacy_routes(sandbox.ledger), *reports])]


def _lists(directory: Directory) -> list[BaseRoute]:
    def route(path: str, listed: str, *parameters: Parameter) -> BaseRoute:
        paging = (Parameter("after", text), Parameter("limit", integer(1, 100), default=20))
        known = {parameter.name: parameter for parameter in (*paging, *parameters)}

        def answer(request: Request) -> Any:
            authenticate(request)
            query = read_query(request, known)
            items = [item for item in directory.lists["openai"][listed] if is_shown(item, query)]
            if project := request.path_params.get("project_id"):
                if project not in {item["id"] for item in directory.lists["openai"]["projects"]}:
                    raise refuse(404, f"Project '{project}' not found.", param=None, code="not_found")
                items = [item for item in items if item["project"] == project]
            elif listed == "spend_alerts":
                items = [item for item in items if item["project"] is None]
            used = int(directory.clock.now().timestamp())
            return {"object": "list", **listed_page(request, [_sent(item, used) for item in items], query, "after")}

        return endpoint(path, answer, bad_parameter)

    def limit(request: Request) -> Any:
        authenticate(request)
        read_query(request, {})
        whose = request.path_params.get("project_id", "organization")
        found = next((each for each in directory.lists["openai"]["spend_limits"] if each["id"] == whose), None)
        if found is None:
            raise refuse(404, "Spend limit not found.", param=None, code="not_found")
        return {name: value for name, value in found.items() if name not in ("id", "name")}

    access = Parameter("owner_project_access", one_of(("active", "inactive", "any")), default="active")
    return [
        route("/organization/projects", "projects", INCLUDE_ARCHIVED),
        route("/organization/users", "users"),
        route("/organization/projects/{project_id}/api_keys", "project_api_keys", access),
        route("/organization/projects/{project_id}/service_accounts", "service_accounts"),
        route("/organization/spend_alerts", "spend_alerts"),
        route("/organization/projects/{project_id}/spend_alerts", "spend_alerts"),
        endpoint("/organization/spend_limit", limit, bad_parameter),
        endpoint("/organization/projects/{project_id}/spend_limit", limit, bad_parameter),
    ]


def _sent(item: Row, used: int) -> Row:
    """An item without what only the directory knows; a key is always in use."""
    sent = {name: value for name, value in item.items() if name != "project"}
    return sent | {"last_used_at": used} if "last_used_at" in item else sent


def _parameters(report: Report) -> dict[str, Parameter]:
    parameters = (
        Parameter("start_time", unix_day, required=True),
        Parameter("end_time", unix_day),
        Parameter("bucket_width", one_of(("1d",)), default="1d"),
        Parameter("limit", integer(1, report.max_limit), default=7),
        Parameter("page", text),
        Parameter("group_by", one_of(report.group_by), many=True),
        *report.filters,
    )
    plain = {parameter.name: parameter for parameter in parameters}
    return plain | {f"{parameter.name}[]": parameter for parameter in parameters if parameter.many}


def _page(ledger: Ledger, report: Report, parameters: Mapping[str, Parameter], request: Request) -> dict[str, Any]:
    authenticate(request)
    query = read_query(request, parameters)
    today = ledger.clock.today()
    start, end = query["start_time"], query["end_time"] or today + timedelta(days=1)
    if end <= start:
        raise BadParameterError("end_time", "not_after_start", str(unix(end)))
    _check_history(report, start, query["group_by"], today)
    try:
        days, more = page_of(
            request, days_between(start, end), query["limit"], ledger.clock.now(), unix(start), DAY_SECONDS
        )
    except PageTokenError:
        raise refuse(400, MODIFIED_QUERY, code="invalid_request_error") from None
    return {"object": "page", "data": [_bucket(ledger, report, query, day) for day in days], **more}


def authenticate(request: Request) -> None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        message = "You didn't provide an API key. Provide it in an Authorization header using Bearer auth."
        raise refuse(401, message, param=None, code=None)
    if not is_one_of(key, OPENAI_ADMIN_KEY):
        masked = f"{key[:3]}{'*' * 8}{key[-4:]}"  # as the real one shows it
        raise refuse(401, f"Incorrect API key provided: {masked}.", param=None, code="invalid_api_key")


def _check_history(report: Report, start: date, group_by: Iterable[str], today: date) -> None:
    earliest = today - timedelta(days=LOOKBACK_DAYS)
    if start < earliest:
        message = (
            f"Usage and cost data are available for the past year. Earliest supported start date: {earliest} (UTC)."
        )
        raise RefusedError(400, {"error": {"code": "reporting_lookback_exceeded", "message": message}})
    if "api_key_id" in group_by and unix(start) < report.api_key_floor:
        message = (
            "group_by=api_key_id is not available for this time range. "
            f"Try a start_time on or after {report.api_key_floor}."
        )
        raise refuse(400, message, param="start_time", code="invalid_request_error")


def _bucket(ledger: Ledger, report: Report, query: Mapping[str, Any], day: date) -> dict[str, Any]:
    rows = [row for row in ledger.rows("openai", report.book, day) if _selected(row, report, query)]
    kept = {companion for name in query["group_by"] for companion in (name, *COMPANIONS.get(name, ()))} | {"currency"}
    grouped = group(rows, BOOKS.endpoints[report.book].dimensions, kept)
    results = [{"object": report.object, **report.result(row, kept, day)} for row in grouped]
    return {"object": "bucket", "start_time": unix(day), "end_time": unix(day) + DAY_SECONDS, "results": results}


def _selected(row: Row, report: Report, query: Mapping[str, Any]) -> bool:
    for parameter, dimension in report.filters.items():
        value = query[parameter.name]
        wanted = value if parameter.many else [value]
        if wanted not in ([], [None]) and row[dimension] not in wanted:
            return False
    return True


def refuse(status: int, message: str, **more: str | None) -> RefusedError:
    return RefusedError(status, {"error": {"message": message, "type": "invalid_request_error", **more}})


def bad_parameter(problem: BadParameterError) -> RefusedError:
    code, message = PROBLEMS[problem.problem]
    message = message.format(name=problem.name, value=problem.value, **problem.context)
    return refuse(400, message, param=problem.name, code=code)


def _unknown_url(request: Request) -> RefusedError:
    return refuse(404, f"Invalid URL ({request.method} {request.url.path})", param=None, code=None)


EMULATED = Emulated(BOOKS, _routes, key=OPENAI_ADMIN_KEY, path="openai/v1")

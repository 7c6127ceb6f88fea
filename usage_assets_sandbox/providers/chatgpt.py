"""The emulated ChatGPT Enterprise Codex analytics: usage rows per user and day, or per workspace and day.

It serves days only (`group_by=week` is refused with 422). Facts: developers.openai.com governance page and a captured
OpenAPI document, as listed in fixtures/README.md. The same books can also be served in a shape that no real answer is
known to have (/control/shape): the illustrative one of a public sample.
"""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from starlette.requests import Request
from starlette.routing import Mount

from usage_assets_sandbox.api import (
    BadParameterError,
    PageTokenError,
    Parameter,
    RefusedError,
    catch_all,
    days_between,
    endpoint,
    integer,
    one_of,
    page_of,
    read_query,
    stamp,
    text,
    unix,
    unix_day,
)
from usage_assets_sandbox.company import Row, total
from usage_assets_sandbox.company_chatgpt import BOOKS, workspace_row
from usage_assets_sandbox.credentials import CHATGPT_ANALYTICS_KEY, CHATGPT_WORKSPACE_ID, is_one_of
from usage_assets_sandbox.ledger import Ledger
from usage_assets_sandbox.sandbox import Emulated, Sandbox
from usage_assets_sandbox.shapes import CODEX_SHAPES

LOOKBACK_DAYS = 90
DEFAULT_DAYS = 30
PARAMETERS = {
    parameter.name: parameter
    for parameter in (
        Parameter("start_time", unix_day),
        Parameter("end_time", unix_day),
        Parameter("group_by", one_of(("day",)), default="day"),
        Parameter("group", one_of(("workspace",))),
        Parameter("limit", integer(1, 30_000), default=1000),
        Parameter("page", text),
    )
}
VALIDATION_TYPES = ("extra_forbidden", "int_parsing", "greater_than_equal", "less_than_equal", "literal_error")
PROBLEMS = {
    "extra_forbidden": "Extra inputs are not permitted",
    "repeated": "Input should be given once",
    "int_parsing": "Input should be a valid integer, unable to parse string as an integer",
    "greater_than_equal": "Input should be greater than or equal to {ge}",
    "less_than_equal": "Input should be less than or equal to {le}",
    "literal_error": "Input should be {expected}",
    "out_of_range": "Input should be a time in Unix seconds",
    "not_midnight": "Input should be the start of a day (UTC)",
    "not_after_start": "end_time must be after start_time",
    "lookback_exceeded": "start_time must be within the last {days} days",
    "page_invalid": "Invalid page token for these query parameters",
}


def _routes(sandbox: Sandbox) -> list[Mount]:
    ledger, shapes = sandbox.ledger, sandbox.shapes
    routes = [
        endpoint(
            "/analytics/codex/workspaces/{workspace_id}/usage",
            lambda request: _page(ledger, request, RESULTS[shapes.codex_usage]),
            _bad_parameter,
        ),
        catch_all(lambda _request: RefusedError(404, {"detail": "Not Found"})),
    ]
    return [Mount("/chatgpt/v1", routes=routes)]


def _page(ledger: Ledger, request: Request, result: Callable[[Row, date], Row]) -> dict[str, Any]:
    _authenticate(request)
    query = read_query(request, PARAMETERS)
    start, end = _window(query, ledger.clock.today())
    rows = [
        result(row, day)
        for day in days_between(start, end)
        for row in _rows(ledger.rows("chatgpt", "codex_usage", day), query["group"])
    ]
    try:
        page, more = page_of(request, rows, query["limit"], ledger.clock.now())
    except PageTokenError:
        raise BadParameterError("page", "page_invalid", request.query_params["page"]) from None
    return {"object": "page", "data": page, **more}


def _authenticate(request: Request) -> None:
    if request.headers.get("authorization") != f"Bearer {CHATGPT_ANALYTICS_KEY}":
        raise RefusedError(401, {"detail": "Could not validate credentials"}, {"www-authenticate": "Bearer"})
    if not is_one_of(request.path_params["workspace_id"], CHATGPT_WORKSPACE_ID):
        raise RefusedError(404, {"detail": "Workspace not found"})


def _window(query: Mapping[str, Any], today: date) -> tuple[date, date]:
    end = query["end_time"] or today + timedelta(days=1)
    start = query["start_time"] or end - timedelta(days=DEFAULT_DAYS)
    if end <= start:
        raise BadParameterError("end_time", "not_after_start", str(unix(end)))
    if start < today - timedelta(days=LOOKBACK_DAYS):
        raise BadParameterError("start_time", "lookback_exceeded", str(unix(start)), days=LOOKBACK_DAYS)
    return start, end


def _rows(rows: list[Row], cut: str | None) -> list[Row]:
    """A day per user, or as one workspace row; a day that is known as a workspace row only has no user rows."""
    if cut == "workspace":
        return [workspace_row(rows)] if rows else []
    return [row for row in rows if row["user_id"] is not None]


def _documented(row: Row, day: date) -> Row:
    user_id = row["user_id"]
    return {
        "object": "workspace.usage.result",
        "start_time": unix(day),
        "end_time": unix(day + timedelta(days=1)),
        "user_id": user_id,
        "actor": user_id and {"type": "user", "user_id": user_id, "email": row["email"]},
        "totals": row["totals"],
        "clients": row["clients"],
        "models": row["models"],
        "code_attribution": None,
    }


def _illustrative(row: Row, day: date) -> Row:
    """Flat, without moneys in dollars, clients or models; an unknown address is left out."""
    totals = row["totals"]
    cached, uncached = totals["cached_text_input_tokens"], totals["uncached_text_input_tokens"]
    user = {"id": row["user_id"]} | ({"email": row["email"]} if row["email"] else {})
    return {
        "start_time": stamp(day),
        "end_time": stamp(day + timedelta(days=1)),
        "user": user if row["user_id"] else None,
        "credits": totals["credits"],
        "threads": totals["threads"],
        "turns": totals["turns"],
        "tokens": {
            "text_input": total((uncached, cached)),
            "cached_input": cached,
            "output": totals["text_output_tokens"],
        },
    }


RESULTS = dict(zip(CODEX_SHAPES, (_documented, _illustrative), strict=True))


def _bad_parameter(problem: BadParameterError) -> RefusedError:
    detail = {
        "type": problem.problem if problem.problem in VALIDATION_TYPES else "value_error",
        "loc": ["query", problem.name],
        "msg": PROBLEMS[problem.problem].format(**problem.context),
        "input": problem.value,
        "ctx": problem.context,
    }
    return RefusedError(422, {"detail": [detail]})


EMULATED = Emulated(
    BOOKS, _routes, key=CHATGPT_ANALYTICS_KEY, path="chatgpt", ids={"workspace_id": CHATGPT_WORKSPACE_ID}
)

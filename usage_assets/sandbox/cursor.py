"""The emulated Admin API of Cursor: it reads with POST, in numbered pages, and knows a person by their address.

Facts: cursor.com/docs/account/teams/admin-api, and public connectors, as listed in fixtures/README.md.
"""

import base64
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from usage_assets.sandbox.api import RefusedError, catch_all, days_between, json_response, unix
from usage_assets.sandbox.company import Row, email
from usage_assets.sandbox.company_cursor import ACTIVITY, BILLED
from usage_assets.sandbox.credentials import CURSOR_API_KEY, is_one_of
from usage_assets.sandbox.directory import Directory, cursor_member_id
from usage_assets.sandbox.ledger import Ledger

FIELDS = ("startDate", "endDate", "page", "pageSize")
MOST_DAYS = 30
LARGEST_PAGES = {"usage_events": 500, "daily_usage": 1000}
DEFAULT_PAGE = 10
Body = dict[str, Any]


def cursor_routes(ledger: Ledger, directory: Directory) -> list[BaseRoute]:
    """The routes to mount at /cursor."""
    return [
        _route("/teams/members", "GET", lambda _request, _body: {"teamMembers": directory.lists["cursor"]["members"]}),
        _route("/teams/filtered-usage-events", "POST", lambda request, body: _events(ledger, request, body)),
        _route("/teams/daily-usage-data", "POST", lambda request, body: _days(ledger, request, body)),
        catch_all(lambda _request: _refuse(404, "Not Found")),
    ]


def _route(path: str, method: str, answer: Callable[[Request, Body], Any]) -> Route:
    async def handle(request: Request) -> Response:
        try:
            _check_key(request)
            return json_response(answer(request, _json_object(await request.body())))
        except RefusedError as problem:
            return json_response(problem.body, problem.status, problem.headers)

    return Route(path, handle, methods=[method])


def _check_key(request: Request) -> None:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    try:
        user, colon, password = base64.b64decode(given, validate=True).decode().partition(":")
    except ValueError:
        user = colon = password = ""
    if scheme != "Basic" or not colon or password or not is_one_of(user, CURSOR_API_KEY):
        raise _refuse(401, "Invalid API key", "Unauthorized")


def _json_object(content: bytes) -> Body:
    try:
        return msgspec.json.decode(content or b"{}", type=Body)
    except msgspec.DecodeError as problem:
        raise _refuse(400, f"Invalid JSON: {problem}") from None


def _events(ledger: Ledger, request: Request, body: Body) -> Body:
    """The newest event first. Both ends of the period belong to it."""
    start, end, page, size = _asked(request, body, "usage_events")
    found = [
        event
        for day in days_between(_day(start), _day(end) + timedelta(days=1))
        for event in (_event(row, day) for row in ledger.rows("cursor", "usage_events", day))
        if start <= int(event["timestamp"]) <= end
    ]
    found.sort(key=lambda event: -int(event["timestamp"]))
    pages = -(-len(found) // size)
    return {
        "totalUsageEventsCount": len(found),
        "pagination": {
            "numPages": pages,
            "currentPage": page,
            "pageSize": size,
            "hasNextPage": page < pages,
            "hasPreviousPage": page > 1,
        },
        "usageEvents": found[(page - 1) * size : page * size],
        "period": {"startDate": start, "endDate": end},
    }


def _event(row: Row, day: date) -> Row:
    at = 43_200_000 if row["at"] is None else row["at"]
    tokens = {
        "inputTokens": row["input_tokens"],
        "outputTokens": row["output_tokens"],
        "cacheWriteTokens": row["cache_write_tokens"],
        "cacheReadTokens": row["cache_read_tokens"],
        "totalCents": row["model_cents"],
    }
    return {
        "timestamp": str(unix(day) * 1000 + at),
        "userEmail": email(row["person"]),
        "model": row["model"],
        "kind": row["kind"],
        "maxMode": row["max_mode"],
        "requestsCosts": row["request_units"],
        "isTokenBasedCall": row["by_token"],
        "isChargeable": row["label"] == BILLED,
        "isHeadless": row["is_headless"],
        **({"tokenUsage": tokens, "cursorTokenFee": row["token_fee_cents"]} if row["by_token"] else {}),
        "chargedCents": row["charged_cents"],
        "isFreeBugbot": False,
    }


def _days(ledger: Ledger, request: Request, body: Body) -> Body:
    """A page has so many people, with all of their days."""
    start, end, page, size = _asked(request, body, "daily_usage")
    days = days_between(_day(start), _day(end) + timedelta(days=1))
    by_person: dict[str, list[Row]] = {}
    for day in days:
        for row in ledger.rows("cursor", "daily_usage", day):
            by_person.setdefault(row["person"], []).append(_person_day(row, day))
    people = list(by_person.values())
    pages = -(-len(people) // size)
    return {
        "data": [row for rows in people[(page - 1) * size : page * size] for row in rows],
        "period": {"startDate": start, "endDate": end},
        "pagination": {
            "page": page,
            "pageSize": size,
            "totalUsers": len(people),
            "totalPages": pages,
            "hasNextPage": page < pages,
            "hasPreviousPage": page > 1,
        },
    }


def _person_day(row: Row, day: date) -> Row:
    return {
        "userId": cursor_member_id(row["person"]),
        "day": str(day),
        "date": unix(day) * 1000,
        "email": email(row["person"]),
        "isActive": row["is_active"],
        **{_camel(name): row[name] for name, _ in ACTIVITY},
        "subscriptionIncludedReqs": row["subscription_included_requests"],
        "usageBasedReqs": row["usage_based_requests"],
        "apiKeyReqs": row["api_key_requests"],
        "mostUsedModel": row["model"],
        "applyMostUsedExtension": ".py" if row["is_active"] else None,
        "tabMostUsedExtension": ".py" if row["is_active"] else None,
        "clientVersion": "2.1.0" if row["is_active"] else None,
    }


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.title() for word in others)


def _asked(request: Request, body: Body, report: str) -> tuple[int, int, int, int]:
    """Start, end, page and page size; the short_page fault makes pages smaller."""
    for name, value in body.items():
        if name not in FIELDS:
            raise _refuse(400, f"Unrecognized key: {name}")
        if type(value) is not int:
            raise _refuse(400, f"{name} must be a number")
    for name in ("startDate", "endDate"):
        if name not in body:
            raise _refuse(400, f"{name} is required")
    start, end = body["startDate"], body["endDate"]
    page, size = body.get("page", 1), body.get("pageSize", DEFAULT_PAGE)
    if not 0 <= start <= end < 10**13 or end - start > MOST_DAYS * 86_400_000:
        raise _refuse(400, f"Date range cannot exceed {MOST_DAYS} days")
    if page < 1 or not 1 <= size <= LARGEST_PAGES[report]:
        raise _refuse(400, f"page must be at least 1, and pageSize 1 to {LARGEST_PAGES[report]}")
    return start, end, page, min(size, request.scope.get("page_size", size))


def _day(milliseconds: int) -> date:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).date()


def _refuse(status: int, message: str, error: str = "Bad Request") -> RefusedError:
    return RefusedError(status, {"error": error, "message": message})

"""The emulated Admin API of Cursor: it reads with POST, in numbered pages, and knows a person by their address.

Facts: cursor.com/docs/account/teams/admin-api, and public connectors, as listed in fixtures/README.md.
"""

import base64
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from usage_assets_sandbox.api import RefusedError, catch_all, days_between, json_response, unix
from usage_assets_sandbox.company import Row, email, total
from usage_assets_sandbox.company_cursor import (
    ABORTED,
    ACTIVITY,
    BILLED,
    BOOKS,
    COVERED,
    CYCLE_STARTS,
    ENUM,
    SERVICE_ACCOUNT_ID,
    SERVICE_ACCOUNT_NAME,
    WITHOUT_CACHE_WRITES,
)
from usage_assets_sandbox.credentials import CURSOR_API_KEY, is_one_of
from usage_assets_sandbox.directory import Directory, cursor_member_id
from usage_assets_sandbox.ledger import Ledger
from usage_assets_sandbox.sandbox import Emulated, Sandbox

FIELDS = ("startDate", "endDate", "page", "pageSize")
PAGE_FIELDS = ("page", "pageSize")
MOST_DAYS = 30
LARGEST_PAGES = {"usage_events": 500, "daily_usage": 1000, "spend": 100}
DEFAULT_PAGE = 10
NOON = 43_200_000
Body = dict[str, Any]


def _routes(sandbox: Sandbox) -> list[Mount]:
    ledger, directory = sandbox.ledger, sandbox.directory
    routes = [
        _route("/teams/members", "GET", lambda _request, _body: {"teamMembers": directory.lists["cursor"]["members"]}),
        _route("/teams/filtered-usage-events", "POST", lambda request, body: _events(ledger, request, body)),
        _route("/teams/daily-usage-data", "POST", lambda request, body: _days(ledger, request, body)),
        _route("/teams/spend", "POST", lambda request, body: _spend(ledger, directory, request, body)),
        catch_all(lambda _request: _refuse(404, "Not Found")),
    ]
    return [Mount("/cursor", routes=routes)]


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
    tokens = {
        "inputTokens": row["input_tokens"],
        "outputTokens": row["output_tokens"],
        "cacheWriteTokens": row["cache_write_tokens"],
        "cacheReadTokens": row["cache_read_tokens"],
        "totalCents": row["model_cents"],
    }
    if row["label"] == COVERED[0] and row["model"] == WITHOUT_CACHE_WRITES:
        del tokens["cacheWriteTokens"]
    is_constant = row["kind"].startswith(ENUM)
    return {
        "timestamp": str(_at(row, day)),
        "userEmail": email(row["person"]),
        "model": row["model"],
        "kind": row["kind"],
        "maxMode": row["max_mode"],
        "requestsCosts": row["request_units"],
        "isTokenBasedCall": row["by_token"],
        "isChargeable": row["label"] == BILLED or (is_constant and row["label"] == COVERED[0]),
        "isHeadless": row["is_headless"],
        **({"tokenUsage": tokens, "cursorTokenFee": row["token_fee_cents"]} if row["by_token"] else {}),
        **({"tokenUsage": {}} if row["label"] == ABORTED else {}),
        "chargedCents": row["charged_cents"],
        "isFreeBugbot": False,
        "conversationId": str(uuid5(NAMESPACE_URL, row["conversation"])),
        **_agent(row),
    }


def _agent(row: Row) -> Row:
    """Whose an event is, unless it is a person's. What has no id may have the text ``null``."""
    if row["is_account"]:
        agent = str(uuid5(NAMESPACE_URL, f"{row['conversation']} {row['n']}"))
        return {
            "serviceAccountId": SERVICE_ACCOUNT_ID,
            "serviceAccountName": SERVICE_ACCOUNT_NAME,
            "cloudAgentId": f"bc-{agent}",
        }
    return {"serviceAccountId": "null", "cloudAgentId": "null"} if row["is_headless"] else {}


def _at(row: Row, day: date) -> int:
    return unix(day) * 1000 + (NOON if row["at"] is None else row["at"])


def _spend(ledger: Ledger, directory: Directory, request: Request, body: Body) -> Body:
    """What each member spent in the running cycle, until now. Who has spent nothing has no amounts."""
    page, size = _page_asked(request, body, "spend", PAGE_FIELDS)
    began, now = cycle_start(ledger.clock.now()), int(ledger.clock.now().timestamp() * 1000)
    events = [
        row
        for day in days_between(_day(began), ledger.clock.today() + timedelta(days=1))
        for row in ledger.rows("cursor", "usage_events", day)
        if began <= _at(row, day) <= now and not row["is_account"]
    ]
    members = [_with_spend(member, events) for member in directory.lists["cursor"]["spend"]]
    return {
        "teamMemberSpend": members[(page - 1) * size : page * size],
        "subscriptionCycleStart": began,
        "totalMembers": len(members),
        "totalPages": -(-len(members) // size),
    }


def _with_spend(member: Row, events: list[Row]) -> Row:
    own = [event for event in events if email(event["person"]) == member["email"]]
    billed = total(event["charged_cents"] for event in own if event["label"] == BILLED)
    included = total(event["charged_cents"] for event in own if event["label"] == COVERED[0])
    stated = {"spendCents": billed or 0, "overallSpendCents": total((billed, included)), "includedSpendCents": included}
    sent = {"userId" if name == "id" else name: value for name, value in member.items()}
    return sent | {"fastPremiumRequests": len(own)} | (stated if own else {})


def cycle_start(now: datetime) -> int:
    """The last moment at which a billing cycle began, in milliseconds."""
    day_of_month, after_midnight = CYCLE_STARTS
    day = now.date().replace(day=day_of_month)
    began = unix(day) * 1000 + after_midnight
    if began <= now.timestamp() * 1000:
        return began
    return unix((day.replace(day=1) - timedelta(days=1)).replace(day=day_of_month)) * 1000 + after_midnight


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
    """Start, end, page and page size."""
    page, size = _page_asked(request, body, report, FIELDS)
    for name in ("startDate", "endDate"):
        if name not in body:
            raise _refuse(400, f"{name} is required")
    start, end = body["startDate"], body["endDate"]
    if not 0 <= start <= end < 10**13 or end - start > MOST_DAYS * 86_400_000:
        raise _refuse(400, f"Date range cannot exceed {MOST_DAYS} days")
    return start, end, page, size


def _page_asked(request: Request, body: Body, report: str, known: tuple[str, ...]) -> tuple[int, int]:
    """Page and page size; the short_page fault makes pages smaller."""
    for name, value in body.items():
        if name not in known:
            raise _refuse(400, f"Unrecognized key: {name}")
        if type(value) is not int:
            raise _refuse(400, f"{name} must be a number")
    page, size = body.get("page", 1), body.get("pageSize", DEFAULT_PAGE)
    if page < 1 or not 1 <= size <= LARGEST_PAGES[report]:
        raise _refuse(400, f"page must be at least 1, and pageSize 1 to {LARGEST_PAGES[report]}")
    return page, min(size, request.scope.get("page_size", size))


def _day(milliseconds: int) -> date:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).date()


def _refuse(status: int, message: str, error: str = "Bad Request") -> RefusedError:
    return RefusedError(status, {"error": error, "message": message})


EMULATED = Emulated(BOOKS, _routes, key=CURSOR_API_KEY, path="cursor")

"""/control: the sandbox's own switches (clock, reset, truth, restatements, faults) and the log of what was asked.

JSON in, JSON out, no authentication: the sandbox listens on loopback only.
"""

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from usage_assets_sandbox.api import json_response, stamp
from usage_assets_sandbox.directory import CHANGES as DIRECTORY_CHANGES
from usage_assets_sandbox.faults import read_fault
from usage_assets_sandbox.ledger import CHANGES, COSTS
from usage_assets_sandbox.providers.focus import deliver
from usage_assets_sandbox.sandbox import Sandbox
from usage_assets_sandbox.shapes import ANTHROPIC_COSTS, CODEX_SHAPES, COPILOT_SHAPES

DEFAULT_SEED = 7


class RequestLog:
    """Lists every request but those to /control; never a header or a body, which may hold secrets."""

    def __init__(self, app: ASGIApp, requests: list[dict[str, Any]]) -> None:
        self.app, self.requests = app, requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and note it; `status` stays null for a connection that got no answer."""
        if scope["type"] != "http" or scope["path"].startswith("/control"):
            await self.app(scope, receive, send)
            return
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        entry = {
            "n": len(self.requests) + 1,
            "method": scope["method"],
            "path": scope["path"],
            "query": [list(pair) for pair in query],
            "status": None,
        }
        self.requests.append(entry)

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
            await send(message)

        await self.app(scope, receive, note)


class ControlError(Exception):
    """A control request that makes no sense; the message says why."""


def control_routes(sandbox: Sandbox) -> list[BaseRoute]:
    """The routes to mount at /control."""
    actions: dict[str, dict[str, Callable[[Sandbox, Any], Any]]] = {
        "/health": {"GET": lambda sandbox, _: {"ok": True, "now": _now(sandbox)}},
        "/clock": {"GET": lambda sandbox, _: {"now": _now(sandbox)}, "POST": _set_clock},
        "/reset": {"POST": _reset},
        "/truth": {"GET": _truth},
        "/restate": {"POST": _restate},
        "/currency": {"POST": _set_currency},
        "/shape": {"POST": _set_shape},
        "/bills": {"POST": _deliver_bills},
        "/directory": {"GET": lambda sandbox, _: sandbox.directory.lists, "POST": _change_directory},
        "/requests": {"GET": _requests},
        "/requests/clear": {"POST": _clear_requests},
        "/faults": {"GET": _list_faults, "POST": _add_faults, "DELETE": _clear_faults},
    }

    def handler(act: Callable[[Sandbox, Any], Any], method: str) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            try:
                given = await _json_object(request) if method == "POST" else dict(request.query_params)
                return json_response(act(sandbox, given))
            except ControlError as problem:
                return json_response({"error": str(problem)}, 400)

        return handle

    return [
        Route(path, handler(act, method), methods=[method])
        for path, by_method in actions.items()
        for method, act in by_method.items()
    ]


async def _json_object(request: Request) -> dict[str, Any]:
    body = await request.body()
    try:
        given = json.loads(body or b"{}", parse_float=Decimal)
    except ValueError as problem:
        raise ControlError(f"the body is not JSON: {problem}") from None
    if not isinstance(given, dict):
        raise ControlError("the body must be a JSON object")
    return given


def _now(sandbox: Sandbox) -> str:
    return stamp(sandbox.ledger.clock.now())


def _set_clock(sandbox: Sandbox, given: dict[str, Any]) -> dict[str, Any]:
    _only(given, "now")
    if "now" not in given:
        raise ControlError('now is missing; "now": null is real time')
    sandbox.ledger.clock.frozen = _moment(given["now"])
    return {"now": _now(sandbox)}


def _reset(sandbox: Sandbox, given: dict[str, Any]) -> dict[str, Any]:
    _only(given, "seed", "now")
    sandbox.reset(_whole("seed", given.get("seed", DEFAULT_SEED)), _moment(given.get("now")))
    return {"ok": True, "now": _now(sandbox)}


def _truth(sandbox: Sandbox, given: dict[str, Any]) -> dict[str, Any]:
    _only(given, "start", "end")
    yesterday = sandbox.ledger.clock.today() - timedelta(days=1)
    start = _day(given["start"]) if "start" in given else sandbox.ledger.first_day()
    end = _day(given["end"]) if "end" in given else yesterday
    if end < start:
        raise ControlError(f"end {end} is before start {start}")
    return sandbox.ledger.truth(start, end)


def _restate(sandbox: Sandbox, given: dict[str, Any]) -> dict[str, Any]:
    _only(given, "provider", "endpoint", "days", "change", "factor")
    provider = _choice("provider", given.get("provider"), sandbox.ledger.books)
    known = sandbox.ledger.books[provider].endpoints
    endpoints = [_choice("endpoint", given["endpoint"], known)] if "endpoint" in given else [*known]
    change = _choice("change", given.get("change"), CHANGES)
    factor = _whole("factor", given.get("factor", 2))
    ledger, days = sandbox.ledger, _days_in_books(sandbox, given)
    return {
        "changed": {
            endpoint: {str(day): ledger.restate(provider, endpoint, day, change, factor) for day in days}
            for endpoint in endpoints
        }
    }


def _days_in_books(sandbox: Sandbox, given: dict[str, Any]) -> list[date]:
    if not isinstance(given.get("days"), list) or not given["days"]:
        raise ControlError("days must be a list of YYYY-MM-DD")
    days = [_day(text) for text in given["days"]]
    ledger = sandbox.ledger
    for day in days:
        if not ledger.first_day() <= day <= ledger.clock.today():
            raise ControlError(f"{day} is outside the books, which hold {ledger.first_day()} to {ledger.clock.today()}")
    return days


def _set_currency(sandbox: Sandbox, given: dict[str, Any]) -> dict[str, Any]:
    _only(given, "provider", "days", "currency", "third")
    provider = _choice("provider", given.get("provider"), COSTS)
    currency, third = given.get("currency"), _whole("third", given.get("third", 0))
    if not (isinstance(currency, str) and re.fullmatch("[A-Za-z]{3}", currency)):
        raise ControlError(f"currency must be a code of three letters, not {currency!r}")
    if third not in range(3):
        raise ControlError(f"third must be 0, 1 or 2, not {third}")
    days = _days_in_books(sandbox, given)
    return {"changed": {str(day): sandbox.ledger.bill(provider, day, currency, third) for day in days}}


def _set_shape(sandbox: Sandbox, given: dict[str, Any]) -> dict[str, Any]:
    shapes = {
        "codex_usage": CODEX_SHAPES,
        "github_copilot": COPILOT_SHAPES,
        "anthropic_costs": ANTHROPIC_COSTS,
    }
    _only(given, *shapes)
    for name in given or shapes:
        setattr(sandbox.shapes, name, _choice(name, given.get(name), shapes[name]))
    return {name: getattr(sandbox.shapes, name) for name in given}


def _deliver_bills(sandbox: Sandbox, given: dict[str, Any]) -> dict[str, Any]:
    _only(given, "folder", "start", "end")
    if not (isinstance(given.get("folder"), str) and Path(given["folder"]).is_absolute()):
        raise ControlError("folder must be an absolute path")
    return {"files": deliver(sandbox.ledger, Path(given["folder"]), _day(given.get("start")), _day(given.get("end")))}


def _change_directory(sandbox: Sandbox, given: dict[str, Any]) -> dict[str, Any]:
    _only(given, "provider", "list", "item", "change", "name")
    lists = sandbox.directory.lists
    provider = _choice("provider", given.get("provider"), lists)
    listed = _choice("list", given.get("list"), lists[provider])
    change = _choice("change", given.get("change"), DIRECTORY_CHANGES)
    if (change == "rename") is not isinstance(given.get("name"), str):
        raise ControlError("rename needs a name, and nothing else has one")
    try:
        return {"id": sandbox.directory.change(provider, listed, given.get("item"), change, given.get("name"))}
    except KeyError:
        raise ControlError(f"{listed} has no item with the id or name {given.get('item')!r}") from None


def _requests(sandbox: Sandbox, _given: dict[str, Any]) -> dict[str, Any]:
    counts = Counter(f"{entry['method']} {entry['path']}" for entry in sandbox.requests)
    return {"requests": sandbox.requests, "counts": counts}


def _clear_requests(sandbox: Sandbox, _given: dict[str, Any]) -> dict[str, Any]:
    sandbox.requests.clear()
    return {"ok": True}


def _list_faults(sandbox: Sandbox, _given: dict[str, Any]) -> dict[str, Any]:
    return {"faults": [fault.described() for fault in sandbox.faults]}


def _add_faults(sandbox: Sandbox, given: dict[str, Any]) -> dict[str, Any]:
    _only(given, "faults")
    if not isinstance(given.get("faults"), list):
        raise ControlError("faults must be a list")
    try:
        sandbox.faults += [read_fault(declared) for declared in given["faults"]]
    except ValueError as problem:
        raise ControlError(str(problem)) from None
    return _list_faults(sandbox, {})


def _clear_faults(sandbox: Sandbox, _given: dict[str, Any]) -> dict[str, Any]:
    sandbox.faults.clear()
    return {"faults": []}


def _only(given: dict[str, Any], *known: str) -> None:
    if unknown := sorted(given.keys() - set(known)):
        raise ControlError(f"unknown key {unknown[0]}; known: {', '.join(known)}")


def _choice(name: str, value: Any, allowed: Iterable[str]) -> str:
    if value not in (*allowed,):
        raise ControlError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
    return str(value)


def _whole(name: str, value: Any) -> int:
    if type(value) is not int:
        raise ControlError(f"{name} must be a whole number, not {value!r}")
    return value


def _day(value: Any) -> date:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ControlError(f"{value!r} is not a date YYYY-MM-DD") from None


def _moment(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ControlError(f"{value!r} is not an ISO 8601 time") from None
    if moment.tzinfo is None:
        raise ControlError(f"{value!r} needs an offset, such as Z")
    return moment.astimezone(UTC)

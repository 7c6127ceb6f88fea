"""Scripted faults over the emulated routes: /control/faults sets them, a middleware makes them happen.

A kind of fault is one entry of KINDS: it gets the fault, the request and the real answer, and decides what is sent.
``edit`` takes operations such as ``{"do": "set", "path": "data[*].results[0].amount.value", "to": 1}`` (or
``"raw": "NaN"``, text that is not JSON); ``do`` may also be ``delete``, ``reverse`` or ``double``. ``play`` takes
answers such as ``[{"days": ["2026-11-01"], "pages": ["..."]}]``: other days have the sandbox's own.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

import msgspec
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from usage_assets_sandbox.api import json_response

REPEATED_TOKEN = "page_repeated"  # noqa: S105 - a page token, not a secret
SPLIT_TOKEN = "page_split"  # noqa: S105 - a page token, not a secret
NDJSON = "application/x-ndjson"
DRIPS = 20
"""A body that drips comes in at most so many pieces."""
Answer = Callable[[Scope], Awaitable[Response]]


@dataclass
class Fault:
    """What goes wrong on which calls (1-based since it was set; None is every call) of the routes matching `route`."""

    route: str
    kind: str
    calls: tuple[int, ...] | None
    options: Mapping[str, Any]
    seen: int = 0
    fired: int = 0

    def is_due(self, line: str) -> bool:
        """Count a request ("METHOD path") that matches; true when this call is to go wrong."""
        if not fnmatchcase(line, f"{self.route}*"):
            return False
        self.seen += 1
        return self.calls is None or self.seen in self.calls

    def described(self) -> dict[str, Any]:
        """As /control/faults lists it."""
        calls = None if self.calls is None else list(self.calls)
        return {"route": self.route, "fault": self.kind, "calls": calls, **self.options, "fired": self.fired}


class ConnectionDroppedError(Exception):
    """The connection is to be closed without an answer."""


async def _status(options: Mapping[str, Any], _scope: Scope, _answer: Answer) -> Response:
    if options["status"] == 204:
        return Response(status_code=204)
    body = options.get("body", {"error": {"message": "a fault set through /control/faults"}})
    if isinstance(body, str):
        return HTMLResponse(body, options["status"])
    return json_response(body, options["status"], options.get("headers"))


async def _ungroupable(options: Mapping[str, Any], scope: Scope, answer: Answer) -> Response:
    """OpenAI refuses a grouping for a window that has one of the days in it, and does not say for which."""
    query = parse_qsl(scope["query_string"].decode())
    bounds = [datetime.fromtimestamp(int(dict(query)[name]), UTC).date() for name in ("start_time", "end_time")]
    is_grouped = ("group_by[]", options["dimension"]) in query
    if is_grouped and any(bounds[0] <= date.fromisoformat(day) < bounds[1] for day in options["days"]):
        return json_response({"error": {"message": options["message"]}}, 400)
    return await answer(scope)


async def _delay(options: Mapping[str, Any], scope: Scope, answer: Answer) -> Response:
    await asyncio.sleep(float(options["seconds"]))
    return await answer(scope)


async def _drip(options: Mapping[str, Any], scope: Scope, answer: Answer) -> Response:
    whole = await answer(scope)
    body = bytes(whole.body)
    size = len(body) // DRIPS + 1

    async def flow() -> AsyncIterator[bytes]:
        for begin in range(0, len(body), size):
            yield body[begin : begin + size]
            await asyncio.sleep(float(options["seconds"]))

    return StreamingResponse(flow(), whole.status_code, media_type="application/json")


async def _truncate(_options: Mapping[str, Any], scope: Scope, answer: Answer) -> Response:
    whole = await answer(scope)
    body = bytes(whole.body)
    return Response(body[: len(body) // 2], whole.status_code, media_type="application/json")


async def _reset(_options: Mapping[str, Any], _scope: Scope, _answer: Answer) -> Response:
    raise ConnectionDroppedError


class HalfResponse(Response):
    """Half of the promised body, and then no connection any more."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body[: len(self.body) // 2], "more_body": True})
        raise ConnectionDroppedError


async def _break_off(_options: Mapping[str, Any], scope: Scope, answer: Answer) -> Response:
    whole = await answer(scope)
    return HalfResponse(whole.body, whole.status_code, media_type="application/json")


async def _repeat_token(_options: Mapping[str, Any], scope: Scope, answer: Answer) -> Response:
    token = _page_token(scope) or REPEATED_TOKEN
    # no real page: the first one is served again and again
    page = await answer(_first_page(scope) if token == REPEATED_TOKEN else scope)
    return json_response(_decoded(page) | {"has_more": True, "next_page": token}, page.status_code)


async def _split_bucket(options: Mapping[str, Any], scope: Scope, answer: Answer) -> Response:
    is_rest = _page_token(scope) == SPLIT_TOKEN
    page = await answer(_first_page(scope) if is_rest else scope)
    body, n = _decoded(page), options["bucket"]
    bucket = body["data"][n]
    half = len(bucket["results"]) // 2
    if is_rest:
        rest = [bucket | {"results": bucket["results"][half:]}, *body["data"][n + 1 :]]
        return json_response(body | {"data": rest}, page.status_code)
    begun = [*body["data"][:n], bucket | {"results": bucket["results"][:half]}]
    return json_response(body | {"data": begun, "has_more": True, "next_page": SPLIT_TOKEN}, page.status_code)


def _page_token(scope: Scope) -> str | None:
    return dict(parse_qsl(scope["query_string"].decode())).get("page")


def _first_page(scope: Scope) -> Scope:
    query = parse_qsl(scope["query_string"].decode(), keep_blank_values=True)
    return {**scope, "query_string": urlencode([(name, value) for name, value in query if name != "page"]).encode()}


def _decoded(page: Response) -> Any:
    return json.loads(bytes(page.body), parse_float=Decimal)


async def _short_page(options: Mapping[str, Any], scope: Scope, answer: Answer) -> Response:
    return await answer({**scope, "page_size": options["size"]})


async def _html(_options: Mapping[str, Any], _scope: Scope, _answer: Answer) -> Response:
    return HTMLResponse("<!doctype html><title>Just a moment...</title><h1>Checking your browser</h1>")


async def _relabel(options: Mapping[str, Any], scope: Scope, answer: Answer) -> Response:
    whole = await answer(scope)
    return Response(whole.body, whole.status_code, {"content-type": options["content_type"]})


async def _edit(options: Mapping[str, Any], scope: Scope, answer: Answer) -> Response:
    page = await answer(scope)
    if page.headers.get("content-type") == NDJSON:
        lines = [json.loads(line, parse_float=Decimal) for line in bytes(page.body).splitlines()]
        body = b"".join(bytes(json_response(line).body) + b"\n" for line in edited(lines, options["operations"]))
        return Response(body, page.status_code, media_type=NDJSON)
    return json_response(edited(_decoded(page), options["operations"]), page.status_code)


def edited(body: Any, operations: Iterable[Mapping[str, Any]]) -> Any:
    """A decoded body after all operations."""
    for operation in operations:
        for place, key in _places(body, operation["path"], adds=operation["do"] == "set"):
            OPERATIONS[operation["do"]](place, key, operation)
    return body


def _check_operations(options: Mapping[str, Any]) -> None:
    for operation in options["operations"]:
        if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
            raise ValueError('an operation is an object such as {"do": "delete", "path": "data[0].results"}')
        if operation.get("do") not in OPERATIONS:
            raise ValueError(f"do must be one of {', '.join(OPERATIONS)}, not {operation.get('do')!r}")
        if operation["do"] == "set" and "to" not in operation and not isinstance(operation.get("raw"), str):
            raise ValueError("set needs to, or raw text")


def _places(body: Any, path: str, *, adds: bool) -> Iterator[tuple[Any, Any]]:
    """Containers and keys that a path such as `data[*].results[0].amount` leads to.

    What is not there leads nowhere, unless it is a field that the operation `adds`.
    """
    *way, last = (int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", path))
    places = [body]
    for step in way:
        places = [place[key] for place in places for key in _keys(place, step)]
    for place in places:
        keys = [last] if adds and isinstance(place, dict) else _keys(place, last)
        yield from [(place, key) for key in reversed(keys)]


def _keys(place: Any, step: int | str) -> list[Any]:
    if isinstance(place, list):
        return list(range(len(place))) if step == "*" else [step] if step in range(len(place)) else []
    return [step] if isinstance(place, dict) and step in place else []


def _set(place: Any, key: Any, operation: Mapping[str, Any]) -> None:
    # msgspec.Raw: what no decoder gives back, such as NaN, is written as it stands
    place[key] = msgspec.Raw(operation["raw"].encode()) if "raw" in operation else operation["to"]


def _rename(place: Any, key: Any, operation: Mapping[str, Any]) -> None:
    renamed = {operation["to"] if name == key else name: value for name, value in place.items()}
    place.clear()
    place.update(renamed)


def _delete(place: Any, key: Any, _operation: Mapping[str, Any]) -> None:
    del place[key]


def _reverse(place: Any, key: Any, _operation: Mapping[str, Any]) -> None:
    place[key].reverse()


def _double(place: Any, key: Any, _operation: Mapping[str, Any]) -> None:
    place[key] = [*place[key], *place[key]]


OPERATIONS: dict[str, Callable[[Any, Any, Mapping[str, Any]], None]] = {
    "set": _set,
    "rename": _rename,
    "delete": _delete,
    "reverse": _reverse,
    "double": _double,
}
"""What `edit` does (`do`) at each place that `path` leads to; `set` takes `to` (any JSON) or `raw` (any text), `rename`
takes `to` (text)."""


async def _replace(options: Mapping[str, Any], _scope: Scope, _answer: Answer) -> Response:
    if "text" in options:
        return Response(options["text"], media_type="application/json")
    return json_response(options["body"])


async def _play(options: Mapping[str, Any], scope: Scope, answer: Answer) -> Response:
    """What somebody has recorded, to requests about one of its days. Requests about other days get the real answer.

    A POST has its days in a body, which is not read: it gets the first one.
    """
    query = dict(parse_qsl(scope["query_string"].decode()))
    asked = _asked_days(query)
    for recorded in options["answers"]:
        if asked is None or any(asked[0] <= date.fromisoformat(day) <= asked[1] for day in recorded["days"]):
            page = _place_of(query.get("page"), recorded["pages"])
            return Response(recorded["pages"][page], media_type="application/json")
    return await answer(scope)


def _asked_days(query: Mapping[str, str]) -> tuple[date, date] | None:
    """The first and the last day that a query names, in any provider's parameters."""
    if "year" in query:
        day = date(int(query["year"]), int(query.get("month", 1)), int(query.get("day", 1)))
        return day, day
    for first, end in (("start_time", "end_time"), ("starting_at", "ending_at"), ("start_date", "end_date")):
        if first in query:
            begin = _day(query[first])
            return begin, max(begin, _day(query[end]) - timedelta(days=1)) if end in query else begin
    for name in ("date", "day"):
        if name in query:
            return _day(query[name]), _day(query[name])
    return None


def _day(moment: str) -> date:
    return datetime.fromtimestamp(int(moment), UTC).date() if moment.isdigit() else date.fromisoformat(moment[:10])


def _place_of(token: str | None, pages: Sequence[str]) -> int:
    """Which page a token leads to: the one of that number, or the one after the page that has the token."""
    if token is None or token.isdigit():
        return int(token or 1) - 1
    return next(n for n, page in enumerate(pages, 1) if json.dumps(token) in page)


def _check_answers(options: Mapping[str, Any]) -> None:
    for recorded in options["answers"]:
        if not isinstance(recorded, dict) or recorded.keys() != {"days", "pages"} or not all(recorded.values()):
            raise ValueError('an answer is an object such as {"days": ["2026-11-01"], "pages": ["{...}"]}')


class Kind(NamedTuple):
    """What a kind of fault does and which options it takes; of `needs` exactly one is given.

    `check` looks into what a type does not say and raises ValueError.
    """

    act: Callable[[Mapping[str, Any], Scope, Answer], Awaitable[Response]]
    needs: Mapping[str, type | tuple[type, ...]] = {}
    takes: Mapping[str, type | tuple[type, ...]] = {}
    check: Callable[[Mapping[str, Any]], None] = lambda _options: None


KINDS = {
    "status": Kind(_status, {"status": int}, {"body": object, "headers": dict}),  # an error; a text is a web page
    "ungroupable": Kind(_ungroupable, {"days": list}, {"dimension": str, "message": str}),  # a refusal
    "delay": Kind(_delay, {"seconds": (int, Decimal)}),  # the real answer, late
    "drip": Kind(_drip, {"seconds": (int, Decimal)}),  # the real answer in 20 pieces, so many seconds apart
    "truncate": Kind(_truncate),  # half of the answer, as if it were complete
    "reset": Kind(_reset),  # nothing: the connection drops
    "break_off": Kind(_break_off),  # half of the answer, then the connection drops
    "repeat_token": Kind(_repeat_token),  # pages without end
    "split_bucket": Kind(_split_bucket, {"bucket": int}),  # this bucket, split over two pages
    "short_page": Kind(_short_page, {"size": int}),  # pages of so many buckets or rows
    "html": Kind(_html),  # the page of a proxy
    "relabel": Kind(_relabel, {"content_type": str}),  # the real answer, with this content type
    "edit": Kind(_edit, {"operations": list}, check=_check_operations),  # the real answer, edited
    "replace": Kind(_replace, {"body": object, "text": str}),  # this body or text
    "play": Kind(_play, {"answers": list}, check=_check_answers),  # a recorded answer on its days
}


def read_fault(declared: Any) -> Fault:
    """A fault from its JSON. Raises ValueError saying what is wrong with it."""
    if not isinstance(declared, dict):
        raise ValueError("a fault is an object with route and fault")
    options = dict(declared)
    route, name, calls = options.pop("route", None), options.pop("fault", None), options.pop("calls", None)
    if not isinstance(route, str) or not route:
        raise ValueError('route must be text such as "GET /openai/v1/organization/costs"')
    if name not in KINDS:
        raise ValueError(f"fault must be one of {', '.join(KINDS)}, not {name!r}")
    if calls is not None and not (isinstance(calls, list) and all(type(n) is int and n > 0 for n in calls)):
        raise ValueError("calls must be a list of numbers from 1")
    kind = KINDS[name]
    known = {**kind.needs, **kind.takes}
    for option, value in options.items():
        if option not in known:
            raise ValueError(f"the fault {name} takes no {option}")
        if not isinstance(value, known[option]):
            raise ValueError(f"{option} of the fault {name} has the wrong type")
    if kind.needs and len(options.keys() & kind.needs.keys()) != 1:
        raise ValueError(f"the fault {name} needs {' or '.join(kind.needs)}")
    kind.check(options)
    return Fault(route, name, None if calls is None else tuple(calls), options)


class Connections:
    """The server's open connections, so that one can be dropped; a test client without a server has none."""

    def __init__(self) -> None:
        self.open: Iterable[Any] = ()

    def drop(self, client: object) -> None:
        """Close the client's connection at once. Raises ConnectionDroppedError when there is no real connection."""
        for connection in list(self.open):
            if connection.client == client:
                connection.transport.abort()
                return
        raise ConnectionDroppedError


class FaultMiddleware:
    """Lets the first fault that is due happen to a request; /control is never touched."""

    def __init__(self, app: ASGIApp, faults: list[Fault], connections: Connections) -> None:
        self.app, self.faults, self.connections = app, faults, connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        due = self._due(scope) if scope["type"] == "http" and not scope["path"].startswith("/control") else None
        if due is None:
            await self.app(scope, receive, send)
            return
        due.fired += 1
        try:
            response = await KINDS[due.kind].act(due.options, scope, lambda scope: _answer(self.app, scope, receive))
            await response(scope, receive, send)
        except ConnectionDroppedError:
            self.connections.drop(scope["client"])
            while (await receive())["type"] != "http.disconnect":
                pass

    def _due(self, scope: Scope) -> Fault | None:
        line = f"{scope['method']} {scope['path']}"
        return next(iter([fault for fault in self.faults if fault.is_due(line)]), None)


async def _answer(app: ASGIApp, scope: Scope, receive: Receive) -> Response:
    """The whole answer of the app behind the faults."""
    messages: list[Message] = []

    async def collect(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, collect)
    response = Response(b"".join(message.get("body", b"") for message in messages[1:]), messages[0]["status"])
    response.raw_headers = messages[0]["headers"]
    return response

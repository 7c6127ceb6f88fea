"""What the emulated provider APIs share: declared query parameters, query-bound page tokens, exact JSON.

Each provider's own rules and error bodies are in its module.
"""

import base64
import binascii
import re
import struct
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

DAY_SECONDS = 86_400
_TOKEN = struct.Struct(">qIq")  # issue time, hash of the query, next position: the layout of OpenAI's public tokens
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
# Decimals are written digit for digit as JSON numbers: no amount passes through a float.
_encoder = msgspec.json.Encoder(decimal_format="number")


class RefusedError(Exception):
    """An answer that is not 200, complete with the provider's error body."""

    def __init__(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers


class BadParameterError(Exception):
    """A query parameter that the endpoint refuses; each provider words `problem` in its own envelope."""

    def __init__(self, name: str, problem: str, value: str | None = None, **context: Any) -> None:
        super().__init__(name, problem)
        self.name, self.problem, self.value, self.context = name, problem, value, context


class PageTokenError(Exception):
    """The page token was not issued for this query."""


class ExpiredTokenError(PageTokenError):
    """The page token was issued too long ago."""


@dataclass(frozen=True)
class Parameter:
    """A query parameter: `read` turns its text into a value or raises BadParameterError; `many` may be repeated."""

    name: str
    read: Callable[[str, str], Any]
    required: bool = False
    many: bool = False
    default: Any = None


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`body` as JSON, Decimals as exact number literals."""
    return Response(_encoder.encode(body), status, dict(headers or {}), "application/json")


def endpoint(
    path: str,
    answer: Callable[[Request], Any],
    bad_parameter: Callable[[BadParameterError], RefusedError],
) -> Route:
    """A GET route that answers with `answer(request)` or with the provider's error body."""

    async def handle(request: Request) -> Response:
        try:
            return json_response(answer(request))
        except BadParameterError as problem:
            refused = bad_parameter(problem)
        except RefusedError as problem:
            refused = problem
        return json_response(refused.body, refused.status, refused.headers)

    return Route(path, handle, methods=["GET"])


def read_query(request: Request, parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """The declared parameters of a request by Parameter.name. Raises BadParameterError for anything else."""
    values: dict[str, Any] = {}
    for spelled, text in request.query_params.multi_items():
        parameter = parameters.get(spelled)
        if parameter is None:
            raise BadParameterError(spelled, "extra_forbidden", text)
        value = parameter.read(spelled, text)
        if parameter.many:
            values.setdefault(parameter.name, []).append(value)
        elif parameter.name in values:
            raise BadParameterError(spelled, "repeated", text)
        else:
            values[parameter.name] = value
    for parameter in parameters.values():
        if parameter.required and parameter.name not in values:
            raise BadParameterError(parameter.name, "missing")
        values.setdefault(parameter.name, [] if parameter.many else parameter.default)
    return values


def text(_name: str, value: str) -> str:
    """Any text."""
    return value


def integer(minimum: int | None = None, maximum: int | None = None) -> Callable[[str, str], int]:
    """A reader of whole numbers within bounds."""

    def read(name: str, value: str) -> int:
        if not re.fullmatch(r"-?\d{1,18}", value):
            raise BadParameterError(name, "int_parsing", value)
        if minimum is not None and int(value) < minimum:
            raise BadParameterError(name, "greater_than_equal", value, ge=minimum)
        if maximum is not None and int(value) > maximum:
            raise BadParameterError(name, "less_than_equal", value, le=maximum)
        return int(value)

    return read


def one_of(allowed: Collection[str]) -> Callable[[str, str], str]:
    """A reader of one of the allowed words."""

    def read(name: str, value: str) -> str:
        if value not in allowed:
            expected = [f"'{word}'" for word in sorted(allowed)]
            raise BadParameterError(name, "literal_error", value, expected=", ".join(expected))
        return value

    return read


def boolean(name: str, value: str) -> bool:
    """A reader of `true` and `false`."""
    return one_of(("true", "false"))(name, value) == "true"


def unix_day(name: str, value: str) -> date:
    """A reader of Unix seconds that are a UTC midnight: daily windows are whole UTC days."""
    seconds = integer()(name, value)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise BadParameterError(name, "out_of_range", value) from None
    return _midnight(name, value, moment)


def rfc3339(name: str, value: str) -> datetime:
    """A reader of RFC 3339 timestamps with an offset."""
    if not _RFC3339.fullmatch(value):
        raise BadParameterError(name, "datetime_parsing", value)
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadParameterError(name, "datetime_parsing", value) from None


def iso_date(name: str, value: str) -> date:
    """A reader of YYYY-MM-DD."""
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise BadParameterError(name, "date_parsing", value)


def rfc3339_day(name: str, moment: datetime) -> date:
    """The day that starts at `moment`; a moment that is not a UTC midnight is refused."""
    return _midnight(name, stamp(moment), moment)


def _midnight(name: str, value: str, moment: datetime) -> date:
    if moment.time() != time.min:
        raise BadParameterError(name, "not_midnight", value)
    return moment.date()


def unix(day: date) -> int:
    """Unix seconds of the UTC midnight that starts `day`."""
    return (day - date(1970, 1, 1)).days * DAY_SECONDS


def stamp(moment: date | datetime) -> str:
    """`moment` (a day means its UTC midnight) as RFC 3339 with Z."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def days_between(start: date, end: date) -> list[date]:
    """The days from `start` up to but not including `end`."""
    return [start + timedelta(days=n) for n in range((end - start).days)]


def page_of(
    request: Request,
    items: Sequence[Any],
    limit: int,
    now: datetime,
    first: int = 0,
    step: int = 1,
    *,
    valid_from: datetime | None = None,
) -> tuple[Sequence[Any], dict[str, Any]]:
    """One page of `items` with its `has_more` and `next_page`; a token says where it starts: first + step * index.

    The short_page fault sets `page_size` in the scope: live pages have held fewer items than were asked for.
    Raises PageTokenError for a token of another query: any changed parameter makes it useless, as live, and
    ExpiredTokenError for one that was issued before `valid_from`.
    """
    query = sorted((name, value) for name, value in request.query_params.multi_items() if name != "page")
    fingerprint = zlib.crc32(repr((request.url.path, query)).encode())
    begin = 0
    if "page" in request.query_params:
        issued, position = _position(request.query_params["page"], fingerprint)
        if valid_from and issued < valid_from.timestamp():
            raise ExpiredTokenError
        begin = (position - first) // step
    end = begin + min(limit, request.scope.get("page_size", limit))
    token = None
    if end < len(items):
        packed = _TOKEN.pack(int(now.timestamp()), fingerprint, first + step * end)
        token = "page_" + base64.b64encode(packed).decode()
    return items[begin:end], {"has_more": token is not None, "next_page": token}


def _position(token: str, fingerprint: int) -> tuple[int, int]:
    try:
        issued, bound_to, position = _TOKEN.unpack(base64.b64decode(token.removeprefix("page_"), validate=True))
    except (binascii.Error, struct.error, ValueError):
        raise PageTokenError from None
    if bound_to != fingerprint or not token.startswith("page_"):
        raise PageTokenError
    return int(issued), int(position)


def catch_all(unknown: Callable[[Request], RefusedError]) -> Route:
    """Everything that a provider does not serve, answered in its own envelope."""

    async def handle(request: Request) -> Response:
        refused = unknown(request)
        return json_response(refused.body, refused.status, refused.headers)

    return Route("/{path:path}", handle, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])

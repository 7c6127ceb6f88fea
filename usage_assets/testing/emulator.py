"""A small emulator: rows by endpoint and day, and their totals. A subclass says what an answer looks like."""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from datetime import date
from decimal import Decimal
from inspect import isawaitable
from typing import Any, Self

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from usage_assets.testing.account import Totals, last_days
from usage_assets.testing.wire import serve

_ENCODER = msgspec.json.Encoder(decimal_format="number")
Rows = dict[date, list[dict[str, Any]]]


class Refused(Exception):  # noqa: N818 - what an API answers is no error of the emulator
    """An answer that refuses a request, with the body that the real API sends."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(status)
        self.status, self.body = status, body


def _found(endpoint: str, row: dict[str, Any], field: str) -> tuple[dict[str, Any], str, Decimal]:
    """Return the object that has a field, the field's name in it, and its number. Raises ValueError without one."""
    within: Any = row
    *outer, name = [field] if field in row else field.split(".")
    for each in outer:
        within = within.get(each) if isinstance(within, dict) else None
    if not isinstance(within, dict) or name not in within:
        raise ValueError(f"rows of {endpoint} have no field {field}, which `totals` names")
    value = within[name]
    try:
        if not isinstance(value, bool):
            return within, name, Decimal(value)
    except (ArithmeticError, TypeError, ValueError):
        pass
    raise ValueError(f"{field} of {endpoint} is {value!r}, and `totals` adds it up")


class Emulator:
    """An account with an emulated API. Override ``answers``, ``rows_of``, ``totals`` and ``ids``."""

    base_url = ""
    """Its address while it is served."""
    key = "emulated-key"
    """The key that it takes."""
    days: Sequence[date]
    """The last four closed days."""
    ids: Mapping[str, str] = {}
    """The settings of a connection that say whose usage is fetched (``workspace_id``)."""
    page_size = ""
    """The parameter that says how many items a page has, if an answer has pages."""
    connections = ""
    """What the connections file states besides the connection, such as a ``[[credit_rate]]``."""
    without_rows: Collection[str] = ()
    """The endpoints that have no rows on these days."""
    totals: Mapping[str, Mapping[str, str]] = {}
    """Endpoint -> column or total of its table -> field of the rows that it is the sum of: a number, or a text that is
    one. ``tokens.in`` is ``in`` of the object ``tokens``. A total ``by`` currency has its own name here (``amount``):
    all currencies are added up."""
    rows: dict[str, Rows]
    """Endpoint -> day -> what ``rows_of`` has returned, with what ``clear`` and ``restate`` have changed. Answer from
    these."""

    def __init__(self) -> None:
        self.days = last_days(4)
        self.reset()

    def answers(self) -> Mapping[str, Callable[[Request], object]]:
        """Return what answers each path, a GET or a POST. What a function returns becomes JSON; it may raise Refused.

        An ``async def`` reads the body of a POST: ``await request.json()``.
        """
        raise NotImplementedError

    def rows_of(self, day: date) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Return the rows of each endpoint on a day, as they are sent. The same day has the same rows."""
        raise NotImplementedError

    def small_pages(self, endpoint: str) -> Mapping[str, str]:  # noqa: ARG002 - of each endpoint the same
        """Return parameters with which an answer has several pages."""
        return {self.page_size: "1"} if self.page_size else {}

    def reset(self) -> None:
        """Let everything be as it was at the beginning."""
        self.rows = {}
        for day in self.days:
            for endpoint, rows in self.rows_of(day).items():
                self.rows.setdefault(endpoint, {})[day] = [deepcopy(dict(row)) for row in rows]

    def clear(self, day: date) -> None:
        """Let a day have no usage."""
        for rows in self.rows.values():
            rows[day] = []

    def restate(self, day: date) -> None:
        """Double the first row of a day of each endpoint."""
        for endpoint, fields in self.totals.items():
            for field in {*fields.values()}:
                within, name, amount = _found(endpoint, self.rows[endpoint][day][0], field)
                within[name] = str(2 * amount) if isinstance(within[name], str) else 2 * within[name]

    def truth(self, endpoint: str) -> Totals:
        """Return the totals of an endpoint's rows."""
        return {
            total: {
                day: sum((_found(endpoint, row, field)[2] for row in rows), Decimal(0))
                for day, rows in self.rows[endpoint].items()
            }
            for total, field in self.totals.get(endpoint, {}).items()
        }

    @contextmanager
    def serving(self) -> Iterator[Self]:
        """Serve the API while the block runs."""
        routes = [
            Route(path, self._answering(answer), methods=["GET", "POST"]) for path, answer in self.answers().items()
        ]
        with serve(Starlette(routes=routes)) as self.base_url:
            yield self

    def _answering(self, answer: Callable[[Request], object]) -> Callable[[Request], Awaitable[Response]]:
        async def answered(request: Request) -> Response:
            await request.body()  # kept in the request: a function in a thread could not wait for it
            try:
                status, body = 200, await run_in_threadpool(answer, request)
                if isawaitable(body):
                    body = await body
            except Refused as refused:
                status, body = refused.status, refused.body
            return Response(_ENCODER.encode(body), status, media_type="application/json")

        return answered

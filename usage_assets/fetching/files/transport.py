"""Answers a client's requests from files: pages of JSON, as if a provider had sent them.

So what an API's answer goes through is the same for files: exact numbers, the policy for people, the archive.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import count
from typing import Any, TypeVar

import msgspec

from usage_assets.core.bills import NO_DAYS, Bills, Stored
from usage_assets.core.days import Window
from usage_assets.core.redaction import secrets_of_environment
from usage_assets.fetching.files.location import FileError, Location
from usage_assets.fetching.files.reading import DaysError, Look, Placed, Reading
from usage_assets.fetching.scope import Scope
from usage_assets.fetching.transport import (
    NOTHING_STORED,
    Failures,
    HeldUpError,
    NotServedYetError,
    PermanentError,
    ProviderError,
    Request,
    StoppedError,
)
from usage_assets.providers.endpoint import Endpoint, Provider
from usage_assets.providers.files import FILE, ROW
from usage_assets.providers.records import LATER, JsonBody, ShapeError

T = TypeVar("T")
_ROWS_PER_PAGE = 5_000
_RESULT = re.compile(r"\$\.data\[(\d+)\]\.results\[(\d+)\]\.?(.*)")


class FileTransport(Failures):
    """What the requests of a connection that reads files share."""

    def __init__(self, provider: Provider, scope: Scope, *, location: str) -> None:
        super().__init__(provider, scope, secrets_of_environment())
        self._location = Location(location)
        self._reports = {endpoint.path: endpoint.files for endpoint in provider.endpoints if endpoint.files}
        self._started: dict[str, Iterator[list[Placed]]] = {}
        """Page token -> the pages that follow."""
        self._tokens = count(1)
        self._look: Look | FileError | None = None
        self._stored = NO_DAYS

    def look(self, stored: Stored = NO_DAYS) -> Bills | None:
        """List the files anew; what is fetched from now on is read from these. Returns what is found, and later read.

        None if they cannot be listed, which every fetch says then. ``stored``: what a run knows of stored days.
        """
        self._stored = stored
        try:
            self._look = Look.at(self._location)
        except FileError as error:
            self._look = error
            return None
        return self._look.bills

    def close(self) -> None:
        self._started.clear()

    def check(self, endpoint: Endpoint) -> Sequence[str]:
        """Return the files that are ignored.

        Raises ProviderError unless there are files, all of their sets are complete, and they have the columns;
        NotServedYetError where the rest is awaited.
        """
        self.look()
        try:
            return self._reading(endpoint.path, (), Window(date.min, date.min)).check()
        except FileError as error:
            kind = _kind(error)
            place = f"{self._scope.connection} {endpoint.name}"
            raise self.failure(kind, place, str(error), NOTHING_STORED) from None

    def get(
        self,
        path: str,
        params: Sequence[tuple[str, str]],
        request: Request[T],
        *,
        headers: Mapping[str, str] | None = None,
        post: JsonBody | None = None,
    ) -> T:
        """Return what is read from the next rows. Raises PermanentError, or NotServedYetError for days to come."""
        del headers, post
        place, days = request.place, request.days
        if request.stop.is_set():
            raise StoppedError
        window = Window(days[0], days[-1])
        token = dict(params).get("page")
        try:
            pages = self._started.pop(token) if token else _pages(self._reading(path, params, window).rows())
            rows = next(pages, [])
            following = next(pages, None)
        except FileError as error:
            kind = _kind(error)
            about: Sequence[date] = days if error.waits else ()  # what cannot be read has no day that can
            about = error.days if isinstance(error, DaysError) else about
            raise self.failure(kind, place, str(error), LATER if error.waits else NOTHING_STORED, days=about) from None
        next_page = None
        if following is not None:
            next_page = str(next(self._tokens))
            self._started[next_page] = _before(following, pages)
        content = _page(rows, next_page, () if next_page else window.days)
        try:
            return request.read(content)
        except ShapeError as error:
            what = f"{_place_of(error, content)}: {error.reason}"
            raise self.failure(PermanentError, place, what, NOTHING_STORED) from None

    def _reading(self, path: str, params: Sequence[tuple[str, str]], window: Window) -> Reading:
        report = self._reports[path]
        chosen = [value for name, value in params if name == report.taken_by]
        look = self._look or Look.at(self._location)
        if isinstance(look, FileError):
            raise look
        return Reading(self._location, report, window, chosen or report.taken, look, self._stored)


def _kind(error: FileError) -> type[ProviderError]:
    return HeldUpError if error.is_broken else NotServedYetError if error.waits else PermanentError


def _pages(rows: Iterator[Placed]) -> Iterator[list[Placed]]:
    page: list[Placed] = []
    for row in rows:
        page.append(row)
        if len(page) == _ROWS_PER_PAGE:
            yield page
            page = []
    yield page


def _before(page: list[Placed], pages: Iterator[list[Placed]]) -> Iterator[list[Placed]]:
    yield page
    yield from pages


def _page(rows: Sequence[Placed], next_page: str | None, covered: Sequence[date]) -> bytes:
    """Return rows as a page. The last one has an item for each day: all of it was read."""
    by_day: dict[date, list[dict[str, Any]]] = {day: [] for day in covered}
    for day, row in rows:
        by_day.setdefault(day, []).append(row)
    data = [{"day": f"{day}T00:00:00Z", "results": results} for day, results in by_day.items()]
    return msgspec.json.encode({"data": data, "has_more": next_page is not None, "next_page": next_page})


def _place_of(error: ShapeError, content: bytes) -> str:
    """Return file, row and column of what is wrong in a page."""
    steps = _RESULT.match(error.path)
    if not steps:
        return error.path
    row = msgspec.json.decode(content)["data"][int(steps[1])]["results"][int(steps[2])]
    return f"{row.get(FILE, error.path)}, row {row.get(ROW)}, {steps[3]}"

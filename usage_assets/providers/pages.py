"""How an answer is split into pages: declared, not written. ``Endpoint.page`` is one of these; ``Lookup.page`` may be.

Each is called with an answer and its window, and returns the answer as ``{data, has_more, next_page, all_pages,
all_items}`` with what it does not know beside it. Raises msgspec.ValidationError for an answer without what is
declared: it is broken, and asked for again.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from usage_assets.core.days import Window
from usage_assets.providers.records import Json, ShapeError

DATA = "data"
"""What a list of items is called unless something else is stated."""
_MISSING = object()


@dataclass(frozen=True, kw_only=True)
class Pages:
    """What all kinds of pages have in common. A place in an answer is written ``meta.next``."""

    parameter: str = "page"
    """The parameter that asks for the next page."""
    items: str | tuple[str, ...] = "data"
    """The list of items; several names: whichever is there. It may be stated here or as ``items`` of the endpoint."""
    as_one: bool = False
    """Whether the whole answer is one item, ``{asked_for, answer}`` with the beginning of the window."""
    start: Callable[[Json, str], object] | None = None
    """Makes the ``start`` of an item, of the item and its place in the answer, where it is not sent as a time."""
    asked_for: str | None = None
    """The field of an item that gets the beginning of the window, where the item does not say its day."""
    ignored: re.Pattern[str] | None = None
    """How names begin, beside the items and beside the page's number, that are known and say nothing of use."""

    def __call__(self, body: Json, window: Window) -> Json:
        """Return the answer as a page."""
        used = [self._name(body), *self._places()]
        around = self._around(body)
        return {**dict(_others(body, used, self.ignored)), "data": self._data(body, window), **around}

    def _around(self, body: Json) -> Json:
        """Return what the answer says of other pages."""
        raise NotImplementedError

    def _places(self) -> list[str]:
        """Return the places that ``_around`` reads."""
        raise NotImplementedError

    def _name(self, body: Json) -> str:
        names = (self.items,) if isinstance(self.items, str) else self.items
        return next((name for name in names if isinstance(body, dict) and name in body), names[0])

    def _data(self, body: Json, window: Window) -> list[Any]:
        name = self._name(body)
        data = [*_at(body, name, list)]
        if self.as_one:
            return [whole(body, window)]
        for n, item in enumerate(data):
            if isinstance(item, dict) and self.start:
                data[n] = item | {"start": self.start(item, f"$.{name}[{n}]")}
            elif isinstance(item, dict) and self.asked_for:
                data[n] = {self.asked_for: window.start} | item
        return data


@dataclass(frozen=True, kw_only=True)
class OneDay(Pages):
    """The whole answer is of the one day that was asked for. There are no other pages."""

    def __call__(self, body: Json, window: Window) -> Json:
        """Return the answer as a page."""
        return {"data": [whole(body, window)], "has_more": False}


@dataclass(frozen=True, kw_only=True)
class Cursors(Pages):
    """Each page has the token of the next one."""

    cursor: str = "next_page"
    """The token of the next page. Null, empty or absent on the last one."""
    more: str | None = None
    """What says whether there is another page, if something does."""

    def _around(self, body: Json) -> Json:
        token = _at(body, self.cursor, str | int | None, default=None)
        following = None if token in (None, "") else str(token)
        return {
            "next_page": following,
            "has_more": _at(body, self.more, bool) if self.more else following is not None,
        }

    def _places(self) -> list[str]:
        return [place for place in (self.cursor, self.more) if place]


@dataclass(frozen=True, kw_only=True)
class Numbers(Pages):
    """Pages are numbered, and each says its number and how many there are. Numbers shift where something is added while
    they are read, so all pages must say the same size (``MovedError``).

    The first request has no number, unless ``params`` states it: ``params={"page": "1"}``.
    """

    number: str
    """Where an answer says the number of its page, from 1."""
    pages: str
    """Where it says how many pages there are."""
    more: str | None = None
    """What says whether there is another page. It must agree with the numbers: else there would be no end."""
    total: str | None = None
    """How many items there are on all pages."""

    def _around(self, body: Json) -> Json:
        number, pages = _at(body, self.number, int), _at(body, self.pages, int)
        has_more = number < pages
        if self.more and _at(body, self.more, bool) is not has_more:
            what = f"page {number} of {pages} says that there is {'no other' if has_more else 'another'} one"
            raise ShapeError(f"$.{self.more}", None, what)
        said = {"all_items": _at(body, self.total, int)} if self.total else {}
        return {"has_more": has_more, "next_page": str(number + 1), "all_pages": pages, **said}

    def _places(self) -> list[str]:
        return [place for place in (self.number, self.pages, self.more, self.total) if place]


def with_one_name(page: Pages | None, items: str) -> tuple[Pages | None, str]:
    """Return how an answer is split, and the name of its items, which either of the two may state."""
    if page is None:
        return (Cursors(items=items, more="has_more") if items != DATA else None), items
    if isinstance(page, OneDay) or page.as_one or not isinstance(page.items, str):
        return page, items
    return (replace(page, items=items), items) if page.items == DATA else (page, page.items)


def whole(body: Json, window: Window) -> Json:
    """Return an answer as one item."""
    return {"asked_for": window.start, "answer": body}


def _at(body: object, place: str, kind: Any, default: object = _MISSING) -> Any:
    """Return what is at a place. Raises msgspec.ValidationError if it is not there, or of another kind."""
    value: object = body
    for name in place.split("."):
        value = value.get(name, default) if isinstance(value, dict) else default
        if value is _MISSING:
            raise msgspec.ValidationError(f"Object missing required field - at `$.{place}`")
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise msgspec.ValidationError(f"{error} - at `$.{place}`") from None


def _others(body: Json, used: list[str], ignored: re.Pattern[str] | None) -> Iterator[tuple[str, Any]]:
    """Yield the fields of an answer, and of the objects in it that pages are read from, that nothing has used."""
    opened = {place.partition(".")[0] for place in used if "." in place}
    for name, value in body.items():
        inner = {f"{name}.{key}": each for key, each in value.items()} if name in opened else {name: value}
        for place, each in inner.items():
            if place not in used and not (ignored and ignored.match(place.rpartition(".")[2])):
                yield place, each

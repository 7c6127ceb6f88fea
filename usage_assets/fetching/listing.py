"""Fetches a lookup completely, or raises: one chain of pages, or one for each item of a parent lookup.

providers/lookup.py declares lookups. transport.py makes one request.
"""

import logging
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from threading import Event
from typing import Any
from urllib.parse import quote

import msgspec

from usage_assets.core.bounded_http import decoded
from usage_assets.core.chain import MOST_OF_A_LIST, Chain, EndlessError
from usage_assets.core.days import Window
from usage_assets.core.schema import LookupRow, columns
from usage_assets.core.ticking import SECONDS_BETWEEN_LINES, every
from usage_assets.fetching.client import Client
from usage_assets.fetching.page_parser import POLICY
from usage_assets.fetching.transport import INCOMPLETE, MovedError, PermanentError, Request, StoppedError
from usage_assets.providers.listed import with_page
from usage_assets.providers.lookup import Lookup
from usage_assets.providers.pages import Pages
from usage_assets.providers.records import LATER, Json, ShapeError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A complete answer: every item of every page."""

    items: Sequence[LookupRow]
    requests: int
    """Answered pages."""
    retries: int
    """Requests that were made again."""
    skipped: Sequence[str]
    """Items of the other lookup that the provider does not have any more (404): nothing of theirs is here."""
    unknown_fields: Counter[str]
    """Fields that this version does not know: name -> how often. Their values are not kept: they may be a person's
    name, part of a secret, or other at every fetch."""


class Page(msgspec.Struct, kw_only=True):
    """What every list answers with, whatever its items are."""

    data: list[object]
    has_more: bool
    last_id: str | None = None
    total: int | None = None
    pages: int | None = None
    """How many there are, where pages are numbered."""


class TokenPage(msgspec.Struct, kw_only=True):
    """What a list answers with whose next page has a name (``Lookup.cursor`` is ``page``)."""

    data: list[object]
    next_page: str | None


ORGANIZATION = "organization"
"""Id of what is the organization's own and has none."""
_PAGE_FIELDS = frozenset(
    ("data", "has_more", "last_id", "total", "next_page", "all_pages", "all_items", "object", "first_id")
)


def fetch_lookup(client: Client, lookup: Lookup, began: datetime) -> Listed:
    """Everything that the provider lists, or an error. ``began`` is when the first page was requested.

    Raises the PermanentError or TransientError of the chain that failed first; then no other is started.
    """
    stop = Event()
    parents = fetch_lookup(client, lookup.for_each, began) if lookup.for_each else None
    owners = [
        *([parent.id for parent in parents.items] if parents else []),
        *([] if parents and not lookup.own_path else [None]),
    ]
    chains = [_Chain(client, lookup, began, stop, owner) for owner in owners]
    with every(SECONDS_BETWEEN_LINES, lambda: logger.info("%s", _how_far(client, lookup, chains))):
        client.run([chain.run for chain in chains], stop)
    return _listed(chains, parents)


@dataclass
class _Chain:
    """One chain of pages: the whole lookup, or the list of its owner's items."""

    client: Client
    lookup: Lookup
    began: datetime
    stop: Event
    owner: str | None
    items: list[LookupRow] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    unknown_fields: Counter[str] = field(default_factory=Counter)
    total: int | None = None
    """How many items there are, where the answer says it."""
    pages: int | None = None
    """How many pages there are, where the first answer says it."""
    gone: PermanentError | None = None
    """The 404 that says that there is no such owner."""

    def run(self) -> None:
        """Read everything. The first error of a fetch stops its other chains, which then end without one."""
        try:
            self._follow()
        except StoppedError:
            return
        except PermanentError as error:
            if error.status != HTTPStatus.NOT_FOUND or (self.owner is None and not self.lookup.may_be_unset):
                self.stop.set()
                raise
            self.items, self.gone = [], error
        except BaseException:
            self.stop.set()
            raise

    def _follow(self) -> None:
        chain, read = Chain(MOST_OF_A_LIST), 0
        page = self._page()
        self.pages = page.pages
        while page.has_more:
            try:
                cursor = chain.follow(page.last_id, map(self._thing, self.items[read:]))
            except EndlessError as error:
                raise self.client.transport.failure(PermanentError, self.place, str(error), INCOMPLETE) from None
            read = len(self.items)
            page = self._page(cursor)
            if page.pages != self.pages:
                what = f"the list changed while it was read: {self.pages} pages, then {page.pages}"
                raise self.client.transport.failure(MovedError, self.place, what, LATER)
        if self.total is not None and len({item.id for item in self.items}) != self.total:
            what = f"{len(self.items)} items are listed, and the answer states {self.total}"
            raise self.client.transport.failure(PermanentError, self.place, what, INCOMPLETE)

    def _page(self, after: str | None = None) -> Page:
        """Add one page's items; returns it without them."""

        def read(content: bytes) -> Page:
            with self.client.decoding:
                body, page = self._opened(decoded(content), after)
                self.items += [self._item(raw, f"$.{self.lookup.items}[{n}]") for n, raw in enumerate(page.data)]
                self.total = page.total
            if self.lookup.parameter or self.lookup.page:
                self.unknown_fields.update(f"page.{name}" for name in body.keys() - _PAGE_FIELDS)
            return msgspec.structs.replace(page, data=[])

        params, parameter = [*self.lookup.params.items()], self.lookup.parameter
        page = self.client.transport.get(
            self._path,
            with_page(params, parameter, after) if parameter and after else params,
            Request(read=read, place=self.place, stop=self.stop, on_retry=lambda: self.counts.update(retries=1)),
            headers=self.lookup.headers,
            post=self.lookup.post,
        )
        self.counts["requests"] += 1
        return page

    @property
    def _path(self) -> str:
        own = self.lookup.own_path if self.owner is None else None
        ids = {name: quote(value, safe="") for name, value in self.client.scope.ids.items()}
        return own or self.lookup.path_for(ids).format(**ids, id=quote(self.owner or "", safe=""))

    def _opened(self, body: Any, after: str | None) -> tuple[Any, Page]:
        """Return the answer, with its page. Raises msgspec.ValidationError for a broken one."""
        match self.lookup.page, self.lookup.cursor:
            case Pages() as pages, _:
                body = pages(body, Window(self.began.date(), self.began.date()))
                said = {"total": body.get("all_items"), "pages": body.get("all_pages")}
                return body, Page(data=body["data"], has_more=body["has_more"], last_id=body.get("next_page"), **said)
            case None, None:
                return body, Page(data=[body], has_more=False)
            case None, "page":
                page = msgspec.convert(body, TokenPage)
                return body, Page(data=page.data, has_more=page.next_page is not None, last_id=page.next_page)
            case None, _:
                return body, msgspec.convert(body, Page)
            case made, _:
                body = made(body, after)
                return body, self._made_by(made, body)

    def _made_by(self, function: Callable[..., Json], body: object) -> Page:
        """Return the page that a package's own function made. Raises PermanentError, which names the function, if it is
        no page: the API is not at fault, and is not asked again."""
        try:
            page = msgspec.convert(body, Page)
            what = "has_more is true, and last_id is missing" if page.has_more and not page.last_id else ""
        except msgspec.ValidationError as error:
            what = str(error)
        if what:
            named = getattr(function, "func", function)  # of a partial
            what = f"the function {named.__module__}.{named.__qualname__} (Lookup.page) returned no page: {what}"
            raise self.client.transport.failure(
                PermanentError, self.place, what, "It returns {data, has_more, last_id}"
            )
        return page

    def _item(self, raw: object, path: str) -> LookupRow:
        """One item, typed, people as the policy wants them. Raises ShapeError."""
        model = self.lookup.row
        if not isinstance(raw, dict):
            raise ShapeError(path, None, "Expected `object`")
        fields = dict(_flat(raw))
        self.unknown_fields.update(name for name, value in fields.items() if not self._is_known(name, value))
        fields |= {"connection": self.client.scope.connection, "valid_from": self.began, "valid_to": None}
        if self.lookup.may_be_unset:
            fields["id"] = self.owner or ORGANIZATION
        fields |= {name: self.client.scope.ids.get(name) for name in self.lookup.settings}
        if self.lookup.for_each and self.lookup.for_each.known_as:
            fields[self.lookup.for_each.known_as] = self.owner
        try:
            item = msgspec.convert(fields, model, strict=False)  # OpenAI's times are numbers
        except msgspec.ValidationError as error:
            raise ShapeError(path, None, str(error)) from None
        for column in columns(model):
            if column.address and (value := getattr(item, column.name)) is not None:
                setattr(item, column.name, POLICY[column.address](self.client.scope.people, value))
        return item

    def _is_known(self, name: str, value: object) -> bool:
        """Whether a field is a column, is left out, also as a part of an object, or is an object that is not there."""
        known, parts = self.lookup.row.__struct_encode_fields__, name.split(".")
        return (
            name in known
            or any(".".join(parts[:n]) in self.lookup.left_out for n in range(1, len(parts) + 1))
            or (value is None and any(field.startswith(f"{name}.") for field in known))
        )

    def _thing(self, item: LookupRow) -> Hashable:
        """Return what tells an item from others: its id, where an id is listed once."""
        return msgspec.structs.astuple(item) if self.lookup.merged else item.id

    @property
    def place(self) -> str:
        return f"{self.client.scope.connection} {self.lookup.name}{f' of {self.owner}' if self.owner else ''}"


def _flat(fields: Json, within: str = "") -> Iterator[tuple[str, object]]:
    """The fields with those of inner objects, under dotted names."""
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{within}{name}.")
        else:
            yield f"{within}{name}", value


def _how_far(client: Client, lookup: Lookup, chains: Sequence[_Chain]) -> str:
    requests, items = sum(chain.counts["requests"] for chain in chains), sum(len(chain.items) for chain in chains)
    return f"{client.scope.connection} {lookup.name}: requests {requests:,}, listed {items:,}"


def _listed(chains: Sequence[_Chain], parents: Listed | None) -> Listed:
    gone = [chain.gone for chain in chains if chain.gone and not chain.lookup.may_be_unset]
    if gone and len(gone) == len(chains):
        raise gone[0]  # then it is the list that is not there
    counts: Counter[str] = sum((chain.counts for chain in chains), Counter())
    return Listed(
        items=_distinct(chains),
        requests=counts["requests"] + (parents.requests if parents else 0),
        retries=counts["retries"] + (parents.retries if parents else 0),
        skipped=[chain.owner for chain in chains if chain.gone in gone and chain.owner],
        unknown_fields=sum((chain.unknown_fields for chain in chains), Counter()),
    )


def _distinct(chains: Sequence[_Chain]) -> list[LookupRow]:
    """Every item once. Raises PermanentError for an id that is listed twice, as two different things, unless the lookup
    merges them."""
    items: dict[str, LookupRow] = {}
    for chain in chains:
        for item in chain.items:
            if chain.lookup.merged and item.id in items:
                items[item.id] = chain.lookup.merged(items[item.id], item)
            elif items.setdefault(item.id, item) != item:
                what = f"{item.id} is listed twice, with different attributes"
                raise chain.client.transport.failure(PermanentError, chain.place, what, INCOMPLETE)
    return list(items.values())

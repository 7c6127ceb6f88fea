"""The client of a connection: it fetches windows in parallel, follows pages, and asks for less after a refusal.

A result is complete, or there is an error. transport.py makes one request, page_parser.py reads one page.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from http import HTTPStatus
from itertools import groupby
from threading import Event, Lock
from typing import NamedTuple, Self, TypeVar

import msgspec
import pyarrow as pa

from usage_assets.core.bills import NO_DAYS, Bills, Stored
from usage_assets.core.bounded_http import decoded
from usage_assets.core.chain import Chain, EndlessError
from usage_assets.core.days import DAY, Window, spans, windows
from usage_assets.core.schema import of_days, packed_schema
from usage_assets.core.ticking import SECONDS_BETWEEN_LINES, every, threads
from usage_assets.fetching.archive.files import RequestRecord
from usage_assets.fetching.archive.store import ArchivedResponse, ArchivePage, Body, question_of
from usage_assets.fetching.files.transport import FileTransport
from usage_assets.fetching.one_pass import read_in_one_pass
from usage_assets.fetching.page_parser import PageParser, numbered, summed
from usage_assets.fetching.scope import Scope
from usage_assets.fetching.transport import (
    INCOMPLETE,
    NOTHING_STORED,
    HttpOptions,
    LinkRefusedError,
    MovedError,
    NotServedYetError,
    PermanentError,
    ProviderError,
    Request,
    StoppedError,
    Transport,
)
from usage_assets.providers.endpoint import Each, Endpoint, Provider, Refusal
from usage_assets.providers.listed import with_page
from usage_assets.providers.records import LATER, DayToComeError, Json, Moment, page_of_lines

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class FetchResult:
    """A complete answer for all days but ``not_fetched``: every page of them was read and is valid."""

    rows: pa.Table
    """Rows of all windows, in the packed schema of the endpoint's row model. Each page has its own dictionaries."""
    requests: int
    """Answered pages, without those of ``split_windows``; of a report behind links, its parts."""
    refused: int
    """Requests that were refused because of their grouping, or because the answer would be too large."""
    split_windows: int
    """Answered pages of the windows that such refusals split off."""
    control_requests: int = field(default=0, kw_only=True)
    """Answered pages of the control totals."""
    retries: int
    """Requests that were made again, and pages that were read and then discarded."""
    rounded: int
    """Amounts that had more decimal places than are stored."""
    unknown_fields: Counter[str]
    """Fields that this version does not know: name -> how often."""
    groupings: Counter[str]
    """Dimensions that the provider granted (``grouped_by``) -> number of days."""
    responses: Sequence[ArchivedResponse] = ()
    """What the archive gets when the rows are stored."""
    stored_at: Mapping[date, datetime] = field(default_factory=dict)
    """Day -> when its rows were first stored. Only for rows from the archive."""
    not_fetched: Mapping[date, ProviderError] = field(default_factory=dict)
    """Day that was asked for and has no rows here -> why."""
    totals: pa.Table = field(default_factory=lambda: pa.table({}))
    """The control totals; empty where the endpoint declares none."""
    bills: Bills | None = None
    """The sets of files that it was read from; None where it was not."""
    kept: Collection[date] = ()
    """Days that stay as they are stored, because their files are kept for a limited time."""


@dataclass
class Ungrouped:
    """Days for which a provider refuses some dimensions."""

    before: date = date.min
    """All days before this one are refused."""
    days: set[date] = field(default_factory=set)
    """Other days that are refused, each found alone."""


class Page(msgspec.Struct, kw_only=True):
    """A page of any report, whatever its items are."""

    data: list[object]
    has_more: bool
    next_page: str | None = None
    all_pages: int | None = None
    all_items: int | None = None
    """How many pages and items there are in all, if the answer says so. Pages that are numbered shift where something
    is added or removed while they are read: these change, or another number of items was read."""
    data_refreshed_at: Moment | None = None
    """Up to when the provider's figures are complete, if it says so. It is not stored with the rows: each fetch would
    be a change."""


MOST_REFUSALS = 12
"""So many refusals are looked into in one window, to find the days that they are about: five halvings isolate a day of
31. Later ones are about all days that they were asked for."""
MOST_MOVES = 3
"""So often a window is read again that changes while it is read."""
_PAGE_FIELDS = frozenset((*Page.__struct_fields__, "object"))
_PAGE = msgspec.json.Decoder(dict[str, list[msgspec.Raw] | dict[str, msgspec.Raw] | str | int | bool | None])
"""Any page but one with a fraction beside its items."""
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])


class PageRead(NamedTuple):
    """What is left of a page when its rows are read."""

    has_more: bool
    next_page: str | None
    all_pages: int | None
    all_items: int | None
    items: int
    """How many it had."""
    seen: frozenset[int] = frozenset()
    """What tells its items apart, if others follow."""

    @property
    def size(self) -> str:
        """What it says of the whole answer; empty where it says nothing."""
        sizes = {"items": self.all_items, "pages": self.all_pages}
        return " on ".join(f"{number:,} {what}" for what, number in sizes.items() if number is not None)


class Client:
    """One connection's client: ``fetch`` an endpoint's days. A context manager; threads may share it.

    ``keep`` returns what the archive gets of a page. Raises PermanentError for a key or a base URL that must not be
    used.
    """

    def __init__(
        self,
        provider: Provider,
        scope: Scope,
        *,
        key: str,
        base_url: str | None = None,
        http: HttpOptions | None = None,
        keep: ArchivePage | None = None,
    ) -> None:
        self.provider = provider
        self.scope = scope
        self.keep = keep
        self.http = http or HttpOptions()
        self.transport: Transport | FileTransport
        if provider.reads_files:
            self.transport = FileTransport(provider, scope, location=base_url or "")
        else:
            self.transport = Transport(provider, scope, key=key, base_url=base_url or provider.base_url, http=self.http)
        self.refused: dict[tuple[str, tuple[str, ...]], Ungrouped] = {}
        """Endpoint and dimensions -> the days that cannot be grouped by them, learned from refusals."""
        self.decoding = Lock()
        """Held while a page is decoded: two threads cannot decode at once anyway, and one page takes less memory."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.transport.close()

    def look(self, stored: Stored = NO_DAYS) -> Bills | None:
        """List the files of a connection that reads some, for the fetches that follow (FileTransport.look)."""
        return self.transport.look(stored) if isinstance(self.transport, FileTransport) else None

    def fetch(self, endpoint: Endpoint, days: Sequence[date], *, partly: bool = False) -> FetchResult:
        """Return everything that the endpoint has for ``days``. Windows are fetched in parallel.

        Raises the PermanentError or TransientError of the first window that fails; then no other window is started.
        With ``partly``, days that an error names are left out instead (``FetchResult.not_fetched``), and others are
        fetched without them. After a TransientError, so are all windows that were not read to their end.
        """
        if missing := next((name for name in endpoint.needed_ids(self.scope.ids) if name not in self.scope.ids), None):
            what = f"{endpoint.name} needs a {missing.replace('_', ' ')}"
            raise PermanentError(f"{self.scope.connection}: {what}. {self.transport.advice(404)}.")
        planned = windows(days, endpoint.window_days)
        stop = Event()
        chains = [
            _Chains(self, endpoint, query, window, stop, partly) for window in planned for query in endpoint.queries
        ]
        with every(SECONDS_BETWEEN_LINES, lambda: logger.info("%s", self._how_far(endpoint, chains))):
            self.run([chain.run for chain in chains], stop)
        read = [chain for chain in chains if chain.is_read]
        not_fetched = {day: error for chain in read for day, error in chain.not_fetched.items()}
        if stopped := next((chain.stopped for chain in chains if chain.stopped), None):
            not_fetched |= {day: stopped for chain in chains if not chain.is_read for day in chain.planned.days}
        counts: Counter[str] = sum((chain.counts for chain in chains), Counter())
        fetched = fetched_from(endpoint, [parser for chain in read for parser in chain.parsers], counts)
        responses = [response for chain in read for response in chain.responses]
        return without(replace(fetched, responses=responses), not_fetched)

    def _how_far(self, endpoint: Endpoint, chains: "Sequence[_Chains]") -> str:
        read, planned = (
            sum(len(chain.planned.days) for chain in some) // len(endpoint.queries)
            for some in ([chain for chain in chains if chain.is_read], chains)
        )
        pages, rows = sum(chain.pages for chain in chains), sum(chain.rows for chain in chains)
        return (
            f"{self.scope.connection} {endpoint.name}: {read} of {planned} days are fetched, "
            f"requests {pages:,}, rows {rows:,}"
        )

    def run(self, chains: Iterable[Callable[[], None]], stop: Event) -> None:
        """Run chains in parallel. Raises the error of the first one that fails; then no other is started."""
        with threads(self.http.concurrency, f"fetch-{self.scope.connection}") as pool:
            try:
                for done in as_completed([pool.submit(chain) for chain in chains]):
                    done.result()
            except BaseException:
                stop.set()
                raise

    def probe(self, endpoint: Endpoint) -> Sequence[str]:
        """Fetch yesterday, to test the key, or look at the files; return those that are ignored.

        Raises ProviderError.
        """
        if isinstance(self.transport, FileTransport):
            return self.transport.check(endpoint)
        self.fetch(endpoint, [datetime.now(UTC).date() - DAY])
        return ()


@dataclass
class _Chains:
    """The chain of pages of one planned window, or several chains if refusals split the window."""

    client: Client
    endpoint: Endpoint
    query: Mapping[str, str]
    planned: Window
    stop: Event
    partly: bool
    not_fetched: dict[date, ProviderError] = field(default_factory=dict)
    """Days that were refused. Those of other windows are in their chains."""
    stopped: ProviderError | None = None
    """Why not all of it was read, if it is the one that failed."""
    refusals: int = 0
    parsers: list[PageParser] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    bodies: list[Body] = field(default_factory=list)
    """What the archive gets of the current chain."""
    responses: list[ArchivedResponse] = field(default_factory=list)
    pages: int = 0
    rows: int = 0
    """Pages and rows read so far, including those that are discarded later."""
    is_read: bool = False
    _unread: list[Window] = field(default_factory=list)
    """The parts of the planned window that are still to be read."""
    _ungrouped: list[date] = field(default_factory=list)
    """Days that are refused with their dimensions. They are read together, after all others."""

    def run(self) -> None:
        """Read everything. After the first error that ends a fetch, its other windows stop without an error."""
        try:
            self._unread = [self.planned]
            while self._unread:
                self._read(self._unread.pop(0))
                if not self._unread:
                    self._unread, self._ungrouped = windows(self._ungrouped, len(self.planned.days)), []
        except StoppedError:
            return
        except BaseException as error:
            self.stop.set()
            if not (self.partly and isinstance(error, ProviderError) and error.days):
                raise
            self.stopped = error
            return
        pages = [len(parser.tables) for parser in self.parsers]
        self.counts.update(requests=sum(pages[:1]), split_windows=sum(pages[1:]))
        self.is_read = True

    def _read(self, window: Window, restarts: int = 0) -> None:
        """Read a window, or split it into parts that can be read. ``restarts``: how often it was begun again."""
        granted = [(group_by, list(days)) for group_by, days in groupby(window.days, self._granted)]
        if len(granted) > 1:
            self._unread[:0] = [Window(days[0], days[-1]) for _, days in granted]
            return
        client, group_by = self.client, granted[0][0]
        parser = PageParser(client.scope, window, self.query, group_by)
        self.bodies = []
        try:
            self._follow(parser)
        except PermanentError as error:
            self.counts["retries"] += len(parser.tables)
            if restarts < _most_restarts(client.provider, error, parser):
                logger.warning("%s Reading it again from its first page", error)
                self.counts["retries"] += 1
                self._read(window, restarts + 1)
            else:
                self._ask_for_less(window, group_by, error)
        else:
            self.parsers.append(parser)
            if self.bodies:
                self.responses.append(ArchivedResponse(self._request_record(parser), self.bodies))

    def _granted(self, day: date) -> tuple[str, ...]:
        """Return the dimensions that no refusal has ruled out for a day."""
        dropped = {
            dimension
            for (endpoint, drops), refused in list(self.client.refused.items())
            if endpoint == self.endpoint.name and (day < refused.before or day in refused.days)
            for dimension in drops
        }
        return tuple(dimension for dimension in self.endpoint.group_by if dimension not in dropped)

    def _ask_for_less(self, window: Window, group_by: tuple[str, ...], error: PermanentError) -> None:
        """Queue the window again, without the refused dimensions or in two halves.

        Halves are used if the answer would be too large, and if the refusal does not say which days it is about. Any
        other error is about days that are left out, or raised again.
        """
        refusal = self._learn(window, group_by, error)
        too_large = self.client.provider.too_large.search(error.reason)
        if not refusal and (window.first == window.last or not too_large):
            self._leave_out(window, error)
            return
        logger.info("%s Asking for less", error)
        self.counts["refused"] += 1
        if refusal and self._granted(window.first) != group_by:
            if window.first == window.last:
                self._ungrouped.append(window.first)  # read later, together with other refused days
            else:
                self._unread.insert(0, window)
        else:
            self._unread[:0] = window.split(window.first + len(window.days) // 2 * DAY)

    def _leave_out(self, window: Window, error: PermanentError) -> None:
        """Note the days that an error is about, and queue the other days of the window.

        A window whose error names all of its days is halved, unless there is nothing to do but to wait for them.
        """
        named = [day for day in window.days if day in error.days]
        if not self.partly or not named:
            raise error
        self.refusals += 1
        others = windows(set(window.days).difference(named), len(window.days))
        if self.refusals > MOST_REFUSALS:
            named, others = window.days, []
        elif not others and len(named) > 1 and not isinstance(error, NotServedYetError):
            named, others = [], [*window.split(window.first + len(window.days) // 2 * DAY)]
        self.not_fetched |= dict.fromkeys(named, error)
        self._unread[:0] = others

    def _learn(self, window: Window, group_by: tuple[str, ...], error: PermanentError) -> Refusal | None:
        """Return the declared refusal that the error matches, if any, and remember the days that it is about."""
        for refusal in self.endpoint.refusals:
            said = refusal.pattern.search(error.reason) if error.status == HTTPStatus.BAD_REQUEST else None
            if not said or set(refusal.drops).isdisjoint(group_by):
                continue
            since = refusal.first_day(said)
            if since and since <= window.first:
                continue
            refused = self.client.refused.setdefault((self.endpoint.name, refusal.drops), Ungrouped())
            if since:
                refused.before = max(refused.before, since)
            elif window.first == window.last:
                refused.days.add(window.first)
            return refusal
        return None

    def _follow(self, parser: PageParser) -> None:
        """Read all pages of one window: each page has the token of the next."""
        params = self._params(parser)
        if self.endpoint.links:
            self._download(parser, params, self.endpoint.links)
            return
        read, each = self._reader(parser), self.endpoint.each
        named: dict[str, None] = {}
        if each:
            self._follow_pages(parser, params, self._looker(parser, each, named))
        narrowed = [[*params, (each.parameter, name)] for name in named] if each else []
        for asked in narrowed or [params]:  # where nothing is named, the archive keeps the answer without rows
            self._follow_pages(parser, asked, read)
        if days := days_without_bucket(self.endpoint, parser, parser.window.days):
            raise self.client.transport.failure(
                PermanentError, self._place(parser), no_bucket_for(days), LATER, days=days
            )

    def _follow_pages(
        self, parser: PageParser, params: list[tuple[str, str]], read: Callable[[bytes], PageRead]
    ) -> None:
        """Request the pages of one answer."""
        pages = [self._get(parser, params, read)]
        chain = Chain(self.endpoint.most_pages(len(parser.window.days)), self.endpoint.empty_page)
        parameter = self.endpoint.page.parameter if self.endpoint.page else "page"
        while pages[-1].has_more:
            try:
                token = chain.follow(pages[-1].next_page, pages[-1].seen)
            except EndlessError as error:
                days = parser.window.days
                raise self.client.transport.failure(
                    PermanentError, self._place(parser), str(error), INCOMPLETE, days=days
                ) from None
            pages.append(self._get(parser, with_page(params, parameter, token), read))
            self._refuse_moved(parser, pages)
        self._refuse_moved(parser, pages)

    def _refuse_moved(self, parser: PageParser, pages: Sequence[PageRead]) -> None:
        """Raise MovedError if a page is of another answer than the first, or if all are read and items are missing."""
        first, last, read = pages[0], pages[-1], sum(page.items for page in pages)
        if first.size != last.size:
            what = f"{first.size}, then {last.size}"
        elif not last.has_more and last.all_items not in (None, read):
            what = f"{last.size}, but {read:,} items were read"
        else:
            return
        what, days = f"the answer changed while it was read: {what}", parser.window.days
        raise self.client.transport.failure(MovedError, self._place(parser), what, LATER, days=days)

    def _params(self, parser: PageParser) -> list[tuple[str, str]]:
        filters = self.client.scope.filters
        return [
            *self.endpoint.window_params(parser.window).items(),
            *self.endpoint.params.items(),
            *self.query.items(),
            *((name, value) for name in self.endpoint.filters for value in filters.get(name.removesuffix("[]"), ())),
            *(("group_by[]", dimension) for dimension in parser.grouped_by),  # joined by commas they break page tokens
        ]

    def _request_record(self, parser: PageParser) -> RequestRecord:
        client = self.client
        return RequestRecord(
            question=question_of(self.endpoint, self.query, client.scope),
            params=self._params(parser),
            grouped_by=parser.grouped_by,
            first=parser.window.first,
            last=parser.window.last,
            people=client.scope.people.policy,
            fetched_at=datetime.now(UTC),
        )

    def _download(
        self,
        parser: PageParser,
        params: list[tuple[str, str]],
        links_in: Callable[[Json, Window], Sequence[str]],
    ) -> None:
        """Read the files that the answer has links to, which are the parts of one report."""
        transport = self.client.transport
        if not isinstance(transport, Transport):
            raise TypeError(f"{self.endpoint.name}: there are no links in files")
        read = self._reader(parser)
        for link in self._get(parser, params, lambda content: links_in(decoded(content), parser.window)):
            transport.download(link, self._request(parser, lambda content: read(page_of_lines(content, parser.window))))

    def _reader(self, parser: PageParser) -> Callable[[bytes], PageRead]:
        """Return what adds the rows of a page to the parser, and returns the page without its data."""

        def read(content: bytes) -> PageRead:
            body = self.client.keep and self.client.keep(self.endpoint, self.client.scope.people, content)
            with self.client.decoding:
                page, rows = read_page(self.endpoint, parser, content)
            if body:
                self.bodies.append(body)
            self.pages += 1
            self.rows += rows
            logger.debug("%s: page %d, %d rows", self._place(parser), len(parser.tables), rows)
            return page

        return read

    def _looker(self, parser: PageParser, each: Each, named: dict[str, None]) -> Callable[[bytes], PageRead]:
        """Return what notes the names in a page, and returns the page without its data."""

        def look(content: bytes) -> PageRead:
            with self.client.decoding:
                page = msgspec.convert(_opened(self.endpoint, content, parser.window), Page)
                named.update(dict.fromkeys(each.named_in(decoded(content))))
            self.counts["requests"] += 1
            return _without_data(page)

        return look

    def _get(self, parser: PageParser, params: list[tuple[str, str]], read: Callable[[bytes], T]) -> T:
        return self.client.transport.get(
            self.endpoint.path_in(self.client.scope.ids),
            params,
            self._request(parser, read),
            headers=self.endpoint.headers,
            post=self.endpoint.post,
        )

    def _request(self, parser: PageParser, read: Callable[[bytes], T]) -> Request[T]:
        return Request(
            read=read,
            place=self._place(parser),
            days=parser.window.days,
            stop=self.stop,
            on_retry=lambda: self.counts.update(retries=1),
        )

    def _place(self, parser: PageParser) -> str:
        return f"{self.client.scope.connection} {self.endpoint.name} {parser.window}"


def _most_restarts(provider: Provider, error: PermanentError, parser: PageParser) -> int:
    """Return how often a window may be begun again after such an error."""
    if isinstance(error, MovedError):
        return MOST_MOVES
    is_token = error.status == HTTPStatus.GONE or provider.token_refused.search(error.reason) is not None
    return int(isinstance(error, LinkRefusedError) or (is_token and bool(parser.tables)))


def read_page(endpoint: Endpoint, parser: PageParser, content: bytes) -> tuple[PageRead, int]:
    """Add the rows of one page to the parser; return the page without its data, and its number of rows.

    Raises msgspec.DecodeError for a broken body and ShapeError for an unknown one.
    """
    body = _opened(endpoint, content, parser.window)
    page = msgspec.convert(body, Page)
    _refuse_days_to_come(page, parser.window)
    rows = read_in_one_pass(endpoint, parser, page.data)
    if rows is None:
        data = (decoded(item) if isinstance(item, msgspec.Raw) else item for item in page.data)
        rows = parser.read(endpoint.row, endpoint.item, endpoint.records, data, endpoint.items)
    parser.unknown_fields.update(f"page.{name}" for name in body.keys() - _PAGE_FIELDS)
    return _without_data(page), rows


def _without_data(page: Page) -> PageRead:
    seen = frozenset(map(_content, page.data if page.has_more else ()))
    return PageRead(page.has_more, page.next_page, page.all_pages, page.all_items, len(page.data), seen)


def _content(item: object) -> int:
    """Return what is equal for equal items."""
    return hash(bytes(item) if isinstance(item, msgspec.Raw) else msgspec.json.encode(item, order="sorted"))


def _refuse_days_to_come(page: Page, window: Window) -> None:
    """Raise DayToComeError for a day that begins at or after the end of the provider's figures."""
    if page.data_refreshed_at and (
        unknown := [day for day in window.days if Window(day, day).start >= page.data_refreshed_at]
    ):
        reason = f"the provider's figures reach until {page.data_refreshed_at:%Y-%m-%d %H:%M} UTC"
        raise DayToComeError("$.data_refreshed_at", unknown[0], reason, LATER)


def _opened(endpoint: Endpoint, content: bytes, window: Window) -> Json:
    """Return the answer as a page. Its items stay text: decoded together, they take ten times the memory."""
    if endpoint.page:
        return endpoint.page(decoded(content), window)
    try:
        return decoded(content, _PAGE)  # half the time of looking for the end of the items first
    except msgspec.ValidationError:
        fields = decoded(content, _FIELDS)
    return {name: decoded(text, _ITEMS) if name == "data" else decoded(text) for name, text in fields.items()}


def days_without_bucket(endpoint: Endpoint, parser: PageParser, days: Sequence[date]) -> list[date]:
    """Return the days without a bucket, if the provider promises one for each day: silence is not $0."""
    return [day for day in days if day not in parser.days_seen] if endpoint.bucket_per_day else []


def no_bucket_for(days: Sequence[date]) -> str:
    return f"the answer has no bucket for {spans(days)}"


def without(fetched: FetchResult, not_fetched: Mapping[date, ProviderError]) -> FetchResult:
    """Return the result without these days, whatever other queries have of them."""
    if not not_fetched:
        return fetched
    left = set(fetched.rows["usage_date"].unique().to_pylist()).difference(not_fetched)
    return replace(fetched, rows=of_days(fetched.rows, left), not_fetched={**fetched.not_fetched, **not_fetched})


def fetched_from(endpoint: Endpoint, parsers: Sequence[PageParser], counts: Mapping[str, int]) -> FetchResult:
    """Return the result of all parsers."""
    groupings: Counter[str] = Counter()
    for parser in parsers if endpoint.group_by else ():
        groupings[parser.grouping] += len(parser.window.days)
    tables = [table for parser in parsers for table in parser.tables]
    rows = pa.concat_tables([packed_schema(endpoint.row).empty_table(), *tables])
    try:
        rows = summed(endpoint.row, rows)
    except pa.ArrowInvalid as error:
        what = f"{endpoint.name}: what its records add up to does not fit its column: {error}. {NOTHING_STORED}."
        raise PermanentError(what, days=[day for parser in parsers for day in parser.window.days]) from None
    return FetchResult(
        rows=numbered(endpoint.row, rows),
        requests=counts["requests"],
        refused=counts["refused"],
        split_windows=counts["split_windows"],
        retries=counts["retries"],
        rounded=sum(parser.rounded for parser in parsers),
        unknown_fields=sum((parser.unknown_fields for parser in parsers), Counter()),
        groupings=groupings,
    )


def together(newer: FetchResult, older: FetchResult, days: Collection[date]) -> FetchResult:
    """Return the result of two reports: these days are the newer one's, and all others the older one's."""
    return replace(
        older,
        rows=pa.concat_tables([newer.rows, older.rows]),
        requests=newer.requests + older.requests,
        refused=newer.refused + older.refused,
        split_windows=newer.split_windows + older.split_windows,
        control_requests=newer.control_requests + older.control_requests,
        retries=newer.retries + older.retries,
        rounded=newer.rounded + older.rounded,
        unknown_fields=newer.unknown_fields + older.unknown_fields,
        groupings=Counter(dict.fromkeys(newer.groupings, len(days))) + older.groupings,
        responses=[*newer.responses, *older.responses],
        stored_at={**older.stored_at, **{day: at for day, at in newer.stored_at.items() if day in days}},
        totals=pa.concat_tables([newer.totals, older.totals]),
    )

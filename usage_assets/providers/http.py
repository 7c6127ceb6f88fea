"""Complete answers: windows side by side, chains of pages, refused groupings, counting. A day is whole or an error.

How one request is made stands in transport.py, what an answer means in reading.py.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from threading import Event, Lock
from typing import Self
from urllib.parse import quote

import msgspec
import pyarrow as pa

from usage_assets.people import People
from usage_assets.providers.endpoint import Endpoint, Provider
from usage_assets.providers.reading import Reading, numbered
from usage_assets.providers.transport import INCOMPLETE, PermanentError, StoppedError, Transport, decoded
from usage_assets.providers.windows import DAY, Window, windows
from usage_assets.rows import arrow_schema

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A complete answer: every page of every window was read and is valid."""

    rows: pa.Table
    """Rows of all windows, in the schema of the endpoint's row model."""
    days_without_bucket: frozenset[date]
    """Days that the provider said nothing about, although it promises a bucket for each."""
    windows: int
    """Windows as they were planned."""
    requests: int
    """Answered pages of the windows as they were planned."""
    refused: int
    """Requests that were refused for their grouping."""
    split_windows: int
    """Answered pages of the windows that such refusals split off."""
    retries: int
    """Requests that were made again, and pages that were read in vain."""
    rounded: int
    """Amounts that had more decimal places than are stored."""
    unknown_fields: Counter[str]
    """Fields that this version does not know: name -> how often."""
    groupings: Counter[str]
    """Sets of dimensions that were granted: ``grouped_by`` -> days."""


class Page(msgspec.Struct, kw_only=True):
    """What every list endpoint answers with, whatever its items are."""

    data: list[object]
    has_more: bool
    next_page: str | None = None


_PAGE_FIELDS = frozenset((*Page.__struct_fields__, "object"))


class Client:
    """One connection's client: ``fetch`` an endpoint's days. A context manager; threads may share it.

    ``base_delay`` and ``longest_delay`` are the bounds of the waits between ``attempts``, in seconds like the timeouts.
    Raises PermanentError for a key or a base URL that must not be used.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        connection: str,
        key: str,
        base_url: str | None = None,
        workspace_id: str | None = None,
        people: People | None = None,
        concurrency: int = 16,
        requests_per_second: float = 50,
        attempts: int = 6,
        base_delay: float = 1,
        longest_delay: float = 120,
        connect_timeout: float = 10,
        read_timeout: float = 60,
    ) -> None:
        self.provider = provider
        self.connection = connection
        self.workspace_id = workspace_id
        self.people = people or People()
        self.concurrency = concurrency
        self.transport = Transport(
            provider,
            connection=connection,
            key=key,
            base_url=base_url or provider.base_url,
            people=self.people,
            concurrency=concurrency,
            requests_per_second=requests_per_second,
            attempts=attempts,
            base_delay=base_delay,
            longest_delay=longest_delay,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
        )
        self.refused_before: dict[tuple[str, tuple[str, ...]], date] = {}
        """What refusals have taught: (endpoint, dimensions) -> first day that may be grouped by them."""
        self.decoding = Lock()
        """Held while a page is objects: threads cannot decode two at once anyway, and memory need not hold two."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.transport.close()

    def fetch(self, endpoint: Endpoint, days: Sequence[date]) -> Fetched:
        """Everything that the endpoint has for ``days``, or an error. Windows are fetched side by side.

        Raises the PermanentError or TransientError of the window that failed first; then no other is started.
        """
        if "{workspace_id}" in endpoint.path and not self.workspace_id:
            raise PermanentError(
                f"{self.connection}: {endpoint.name} needs a workspace id. {self.transport.advice(404)}."
            )
        planned = windows(days, endpoint.window_days)
        stop = Event()
        chains = [_Chains(self, endpoint, query, window, stop) for window in planned for query in endpoint.queries]
        pool = ThreadPoolExecutor(self.concurrency, f"fetch-{self.connection}")
        try:
            for done in as_completed([pool.submit(chain.run) for chain in chains]):
                done.result()
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
        return _fetched(endpoint, frozenset(days), len(planned), chains)

    def probe(self, endpoint: Endpoint) -> None:
        """Ask for yesterday, to learn whether the key may. Raises ProviderError."""
        self.fetch(endpoint, [datetime.now(UTC).date() - DAY])


@dataclass
class _Chains:
    """The chain of pages of one planned window, or the chains of the parts that refusals split it into."""

    client: Client
    endpoint: Endpoint
    query: Mapping[str, str]
    planned: Window
    stop: Event
    readings: list[Reading] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def run(self) -> None:
        """Read everything. The first error of a fetch stops its other windows, which then end without one."""
        try:
            self._read(self.planned, self.endpoint.group_by)
        except StoppedError:
            return
        except BaseException:
            self.stop.set()
            raise

    def _read(
        self, window: Window, group_by: tuple[str, ...], *, pages: str = "requests", may_restart: bool = True
    ) -> None:
        """Read a window or its parts. ``pages`` says what the pages count as."""
        if learnt := self._learnt(window, group_by):
            fewer, since = learnt
            if window.last >= since:
                window, granted = window.split(since)
                self._read(granted, group_by, pages=pages)
                pages = "split_windows"
            self._read(window, fewer, pages=pages)
            return
        client = self.client
        reading = Reading(client.connection, client.workspace_id, window, self.query, group_by, client.people)
        try:
            self._follow(reading)
        except PermanentError as error:
            self.counts["retries"] += len(reading.tables)
            if may_restart and reading.tables and client.provider.token_refused.search(error.reason):
                logger.warning("%s Reading it again from its first page", error)
                self.counts["retries"] += 1
                self._read(window, group_by, pages=pages, may_restart=False)
            else:
                self._read_with_less(window, group_by, pages, error)
        else:
            self.counts[pages] += len(reading.tables)
            self.readings.append(reading)

    def _learnt(self, window: Window, group_by: tuple[str, ...]) -> tuple[tuple[str, ...], date] | None:
        """Which dimensions remain before which day, where an earlier refusal concerns this window."""
        for (endpoint, drops), since in list(self.client.refused_before.items()):
            if endpoint == self.endpoint.name and window.first < since and not set(drops).isdisjoint(group_by):
                return _without(drops, group_by), since
        return None

    def _read_with_less(self, window: Window, group_by: tuple[str, ...], pages: str, error: PermanentError) -> None:
        """Read a window whose grouping was refused, without what was refused. Raises any other error again."""
        for refusal in self.endpoint.refusals:
            refused = refusal.pattern.search(error.reason)
            if not refused or set(refusal.drops).isdisjoint(group_by):
                continue
            since = refusal.first_day(refused)
            if since and since <= window.first:
                continue
            logger.info("%s Reading it with fewer dimensions", error)
            self.counts["refused"] += 1
            if since:
                self.client.refused_before[self.endpoint.name, refusal.drops] = since
            self._read(window, group_by if since else _without(refusal.drops, group_by), pages=pages)
            return
        raise error

    def _follow(self, reading: Reading) -> None:
        """Read the chain of pages of one window: each names the next."""
        params = [
            *self.endpoint.window_params(reading.window).items(),
            *self.endpoint.params.items(),
            *self.query.items(),
            *(("group_by[]", dimension) for dimension in reading.grouped_by),  # joined by commas they break page tokens
        ]
        tokens: list[str] = []
        page = self._page(reading, params)
        while page.has_more:
            if not page.next_page or page.next_page in tokens:
                what = "the page token repeats" if page.next_page else "has_more is true, but no page token is given"
                raise self.client.transport.failure(PermanentError, self._place(reading), what, INCOMPLETE)
            tokens.append(page.next_page)
            page = self._page(reading, [*params, ("page", page.next_page)])

    def _page(self, reading: Reading, params: list[tuple[str, str]]) -> Page:
        """Add one page to the reading; returns it without its data."""

        def read(content: bytes) -> Page:
            with self.client.decoding:
                body = decoded(content)
                page = msgspec.convert(body, Page)
                rows = reading.read(self.endpoint.row, self.endpoint.item, self.endpoint.records, page.data)
            reading.unknown_fields.update(f"page.{name}" for name in body.keys() - _PAGE_FIELDS)
            logger.debug("%s: page %d, %d rows", self._place(reading), len(reading.tables), rows)
            return Page(data=[], has_more=page.has_more, next_page=page.next_page)

        return self.client.transport.get(
            self.endpoint.path.format(workspace_id=quote(self.client.workspace_id or "", safe="")),
            params,
            read,
            place=self._place(reading),
            stop=self.stop,
            on_retry=lambda: self.counts.update(retries=1),
        )

    def _place(self, reading: Reading) -> str:
        return f"{reading.connection} {self.endpoint.name} {reading.window}"


def _without(drops: tuple[str, ...], group_by: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dimension for dimension in group_by if dimension not in drops)


def _fetched(endpoint: Endpoint, days: frozenset[date], planned: int, chains: Sequence[_Chains]) -> Fetched:
    readings = [reading for chain in chains for reading in chain.readings]
    counts: Counter[str] = sum((chain.counts for chain in chains), Counter())
    groupings: Counter[str] = Counter()
    for reading in readings if endpoint.group_by else ():
        groupings[reading.grouping] += len(reading.window.days)
    seen = frozenset[date]().union(*(reading.days_seen for reading in readings))
    tables = [table for reading in readings for table in reading.tables]
    return Fetched(
        rows=numbered(endpoint.row, pa.concat_tables([arrow_schema(endpoint.row).empty_table(), *tables])),
        days_without_bucket=days - seen if endpoint.bucket_per_day else frozenset(),
        windows=planned,
        requests=counts["requests"],
        refused=counts["refused"],
        split_windows=counts["split_windows"],
        retries=counts["retries"],
        rounded=sum(reading.rounded for reading in readings),
        unknown_fields=sum((reading.unknown_fields for reading in readings), Counter()),
        groupings=groupings,
    )

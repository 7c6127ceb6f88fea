"""One request to a provider: authentication, pace, retries, and errors in one line without secrets.

client.py decides what is requested, and in which order. All requests only read: they are GET, or the POST that an
endpoint or a lookup declares because its API reads with nothing else (``Endpoint.post``, ``Lookup.post``).
"""

import logging
import re
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from html import unescape
from importlib.metadata import version
from io import BytesIO
from threading import Event, Lock
from typing import Any, Generic, NoReturn, TypeVar

import httpx
import msgspec
import tenacity

from usage_assets.core.addresses import checked_url, is_loopback
from usage_assets.core.bounded_http import (
    WORDS,
    AnswerTooLargeError,
    Deadline,
    PrivateAddressError,
    bounded,
    certificates,
    deadline,
    decoded,
    only_host_logged,
    pieces,
    public,
    unreachable,
    untrusted,
)
from usage_assets.core.redaction import Redactor
from usage_assets.fetching.rate_limiter import RateLimiter
from usage_assets.fetching.scope import Scope
from usage_assets.providers.endpoint import Provider
from usage_assets.providers.records import LATER, DayToComeError, JsonBody, ShapeError

logger = logging.getLogger(__name__)
T = TypeVar("T")
Answer = Callable[[], AbstractContextManager[httpx.Response]]
"""Sends the request, once."""

LONGEST_REASON = 500
LONGEST_READ = 20_000
"""Characters of an error's text that are read. Fewer are shown."""
SENT = 256
"""How many values that were sent lately are looked for in errors: more than requests at once."""
_OF_EVERY_REQUEST = frozenset(("host", "accept", "connection", "user-agent", "content-type", "content-length"))
"""Headers that have no secret."""
LARGE_BODY = 1 << 20
"""Bytes. Smaller bodies are read in parallel. Larger ones are read and parsed one at a time: a month of a large
organization has 80 MB, and a year at once does not fit into memory."""
_LINK_REFUSED = frozenset((401, 403, 404, 410))
"""Statuses of a link that has expired, or of a file that is not there any more."""
_OF_THE_CONNECTION = frozenset((401, 403, 404, 407, 429))
"""Statuses that requests for other days would get as well. The same holds for any redirect."""
_UNCONNECTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
"""Nobody was reached: other days would not get further."""
_VERBS = {
    401: "refuses the key",
    403: "refuses access",
    404: "does not find what is asked for",
    429: "limits the rate of requests",
}
"""Status -> what the provider does, as the cause of a failure."""
NOTHING_STORED = "It was not stored"
CHECK_THE_WAY = "Check the network, HTTPS_PROXY and the base URL"
_STARTS_WITH_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_ISO_DAY = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
_TITLE = re.compile(rb"<title[^>]*>(.*?)</title>", re.I | re.S)
"""The title of a web page: a proxy or a content network has answered, and not the provider."""
INCOMPLETE = "It was not stored, because the answer is not complete"


class ProviderError(Exception):
    """A fetch that failed: where, what, the provider's own words and what to do, in one line without any secret."""

    def __init__(
        self,
        what: str,
        *,
        place: str = "",
        cause: str = "",
        status: int | None = None,
        reason: str = "",
        retry_after: float = 0,
        days: Sequence[date] = (),
    ) -> None:
        self.message = f"{place}: {what}" if place else what
        super().__init__(self.message)
        self.cause = cause or what
        """What went wrong, without the request: the same for every request that one fault fails."""
        self.status = status
        self.reason = reason
        """The provider's own words."""
        self.days = tuple(days)
        """The days that it is about: the others may succeed without them. Empty where the cause is the connection's,
        so that no other days would succeed either."""
        self.retry_after = retry_after
        """Seconds that the provider wants to be left alone."""


class PermanentError(ProviderError):
    """Asking again does not help: a 4xx that limits no rate, an answer of unknown shape, pages without end."""


class NotServedYetError(PermanentError):
    """The provider does not serve the days yet."""


class HeldUpError(NotServedYetError):
    """The days wait for something that is broken: somebody has to look at it."""


class LinkRefusedError(PermanentError):
    """A link to a file of a report is refused. Links are short-lived: the report has to be asked for new ones."""


class MovedError(PermanentError):
    """The answer changed while its pages were read."""


class TransientError(ProviderError):
    """429, 5xx, a timeout, a broken connection or body. Outside of this module it means: after the last attempt."""


class StoppedError(Exception):
    """Another part of the same fetch has failed: this one gave up."""


Refused = Callable[[str, Sequence[date], httpx.Response, bytes], ProviderError]
"""Words an answer that is no 200: place, days, the answer and its body."""


@dataclass(frozen=True, kw_only=True)
class HttpOptions:
    """How fast and how patiently a connection asks. Delays and timeouts are seconds."""

    concurrency: int = 16
    requests_per_second: float = 50
    attempts: int = 6
    base_delay: float = 1
    """The shortest wait between two attempts."""
    longest_delay: float = 120
    """The longest."""
    connect_timeout: float = 10
    read_timeout: float = 60
    """How long the provider may be silent."""
    answer_timeout: float = 300
    """How long a whole answer may take. For a large body it starts again when its turn has come."""


@dataclass(frozen=True, kw_only=True)
class Request(Generic[T]):
    """What is read from the answer to a request, and who waits for it."""

    read: Callable[[bytes], T]
    """Makes something of the body of a 200. Raises msgspec.DecodeError for a broken body, which is tried again, and
    ShapeError for an unknown one."""
    place: str
    """Messages begin with it."""
    days: Sequence[date] = ()
    """The days that errors are about."""
    stop: Event
    """Set as soon as nobody waits for it any more."""
    on_retry: Callable[[], None]


class Failures:
    """Words the errors of a connection's requests, without its secrets."""

    def __init__(self, provider: Provider, scope: Scope, secrets: Collection[str]) -> None:
        self._provider = provider
        self._scope = scope
        self._people = scope.people
        self._secrets = tuple(secrets)
        self._sent: dict[str, None] = {}
        """What was sent to prove who asks, newest last."""
        self._redactor: Redactor | None = None
        self._noting = Lock()

    def sent(self, values: Iterable[str]) -> None:
        """Remember secrets that are being sent: a header's value, or a part of a link."""
        with self._noting:
            new = [value for value in values if value not in self._sent]
            kept = [*self._sent, *new][-SENT:]
            if new:
                self._sent, self._redactor = dict.fromkeys(kept), None

    def failure(
        self,
        kind: type[ProviderError],
        place: str,
        what: str,
        advice: str | None = None,
        *,
        cause: str = "",
        status: int | None = None,
        reason: str = "",
        days: Sequence[date] = (),
    ) -> ProviderError:
        """An error whose message shows no key, and email addresses only as USAGE_PEOPLE allows.

        See ProviderError for ``cause``.
        """
        sentences = (self._safe(what), advice)
        message = " ".join(f"{sentence.rstrip('.')}." for sentence in sentences if sentence)
        return kind(message, place=place, cause=self._safe(cause), status=status, reason=reason, days=days)

    def advice(self, status: int) -> str:
        redirect = status < httpx.codes.BAD_REQUEST
        return self._provider.advice.get(status, "Check the base URL" if redirect else NOTHING_STORED)

    def _safe(self, text: str) -> str:
        """Someone else's text as one short line, without secrets, and with addresses only as USAGE_PEOPLE allows."""
        with self._noting:
            redactor = self._redactor or Redactor((*self._secrets, *self._sent), self._provider.words)
            self._redactor = redactor
        line = redactor.redacted(text[:LONGEST_READ])
        line = " ".join("".join(c if c.isprintable() else " " for c in line).split())
        return self._people.scrubbed(line)[:LONGEST_REASON]


class _Witnessed(httpx.Auth):
    """Authenticates requests as another one does, and tells what that adds to them, however it makes it."""

    def __init__(self, auth: httpx.Auth, sent: Callable[[Iterable[str]], None]) -> None:
        self._auth = auth
        self._sent = sent

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        asked = {*request.headers.items(), *request.url.params.multi_items()}
        flow = self._auth.sync_auth_flow(request)
        try:
            authenticated = next(flow)
            while True:
                stated = {*authenticated.headers.items(), *authenticated.url.params.multi_items()} - asked
                self._sent(_secrets_in(value for name, value in sorted(stated) if name not in _OF_EVERY_REQUEST))
                authenticated = flow.send((yield authenticated))
        except StopIteration:
            return
        finally:
            flow.close()


class Transport(Failures):
    """What a connection's requests share. Raises PermanentError for a key or a base URL that must not be used."""

    def __init__(
        self,
        provider: Provider,
        scope: Scope,
        *,
        key: str,
        base_url: str,
        http: HttpOptions,
    ) -> None:
        super().__init__(provider, scope, (key,))
        self._http = http
        self._pace = RateLimiter(http.requests_per_second)
        self._turn = Lock()
        """Held while a large body is read and parsed."""
        self._large = ThreadPoolExecutor(1, f"large-{scope.connection}")
        """Where large bodies are parsed, in one thread: each thread would keep the memory of its largest one."""
        jitter = tenacity.wait_random(0, http.base_delay)
        self._backoff = tenacity.wait_exponential(http.base_delay, http.longest_delay) + jitter
        if not key or not key.isascii() or not key.isprintable() or key.strip() != key:
            raise PermanentError(f"{scope.connection}: the key is empty or no key at all. {self.advice(401)}.")
        try:
            url = checked_url(base_url)
        except ValueError as error:
            raise PermanentError(f"{scope.connection}: the base URL {error}") from None
        try:
            trusted = certificates()
        except ValueError as error:
            raise PermanentError(f"{scope.connection}: {error}") from None
        agent = {"User-Agent": f"usage-assets/{version('usage-assets')}"}
        options: dict[str, Any] = {
            "timeout": httpx.Timeout(http.read_timeout, connect=http.connect_timeout, pool=None),
            "limits": httpx.Limits(max_connections=http.concurrency, max_keepalive_connections=http.concurrency),
            "verify": trusted,
            "follow_redirects": False,  # the key would go with it
            "trust_env": not is_loopback(url),  # proxies: none can reach this machine's loopback
        }
        headers, auth = {**agent, **scope.headers, **provider.headers}, _Witnessed(provider.auth(key), self.sent)
        self._client = bounded(httpx.Client(base_url=url, headers=headers, auth=auth, **options))
        self._downloads = bounded(httpx.Client(headers=agent, **options))
        """For links of reports, which lead to other hosts: it has no key."""

    def close(self) -> None:
        self._large.shutdown()
        self._client.close()
        self._downloads.close()

    def get(
        self,
        path: str,
        params: Sequence[tuple[str, str]],
        request: Request[T],
        *,
        headers: Mapping[str, str] | None = None,
        post: JsonBody | None = None,
    ) -> T:
        """Return what the request reads from the answer.

        ``post`` makes of the parameters the body of a POST that reads. Raises PermanentError, TransientError after the
        last attempt, or StoppedError as soon as nobody waits for it.
        """
        query, body = (None, post(params)) if post else (httpx.QueryParams(list(params)), None)

        def answer() -> AbstractContextManager[httpx.Response]:
            return self._client.stream("POST" if post else "GET", path, params=query, json=body, headers=headers)

        return self._persistently(answer, self._refused, request)

    def download(self, link: str, request: Request[T]) -> T:
        """As ``get``, from a link that an answer has. The key is not sent with it.

        Whoever has a link can read the file: no message or log shows more of it than its host. Raises LinkRefusedError,
        too.
        """
        try:
            url = checked_url(link)
        except ValueError:
            url = None
        # the links of a sandbox lead to this machine, as its base URL does
        is_sandbox = is_loopback(self._client.base_url)
        if url is None or (url.scheme != "https" and not is_sandbox):
            what = "a link to the report is no https:// address"
            raise self.failure(PermanentError, request.place, what, NOTHING_STORED, days=request.days)
        checked = url
        self.sent(_secrets_in(value for _, value in checked.params.multi_items()))

        @contextmanager
        def answer() -> Iterator[httpx.Response]:
            reach = nullcontext() if is_sandbox else public(checked.host)
            with reach, self._downloads.stream("GET", **only_host_logged(checked)) as response:
                yield response

        return self._persistently(answer, self._link_refused, request)

    def _persistently(self, answer: Answer, refused: Refused, request: Request[T]) -> T:
        def before_retry(state: tenacity.RetryCallState) -> None:
            error = _error_of(state)
            logger.warning("%s Again in %.1f s, attempt %d", error, state.upcoming_sleep, state.attempt_number + 1)
            request.on_retry()
            if error.status == httpx.codes.TOO_MANY_REQUESTS:
                self._pace.penalize(state.upcoming_sleep)

        def give_up(state: tenacity.RetryCallState) -> NoReturn:
            error = _error_of(state)
            if request.stop.is_set():
                raise StoppedError
            message = f"{error} Gave up after attempt {state.attempt_number}. {LATER}."
            raise TransientError(
                message, cause=error.cause, status=error.status, reason=error.reason, days=error.days
            ) from None

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientError),
            wait=lambda state: max(self._backoff(state), min(_error_of(state).retry_after, self._http.longest_delay)),
            stop=tenacity.stop_after_attempt(self._http.attempts) | tenacity.stop_when_event_set(request.stop),
            sleep=tenacity.sleep_using_event(request.stop),
            before_sleep=before_retry,
            retry_error_callback=give_up,
        )
        result: T = retrying(self._attempt, answer, refused, request)
        return result

    def _attempt(self, answer: Answer, refused: Refused, request: Request[T]) -> T:
        read, place, days, stop = request.read, request.place, request.days, request.stop
        self._pace.wait(stop)
        if stop.is_set():
            raise StoppedError
        with ExitStack() as turn:
            try:
                with deadline(self._http.answer_timeout) as until, answer() as response:
                    content = self._whole(response, turn, stop, until)
            except (AnswerTooLargeError, PrivateAddressError) as error:
                raise self.failure(
                    PermanentError, place, str(error), NOTHING_STORED, reason=str(error), days=days
                ) from None
            except httpx.RequestError as error:
                if what := untrusted(error):
                    raise self.failure(PermanentError, place, what, NOTHING_STORED) from None
                if isinstance(error, _UNCONNECTED):
                    cause = unreachable(error)
                    raise self.failure(TransientError, place, f"{cause}: {error}", CHECK_THE_WAY, cause=cause) from None
                what = f"no answer ({type(error).__name__}: {error})"
                cause = f"{self._provider.company} gave {what}"
                raise self.failure(TransientError, place, what, cause=cause, days=days) from None
            if response.status_code != httpx.codes.OK:
                raise refused(place, days, response, content)
            try:
                return self._large.submit(read, content).result() if len(content) > LARGE_BODY else read(content)
            except msgspec.DecodeError as error:
                kind = response.headers.get("content-type", "no content type")
                what = f"a broken answer ({kind}, {len(content)} bytes): {error}"
                raise self.failure(TransientError, place, what, days=days) from None
            except ShapeError as error:
                is_to_come = isinstance(error, DayToComeError)
                about = [day for day in days if day == error.day or (is_to_come and error.day and day > error.day)]
                about = about or list(days)  # it may name a day that was not requested
                cause = f"{self._provider.company} sent {error.path}: {error.reason}"
                kind_of = NotServedYetError if is_to_come else PermanentError
                raise self.failure(kind_of, place, str(error), error.advice, cause=cause, days=about) from None

    def _whole(self, response: httpx.Response, turn: ExitStack, stop: Event, until: Deadline) -> bytes:
        """The body, without people who were forgotten.

        The rest of a large one is not read before its turn, which it keeps until ``turn`` is closed.
        """
        content = BytesIO()
        for piece in pieces(response):
            if content.tell() <= LARGE_BODY < content.tell() + len(piece):
                turn.enter_context(self._turn)
                until.restart()
                if stop.is_set():
                    raise StoppedError
            content.write(piece)
        return self._people.forgotten.in_json(content.getvalue())

    def _refused(self, place: str, days: Sequence[date], response: httpx.Response, content: bytes) -> ProviderError:
        status, reason = response.status_code, self._reason(response, content)
        page = None if response.is_redirect else _TITLE.search(content[:LONGEST_READ])
        if page:
            reason = self._safe(f"a web page, {unescape(page[1].decode(errors='replace'))}")
        if status == httpx.codes.NO_CONTENT:
            what = f"204 from GET {response.url.path}: there is no report"
            return self.failure(NotServedYetError, place, what, LATER, cause="204: there is no report", days=days)
        days = () if response.is_redirect or status in _OF_THE_CONNECTION else days
        request_id = response.headers.get("x-request-id") or response.headers.get("request-id")
        asked = f"{response.request.method} {response.url.path}"
        what = f"{status} from {asked}: {reason}{f' (request {request_id})' if request_id else ''}"
        known = httpx.codes.TOO_MANY_REQUESTS if _limits_the_rate(response) else status
        cause = f"{self._provider.company} {_verb(known)} ({status}: {reason})"
        facts: dict[str, Any] = {"cause": cause, "status": known, "reason": reason, "days": days}
        if status == httpx.codes.BAD_REQUEST and (to_come := _too_recent(self._provider, reason, days)):
            return self.failure(NotServedYetError, place, what, LATER, **facts | {"days": to_come})
        if known == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
            error = self.failure(TransientError, place, what, **facts)
            error.retry_after = _retry_after(response.headers)
            return error
        return self.failure(PermanentError, place, what, CHECK_THE_WAY if page else self.advice(status), **facts)

    def _link_refused(
        self, place: str, days: Sequence[date], response: httpx.Response, _content: bytes
    ) -> ProviderError:
        """What the other host says may repeat the link, so it is not shown."""
        status = response.status_code
        reason = "a redirect, not followed" if response.is_redirect else httpx.codes.get_reason_phrase(status)
        what = f"{status} from the link to the report at {response.url.host}: {reason}"
        if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
            error = self.failure(TransientError, place, what, cause=what, status=status, days=days)
            error.retry_after = _retry_after(response.headers)
            return error
        kind, advice = (LinkRefusedError, LATER) if status in _LINK_REFUSED else (PermanentError, NOTHING_STORED)
        return self.failure(kind, place, what, advice, cause=what, days=days)

    def _reason(self, response: httpx.Response, content: bytes) -> str:
        if response.is_redirect:
            return "a redirect, not followed because the key would go with it"
        try:
            message = self._provider.error_message(decoded(content))
        except msgspec.DecodeError:
            message = None
        return self._safe(
            message or content.decode(errors="replace") or response.extensions[WORDS].decode(errors="replace")
        )


def _secrets_in(values: Iterable[str]) -> Iterator[str]:
    """Yield what values of headers and of addresses prove who asks with: all but the scheme of a header, and the times
    of a signed link, which messages have, too."""
    for value in values:
        if not _STARTS_WITH_DAY.match(value):
            yield value.partition(" ")[2] or value


def _verb(status: int) -> str:
    """What a provider does that answers so."""
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return "fails"
    return _VERBS.get(status, "refuses the request")


def _error_of(state: tenacity.RetryCallState) -> TransientError:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, TransientError):
        raise TypeError(f"only a TransientError is tried again, not {error!r}")
    return error


def _too_recent(provider: Provider, reason: str, days: Sequence[date]) -> Sequence[date]:
    """Return the days after the latest one that a refusal names, if it is one of days that are too recent."""
    if not days or not provider.too_recent or not provider.too_recent.search(reason):
        return ()
    named = [text for text in _ISO_DAY.findall(reason) if text < str(max(days))]
    return [day for day in days if str(day) > max(named)] if named else ()


def _limits_the_rate(response: httpx.Response) -> bool:
    """Whether the answer limits the rate. GitHub says so with 403, too, and then with one of these headers."""
    if response.status_code != httpx.codes.FORBIDDEN:
        return response.status_code == httpx.codes.TOO_MANY_REQUESTS
    return "retry-after" in response.headers or _is_used_up(response.headers)


def _is_used_up(headers: Mapping[str, str]) -> bool:
    return headers.get("x-ratelimit-remaining") == "0"


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds of a ``Retry-After`` header, which may be a date, or until a rate that is used up begins anew; 0 for a
    stale or unreadable one."""
    value = headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        if not value and _is_used_up(headers):
            moment = datetime.fromtimestamp(int(headers["x-ratelimit-reset"]), UTC)
        else:
            moment = parsedate_to_datetime(value)
    except (KeyError, ValueError, OverflowError, OSError):
        return 0
    return max(0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())

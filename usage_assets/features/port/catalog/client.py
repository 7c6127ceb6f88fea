"""Port's HTTP API: authentication, retries, rate limits, the calls that we use. What is sent is decided in sync.py and
provision.py. Source: docs.port.io/api-reference.
"""

import logging
import re
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from importlib.metadata import version
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from usage_assets.core.addresses import account_at, checked_url, is_loopback
from usage_assets.core.bounded_http import (
    AnswerTooLargeError,
    bounded,
    certificates,
    decoded,
    send,
    unreachable,
    untrusted,
)
from usage_assets.core.chain import MOST_OF_A_LIST, Chain, EndlessError
from usage_assets.core.errors import UserError
from usage_assets.core.redaction import Redactor

MAX_UPSERTS = 20
MAX_DELETES = 100
MAX_BODY_BYTES = 1 << 20
SEARCH_LIMIT = 1000
LONGEST_READ = 20_000
"""Characters of an error's text that are read. Fewer are shown."""
MAX_SEARCHED = 100
USER_AGENT = "usage-assets/"
"""How our User-Agent begins, and with it the data source under which Port files what we write."""

_RETRIED = frozenset({408, 429})
"""Statuses that may pass by themselves, besides every 5xx."""
_ADVICE = {
    401: "check PORT_CLIENT_ID and PORT_CLIENT_SECRET, and that PORT_BASE_URL is your region's",
    403: "these Port credentials may not do this: use those of an admin or give them the permission",
}

_ANOTHER = "check PORT_BASE_URL: this is another server than Port's API, or a proxy in between"
_TOKEN = "/auth/access_token"  # noqa: S105 - a path

_log = logging.getLogger(__name__)
T = TypeVar("T")


class PortError(UserError):
    """Port cannot be reached, or refuses: what, where and what to do, in one line. ``status`` is that of the answer."""

    def __init__(self, message: str, status: int | None = None, cause: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.cause = cause
        """What went wrong, without the request: the same for every push that one fault fails. Empty: the message."""


class _TransientError(PortError):
    """Worth another try, after ``pause`` seconds where Port named a time."""

    def __init__(self, message: str, status: int | None = None, cause: str = "", pause: float | None = None) -> None:
        super().__init__(message, status, cause)
        self.pause = pause


class _Token(msgspec.Struct, rename="camel"):
    access_token: str
    expires_in: float


class _Accepted(msgspec.Struct):
    index: int


class _Problem(msgspec.Struct):
    message: str = ""
    error: str = ""


class _Refused(_Problem, kw_only=True):
    index: int


class _BulkAnswer(msgspec.Struct):
    entities: list[_Accepted] = []
    errors: list[_Refused] = []


class _BlueprintAnswer(msgspec.Struct):
    blueprint: dict[str, Any]


class _Scorecard(msgspec.Struct):
    identifier: str


class _ScorecardsAnswer(msgspec.Struct):
    scorecards: list[_Scorecard]


class _EntityAnswer(msgspec.Struct):
    entity: dict[str, Any]


class _Count(msgspec.Struct):
    count: int


class _SearchPage(msgspec.Struct):
    entities: list[dict[str, Any]]
    next: str | None = None


class PortClient:
    """One Port account. May be used by several threads; asks Port for nothing before the first call.

    ``base_url`` has no ``/v1`` (``https://api.getport.io``). Raises PortError for an address with a password, and
    for an ``http://`` one that is not this machine: the client secret would be readable on the way.
    """

    def __init__(
        self,
        base_url: str,
        client_id: str,
        client_secret: str,
        *,
        attempts: int = 8,
        base_delay: float = 0.5,
        max_delay: float = 300.0,
        read_timeout: float = 60.0,
        answer_timeout: float = 300.0,
        concurrency: int = 8,
    ) -> None:
        try:
            address = checked_url(base_url.rstrip("/").removesuffix("/v1"))
        except ValueError as error:
            raise PortError(f"PORT_BASE_URL {error}") from None
        try:
            trusted = certificates()
        except ValueError as error:
            raise PortError(str(error)) from None
        self.account = account_at(address, client_id)
        self.concurrency = concurrency
        self.requests = 0
        """HTTP requests made so far, retries and tokens included."""
        self._credentials = {"clientId": client_id, "clientSecret": client_secret}
        self._redactor = Redactor(self._credentials.values())
        self._token: _Token | None = None
        self._token_expires = 0.0
        self._resume_at = 0.0
        self._max_delay = max_delay
        self._backoff = wait_random_exponential(multiplier=base_delay, max=max_delay)
        self._retrying = Retrying(
            stop=stop_after_attempt(attempts),
            wait=self._pause,
            retry=retry_if_exception_type(_TransientError),
            before_sleep=_log_retry,
            reraise=True,
        )
        self._lock = threading.RLock()
        # A User-Agent of our own makes Port file our entities under a data source that no Ocean resync deletes.
        client = httpx.Client(
            base_url=f"{address}/v1",
            headers={"User-Agent": f"{USER_AGENT}{version('usage-assets')}", "Content-Type": "application/json"},
            timeout=httpx.Timeout(read_timeout, connect=10.0),
            limits=httpx.Limits(max_connections=concurrency),
            verify=trusted,
            trust_env=not is_loopback(address),  # proxies: none can reach this machine's loopback
        )
        self._http = bounded(client)
        self._answer_timeout = answer_timeout

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.close()

    def authenticate(self) -> None:
        """Get a token if there is none. Raises PortError where the credentials are refused."""
        self._retrying(self._bearer)

    def get_blueprint(self, identifier: str) -> dict[str, Any] | None:
        answer = self._existing(f"/blueprints/{quote(identifier, safe='')}", _BlueprintAnswer)
        return answer.blueprint if answer else None

    def create_blueprint(self, blueprint: Mapping[str, Any]) -> None:
        self._call("POST", "/blueprints", dict[str, Any], body=blueprint)

    def update_blueprint(self, identifier: str, changes: Mapping[str, Any]) -> None:
        """Lay ``changes`` over the blueprint; fields that are not given stay.

        How deep Port merges is not documented: give a section (``schema``, ``calculationProperties``) whole.
        """
        self._call("PATCH", f"/blueprints/{identifier}", dict[str, Any], body=changes)

    def scorecards(self, blueprint: str) -> set[str] | None:
        """Identifiers of a blueprint's scorecards; None where the account has none or may not see them."""
        try:
            answer = self._existing(f"/blueprints/{blueprint}/scorecards", _ScorecardsAnswer)
        except PortError as error:
            if error.status == httpx.codes.FORBIDDEN:
                return None
            raise
        return {scorecard.identifier for scorecard in answer.scorecards} if answer else None

    def create_scorecard(self, blueprint: str, scorecard: Mapping[str, Any]) -> None:
        self._call("POST", f"/blueprints/{blueprint}/scorecards", dict[str, Any], body=scorecard)

    def get_page(self, identifier: str) -> dict[str, Any] | None:
        return self._existing(f"/pages/{identifier}", dict[str, Any])

    def create_page(self, page: Mapping[str, Any]) -> None:
        self._call("POST", "/pages", dict[str, Any], body=page)

    def bulk_upsert(self, blueprint: str, entities: Sequence[msgspec.Raw]) -> dict[int, str]:
        """Create or update at most 20 encoded entities; properties that are not given stay as they are.

        Returns the refused ones: position in ``entities`` -> reason. Raises PortError (``status`` 413 or 422) where
        Port refuses the whole call because of one of them.
        """
        answer = self._call(
            "POST",
            f"/blueprints/{blueprint}/entities/bulk",
            _BulkAnswer,
            params={"upsert": "true", "merge": "true"},
            body={"entities": entities},
        )
        unmentioned = set(range(len(entities))) - {accepted.index for accepted in answer.entities}
        reasons = dict.fromkeys(unmentioned, "Port's answer does not mention it")
        return reasons | {refused.index: self._words(refused) for refused in answer.errors}

    def bulk_delete(self, blueprint: str, identifiers: Sequence[str]) -> None:
        """Delete at most 100 entities: all of them, or none where one is missing or has dependents (PortError).

        Never deletes dependents: they are entities of the users.
        """
        self._call(
            "POST",
            f"/blueprints/{blueprint}/bulk/entities/delete",
            dict[str, Any],
            params={"delete_dependents": "false"},
            body={"entities": identifiers},
        )

    def count(self, blueprint: str) -> int:
        """How many entities the blueprint has, whoever made them."""
        return self._call("GET", f"/blueprints/{blueprint}/entities-count", _Count).count

    def get_entity(self, blueprint: str, identifier: str) -> dict[str, Any] | None:
        """One entity with exact decimals, or None."""
        answer = self._existing(f"/blueprints/{blueprint}/entities/{quote(identifier, safe='')}", _EntityAnswer)
        return answer.entity if answer else None

    def search(self, blueprint: str, made_by: str | None = None) -> Iterator[dict[str, Any]]:
        """Every entity of a blueprint with exact decimals, page by page; none where Port has no such blueprint.

        ``made_by``: only those whose data source (a User-Agent) begins so. Port's answers need not show it.
        """
        return self._search(blueprint, _where("$datasource", "beginsWith", made_by) if made_by else {})

    def existing(self, blueprint: str, identifiers: Collection[str]) -> set[str]:
        """Which of these entities Port has, whoever made them; none where it has no such blueprint."""
        asked, found = sorted(identifiers), set[str]()
        for start in range(0, len(asked), MAX_SEARCHED):
            query = _where("$identifier", "in", asked[start : start + MAX_SEARCHED])
            found |= {entity["identifier"] for entity in self._search(blueprint, query | {"include": ["$identifier"]})}
        return found

    def _search(self, blueprint: str, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        path = f"/blueprints/{quote(blueprint, safe='')}/entities/search"
        position: str | None = None
        chain = Chain(MOST_OF_A_LIST)
        while True:
            body = {**asked, "limit": SEARCH_LIMIT} | ({"from": position} if position else {})
            try:
                page = self._call("POST", path, _SearchPage, body=body)
            except PortError as error:
                if error.status == httpx.codes.NOT_FOUND:
                    return
                raise
            yield from page.entities
            if not page.next:
                return
            try:
                position = chain.follow(page.next, (each.get("identifier") for each in page.entities))
            except EndlessError as error:
                raise PortError(f"Port's search in {blueprint}: {error}: its list is not complete") from None

    def _existing(self, path: str, answer: type[T]) -> T | None:
        try:
            return self._call("GET", path, answer)
        except PortError as error:
            if error.status == httpx.codes.NOT_FOUND:
                return None
            raise

    def _call(
        self, method: str, path: str, answer: type[T], *, params: Mapping[str, str] | None = None, body: object = None
    ) -> T:
        content = None if body is None else msgspec.json.encode(body)
        request = self._http.build_request(method, path, params=params, content=content)
        decoded: T = self._retrying(self._attempt, request, answer)
        return decoded

    def _attempt(self, request: httpx.Request, answer: type[T]) -> T:
        token = self._bearer()
        response = self._send(request, token)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            response = self._send(request, self._bearer(refused=token))
        return self._decoded(response, answer)

    def _bearer(self, refused: str | None = None) -> str:
        """The token of now: a new one where there is none, it has run out, or Port refused it."""
        with self._lock:
            token = self._token
            if token is None or token.access_token == refused or time.monotonic() >= self._token_expires:
                request = self._http.build_request("POST", _TOKEN, json=self._credentials)
                token = self._token = self._decoded(self._send(request), _Token)
                self._redactor = Redactor((*self._credentials.values(), token.access_token))
                self._token_expires = time.monotonic() + token.expires_in
            return token.access_token

    def _send(self, request: httpx.Request, token: str | None = None) -> httpx.Response:
        time.sleep(max(0.0, self._resume_at - time.monotonic()))
        if token:
            request.headers["Authorization"] = f"Bearer {token}"
        with self._lock:
            self.requests += 1
        try:
            response = send(self._http, request, seconds=self._answer_timeout)
        except AnswerTooLargeError as error:
            raise PortError(f"Port's answer to {_named(request)} cannot be read: {self._clean(str(error))}") from error
        except httpx.RequestError as error:
            if what := untrusted(error):
                raise PortError(f"Port cannot be reached: {what}") from error
            raise _TransientError(
                f"Port did not answer {_named(request)}: {self._clean(str(error) or type(error).__name__)}",
                cause=unreachable(error) if isinstance(error, httpx.ConnectError) else "Port does not answer",
            ) from error
        if response.headers.get("x-ratelimit-remaining") == "0":
            self._resume_at = time.monotonic() + min(_until_reset(response) or 0.0, self._max_delay)
        return response

    def _decoded(self, response: httpx.Response, answer: type[T]) -> T:
        status = response.status_code
        if not response.is_success:
            reason = self._reason(response)
            message = f"Port answered {status} to {_named(response.request)}: {reason}"
            cause = f"Port {'fails' if response.is_server_error else 'refuses'} ({status}: {reason})"
            if status in _RETRIED or response.is_server_error:
                raise _TransientError(message, status, cause, _asked_pause(response))
            is_nowhere = status == httpx.codes.NOT_FOUND and response.request.url.path.endswith(_TOKEN)
            advice = _ANOTHER if is_nowhere else _ADVICE.get(status)
            raise PortError(f"{message} ({advice})" if advice else message, status, cause)
        try:
            return decoded(response.content, msgspec.json.Decoder(answer, float_hook=Decimal))
        except msgspec.DecodeError as error:
            kind = self._clean(response.headers.get("content-type", "no content type"))
            advice = "" if "json" in kind else f" ({_ANOTHER})"
            what = f"cannot be read: {kind}, {self._clean(str(error))}{advice}"
            raise _TransientError(f"Port's answer to {_named(response.request)} {what}", status) from error

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome and state.outcome.exception()
        asked = error.pause if isinstance(error, _TransientError) else None
        return self._backoff(state) if asked is None else min(asked, self._max_delay)

    def _reason(self, response: httpx.Response) -> str:
        try:
            return self._words(decoded(response.content, msgspec.json.Decoder(_Problem)))
        except msgspec.DecodeError:
            return "it gives no reason"

    def _words(self, problem: _Problem) -> str:
        return self._clean(problem.message or problem.error) or "it gives no reason"

    def _clean(self, text: str) -> str:
        """Port's words as one line of bounded length, without our secrets should it repeat them."""
        return re.sub(r"[\x00-\x1f\x7f]+", " ", self._redactor.redacted(text[:LONGEST_READ]))[:500]


def _where(field: str, operator: str, value: object) -> dict[str, Any]:
    return {"query": {"combinator": "and", "rules": [{"property": field, "operator": operator, "value": value}]}}


def _named(request: httpx.Request) -> str:
    return f"{request.method} {request.url.path}"


def _asked_pause(response: httpx.Response) -> float | None:
    """Seconds that Port asks us to wait. Every answer has the reset header; only on a 429 does it mean us."""
    asked = _number(response.headers.get("retry-after"))
    if asked is None and response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return _until_reset(response)
    return asked


def _until_reset(response: httpx.Response) -> float | None:
    """Seconds until Port's rate limit opens again. Its pages describe the header as a Unix time and as seconds."""
    reset = _number(response.headers.get("x-ratelimit-reset"))
    if reset is None:
        return None
    return max(0.0, reset - time.time()) if reset > 1_000_000_000 else reset


def _number(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"\d+(\.\d+)?", text) else None


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome and state.outcome.exception()
    _log.warning("%s; trying again in %.1f s (attempt %d)", error, state.upcoming_sleep, state.attempt_number + 1)

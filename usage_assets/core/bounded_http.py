"""Bounded HTTP: one deadline for a whole request, a size limit for its answer, and which certificates are trusted.

Shared by everything that calls a network. The callers choose requests, retries and messages.
"""

import logging
import os
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import cache
from ipaddress import ip_address
from typing import Any, TypeVar

import httpcore
import httpx
import msgspec

T = TypeVar("T")

LARGEST_ANSWER = 256_000_000
"""Bytes after decompression. A month of a large organization has 80 MB; 1.5 MB of gzip can become 1.7 GB."""
_ENCODINGS = ("gzip", "deflate")
"""One of them at most: each layer of compression would multiply what a piece becomes in memory by a thousand."""
_PIECE = 1 << 16
"""Bytes that are written at once. The deadline is checked between two pieces."""
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
WORDS = "reason_of_server"
"""Extension of an answer: the reason that its server gave for the status."""
_EXACT: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)


class AnswerTooLargeError(httpx.RequestError):
    """The answer has more bytes than anybody is going to read, or is compressed in a way that may hide them."""


class PrivateAddressError(httpx.RequestError):
    """A link that somebody else wrote leads into this machine's own network."""


@dataclass
class Deadline:
    """When a request ends, whatever the other side does."""

    seconds: float
    at: float = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin again: what came before was not the other side's time."""
        self.at = time.monotonic() + self.seconds

    def left(self, timeout: float | None, kind: type[httpcore.TimeoutException]) -> float:
        """Return the seconds that one step may take. Raises ``kind`` where none are left."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise kind(f"the answer was not complete after {self.seconds:g} s")
        return left if timeout is None else min(timeout, left)


_DEADLINE: ContextVar[Deadline | None] = ContextVar("deadline", default=None)
_PUBLIC: ContextVar[str] = ContextVar("public", default="")


class WithoutWords(httpx.BaseTransport):
    """Keeps the reason that a server made up from httpx, which logs it."""

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._transport.handle_request(request)
        response.extensions[WORDS] = response.extensions.pop("reason_phrase", b"")
        return response

    def close(self) -> None:
        self._transport.close()


def only_host_logged(url: httpx.URL) -> dict[str, Any]:
    """Return the arguments of a request to an address that is a secret: httpx logs its host, and nothing after it."""
    return {"url": url.copy_with(raw_path=b"/"), "extensions": {"target": url.raw_path}}


def keep_headers_out_of_logs() -> None:
    """Let httpcore log no requests in this process: headers of answers may repeat a key. For a process of our own."""
    logging.getLogger("httpcore").setLevel(logging.INFO)


@contextmanager
def public(host: str) -> Iterator[None]:
    """Let this thread's requests with a ``bounded`` client reach a host at a public address only.

    They raise PrivateAddressError. What counts is the address that is connected to, whatever was looked up before.
    """
    token = _PUBLIC.set(host)
    try:
        yield
    finally:
        _PUBLIC.reset(token)


@contextmanager
def deadline(seconds: float) -> Iterator[Deadline]:
    """Limit this thread's requests with a ``bounded`` client to ``seconds``; then they raise httpx.TimeoutException.

    httpx limits only each step: headers or a body of one byte a minute would never time out.
    """
    token = _DEADLINE.set(until := Deadline(seconds))
    try:
        yield until
    finally:
        _DEADLINE.reset(token)


@contextmanager
def _step(timeout: float | None, kind: type[httpcore.TimeoutException]) -> Iterator[float | None]:
    """Bound one step of a connection by the deadline, and say so where it was the deadline that ended it."""
    until = _DEADLINE.get()
    if until is None:
        yield timeout
        return
    try:
        yield until.left(timeout, kind)
    except kind:
        until.left(None, kind)
        raise


class _Stream(httpcore.NetworkStream):
    """A connection whose every step looks at the deadline."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _step(timeout, httpcore.ReadTimeout) as seconds:
            return self._stream.read(max_bytes, seconds)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _PIECE):
            with _step(timeout, httpcore.WriteTimeout) as seconds:
                self._stream.write(buffer[start : start + _PIECE], seconds)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        with _step(timeout, httpcore.ConnectTimeout) as seconds:
            return _Stream(self._stream.start_tls(ssl_context, server_hostname, seconds))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    """Where connections come from."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        with _step(timeout, httpcore.ConnectTimeout) as seconds:
            stream = super().connect_tcp(host, port, seconds, local_address, socket_options)
        if host == _PUBLIC.get() and not ip_address(stream.get_extra_info("server_addr")[0]).is_global:
            stream.close()
            raise PrivateAddressError(f"{host} is an address of a private network")
        return _Stream(stream)


def bounded(client: httpx.Client) -> httpx.Client:
    """Let the client's connections look at the ``deadline``, those through a proxy too.

    httpcore takes a network backend, but httpx does not hand one on: this is where its private names are known.
    """
    client.headers["Accept-Encoding"] = ", ".join(_ENCODINGS)
    for transport in (vars(client)["_transport"], *vars(client)["_mounts"].values()):
        if transport is not None:
            vars(vars(transport)["_pool"])["_network_backend"] = _Backend()
    return without_words(client)


def without_words(client: httpx.Client) -> httpx.Client:
    """Let the client log requests without the reasons that servers made up."""
    own = vars(client)
    own["_transport"] = WithoutWords(own["_transport"])
    own["_mounts"] = {url: each and WithoutWords(each) for url, each in own["_mounts"].items()}
    return client


@cache
def certificates() -> ssl.SSLContext:
    """What TLS connections trust: SSL_CERT_FILE, SSL_CERT_DIR, or the certificates that come with httpx.

    Reading them takes 20 ms, which connections need not pay each. Raises ValueError, in one line.
    """
    try:
        return httpx.create_ssl_context()
    except OSError as error:  # ssl.SSLError is one
        places = " or ".join(
            f"{name}={os.environ[name]}" for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)
        )
        raise ValueError(f"{places}: no certificates can be read there ({error.strerror or error})") from None


def unreachable(error: httpx.RequestError) -> str:
    """Say which host was not reached, alike for whoever asks it: what one host does not answer has one cause."""
    return f"{error.request.url.netloc.decode()} cannot be reached ({type(error).__name__})"


def untrusted(error: httpx.RequestError) -> str | None:
    """What to say of a server whose certificate nobody vouches for; None for any other error."""
    if _UNTRUSTED not in str(error):
        return None
    reason = (
        str(error).partition("certificate verify failed: ")[2].partition(" (_ssl")[0] or "certificate verify failed"
    )
    return (
        f"the certificate of {error.request.url.host} is not trusted ({reason}): if your network's proxy or your "
        "own certificate authority issued it, set SSL_CERT_FILE to a file with that authority's certificate"
    )


def pieces(response: httpx.Response) -> Iterator[bytes]:
    """The decompressed body of a streamed answer. Raises AnswerTooLargeError as soon as it is too large."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity", *_ENCODINGS):
        raise AnswerTooLargeError(f"the answer is compressed as {encoding[:50]}, which nobody asked for")
    size = 0
    for piece in response.iter_bytes():
        size += len(piece)
        if size > LARGEST_ANSWER:
            raise AnswerTooLargeError(f"the answer is too large: it has more than {LARGEST_ANSWER / 1_000_000:g} MB")
        yield piece


def send(client: httpx.Client, request: httpx.Request, *, seconds: float) -> httpx.Response:
    """The whole answer to a request of a ``bounded`` client, within so many seconds. Raises httpx.RequestError."""
    with deadline(seconds), closing(client.send(request, stream=True)) as response:
        content = b"".join(pieces(response))
    headers = [(name, value) for name, value in response.headers.multi_items() if name != "content-encoding"]
    return httpx.Response(response.status_code, headers=headers, content=content, request=request)


def decoded(content: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T] = _EXACT) -> T:
    """JSON in which no digit has passed through a float. Raises msgspec.DecodeError, and nothing else."""
    try:
        return decoder.decode(content)
    except (UnicodeDecodeError, RecursionError, InvalidOperation) as error:
        raise msgspec.DecodeError(f"not readable ({type(error).__name__})") from None

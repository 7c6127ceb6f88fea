"""Requests end, whatever the other side does; large answers are left; certificates and proxies of a network are used.

The other sides are real servers on this machine's loopback: one that drips, one with TLS, one that is a proxy.
"""

import json
import ssl
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socket import create_connection, socket
from socketserver import StreamRequestHandler, TCPServer, ThreadingMixIn
from typing import Any

import pytest
import trustme

from usage_assets.core import bounded_http
from usage_assets.features.port.catalog.client import PortClient, PortError
from usage_assets.fetching.client import FetchResult
from usage_assets.fetching.transport import PermanentError, ProviderError, TransientError
from usage_assets_tests.fetching.conftest import ENDPOINTS, Answers, NewClient, answers, client_of, new_client
from usage_assets_tests.fixtures import last_days
from usage_assets_tests.in_background import in_background

__all__ = ["answers", "new_client"]

HOST = "usage-assets.invalid"
"""A name that only the network's proxy knows."""


class Server(ThreadingMixIn, TCPServer):
    """Serves connections side by side, and ends with the test."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False


@contextmanager
def serving(handler: type[StreamRequestHandler], certificate: trustme.LeafCert | None = None) -> Iterator[int]:
    """A server on this machine; yields its port."""
    server = Server(("127.0.0.1", 0), handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    with in_background(server):
        yield server.server_address[1]


def fetch(base_url: str, days: int = 1, **options: Any) -> FetchResult:
    """Ask a provider at this address for days of costs, trying once."""
    provider, endpoint = ENDPOINTS["openai/costs"]
    settings = {"connection": "openai", "key": "sk-admin-x", "base_url": base_url, "attempts": 1}
    with client_of(provider, **{**settings, **options}) as client:
        return client.fetch(endpoint, last_days(days))


def get_token(address: str, **options: Any) -> None:
    """Ask a Port at this address for a token, trying once."""
    with PortClient(address, "id", "secret", attempts=1, **options) as client:
        client.authenticate()


# Deadlines


def dripping(head: bytes, drop: bytes) -> type[StreamRequestHandler]:
    """A server that sends a drop at a time, each long before anybody would call the connection silent.

    It gives up at last, so that a client without a deadline fails here, too.
    """

    class Dripping(StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            try:
                self.wfile.write(head)
                for _ in range(1000):
                    self.wfile.write(drop)
                    time.sleep(0.01)
            except OSError:
                pass  # the client has ended it

    return Dripping


DRIPS = {
    "headers": dripping(b"HTTP/1.1 200 OK\r\nx-header: ", b"a"),
    "body": dripping(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n", b"a"),
    "chunks": dripping(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
    "refusal": dripping(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 1000000\r\n\r\n", b"a"),
}


@pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS)
def test_what_drips_from_a_provider_ends_at_the_deadline(drip: type[StreamRequestHandler]) -> None:
    with serving(drip) as port, pytest.raises(TransientError, match=r"was not complete after 0\.3 s") as raised:
        fetch(f"http://127.0.0.1:{port}", answer_timeout=0.3)
    assert raised.value.days == tuple(last_days(1))


def test_what_drips_from_port_ends_at_the_deadline() -> None:
    with serving(DRIPS["body"]) as port, pytest.raises(PortError, match=r"was not complete after 0\.3 s"):
        get_token(f"http://127.0.0.1:{port}", answer_timeout=0.3)


def test_a_proxy_that_drips_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(DRIPS["headers"]) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        with pytest.raises(TransientError, match=r"was not complete after 0\.3 s"):
            fetch(f"https://{HOST}/v1", answer_timeout=0.3)


# Large answers


def endless(encoding: bytes) -> type[StreamRequestHandler]:
    """A server that sends compressed zeros for as long as somebody reads them."""

    class Endless(StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            inflated, bomb = bytes(1 << 20), zlib.compressobj(wbits=31)
            try:
                self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-encoding: " + encoding + b"\r\n\r\n")
                while True:
                    self.wfile.write(bomb.compress(inflated))
            except OSError:
                pass  # the client has seen enough

    return Endless


def test_an_answer_that_becomes_too_large_is_left_where_it_is() -> None:
    with serving(endless(b"gzip")) as port:
        what = "the answer is too large: it has more than 256 MB"
        with pytest.raises(PermanentError, match=f"{what}. It was not stored.$") as raised:
            fetch(f"http://127.0.0.1:{port}")
        assert raised.value.days == tuple(last_days(1))
        with pytest.raises(PortError, match=what):
            get_token(f"http://127.0.0.1:{port}")


def test_an_answer_in_layers_of_compression_is_not_opened() -> None:
    for encoding in (
        b"gzip, gzip",
        b"br",
    ):
        with serving(endless(encoding)) as port:
            with pytest.raises(PermanentError, match=f"compressed as {encoding.decode()}, which nobody asked for"):
                fetch(f"http://127.0.0.1:{port}")
            with pytest.raises(PortError, match="which nobody asked for"):
                get_token(f"http://127.0.0.1:{port}")


def test_a_window_whose_answer_is_too_large_is_asked_for_in_halves(
    answers: Answers, new_client: NewClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, endpoint = ENDPOINTS["openai/costs"]
    whole = new_client(provider).fetch(endpoint, last_days(4))
    of_days = [len(json.dumps(answers.real(provider, endpoint, day), default=str)) for day in last_days(4)]
    monkeypatch.setattr(bounded_http, "LARGEST_ANSWER", sum(of_days) // 2)
    fetched = new_client(provider).fetch(endpoint, last_days(4))
    assert sorted(map(str, fetched.rows.to_pylist())) == sorted(map(str, whole.rows.to_pylist()))
    assert fetched.refused > 0
    monkeypatch.setattr(bounded_http, "LARGEST_ANSWER", min(of_days) // 2)
    with pytest.raises(PermanentError, match="the answer is too large") as raised:
        new_client(provider).fetch(endpoint, last_days(4))
    assert raised.value.days == (last_days(4)[0],)


# Certificates and proxies


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch) -> Iterator[trustme.CA]:
    """A certificate authority of the network's own. What is trusted is read again for each test."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    bounded_http.certificates.cache_clear()
    yield trustme.CA()
    bounded_http.certificates.cache_clear()


@pytest.fixture
def tls(authority: trustme.CA) -> Iterator[int]:
    """Something with TLS that answers as OpenAI's costs and as Port's tokens do; its port."""
    start = int(datetime(*last_days(1)[0].timetuple()[:3], tzinfo=UTC).timestamp())
    bucket = {"start_time": start, "end_time": start + 86400, "results": []}
    page = {"data": [bucket], "has_more": False, "next_page": None}

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(page)

        def do_POST(self) -> None:
            self._answer({"accessToken": "t", "expiresIn": 3600})

        def _answer(self, body: object) -> None:
            content = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    with serving(Answering, authority.issue_cert("127.0.0.1", HOST)) as port:
        yield port


def trust(authority: trustme.CA, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set SSL_CERT_FILE, as the documentation says."""
    authority.cert_pem.write_to_path(folder / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "authority.pem"))


NOT_TRUSTED = r"the certificate of 127\.0\.0\.1 is not trusted \(.+\): .+ set SSL_CERT_FILE"


def test_a_certificate_that_nobody_vouches_for_is_one_line_that_says_what_to_set(tls: int) -> None:
    with pytest.raises(PermanentError, match=NOT_TRUSTED) as raised:
        fetch(f"https://127.0.0.1:{tls}")
    assert raised.value.days == ()
    with pytest.raises(PortError, match=NOT_TRUSTED):
        get_token(f"https://127.0.0.1:{tls}")


def test_ssl_cert_file_says_whom_to_trust(
    tls: int, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(authority, tmp_path, monkeypatch)
    assert fetch(f"https://127.0.0.1:{tls}").requests == 1
    get_token(f"https://127.0.0.1:{tls}")


@pytest.mark.usefixtures("authority")
@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_ssl_cert_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    path = tmp_path / "authority.pem"
    if content:
        path.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    what = f"SSL_CERT_FILE={path}: no certificates can be read there"
    with pytest.raises(PermanentError, match=f"openai: {what}"):
        fetch("https://127.0.0.1")
    with pytest.raises(PortError, match=what):
        get_token("https://127.0.0.1")


def proxy_to(port: int, asked: list[str]) -> type[StreamRequestHandler]:
    """A proxy that connects everybody with one port of this machine, and notes whom they asked for."""

    class Proxy(StreamRequestHandler):
        def handle(self) -> None:
            asked.append(self.rfile.readline().decode().strip())
            while self.rfile.readline().strip():
                pass
            with create_connection(("127.0.0.1", port)) as target:
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_pass_on, args=(target, self.request))
                back.start()
                _pass_on(self.request, target)
                back.join()

    return Proxy


def _pass_on(source: socket, target: socket) -> None:
    try:
        while piece := source.recv(1 << 16):
            target.sendall(piece)
        target.shutdown(1)
    except OSError:
        pass  # one of the two has gone


def test_a_proxy_leads_to_providers_and_to_port(
    tls: int, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    trust(authority, tmp_path, monkeypatch)
    with serving(proxy_to(tls, asked)) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        assert fetch(f"https://{HOST}/v1").requests == 1
        get_token(f"https://{HOST}")
    assert asked == [f"CONNECT {HOST}:443 HTTP/1.1"] * 2


def test_a_proxy_that_opens_tls_itself_needs_its_certificate_to_be_trusted(
    tls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(proxy_to(tls, [])) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        with pytest.raises(ProviderError, match=rf"the certificate of {HOST} is not trusted .+ set SSL_CERT_FILE"):
            fetch(f"https://{HOST}/v1")
